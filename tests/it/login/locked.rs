//! A vault that is locked, or new, and an agent that is: whoever sits at a terminal opens it and goes on.

use cloud_agent_tests::fake::echome::{EcHome, TOKEN as LOGIN};
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{at, hidden};
use crate::support::{KEY, login, sandbox, token};
use crate::terminal::Terminal;

const SECRET: &str = "Secret of the access key";
const PASSPHRASE: &str = "correct-horse-battery-staple";

#[test]
fn a_login_makes_the_passphrase_of_a_new_vault_and_opens_a_locked_one() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let (url, key) = (cloud.url(), format!("access-id={KEY}"));
    let arguments = ["login", "desk", "--cloud", "echome", "--url", &url, "--set", &key];
    for prompts in [&["New passphrase for the vault", "The same again"][..], &["Passphrase of the vault"]] {
        let agent = home.agent_with(["--vault", "passphrase"]);
        let terminal = Terminal::open().of_width(200);
        let running = at(&terminal, &home, &arguments);
        terminal.shows("the vault is locked: ");
        for prompt in prompts {
            hidden(&terminal, prompt, PASSPHRASE);
        }
        terminal.shows("ecHome: https://");
        hidden(&terminal, SECRET, &secret);
        assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
        terminal.shows("logged in: `desk`");
        let shown = terminal.shown();
        assert!(!shown.contains(PASSPHRASE) && !shown.contains(&secret) && terminal.echoes(), "{shown}");
        assert!(cloud.accepts(&token(&home, "desk")));
        agent.crash();
    }
}

#[test]
fn the_passphrase_comes_before_everything_that_would_have_to_be_typed_twice() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent_with(["--vault", "passphrase"]);
    let terminal = Terminal::open().of_width(200);
    let running = at(&terminal, &home, &["login", "desk", "--cloud", "echome"]);
    hidden(&terminal, "New passphrase for the vault", PASSPHRASE);
    hidden(&terminal, "The same again", PASSPHRASE);
    terminal.shows("Address of the ecHome server: ");
    terminal.types(&format!("{}\n", cloud.url()));
    terminal.shows("Access key id");
    terminal.types(&format!("{KEY}\n"));
    hidden(&terminal, SECRET, &secret);
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    assert_eq!(terminal.shown().matches("Address of").count(), 1, "{}", terminal.shown());
}

#[test]
fn a_passphrase_that_is_wrong_three_times_ends_it_and_where_nobody_can_be_asked_a_lock_is_exit_4() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let home = sandbox();
    let _agent = home.agent_with(["--vault", "passphrase"]);
    let blind = login(&home, "desk", &cloud.url(), &secret).arg("--no-input").finish();
    assert!(blind.fails(4).ends_with("hint: `cloud-token unlock`\n"), "{blind:?}");
    home.command(TOKEN).args(["unlock", "--passphrase", "env:PW"]).env("PW", PASSPHRASE).finish().ok();
    home.command(TOKEN).args(["lock", "--passphrase", "env:PW"]).env("PW", PASSPHRASE).finish().ok();
    let terminal = Terminal::open().of_width(200);
    let running = at(&terminal, &home, &["login", "desk", "--cloud", "echome"]);
    for before in 0..3 {
        let prompts = || terminal.shown().matches("Passphrase that the agent was locked with").count();
        assert!(until(PATIENCE, || prompts() > before), "{}", terminal.shown());
        hidden(&terminal, "Passphrase that the agent was locked with", "mistyped");
    }
    assert_eq!(running.finish().code(), 1, "{}", terminal.shown());
    terminal.shows("hint: `cloud-token unlock`");
    assert_eq!(cloud.count(LOGIN), 0);
}

#[test]
fn a_stranger_to_a_locked_agent_opens_it_before_they_choose_a_cloud() {
    let home = sandbox();
    let _agent = home.agent();
    home.command(TOKEN).args(["lock", "--passphrase", "env:PW"]).env("PW", PASSPHRASE).finish().ok();
    let terminal = Terminal::open();
    let running = at(&terminal, &home, &["login"]);
    terminal.shows("the agent is locked");
    hidden(&terminal, "Passphrase that the agent was locked with", PASSPHRASE);
    terminal.shows("Which cloud?");
    terminal.types("\x04");
    assert_eq!(running.finish().code(), 4, "{}", terminal.shown());
}
