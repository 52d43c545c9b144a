//! The real git, kubectl and others, each with the token of an account that the agent finds by the address.

mod curl;
mod exec;
pub(crate) mod git;
mod git_battery;
mod kubectl;
mod own;
mod places;
mod processes;
mod recipes;
mod registries;
mod setup;
mod withheld;

use std::os::unix::fs::symlink;
use std::sync::Arc;

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::fake::{Certificate, Cloud, Journal, Reply, Request, Server};
use cloud_agent_tests::sandbox::{Agent, Outcome, Run, Sandbox, TOKEN};

use crate::support::{KEY, login, sandbox, token};

/// A site of somebody's own that takes tokens of the cloud: a git server, a cluster, a registry.
struct Site<F>(F);

impl<F: Fn(&Request) -> Reply + Send + Sync + 'static> Cloud for Site<F> {
    fn answer(&self, request: &Request, _: &Journal) -> Reply {
        (self.0)(request)
    }
}

/// A site that answers so.
pub(crate) fn site(tls: bool, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    let builder = if tls { Server::builder().tls(Certificate::Valid) } else { Server::builder() };
    builder.start(Site(answer))
}

/// The two programs, a cloud, and the account `ecHome` there.
pub(crate) struct Stage {
    pub(crate) cloud: Arc<EcHome>,
    pub(crate) secret: String,
    pub(crate) sandbox: Sandbox,
    pub(crate) agent: Agent,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::in_sandbox(sandbox())
    }

    /// One in a sandbox that is prepared already.
    fn in_sandbox(sandbox: Sandbox) -> Self {
        let cloud = Arc::new(EcHome::start());
        let secret = cloud.add_key(KEY);
        for name in
            ["git-credential", "docker-credential", "cargo-credential", "terraform-credentials", "bazel-credential"]
        {
            symlink(sandbox.program(TOKEN), sandbox.program(&format!("{name}-cloud-token"))).unwrap();
        }
        let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        sandbox.set("PATH", path);
        let agent = sandbox.agent();
        Self { cloud, secret, sandbox, agent }
    }

    /// One with the account logged in, which answers for `serves`.
    fn serving(serves: &str) -> Self {
        let stage = Self::new();
        stage.serve(serves);
        stage
    }

    /// Logs the account in; from then on it answers for `serves`.
    #[track_caller]
    fn serve(&self, serves: &str) {
        self.account("ecHome", serves);
    }

    /// The same for another account at the same cloud.
    #[track_caller]
    pub(crate) fn account(&self, name: &str, serves: &str) {
        let setting = format!("serves={serves}");
        login(&self.sandbox, name, &self.cloud.url(), &self.secret).args(["--set", &setting]).finish().ok();
    }

    /// The token that is handed out now.
    #[track_caller]
    fn token(&self) -> String {
        token(&self.sandbox, "ecHome")
    }

    /// A helper as its consumer runs it.
    fn helper(&self, arguments: &str) -> Run<'_> {
        self.sandbox.command(TOKEN).arg("helper").args(arguments.split_whitespace())
    }

    /// Ends the login, so that the human is needed.
    #[track_caller]
    fn log_out(&self) {
        self.sandbox.token(["logout", "ecHome"]).ok();
    }
}

/// That a helper said nothing and did not fail: its consumer goes on without it.
#[track_caller]
fn is_silent(outcome: &Outcome) {
    assert_eq!((outcome.code(), outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""), "{outcome:?}");
}

/// Whether a request carries `Authorization: Bearer` and a token that the cloud takes.
pub(crate) fn is_authorised(cloud: &EcHome, request: &Request) -> bool {
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| cloud.accepts(token))
}
