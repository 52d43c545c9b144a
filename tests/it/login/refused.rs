//! What the cloud refuses of what was typed is asked for again, as long as that can help.

use cloud_agent_tests::fake::cleura::{Cleura, Options, Second, TOKENS};
use cloud_agent_tests::fake::echome::{EcHome, TOKEN as LOGIN};
use cloud_agent_tests::fake::{Fault, Reply};
use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::{Agent, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;
use serde_json::json;

use super::{at, hidden};
use crate::support::{KEY, login, sandbox, token};
use crate::terminal::Terminal;

const SECRET: &str = "Secret of the access key";
/// What ecHome says to a wrong secret and an unknown key alike.
const NO: &str = "not accepted: No active account found with the given credentials; ^D gives up";

/// An ecHome with one key, a home without accounts, and somebody at a terminal.
struct Scene {
    cloud: EcHome,
    secret: String,
    home: Sandbox,
    terminal: Terminal,
    _agent: Agent,
}

impl Scene {
    fn new() -> Self {
        let cloud = EcHome::start();
        let secret = cloud.add_key(KEY);
        let home = sandbox();
        let agent = home.agent();
        Self { cloud, secret, home, terminal: Terminal::open().of_width(200), _agent: agent }
    }

    /// A login that asks for the secret alone.
    fn arguments(&self) -> [String; 7] {
        let key = format!("access-id={KEY}");
        ["login", "desk", "--cloud", "echome", "--url", &self.cloud.url(), &format!("--set={key}")].map(str::to_owned)
    }

    /// Answers the `n`th hidden question.
    #[track_caller]
    fn secret(&self, n: usize, secret: &str) {
        shows(&self.terminal, n, SECRET);
        hidden(&self.terminal, SECRET, secret);
    }
}

/// Waits until `words` were shown so often.
#[track_caller]
fn shows(terminal: &Terminal, times: usize, words: &str) {
    let shown = until(PATIENCE, || terminal.shown().matches(words).count() >= times);
    assert!(shown, "not {times} times `{words}`: {}", terminal.shown());
}

#[test]
fn a_slip_is_asked_about_again_and_nothing_else_has_to_be_typed_twice() {
    let it = Scene::new();
    let running = at(&it.terminal, &it.home, &["login", "desk", "--cloud", "echome"]);
    it.terminal.shows("Address of the ecHome server: ");
    it.terminal.types(&format!("{}\n", it.cloud.url()));
    it.terminal.shows("Access key id");
    it.terminal.types("AKIA-OTHER\n");
    it.secret(1, "mistyped");
    it.terminal.shows(NO);
    it.secret(2, &it.secret);
    it.terminal.shows(&format!("Address of the ecHome server [{}]: ", it.cloud.url()));
    it.terminal.types("\n");
    it.terminal.shows("[AKIA-OTHER]: ");
    it.terminal.types(&format!("{KEY}\n"));
    assert_eq!(running.finish().code(), 0, "{}", it.terminal.shown());
    it.terminal.shows(&format!("--set access-id={KEY} --secret secret=env:SECRET"));
    let shown = it.terminal.shown();
    assert!(!shown.contains("mistyped") && !shown.contains(&it.secret) && it.terminal.echoes(), "{shown}");
    assert_eq!((it.cloud.count(LOGIN), shown.matches("ecHome: https://").count()), (2, 1), "{shown}");
    assert!(it.cloud.accepts(&token(&it.home, "desk")));
}

#[test]
fn the_third_refusal_is_the_last_and_leaves_nothing_behind() {
    let it = Scene::new();
    let arguments = it.arguments();
    let running = at(&it.terminal, &it.home, &arguments.each_ref().map(String::as_str));
    for n in 1..=3 {
        it.secret(n, "mistyped");
    }
    assert_eq!(running.finish().code(), 1, "{}", it.terminal.shown());
    it.terminal.shows("error: the cloud ecHome refused the credentials of account `desk`");
    assert_eq!((it.cloud.count(LOGIN), it.terminal.shown().matches(NO).count()), (3, 2), "{}", it.terminal.shown());
    it.home.token(["desk", "--no-input"]).fails(6);
    assert!(it.terminal.echoes());
}

#[test]
fn whoever_gives_up_at_the_second_try_reads_why_and_has_a_terminal_that_echoes() {
    for (keys, code) in [("\x04", Some(1)), ("\x03", None)] {
        let it = Scene::new();
        let arguments = it.arguments();
        let running = at(&it.terminal, &it.home, &arguments.each_ref().map(String::as_str));
        it.secret(1, "mistyped");
        shows(&it.terminal, 2, SECRET);
        assert!(until(PATIENCE, || !it.terminal.echoes()), "{}", it.terminal.shown());
        it.terminal.types(keys);
        let ended = running.finish();
        assert_eq!(ended.status.code(), code, "{ended:?} {}", it.terminal.shown());
        if code.is_some() {
            it.terminal.shows("error: the cloud ecHome refused");
        }
        assert!(until(PATIENCE, || it.terminal.echoes()), "{}", it.terminal.shown());
        assert_eq!(it.cloud.count(LOGIN), 1);
        it.home.token(["desk", "--no-input"]).fails(6);
    }
}

#[test]
fn pasted_lines_are_one_try_and_not_one_each() {
    let it = Scene::new();
    let arguments = it.arguments();
    let running = at(&it.terminal, &it.home, &arguments.each_ref().map(String::as_str));
    it.secret(1, "mistyped\nand\nwhat\nelse was copied");
    it.terminal.shows(NO);
    it.secret(2, &it.secret);
    assert_eq!(running.finish().code(), 0, "{}", it.terminal.shown());
    assert_eq!(it.cloud.count(LOGIN), 2, "{}", it.terminal.shown());
}

#[test]
fn a_stop_between_two_questions_stops_once() {
    let it = Scene::new();
    let running = at(&it.terminal, &it.home, &["login", "desk", "--cloud", "echome", "--url", &it.cloud.url()]);
    it.terminal.shows("Access key id");
    it.terminal.types(&format!("{KEY}\n"));
    it.secret(1, "mistyped");
    it.secret(2, "mistyped");
    it.terminal.shows(&format!("[{KEY}]: "));
    it.terminal.types("\x1a");
    assert!(until(PATIENCE, || process::is_stopped(running.pid())), "{}", it.terminal.shown());
    running.signal(Signal::CONT);
    it.terminal.types("\n");
    it.secret(3, &it.secret);
    shows(&it.terminal, 2, &format!("[{KEY}]: "));
    it.terminal.types("\n");
    assert_eq!(running.finish().code(), 0, "{}", it.terminal.shown());
}

#[test]
fn what_was_given_is_not_asked_for_and_nobody_is_asked_where_nobody_is() {
    let it = Scene::new();
    let [login, desk, cloud, echome, url, address, set] = it.arguments();
    let given = ["--secret", "secret=env:WRONG"].map(str::to_owned);
    // All of it.
    let all = [&login, &desk, &cloud, &echome, &url, &address, &set, &given[0], &given[1]].map(String::as_str);
    let run = it.terminal.run(&it.home, TOKEN, &all).env("WRONG", "mistyped");
    assert_eq!((run.finish().code(), it.cloud.count(LOGIN)), (1, 1), "{}", it.terminal.shown());
    let blind = it.home.command(TOKEN).args(all).arg("--no-input").env("WRONG", "mistyped");
    assert!(!blind.finish().fails(1).contains("not accepted"));
    assert!(!it.terminal.shown().contains("not accepted"), "{}", it.terminal.shown());
    // The secret alone: the other half of what was refused is asked for again.
    let half = [&login, &desk, &cloud, &echome, &url, &address, &given[0], &given[1]].map(String::as_str);
    let run = it.terminal.run(&it.home, TOKEN, &half).env("WRONG", &it.secret).spawn();
    it.terminal.shows("Access key id");
    it.terminal.types("AKIA-OTHER\n");
    it.terminal.shows("[AKIA-OTHER]: ");
    it.terminal.types(&format!("{KEY}\n"));
    assert_eq!(run.finish().code(), 0, "{}", it.terminal.shown());
    assert!(!it.terminal.shown().contains(SECRET), "{}", it.terminal.shown());
}

#[test]
fn a_cloud_that_is_away_or_has_shut_the_login_is_not_asked_again() {
    let it = Scene::new();
    let arguments = it.arguments();
    for (n, (fault, code)) in [
        (Fault::status(503, &json!({})), 5),
        (Fault::try_later(429, "2"), 5),
        (Fault::Answer(Reply::json(401, &json!({})).header("Retry-After", "60")), 1),
        (Fault::status(401, &json!({"detail": "This account is locked for 15 minutes."})), 1),
        (Fault::status(403, &json!({"detail": "Too many attempts."})), 1),
    ]
    .into_iter()
    .enumerate()
    {
        it.cloud.clear();
        it.cloud.break_next(9, LOGIN, fault);
        let running = at(&it.terminal, &it.home, &arguments.each_ref().map(String::as_str));
        it.secret(n + 1, "right or wrong");
        assert_eq!(running.finish().code(), code, "{n}: {}", it.terminal.shown());
        assert_eq!(it.cloud.count(LOGIN), n + 1, "{n}: {}", it.terminal.shown());
    }
    assert!(!it.terminal.shown().contains("not accepted"), "{}", it.terminal.shown());
}

#[test]
fn a_token_that_needs_a_login_first_is_worth_a_second_try_as_well() {
    let it = Scene::new();
    login(&it.home, "desk", &it.cloud.url(), &it.secret).finish().ok();
    it.home.token(["logout", "desk"]).ok();
    let running = at(&it.terminal, &it.home, &["desk", "-o", "headers"]);
    it.secret(1, "mistyped");
    it.terminal.shows(NO);
    it.secret(2, &it.secret);
    assert_eq!(running.finish().code(), 0, "{}", it.terminal.shown());
    it.terminal.shows("Authorization: Bearer ");
    assert!(!it.terminal.shown().contains("Access key id"), "it is known: {}", it.terminal.shown());
}

#[test]
fn a_code_is_asked_for_as_often_as_before_and_never_proposed() {
    let cloud = Cleura::with(Options::default());
    let password = cloud.add("alice@example.com", Second::Sms);
    cloud.next_code("alice@example.com", "123456");
    let home = sandbox();
    let _agent = home.agent();
    let terminal = Terminal::open().of_width(200);
    let arguments =
        ["login", "work", "--cloud", "cleura", "--url", &cloud.url(), "--set", "username=alice@example.com"];
    // A wrong password costs no text message, and what is known of codes comes after it.
    let running = at(&terminal, &home, &arguments);
    hidden(&terminal, "Password: ", "mistyped");
    shows(&terminal, 2, "Password: ");
    hidden(&terminal, "Password: ", &password);
    for n in 1..=3 {
        shows(&terminal, n, "six digits from the text message");
        terminal.types("000000\n");
    }
    assert_eq!(running.finish().code(), 1, "{}", terminal.shown());
    let shown = terminal.shown();
    assert_eq!((shown.matches("Password: ").count(), shown.matches("[000000]").count()), (2, 0), "{shown}");
    // The cloud is asked once more, by itself, for a text message.
    assert_eq!((cloud.count(TOKENS), cloud.messages("alice@example.com").len()), (3, 1), "{shown}");
}
