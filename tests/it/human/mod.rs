//! A human is needed: they are told once, callers wait meanwhile, and whatever the human does serves them all.

mod notices;
mod parked;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::{AGENT, Agent, Running, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};

use crate::support::{KEY, login, sandbox, spoil, token};

/// Longer than a caller of a test ever waits.
const LONG: &str = "3m";

/// An account that is logged in, and an agent that tells a human by a command.
struct Scene {
    cloud: EcHome,
    secret: String,
    sandbox: Sandbox,
    agent: Agent,
}

impl Scene {
    /// The command notes the account and what to type, in a line.
    fn new() -> Self {
        Self::told_by("echo \"$CLOUD_AGENT_NOTICE_ACCOUNT: $CLOUD_AGENT_NOTICE_COMMAND\" >>\"$HOME/told\"")
    }

    fn told_by(command: &str) -> Self {
        Self::telling(&["--notify-with", command])
    }

    /// As the agent tells by itself, but for these arguments.
    fn telling(arguments: &[&str]) -> Self {
        Self::with(|sandbox| {
            let run = sandbox.command(AGENT).args(["--vault", "memory"]);
            sandbox.agent_that_tells(run.args(arguments.iter().copied()))
        })
    }

    fn with(start: impl FnOnce(&Sandbox) -> Agent) -> Self {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        let agent = start(&sandbox);
        let scene = Self { cloud, secret, sandbox, agent };
        scene.log_in();
        scene
    }

    fn log_in(&self) {
        login(&self.sandbox, "ecHome", &self.cloud.url(), &self.secret).finish().ok();
    }

    /// The cloud ends the session. The token that it was good for.
    fn lose(&self) -> String {
        let token = spoil(&self.sandbox, &self.cloud, "ecHome");
        self.cloud.revoke_refresh_tokens();
        token
    }

    #[track_caller]
    fn is_refused(&self) {
        let refused = self.sandbox.token(["ecHome", "--no-input"]);
        assert!(refused.fails(4).contains("hint: `cloud-token login ecHome`"), "{refused:?}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sandbox.path("home").join(name)
    }

    /// What the command has noted.
    fn told(&self) -> Vec<String> {
        fs::read_to_string(self.file("told")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn is_told(&self) {
        assert!(until(PATIENCE, || !self.told().is_empty()), "nobody is told; {}", self.agent.doing());
    }

    /// So many callers who wait at the agent.
    fn parked(&self, count: usize) -> Vec<Running> {
        let before = self.agent.open_files();
        let parked: Vec<_> = (0..count).map(|_| self.caller(LONG)).collect();
        assert!(until(PATIENCE, || self.agent.open_files() >= before + count), "{}", self.agent.doing());
        parked
    }

    fn caller(&self, wait: &str) -> Running {
        let run = self.sandbox.command(TOKEN).args(["ecHome", "--no-input", "--wait", wait]);
        run.deadline(Duration::from_mins(2)).spawn()
    }
}
