//! The key in a real keyring: gnome-keyring, on a bus of the test's own, unlocked without a human.

use std::time::Duration;

use cloud_agent_tests::keyring::{Bus, Keyring, State};
use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::{AGENT, Agent, Sandbox};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Scene;

/// Whether there is what it takes, or a report that `what` is skipped.
fn can(what: &str) -> bool {
    ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"].iter().all(|tool| skip::unless_tool(what, tool).is_some())
}

fn agent(sandbox: &Sandbox) -> Agent {
    sandbox.agent_with::<[&str; 0]>([])
}

#[test]
fn a_login_outlives_the_agent_with_its_key_in_the_keyring() {
    if !can("a_login_outlives_the_agent_with_its_key_in_the_keyring") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let _keyring = Keyring::start(&bus, State::Unlocked);
    let first = agent(&scene.sandbox);
    let vault = scene.sandbox.token(["vault"]);
    assert!(vault.ok().starts_with("keyring (open): auto: the keyring answers"), "{vault:?}");
    scene.login();
    first.crash();
    let second = agent(&scene.sandbox);
    scene.working_token();
    assert!(scene.sandbox.token(["status"]).ok().contains("vault keyring"));
    assert!(second.stop(Duration::from_secs(2)).success());
    let third = scene.sandbox.agent_with(["--vault", "keyring"]);
    scene.working_token();
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 2));
    // Nothing of the keyring's library is left in the agent: it was another process that asked.
    assert!(until(PATIENCE, || process::threads(third.pid()) == Some(1)), "threads are left");
    assert_eq!(process::descendants(third.pid()), Vec::<u32>::new());
}

#[test]
fn moving_out_of_the_keyring_erases_the_key_there() {
    if !can("moving_out_of_the_keyring_erases_the_key_there") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let _keyring = Keyring::start(&bus, State::Unlocked);
    let _agent = agent(&scene.sandbox);
    scene.login();
    let head = std::fs::read_to_string(scene.sandbox.state().join("vault/keyring/vault.toml")).unwrap();
    let id = head.lines().find_map(|line| line.strip_prefix("id = ")).unwrap().trim_matches('"').to_owned();
    let asked = || scene.sandbox.command(AGENT).args(["keyring", "get", &id]).finish();
    assert_eq!(asked().ok().len(), 44, "32 bytes in base64");
    scene.sandbox.token(["vault", "move", "memory"]).ok();
    assert_eq!(asked().fails(10).trim(), "there is no such entry");
    scene.working_token();
    assert!(!scene.sandbox.state().join("vault/keyring/vault.toml").exists());
}
