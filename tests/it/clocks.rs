//! An agent whose clock is wrong, or is set while it runs, under libfaketime: its wall clock lies, the others do not.

use std::fs;
use std::path::PathBuf;

use cloud_agent_tests::fake::echome::{EcHome, Options};
use cloud_agent_tests::sandbox::{AGENT, Agent, Sandbox};
use cloud_agent_tests::skip;
use serde_json::Value;

use crate::support::{KEY, SHORT, login, sandbox, token, wait_until_refused};

/// An agent whose wall clock shows what the file `clock` says, such as `+1d`.
struct Scene {
    cloud: EcHome,
    sandbox: Sandbox,
    agent: Agent,
}

impl Scene {
    fn new(what: &str, options: Options, clock: &str) -> Option<Self> {
        skip::unless_tool(what, "faketime")?;
        let Some(library) = library() else {
            skip::skip(what, "libfaketime is not where Debian puts it");
            return None;
        };
        let cloud = EcHome::with(options);
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        fs::write(sandbox.path("clock"), clock).unwrap();
        let run = sandbox.command(AGENT).args(["--vault", "memory"]).env("LD_PRELOAD", library);
        let run = run.env("FAKETIME_TIMESTAMP_FILE", sandbox.path("clock")).env("FAKETIME_NO_CACHE", "1");
        let agent = sandbox.agent_from(run.env("DONT_FAKE_MONOTONIC", "1"));
        login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
        Some(Self { cloud, sandbox, agent })
    }

    fn set(&self, clock: &str) {
        // In one step: the agent may read it at any moment.
        fs::write(self.sandbox.path("clock.new"), clock).unwrap();
        fs::rename(self.sandbox.path("clock.new"), self.sandbox.path("clock")).unwrap();
    }

    fn status(&self) -> Value {
        serde_json::from_str(self.sandbox.token(["status", "--json"]).ok()).unwrap()
    }

    fn ends(self) {
        assert!(self.agent.runs(), "{}", self.agent.log());
        assert_eq!(self.cloud.violations(), Vec::<String>::new());
    }
}

/// For programs with threads, as the agent is while it looks up a name.
fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.flatten().map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
    places.into_iter().find(|path| path.is_file())
}

#[test]
fn an_agent_whose_clock_is_wrong_serves_what_is_valid_and_says_so() {
    let what = "an_agent_whose_clock_is_wrong_serves_what_is_valid_and_says_so";
    for (clock, way) in [("+2d", "ahead of"), ("-2d", "behind"), ("+400d", "ahead of")] {
        let Some(scene) = Scene::new(what, Options::default(), clock) else { return };
        let first = token(&scene.sandbox, "ecHome");
        for _ in 0..20 {
            assert_eq!(token(&scene.sandbox, "ecHome"), first, "{clock}");
        }
        assert!(scene.cloud.accepts(&first));
        assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 0), "{clock}: no renewal loop");
        let status = scene.status().to_string();
        assert!(status.contains(&format!(" {way} that of `{}`", scene.cloud.url())), "{clock}: {status}");
        scene.ends();
    }
}

#[test]
fn an_agent_whose_clock_is_slow_hands_out_nothing_that_has_ended() {
    let what = "an_agent_whose_clock_is_slow_hands_out_nothing_that_has_ended";
    let options = Options { access: SHORT, ..Options::default() };
    let Some(scene) = Scene::new(what, options, "-3h") else { return };
    for _ in 0..3 {
        let last = token(&scene.sandbox, "ecHome");
        wait_until_refused(&scene.cloud, &last);
        assert_ne!(token(&scene.sandbox, "ecHome"), last);
    }
    scene.ends();
}

#[test]
fn a_clock_that_is_set_while_the_agent_runs_costs_at_most_one_renewal() {
    let what = "a_clock_that_is_set_while_the_agent_runs_costs_at_most_one_renewal";
    let Some(scene) = Scene::new(what, Options::default(), "+0") else { return };
    token(&scene.sandbox, "ecHome");
    for (times, clock) in (1..).zip(["+3d", "-2d", "+365d", "+0"]) {
        scene.set(clock);
        for _ in 0..10 {
            assert!(scene.cloud.accepts(&token(&scene.sandbox, "ecHome")), "{clock}");
        }
        assert!(scene.cloud.refreshes() <= times, "{clock}: {} renewals", scene.cloud.refreshes());
    }
    assert_eq!(scene.cloud.logins(), 1);
    scene.ends();
}
