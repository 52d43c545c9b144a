//! A login that failed keeps nothing, so its hint repeats all that was given and typed: who pastes it is asked for the secret.

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::{Outcome, Sandbox, TOKEN};

use super::{at, hidden};
use crate::support::{KEY, login, sandbox};
use crate::terminal::Terminal;

/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1";
const SECRET: &str = "Secret of the access key";

/// The command in a hint.
#[track_caller]
fn command(stderr: &str) -> &str {
    let hint = stderr.split_once("hint: ").unwrap_or_else(|| panic!("no hint in {stderr}")).1;
    hint.split('`').find(|words| words.starts_with("cloud-token login")).unwrap_or_else(|| panic!("no login in {hint}"))
}

/// Runs it as a shell does, where nobody can be asked.
fn run(home: &Sandbox, script: &str) -> Outcome {
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    home.command("sh").args(["-c", script]).env("PATH", path).finish()
}

#[test]
fn a_script_that_was_refused_is_told_what_to_type_and_typing_it_asks_for_the_secret_alone() {
    let cloud = EcHome::start();
    let secret = cloud.add_key("it's me");
    let home = sandbox();
    let _agent = home.agent();
    let url = cloud.url();
    let given =
        ["login", "desk", "--cloud", "echome", "--url", &url, "--set", "access-id=it's me", "--set", "hold-for=8h"];
    let refused = home.command(TOKEN).args(given).args(["--secret", "secret=env:WRONG", "--remember", "--no-input"]);
    let refused = refused.env("WRONG", "mistyped").finish();
    let wanted = format!(
        "cloud-token login desk --cloud echome --url {url} --set 'access-id=it'\\''s me' --set hold-for=8h --remember"
    );
    assert_eq!(command(refused.fails(1)), wanted);

    let terminal = Terminal::open().of_width(200);
    let path = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let running =
        home.command("sh").args(["-c", &terminal.script(), "sh", "sh", "-c", &wanted]).env("PATH", path).spawn();
    hidden(&terminal, SECRET, &secret);
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    let shown = terminal.shown();
    assert!(!shown.contains("Address") && !shown.contains("Access key id"), "{shown}");
}

#[test]
fn a_cloud_that_is_away_is_tried_again_in_one_line_with_the_place_of_the_secret() {
    let home = sandbox();
    let _agent = home.agent();
    let away = login(&home, "desk", NOWHERE, "any").finish();
    let wanted = format!(
        "cloud-token login desk --cloud echome --url {NOWHERE} --set access-id={KEY} --secret secret=env:IT_SECRET"
    );
    assert_eq!(command(away.fails(5)), wanted);
    assert!(run(&home, &format!("IT_SECRET=any {wanted} --no-input")).fails(5).contains("refuses connections"));
    // A line that is pasted has no stdin, and what a command does is not known: it may name the secret.
    for source in ["stdin", "cmd:echo any"] {
        let given = ["login", "desk", "--cloud=echome", "--url", NOWHERE, "--set=access-id=a", "--secret"];
        let away = home.command(TOKEN).args(given).arg(format!("secret={source}")).stdin("any").finish();
        let wanted = format!("cloud-token login desk --cloud echome --url {NOWHERE} --set access-id=a");
        assert_eq!(command(away.fails(5)), wanted, "{source}");
    }
}

#[test]
fn what_was_typed_is_in_the_hint_as_well_and_no_secret_is() {
    let cloud = EcHome::start();
    let _ = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    for (url, code) in [(NOWHERE.to_owned(), 5), (cloud.url(), 1)] {
        let terminal = Terminal::open().of_width(200);
        let running = at(&terminal, &home, &["login", "echome-desk"]);
        terminal.shows("Address of the ecHome server: ");
        terminal.types(&format!("{url}\n"));
        terminal.shows("Access key id");
        terminal.types(&format!("{KEY}\n"));
        hidden(&terminal, SECRET, "mistyped");
        if code == 1 {
            terminal.shows("^D gives up");
            terminal.types("\x04");
        }
        assert_eq!(running.finish().code(), code, "{}", terminal.shown());
        terminal.shows("hint: ");
        let wanted = format!("cloud-token login echome-desk --url {url} --set access-id={KEY}");
        assert_eq!(command(&terminal.shown()), wanted);
        assert!(!terminal.shown().contains("mistyped"), "{}", terminal.shown());
    }
}

#[test]
fn what_is_missing_joins_what_was_given_and_a_wrong_address_is_there_to_be_mended() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    let url = cloud.url();
    let missing = home.token(["login", "desk", "--cloud", "echome", "--url", &url, "--no-input"]);
    let wanted = format!("cloud-token login desk --cloud echome --url {url} --set access-id=VALUE");
    assert_eq!(command(missing.fails(4)), wanted);
    let tls = url.replace("http://", "https://");
    let said = login(&home, "desk", &tls, &secret).finish();
    let words = format!(
        "hint: are the address and its port right? `cloud-token login desk --cloud echome --url {tls} --set access-id={KEY} \
         --secret secret=env:IT_SECRET`\n"
    );
    assert!(said.fails(1).ends_with(&words), "{said:?}");
}

#[test]
fn an_account_that_is_set_up_is_logged_in_by_its_name_alone() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    login(&home, "desk", &cloud.url(), &secret).finish().ok();
    let refused = home.command(TOKEN).args(["login", "desk", "--secret", "secret=env:WRONG", "--no-input"]);
    assert!(refused.env("WRONG", "mistyped").finish().fails(1).ends_with("hint: `cloud-token login desk`\n"));
}

#[test]
fn an_address_that_was_not_accepted_is_not_said_again() {
    let home = sandbox();
    let _agent = home.agent();
    let terminal = Terminal::open().of_width(200);
    let running = at(&terminal, &home, &["login", "desk", "--cloud", "echome"]);
    terminal.shows("Address of the ecHome server: ");
    terminal.types("https://me:hunter2@echome.example.org\n");
    terminal.shows("must not hold a user name or password");
    terminal.types("\x04");
    assert_eq!(running.finish().code(), 4, "{}", terminal.shown());
    terminal.shows("hint: `cloud-token login desk --cloud echome --url URL`\r\n");
}
