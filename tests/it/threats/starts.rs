//! Agents that start, end and die beside each other.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{Options, REFRESH};
use cloud_agent_tests::sandbox::{AGENT, Running, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::crowds::connect_at_once;
use super::{Scene, sandbox};

/// T4
#[test]
fn of_twenty_agents_started_at_once_one_lives_and_the_others_say_so() {
    let sandbox = sandbox();
    let started: Vec<_> = (0..20).map(|_| sandbox.command(AGENT).args(["--vault", "memory"]).spawn()).collect();
    let mut waiting = started;
    assert!(until(PATIENCE, || waiting.iter_mut().map(Running::runs).filter(|runs| *runs).count() == 1));
    let (living, ended): (Vec<_>, Vec<_>) = waiting.into_iter().map(|mut a| (a.runs(), a)).partition(|(runs, _)| *runs);
    for (_, agent) in ended {
        let outcome = agent.finish();
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        assert!(outcome.stderr.contains("already running") && outcome.stdout.is_empty(), "{outcome:?}");
    }
    let Response::Status(status) = sandbox.raw().answer(&Request::Status) else { panic!("no status") };
    assert_eq!(status.pid, living[0].1.pid());
}

/// T4
#[test]
fn after_a_crash_the_next_agent_takes_the_place_at_once() {
    let sandbox = sandbox();
    for _ in 0..5 {
        let agent = sandbox.agent();
        agent.crash();
        assert!(sandbox.socket().exists(), "a killed agent cannot tidy up");
    }
    let agent = sandbox.agent();
    assert_eq!(sandbox.token(["status"]).code(), 0);
    assert!(agent.stop(PATIENCE).success() && !sandbox.socket().exists());
}

/// T4
#[test]
fn an_agent_whose_place_was_taken_leaves_the_new_ones_socket_when_it_ends() {
    let sandbox = sandbox();
    let old = sandbox.agent();
    // Before it notices: it would listen again, or leave.
    old.signal(Signal::STOP);
    fs::remove_file(sandbox.socket()).unwrap();
    fs::remove_file(sandbox.path("run/cloud-agent/agent.sock.lock")).unwrap();
    let new = sandbox.agent();
    assert!(old.runs() && new.runs());
    old.signal(Signal::CONT);
    assert!(old.stop(PATIENCE).success());
    let Response::Status(status) = sandbox.raw().answer(&Request::Status) else { panic!("no status") };
    assert_eq!(status.pid, new.pid());
}

/// T4: between the first sign of life and the last step of the start there is time for a signal.
#[test]
fn an_agent_that_is_told_to_end_while_it_starts_ends_in_good_order() {
    let sandbox = sandbox();
    for round in 0..10 {
        let agent = sandbox.command(AGENT).args(["--vault", "memory"]).spawn();
        assert!(until(PATIENCE, || sandbox.socket().exists()));
        agent.signal(Signal::TERM);
        let outcome = agent.finish();
        assert_eq!(outcome.code(), 0, "round {round}: {outcome:?}");
        assert!(!sandbox.socket().exists(), "round {round}");
    }
}

/// T4: an agent that ends takes its time where a renewal may hold the only copy of a secret.
#[test]
fn an_agent_that_is_started_while_another_one_is_leaving_waits_for_it_and_then_serves() {
    let scene = Scene::with(Options { blacklist: true, ..Options::default() });
    let file = scene.sandbox.path("home/pass");
    fs::write(&file, "opensesame").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::DirBuilder::new().mode(0o700).create(scene.sandbox.config()).unwrap();
    let toml = format!("kind = \"passphrase\"\n[passphrase]\nfile = {:?}\n", file.display().to_string());
    fs::write(scene.sandbox.config().join("vault.toml"), toml).unwrap();
    let old = scene.sandbox.agent_with([] as [&str; 0]);
    assert_eq!(scene.login().finish().code(), 0);
    scene.cloud.break_next(1, REFRESH, Fault::Delay(std::time::Duration::from_secs(2)));
    let renewing = scene.sandbox.command(TOKEN).args(["ecHome", "--fresh"]).spawn();
    scene.cloud.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path.contains("refresh")));
    old.signal(Signal::TERM);
    assert!(until(PATIENCE, || old.log().contains("told to end")));
    let next = scene.get();
    assert!(scene.cloud.accepts(next.ok()), "by the next agent: {next:?}");
    assert!(old.wait(PATIENCE).success());
    assert!(scene.cloud.accepts(renewing.finish().ok()), "by the old one, to its last caller");
    assert_eq!(scene.cloud.logins(), 1);
    assert_eq!(scene.sandbox.agents().len(), 1);
}

/// T4: not even one that never answers.
#[test]
fn a_living_listener_is_never_displaced() {
    let sandbox = sandbox();
    fs::DirBuilder::new().mode(0o700).create(sandbox.path("run/cloud-agent")).unwrap();
    let listener = UnixListener::bind(sandbox.socket()).unwrap();
    let before = fs::symlink_metadata(sandbox.socket()).unwrap().ino();
    let outcome = sandbox.command(AGENT).args(["--vault", "memory"]).finish();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert!(outcome.stderr.contains("already running"), "{outcome:?}");
    // With its queue full, it is as alive.
    rustix::net::listen(&listener, 0).unwrap();
    let _queued: Vec<_> = (0..3).map_while(|_| connect_at_once(&sandbox.socket()).ok()).collect();
    let outcome = sandbox.command(AGENT).args(["--vault", "memory"]).finish();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert_eq!(fs::symlink_metadata(sandbox.socket()).unwrap().ino(), before);
}
