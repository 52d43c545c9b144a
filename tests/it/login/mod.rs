//! A login as a conversation, at a terminal, with the programs as they are.

mod hints;
mod locked;
mod refused;

use std::time::Duration;

use cloud_agent_tests::fake::echome::{EcHome, TOKEN as LOGIN};
use cloud_agent_tests::fake::{Fault, greencloud};
use cloud_agent_tests::sandbox::{Running, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};

use crate::support::{KEY, login, sandbox, token};
use crate::terminal::Terminal;

/// Long enough that something is shown meanwhile.
const SLOW: Duration = Duration::from_secs(1);

fn at(terminal: &Terminal, sandbox: &Sandbox, arguments: &[&str]) -> Running {
    terminal.run(sandbox, TOKEN, arguments).env("TERM", "xterm").spawn()
}

/// Answers what is asked hidden.
#[track_caller]
fn hidden(terminal: &Terminal, prompt: &str, secret: &str) {
    terminal.shows(prompt);
    assert!(until(PATIENCE, || !terminal.echoes()), "the echo is off while a secret is typed");
    terminal.types(&format!("{secret}\n"));
}

#[test]
fn a_stranger_is_asked_for_everything_and_told_how_to_do_without() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    let terminal = Terminal::open().of_width(100);
    let running = at(&terminal, &home, &["login"]);
    terminal.shows("Which cloud?");
    terminal.shows("echome      ecHome");
    terminal.types("no such\n");
    terminal.shows("answer with a number from 1 to");
    terminal.types("echome\n");
    terminal.shows("ecHome: https://github.com/mgtrrz/echome/");
    terminal.shows("What to call the account [echome]: ");
    terminal.types("desk\n");
    terminal.shows("Address of the ecHome server: ");
    terminal.types("echome.example.org\n");
    terminal.shows(
        "(not accepted: the address does not begin with `https://`; did you mean `https://echome.example.org`?): ",
    );
    terminal.types(&format!("{}\n", cloud.url()));
    terminal.shows("Access key id (of an access key, not the name that you log in to the panel with): ");
    terminal.types(&format!("{KEY}\n"));
    hidden(&terminal, "Secret of the access key", &secret);
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    terminal.shows("logged in: `desk`");
    for next in ["cloud-token desk ", &format!("cloud-token curl desk -- {}", cloud.url()), "cloud-token status "] {
        terminal.shows(&format!("  {next}"));
    }
    let shown = terminal.shown();
    assert!(!shown.contains(&secret) && terminal.echoes(), "{shown}");
    assert!(cloud.accepts(&token(&home, "desk")));

    // The command that it prints does the same where nobody can be asked.
    let script = shown.lines().map(str::trim).find(|line| line.starts_with("cloud-token login desk --cloud"));
    let script = script.unwrap_or_else(|| panic!("no command in {shown}"));
    let other = sandbox();
    let _agent = other.agent();
    let path = format!("{}:{}", other.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let run =
        other.command("sh").args(["-c", &format!("{script} --no-input")]).env("PATH", path).env("SECRET", &secret);
    let done = run.finish();
    assert_eq!(done.code(), 0, "{script}: {done:?}");
    assert!(cloud.accepts(&token(&other, "desk")));
    assert!(!done.stderr.contains("Try next"), "a script is told nothing more than before: {done:?}");
}

#[test]
fn whoever_gives_up_reads_why_on_a_line_of_its_own() {
    let home = sandbox();
    let _agent = home.agent();
    let terminal = Terminal::open();
    let running = at(&terminal, &home, &["login", "desk", "--cloud", "echome"]);
    terminal.shows("Address of the ecHome server: ");
    terminal.types("\x04");
    assert_eq!(running.finish().code(), 4, "{}", terminal.shown());
    terminal.shows("server: \r\nerror: ");
}

#[test]
fn whoever_asks_a_locked_agent_at_a_terminal_is_asked_for_its_passphrase_and_for_no_login() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    login(&home, "ecHome", &cloud.url(), &secret).finish().ok();
    home.command(TOKEN).args(["lock", "--passphrase", "env:PW"]).env("PW", "sesame").finish().ok();
    let terminal = Terminal::open();
    let running = at(&terminal, &home, &["ecHome", "-o", "headers"]);
    hidden(&terminal, "Passphrase that the agent was locked with", "sesame");
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    terminal.shows("Authorization: Bearer ");
    assert_eq!(cloud.count(LOGIN), 1, "{}", terminal.shown());
}

