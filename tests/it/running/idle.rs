//! `--idle-exit`: an agent that nobody calls ends, unless something would end with it.

use std::os::unix::fs::PermissionsExt;

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::{Agent, Sandbox};
use cloud_agent_tests::wait::{PATIENCE, until};

use crate::support::{KEY, login, sandbox, token};

fn agent(sandbox: &Sandbox, vault: &str) -> Agent {
    sandbox.agent_with(["--vault", vault, "--idle-exit", "1s", "-v"])
}

#[test]
fn an_agent_that_nobody_calls_ends_in_good_order() {
    let sandbox = sandbox();
    let agent = agent(&sandbox, "memory");
    assert!(agent.wait(PATIENCE).success());
    assert!(!sandbox.socket().exists());
    assert!(agent.log().contains("nobody has called for 1 s"), "{}", agent.log());
}

#[test]
fn what_is_held_in_memory_only_keeps_the_agent_until_it_is_gone() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let agent = agent(&sandbox, "memory");
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    assert!(until(PATIENCE, || agent.log().contains("stays: something is held in its memory only")), "{}", agent.log());
    assert!(cloud.accepts(&token(&sandbox, "ecHome")), "the login is still there");
    sandbox.token(["logout", "ecHome"]).ok();
    assert!(agent.wait(PATIENCE).success());
}

#[test]
fn what_is_in_the_vault_is_there_for_the_next_agent() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    std::fs::create_dir_all(sandbox.config()).unwrap();
    let file = sandbox.path("home/pass");
    std::fs::write(&file, "opensesame").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let toml = format!("kind = \"passphrase\"\n[passphrase]\nfile = {:?}\n", file.display().to_string());
    std::fs::write(sandbox.config().join("vault.toml"), toml).unwrap();
    let first = sandbox.agent_with(["--idle-exit", "1s", "-v"]);
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    assert!(first.wait(PATIENCE).success());
    assert!(cloud.accepts(&token(&sandbox, "ecHome")), "by an agent that the client has started");
    assert_eq!(cloud.logins(), 1);
}

#[test]
fn a_locked_agent_stays_because_the_next_one_would_be_open() {
    let sandbox = sandbox();
    let agent = agent(&sandbox, "memory");
    sandbox.command("cloud-token").args(["lock", "--passphrase", "stdin"]).stdin("sesame").finish().ok();
    assert!(until(PATIENCE, || agent.log().contains("stays: it is locked")), "{}", agent.log());
    sandbox.command("cloud-token").args(["unlock", "--passphrase", "stdin"]).stdin("sesame").finish().ok();
    assert!(agent.wait(PATIENCE).success());
}
