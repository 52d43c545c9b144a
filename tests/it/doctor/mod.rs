//! `doctor`, with everything right, and wrong on purpose in as many ways as it knows: each is a row of a table.
//!
//! | module | what is wrong |
//! |---|---|
//! | `sockets` | the programs, the socket, who listens there |
//! | `directories` | the agent's files |
//! | `inside` | what only the agent knows: configuration, vault, network |
//! | `accounts` | the accounts |
//! | `consumers` | the configuration of git and others |
//! | `pipes` | files that are none |
//! | `proofs` | what only `--prove` finds |
//! | `pasted` | what directories are called |

mod accounts;
mod consumers;
mod directories;
mod inside;
mod page;
mod pasted;
mod pipes;
mod proofs;
mod sockets;

use std::any::Any;
use std::fs;
use std::time::Duration;

use cloud_agent_tests::fake::echome::{EcHome, MACHINES};
use cloud_agent_tests::sandbox::{Agent, Outcome, Run, Sandbox, TOKEN};
use cloud_agent_tests::schema;
use cloud_agent_tests::terminal::Terminal;
use serde_json::Value;

use crate::support::{KEY, login, sandbox};

/// One way to be wrong.
struct Wrong {
    /// What is the matter.
    name: &'static str,
    /// A home where it is; `None` if it cannot be made here, which was said.
    scene: fn() -> Option<Scene>,
    arguments: &'static [&'static str],
    /// The finding that has to name it.
    finding: &'static str,
    /// What its mend has to say.
    mend: &'static str,
    /// The exit code.
    code: i32,
}

/// A home and a cloud.
struct Scene {
    // It ends before its home goes.
    agent: Option<Agent>,
    sandbox: Sandbox,
    cloud: EcHome,
    secret: String,
    /// Who asks, if it is not whoever runs the tests.
    user: Option<u32>,
    /// What lives as long.
    kept: Vec<Box<dyn Any>>,
}

impl Scene {
    /// One without an agent.
    fn empty() -> Self {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        let sandbox = sandbox();
        let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        sandbox.set("PATH", path);
        // What this machine's git is told is not the matter.
        sandbox.set("GIT_CONFIG_NOSYSTEM", "1");
        Self { sandbox, cloud, secret, agent: None, user: None, kept: Vec::new() }
    }

    /// One with an agent, its vault in memory by choice.
    fn with_agent() -> Self {
        let mut scene = Self::empty();
        scene.agent = Some(scene.sandbox.agent());
        scene
    }

    /// One where all is as it should be: an agent, and an account that is logged in.
    fn healthy() -> Self {
        let scene = Self::with_agent();
        scene.login("ecHome", &[]);
        scene
    }

    #[track_caller]
    fn login(&self, account: &str, arguments: &[&str]) {
        login(&self.sandbox, account, &self.cloud.url(), &self.secret).args(arguments.iter().copied()).finish().ok();
    }

    /// Writes a file below the home, and what is above it.
    fn write(&self, path: &str, text: &str) {
        let path = self.sandbox.path("home").join(path);
        fs::create_dir_all(path.parent().expect("it is below the home")).expect("the home is ours");
        fs::write(path, text).expect("the home is ours");
    }

    /// Appends to the accounts' file.
    fn configure(&self, text: &str) {
        let path = self.sandbox.config().join("accounts.toml");
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, before + text).expect("the sandbox is ours");
    }

    fn doctor(&self, arguments: &[&str]) -> Outcome {
        let run = self.sandbox.command(TOKEN).arg("doctor").args(arguments.iter().copied());
        self.user.into_iter().fold(run, Run::as_user).finish()
    }

    /// Everything that it finds, held against the page.
    #[track_caller]
    fn examined(&self, arguments: &[&str]) -> (Outcome, Value) {
        let outcome = self.doctor(&[arguments, &["--json"]].concat());
        let found: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|why| panic!("{why}: {outcome:?}"));
        assert_eq!(schema::broken(&page::promised(), &found), Vec::<String>::new(), "{found:#}");
        assert_eq!(found["exit_code"], outcome.code(), "{found:#}");
        for finding in findings(&found) {
            let evidence = finding["evidence"].as_array().unwrap();
            assert!(!evidence.is_empty(), "no evidence: {finding:#}");
            let what = finding["what"].as_str().unwrap();
            let again = evidence.iter().any(|line| line.as_str().unwrap().contains(what));
            assert!(!again, "it is said twice: {finding:#}");
            assert!(!is_bad(finding) || finding["mend"].is_string(), "no mend: {finding:#}");
        }
        let secrets = self.cloud.secrets();
        for secret in secrets.iter().chain([&self.secret]) {
            assert!(!outcome.stdout.contains(secret.as_str()), "a secret is shown");
        }
        (outcome, found)
    }
}

fn findings(found: &Value) -> &[Value] {
    found["findings"].as_array().expect("the schema says so")
}

fn is_bad(finding: &Value) -> bool {
    ["warning", "error"].contains(&finding["level"].as_str().unwrap_or_default())
}

/// What is worse than a note.
fn bad(found: &Value) -> Vec<&Value> {
    findings(found).iter().filter(|finding| is_bad(finding)).collect()
}