#[test]
fn where_nobody_can_be_asked_an_account_has_to_be_named() {
    let home = sandbox();
    let _agent = home.agent();
    let said = home.token(["login"]);
    assert!(said.fails(2).contains("hint: `cloud-token login ACCOUNT --cloud CLOUD`"), "{said:?}");
    let terminal = Terminal::open();
    assert_eq!(at(&terminal, &home, &["login", "--no-input"]).finish().code(), 2);
    let running = at(&terminal, &home, &["login"]);
    terminal.shows("Number or name: ");
    terminal.types("\x04");
    assert_eq!(running.finish().code(), 4, "{}", terminal.shown());
    terminal.shows("no cloud was chosen");
}

#[test]
fn a_hint_about_an_account_names_it() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    for (url, words) in [
        (cloud.url().replace("http://", "https://"), "does not speak TLS"),
        ("http://echome.example.org".to_owned(), "would send secrets unencrypted"),
    ] {
        let said = login(&home, "desk", &url, &secret).finish();
        let hint = said.stderr.split_once("hint: ").map(|(_, hint)| hint).unwrap_or_default();
        assert!(said.stderr.contains(words), "{said:?}");
        assert!(hint.contains("`cloud-token login desk ") && !hint.contains("ACCOUNT"), "{said:?}");
    }
}

#[test]
fn what_takes_long_is_shown_at_a_terminal_and_nowhere_else() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    let arguments = ["login", "ecHome", "--url", &cloud.url(), "--set", &format!("access-id={KEY}")];
    let terminal = Terminal::open();
    cloud.break_next(1, LOGIN, Fault::Delay(SLOW));
    let running = at(&terminal, &home, &arguments);
    terminal.shows("ecHome: https://github.com/mgtrrz/echome/");
    hidden(&terminal, "Secret of the access key", &secret);
    terminal.shows("| waiting for the cloud");
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    terminal.shows("logged in");
    let shown = terminal.shown();
    let (before, _) = shown.split_once("logged in").expect("it is shown");
    assert!(before.ends_with("\r\x1b[K"), "nothing of it is left: {before:?}");

    cloud.break_next(1, LOGIN, Fault::Delay(SLOW));
    let script = login(&home, "ecHome", &cloud.url(), &secret).env("TERM", "xterm").finish();
    assert!(script.code() == 0 && !script.stderr.contains("waiting") && !script.stderr.contains('\x1b'), "{script:?}");
    cloud.break_next(1, LOGIN, Fault::Delay(SLOW));
    let dumb = Terminal::open();
    let running = dumb.run(&home, TOKEN, &arguments).env("TERM", "dumb").spawn();
    hidden(&dumb, "Secret of the access key", &secret);
    assert_eq!(running.finish().code(), 0, "{}", dumb.shown());
    dumb.shows("logged in");
    assert!(!dumb.shown().contains("waiting"), "{}", dumb.shown());
}

#[test]
fn a_narrow_screen_is_not_filled_with_waiting() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent();
    let terminal = Terminal::open().of_width(20);
    cloud.break_next(1, LOGIN, Fault::Delay(SLOW));
    let key = format!("access-id={KEY}");
    let running = at(&terminal, &home, &["login", "ecHome", "--url", &cloud.url(), "--set", &key]);
    hidden(&terminal, "Secret of the access key", &secret);
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    let shown = terminal.shown();
    let mut pictures = shown.split('\r').filter_map(|line| line.strip_suffix("\x1b[K")).filter(|line| !line.is_empty());
    assert!(pictures.clone().count() > 1 && pictures.all(|line| line.len() < 20), "{shown:?}");
}

#[test]
fn a_code_to_be_scanned_is_drawn_at_the_terminal() {
    let cloud = greencloud::GreenCloud::with(greencloud::Options::default());
    let password = cloud.add_user("alice@example.com");
    let home = sandbox();
    let _agent = home.agent();
    let run = home.command(TOKEN).args(["login", "green", "--cloud", "greencloud", "--url", &cloud.url()]);
    let run = run.args(["--set", "email=alice@example.com", "--secret", "password=env:IT_SECRET"]);
    assert_eq!(run.env("IT_SECRET", password).finish().code(), 0);
    let terminal = Terminal::open();
    let running = at(&terminal, &home, &["do", "green", "2fa-enable"]);
    terminal.shows("otpauth://totp/");
    terminal.shows("Code that your authenticator shows now");
    let shown = terminal.shown();
    let picture: Vec<&str> = shown.lines().filter(|line| line.contains("\x1b[30;107m")).collect();
    let widest = picture.iter().map(|line| line.chars().filter(|c| " ▀▄█".contains(*c)).count()).max();
    assert!(picture.len() > 10 && widest <= Some(80), "{shown}");
    terminal.types("\x04");
    assert_eq!(running.finish().code(), 4, "{}", terminal.shown());
}
