//! How everything is: for people at a terminal, and for programs.

use std::fs;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{EcHome, REFRESH};
use cloud_agent_tests::sandbox::{Outcome, Sandbox, TOKEN};
use cloud_agent_tests::schema;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::Value;

use crate::support::{KEY, login, sandbox};
use crate::terminal::Terminal;

/// A home and a cloud, and an account that is as it should be.
struct Scene {
    sandbox: Sandbox,
    cloud: EcHome,
    secret: String,
}

impl Scene {
    fn new() -> Self {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        Self { sandbox: sandbox(), cloud, secret }
    }

    #[track_caller]
    fn login(&self, account: &str, arguments: &[&str]) {
        let run = login(&self.sandbox, account, &self.cloud.url(), &self.secret);
        let done = run.args(arguments.iter().copied()).finish();
        assert_eq!(done.code(), 0, "{done:?}");
    }

    /// One account in each of some states.
    fn with_accounts(&self) {
        self.login("ecHome", &["--set", "hold-for=8h"]);
        self.sandbox.token(["ecHome"]).ok();
        self.login("failing", &["--ephemeral"]);
        self.cloud.break_next(3, REFRESH, Fault::status(503, &serde_json::json!({"error": "busy"})));
        assert_eq!(self.sandbox.token(["failing", "--fresh", "--no-input"]).code(), 5);
        self.login("out", &[]);
        assert_eq!(self.sandbox.token(["logout", "out"]).code(), 0);
    }

    fn at(&self, terminal: &Terminal, variables: &[(&str, &str)]) -> Outcome {
        let run = terminal.run(&self.sandbox, TOKEN, &["status"]);
        variables.iter().fold(run, |run, (name, value)| run.env(*name, *value)).finish()
    }
}

/// The schema that `docs/status.md` shows.
fn promised() -> Value {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/status.md")).unwrap();
    let text = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page shows one");
    serde_json::from_str(text).expect("it is JSON")
}

#[test]
fn what_is_printed_for_programs_is_what_the_page_promises() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent_with(["--vault", "memory", "--hold-idle", "12h"]);
    let look = |accounts: usize| {
        let status: Value = serde_json::from_str(scene.sandbox.token(["status", "--json"]).ok()).unwrap();
        assert_eq!(schema::broken(&promised(), &status), Vec::<String>::new(), "{status:#}");
        assert_eq!(status["accounts"].as_array().map(Vec::len), Some(accounts), "{status:#}");
        status
    };
    look(0);
    scene.with_accounts();
    let status = look(3);
    let of = |key: &str| -> Vec<&str> {
        status["accounts"].as_array().unwrap().iter().filter_map(|a| a[key].as_str()).collect()
    };
    assert_eq!(of("name"), ["ecHome", "failing", "out"]);
    assert_eq!(of("state"), ["valid", "valid", "needs-login"], "a token that lives is handed out through a failure");
    assert_eq!(of("held_by"), ["hold-for", "hold-idle"]);
    assert_eq!(
        (status["hold_idle"].as_i64(), status["accounts"][1]["fault"]["kind"].as_str()),
        (Some(43_200), Some("unreachable"))
    );
    scene.sandbox.command(TOKEN).args(["lock", "--passphrase", "env:PW"]).env("PW", "x").finish().ok();
    look(0);
}

#[test]
fn on_a_terminal_the_table_fits_and_has_colours_unless_they_are_not_wanted() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    scene.with_accounts();
    for (columns, table) in [(80, true), (40, false)] {
        let terminal = Terminal::open().of_width(columns);
        assert_eq!(scene.at(&terminal, &[("TERM", "xterm"), ("NO_COLOR", "1")]).code(), 0);
        terminal.shows(if table { "needs-login" } else { "held in" });
        let shown = terminal.shown();
        assert!(!shown.contains('\x1b'), "{shown}");
        assert_eq!(shown.contains("EXPIRES IN  RENEWS IN"), table, "{shown}");
        // Addresses of sockets are not broken: whoever wants one copies it.
        let wide = shown.lines().filter(|line| line.chars().count() > usize::from(columns) && !line.contains('/'));
        assert_eq!(wide.collect::<Vec<_>>(), Vec::<&str>::new());
    }
    let terminal = Terminal::open().of_width(100);
    assert_eq!(scene.at(&terminal, &[("TERM", "xterm")]).code(), 0);
    terminal.shows("\x1b[32mvalid");
    terminal.shows("\x1b[33mneeds-login");
    let piped = scene.sandbox.command(TOKEN).arg("status").env("TERM", "xterm").finish();
    assert!(!piped.ok().contains('\x1b') && piped.ok().contains("EXPIRES IN"), "{piped:?}");
}

#[test]
fn watching_shows_what_changes_and_ends_with_the_agent() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    let file = scene.sandbox.path("home/watched");
    let script = format!("exec \"$0\" status --watch --json >{}", file.display());
    let watching = scene.sandbox.command("sh").args(["-c", &script]).arg(scene.sandbox.program(TOKEN)).spawn();
    let terminal = Terminal::open().of_width(100);
    let redrawn = terminal.run(&scene.sandbox, TOKEN, &["status", "--watch"]).env("TERM", "xterm").spawn();
    let lines = || fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(until(PATIENCE, || lines().len() == 1), "{:?}", lines());
    terminal.shows("no accounts yet");
    scene.login("ecHome", &[]);
    terminal.shows("echome");
    assert!(until(PATIENCE, || lines().len() >= 2), "{:?}", lines());
    for line in lines() {
        let status: Value = serde_json::from_str(&line).expect("each line is one");
        assert_eq!(schema::broken(&promised(), &status), Vec::<String>::new());
    }
    assert!(terminal.shown().contains("\x1b[H"), "it is redrawn and not appended");
    let piped = lines();
    assert!(agent.stop(PATIENCE).success());
    assert_eq!((watching.finish().code(), redrawn.finish().code()), (3, 3));
    assert_eq!(lines(), piped, "what has not changed is not printed again");
}

#[test]
fn a_token_that_nobody_has_asked_for_is_left_to_end_and_only_what_renews_it_is_kept_alive() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    scene.login("ecHome", &[]);
    let moments = || {
        let status: Value = serde_json::from_str(scene.sandbox.token(["status", "--json"]).ok()).unwrap();
        let moment = |name: &str| status["accounts"][0][name].as_i64().unwrap_or_else(|| panic!("no {name}: {status}"));
        (moment("renews_at"), moment("expires_at"))
    };
    // Its refresh token dies of 24 idle hours, and is renewed after half of them.
    let (renews, expires) = moments();
    let ahead = renews - expires;
    assert!((10 * 3600..12 * 3600).contains(&ahead), "{ahead} s");
    scene.sandbox.token(["ecHome"]).ok();
    let (renews, expires) = moments();
    assert!(renews < expires, "somebody asks for it: {renews} {expires}");
}