/// That each is named, with what mends it, and how the program ends then.
#[track_caller]
fn are_named(table: &[Wrong]) {
    for wrong in table {
        let Some(scene) = (wrong.scene)() else { continue };
        let (outcome, found) = scene.examined(wrong.arguments);
        let mut told = findings(&found).iter().filter(|finding| finding["level"] != "ok");
        let named = told.find(|finding| finding["id"] == wrong.finding);
        let Some(named) = named else { panic!("{}: `{}` is not named: {found:#}", wrong.name, wrong.finding) };
        let mend = named["mend"].as_str().unwrap_or_default();
        assert!(mend.contains(wrong.mend), "{}: {named:#}", wrong.name);
        assert_eq!(outcome.code(), wrong.code, "{}: {:#?}", wrong.name, bad(&found));
    }
}

/// What is found where all is as it should be.
const WELL: [&str; 12] = [
    "peer.own",
    "agent.answers",
    "directory.own",
    "vault.memory",
    "clock.right",
    "tls.roots",
    "proxy.none",
    "account.valid",
    "git.ready",
    "systemd.ready",
    "shell.ready",
    "setup.unused",
];

/// What is found there besides, with `--prove`.
const PROVED: [&str; 2] = ["account.alive", "vault.round-trip"];

/// What is found where no agent runs.
const WITHOUT_AN_AGENT: [&str; 4] = ["program.agent", "agent.absent", "directory.fresh", "git.ready"];

#[test]
fn where_all_is_as_it_should_be_nothing_is_worse_than_a_note() {
    let scene = Scene::healthy();
    for what in ["git", "systemd", "shell"] {
        scene.sandbox.command(TOKEN).args(["setup", what]).finish().ok();
    }
    for arguments in [&[][..], &["--prove"]] {
        let (outcome, found) = scene.examined(arguments);
        assert_eq!((bad(&found), outcome.code()), (Vec::<&Value>::new(), 0), "{found:#}");
        assert_eq!((outcome.stderr.as_str(), &found["worst"]), ("", &Value::from("note")));
        let ids: Vec<&str> = findings(&found).iter().filter_map(|finding| finding["id"].as_str()).collect();
        for id in WELL {
            assert!(ids.contains(&id), "{id}: {ids:?}");
        }
        for id in PROVED {
            assert_eq!(ids.contains(&id), !arguments.is_empty(), "{id}: {ids:?}");
        }
    }
    assert_eq!(scene.cloud.count(MACHINES), 1, "without --prove, no cloud is asked");
    // What was written to prove the vault is gone, and was nobody's account.
    let vault = scene.sandbox.token(["vault"]);
    assert!(vault.ok().contains("held: echome\n") || vault.ok().ends_with("held: echome"), "{vault:?}");
}

#[test]
fn people_are_told_in_groups_with_the_mend_below_and_nothing_is_too_wide() {
    let scene = Scene::healthy();
    scene.sandbox.token(["logout", "ecHome"]).ok();
    let told = scene.doctor(&[]);
    assert_eq!((told.code(), told.stderr.as_str()), (4, ""), "{told:?}");
    let text = &told.stdout;
    assert!(text.starts_with("agent\n  ok       `cloud-agent` is installed\n"), "{text}");
    assert!(text.contains("\naccounts\n  warning  `ecHome` is not logged in"), "{text}");
    assert!(text.contains("\n           mend: `cloud-token login ecHome"), "{text}");
    assert!(text.ends_with(": 1 warning\n") && !text.contains('\x1b'), "{text}");
    let wide = text.lines().filter(|line| line.chars().count() > 80 && line.trim().contains(' '));
    let wide: Vec<_> = wide.filter(|line| !line.contains('`') && !line.contains('/')).collect();
    assert!(wide.is_empty(), "{wide:?}");
    for (variables, coloured) in [(&[("TERM", "xterm")][..], true), (&[("TERM", "xterm"), ("NO_COLOR", "1")], false)] {
        let terminal = Terminal::open().of_width(100);
        let run = terminal.run(&scene.sandbox, TOKEN, &["doctor"]);
        let run = variables.iter().fold(run, |run, (name, value)| run.env(*name, *value));
        assert_eq!(run.finish().code(), 4);
        terminal.shows(": 1 warning");
        assert_eq!(terminal.shown().contains("\x1b[33mwarning"), coloured, "{}", terminal.shown());
    }
}

#[test]
fn it_starts_no_agent_and_looks_at_all_that_it_can_without_one() {
    let scene = Scene::empty();
    scene.sandbox.command(TOKEN).args(["setup", "git"]).finish().ok();
    let (outcome, found) = scene.examined(&["--prove"]);
    assert_eq!((outcome.code(), scene.sandbox.agents()), (3, Vec::new()));
    let ids: Vec<&str> = findings(&found).iter().filter_map(|finding| finding["id"].as_str()).collect();
    for id in WITHOUT_AN_AGENT {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
}

#[test]
fn what_hangs_delays_nothing_beyond_its_own_time() {
    let scene = Scene::healthy();
    crate::support::put_script(&scene.sandbox.program("git"), "#!/bin/sh\nsleep 600\n");
    crate::support::put_script(&scene.sandbox.program("kubectl"), "#!/bin/sh\nsleep 600 &\nsleep 600\n");
    let outcome = scene.sandbox.command(TOKEN).args(["doctor", "--json"]).deadline(Duration::from_secs(40)).finish();
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let ids: Vec<&str> = bad(&found).iter().filter_map(|finding| finding["id"].as_str()).collect();
    assert_eq!((ids, outcome.code()), (vec!["git.hangs", "kubectl.config"], 1), "{found:#}");
}
