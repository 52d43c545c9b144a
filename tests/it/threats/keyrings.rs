//! A keyring that is locked, absent, lying, hanging or dying: a bounded start, a clear word, nothing overwritten, and an
//! agent that ends when it is told to.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cloud_agent_tests::keyring::{Bus, Keyring, Prompter, State};
use cloud_agent_tests::sandbox::{AGENT, Agent, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::Scene;
use crate::terminal::Terminal;

/// What a start may take at the most, whatever the keyring does.
const START: Duration = Duration::from_secs(10);
/// What an end may take.
const END: Duration = Duration::from_secs(2);

fn can(what: &str) -> bool {
    ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"].iter().all(|tool| skip::unless_tool(what, tool).is_some())
}

/// Starts an agent, in time.
#[track_caller]
fn agent(scene: &Scene, arguments: &[&str]) -> Agent {
    let since = Instant::now();
    let agent = scene.sandbox.agent_with(arguments.iter().copied());
    assert!(scene.sandbox.token(["status"]).code() == 0 && since.elapsed() < START, "{:?}", since.elapsed());
    agent
}

/// A home whose login is sealed under a key in a keyring which is then gone.
fn sealed(scene: &Scene, bus: &Bus) -> Vec<u8> {
    let keyring = Keyring::start(bus, State::Unlocked);
    let agent = agent(scene, &[]);
    assert_eq!(scene.login().finish().code(), 0);
    assert!(agent.stop(END).success());
    keyring.dies(bus);
    fs::read(file(scene)).unwrap()
}

fn file(scene: &Scene) -> PathBuf {
    scene.sandbox.state().join("vault/keyring/echome.sealed")
}

/// That the login is neither used nor forgotten, and that somebody is told what to do.
#[track_caller]
fn is_locked(scene: &Scene, before: &[u8]) {
    let get = scene.get();
    let said = get.fails(4);
    assert!(said.contains("the vault is locked") && said.contains("hint: `cloud-token unlock`"), "{said}");
    assert!(!said.contains("not logged in"), "{said}");
    assert!(scene.sandbox.token(["vault"]).ok().starts_with("keyring (locked)"));
    assert_eq!(fs::read(file(scene)).unwrap(), before, "it is as it was");
    assert_eq!(scene.cloud.refreshes(), 0);
}

/// T35
#[test]
fn without_a_session_of_d_bus_auto_is_memory_and_says_so_once() {
    let scene = Scene::new();
    let agent = agent(&scene, &[]);
    let status = scene.sandbox.token(["status"]);
    assert!(status.ok().contains("vault memory (auto: there is no session of D-Bus"), "{status:?}");
    assert_eq!(agent.log().matches("will be gone when the agent ends").count(), 1, "{}", agent.log());
    assert_eq!(scene.login().finish().code(), 0);
    assert!(agent.stop(END).success());
}

/// T35: whoever insists on the keyring is not given another vault.
#[test]
fn an_explicit_keyring_that_is_not_there_is_locked_and_never_replaced() {
    let scene = Scene::new();
    let agent = agent(&scene, &["--vault", "keyring"]);
    assert!(scene.login().finish().fails(4).contains("`cloud-token unlock`"));
    assert!(scene.cloud.requests().is_empty(), "nothing was sent that could not be kept");
    assert!(agent.stop(END).success());
}

/// T35: a bus without a keyring, and one whose keyring has no collection and answers that there is no such entry.
#[test]
fn a_bus_without_a_keyring_or_a_collection_is_no_logout() {
    if !can("a_bus_without_a_keyring_or_a_collection_is_no_logout") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let before = sealed(&scene, &bus);
    {
        let agent = agent(&scene, &[]);
        is_locked(&scene, &before);
        assert!(agent.stop(END).success());
    }
    // Another home, so another keyring: it has never heard of this vault.
    let keyrings = scene.sandbox.path("home/.local/share/keyrings");
    let away = scene.sandbox.path("home/keyrings");
    fs::rename(&keyrings, &away).unwrap();
    let other = Keyring::start(&bus, State::AsItIs);
    let agent = agent(&scene, &[]);
    is_locked(&scene, &before);
    other.dies(&bus);
    fs::remove_dir_all(&keyrings).ok();
    fs::rename(&away, &keyrings).unwrap();
    let _right = Keyring::start(&bus, State::Unlocked);
    scene.sandbox.token(["unlock", "--no-input"]).ok();
    assert!(scene.cloud.accepts(scene.get().ok()), "the right keyring heals it, without a new start");
    assert_eq!(scene.cloud.logins(), 1);
    assert!(agent.stop(END).success());
}

/// T35
#[test]
fn with_nothing_sealed_yet_a_keyring_without_a_collection_is_not_waited_for() {
    if !can("with_nothing_sealed_yet_a_keyring_without_a_collection_is_not_waited_for") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let _keyring = Keyring::start(&bus, State::AsItIs);
    let agent = agent(&scene, &[]);
    assert!(scene.sandbox.token(["status"]).ok().contains("vault memory (auto: "), "{}", agent.log());
    assert!(agent.stop(END).success());
}

/// T35
#[test]
fn a_locked_keyring_without_a_prompter_is_a_locked_vault() {
    if !can("a_locked_keyring_without_a_prompter_is_a_locked_vault") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let before = sealed(&scene, &bus);
    let _locked = Keyring::start(&bus, State::AsItIs);
    let agent = agent(&scene, &[]);
    is_locked(&scene, &before);
    assert!(agent.stop(END).success());
}

/// T35
#[test]
fn a_prompt_that_nobody_answers_holds_up_neither_start_nor_end() {
    if !can("a_prompt_that_nobody_answers_holds_up_neither_start_nor_end") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let before = sealed(&scene, &bus);
    let prompter = Prompter::start(&bus);
    let agent = agent(&scene, &[]);
    assert!(prompter.prompts() > 0, "somebody was asked");
    is_locked(&scene, &before);
    assert!(agent.stop(END).success());
    // In the middle of it, too: while it starts, and while somebody waits for the prompt.
    let starting = scene.sandbox.command(AGENT).spawn();
    let asked = prompter.prompts();
    assert!(until(PATIENCE, || prompter.prompts() > asked));
    starting.signal(Signal::TERM);
    let ended = starting.finish();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let agent = self::agent(&scene, &[]);
    let asked = prompter.prompts();
    // At a terminal, where somebody might answer: it waits for a minute.
    let terminal = Terminal::open();
    let unlocking = terminal.run(&scene.sandbox, TOKEN, &["unlock"]).spawn();
    assert!(until(PATIENCE, || prompter.prompts() > asked));
    assert!(agent.stop(END).success(), "an end does not wait for a prompt");
    assert_ne!(unlocking.finish().code(), 0);
}

/// T35
#[test]
fn a_keyring_that_hangs_is_given_up_in_time() {
    if !can("a_keyring_that_hangs_is_given_up_in_time") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let before = sealed(&scene, &bus);
    let keyring = Keyring::start(&bus, State::Unlocked);
    keyring.hangs();
    let agent = agent(&scene, &[]);
    is_locked(&scene, &before);
    assert!(agent.stop(END).success());
}

/// T35
#[test]
fn a_keyring_that_dies_meanwhile_is_missed_by_nobody() {
    if !can("a_keyring_that_dies_meanwhile_is_missed_by_nobody") {
        return;
    }
    let scene = Scene::new();
    let bus = Bus::start(&scene.sandbox);
    let keyring = Keyring::start(&bus, State::Unlocked);
    let agent = agent(&scene, &[]);
    assert_eq!(scene.login().finish().code(), 0);
    keyring.dies(&bus);
    let token = scene.get().ok().to_owned();
    assert!(scene.cloud.accepts(&token));
    drop(bus);
    assert_eq!(scene.get().ok(), token, "what is cached is served");
    assert!(scene.cloud.accepts(scene.renew().ok()), "and renewed, and saved: the key was read at the start");
    assert!(!scene.sandbox.token(["status"]).ok().contains("warning"));
    assert!(agent.stop(END).success());
}
