//! Whoever removes or displaces the socket of an agent that runs.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::REFRESH;
use cloud_agent_tests::raw::Raw;
use cloud_agent_tests::sandbox::Sandbox;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{Scene, sandbox};

/// Who answers there now.
fn answers(sandbox: &Sandbox) -> Option<u32> {
    let mut raw = Raw::connect(&sandbox.socket()).ok()?;
    raw.ask(&Request::Status).ok()?;
    match Response::decode(&raw.frame().ok()?) {
        Ok(Response::Status(status)) => Some(status.pid),
        _ => None,
    }
}

/// T5
#[test]
fn a_socket_that_is_removed_is_there_again_at_once_with_all_that_the_agent_held() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let token = scene.get().ok().to_owned();
    for round in 0..5 {
        let moved = scene.sandbox.path("run/cloud-agent/moved");
        match round % 2 {
            0 => fs::remove_file(scene.sandbox.socket()).unwrap(),
            _ => fs::rename(scene.sandbox.socket(), moved).unwrap(),
        }
        assert!(until(PATIENCE, || answers(&scene.sandbox) == Some(agent.pid())), "round {round}: {}", agent.log());
        assert_eq!(scene.get().ok(), token, "nobody logs in again");
    }
    assert_eq!(scene.cloud.logins(), 1);
    assert!(agent.log().contains("the socket was removed: the agent listens again"), "{}", agent.log());
    assert_eq!(fs::symlink_metadata(scene.sandbox.socket()).unwrap().mode() & 0o777, 0o600);
    assert!(agent.stop(PATIENCE).success() && !scene.sandbox.socket().exists());
}

/// T5: not even a call that is being answered is lost.
#[test]
fn a_caller_who_waits_for_a_cloud_is_answered_although_the_socket_is_gone() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    scene.cloud.break_next(1, REFRESH, Fault::Delay(Duration::from_millis(700)));
    let waiting = scene.sandbox.command("cloud-token").args(["ecHome", "--fresh"]).spawn();
    scene.cloud.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path.contains("refresh")));
    fs::remove_file(scene.sandbox.socket()).unwrap();
    assert!(until(PATIENCE, || answers(&scene.sandbox) == Some(agent.pid())));
    assert!(scene.cloud.accepts(waiting.finish().ok()));
    assert_eq!(scene.cloud.refreshes(), 1);
}

/// T5
#[test]
fn an_agent_whose_socket_was_replaced_says_so_and_leaves_the_other_one_alone() {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let aside = sandbox.path("run/cloud-agent/aside");
    let other = UnixListener::bind(&aside).unwrap();
    let identity = fs::symlink_metadata(&aside).unwrap().ino();
    fs::rename(&aside, sandbox.socket()).unwrap();
    assert!(agent.wait(PATIENCE).success());
    let log = agent.log();
    assert!(log.contains("nobody can find this agent") && log.contains("something else is in its place"), "{log}");
    assert_eq!(fs::symlink_metadata(sandbox.socket()).unwrap().ino(), identity, "it is not removed");
    other.set_nonblocking(true).unwrap();
    while let Ok((mut stream, _)) = other.accept() {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert_eq!(bytes, b"", "the agent tells it nothing");
    }
}

/// T5
#[test]
fn an_agent_whose_directory_is_gone_says_so_and_leaves() {
    for replaced in [false, true] {
        let sandbox = sandbox();
        let agent = sandbox.agent();
        let dir = sandbox.path("run/cloud-agent");
        fs::rename(&dir, sandbox.path("run/elsewhere")).unwrap();
        if replaced {
            fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
        }
        assert!(agent.wait(PATIENCE).success());
        assert!(agent.log().contains("its directory was removed or replaced"), "{}", agent.log());
        assert!(!replaced || fs::read_dir(&dir).unwrap().next().is_none(), "what is there now is not the agent's");
    }
}

/// T5: the next agent takes what would have been its lock for its own.
#[test]
fn an_agent_whose_lock_file_is_gone_makes_room_for_the_next() {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    fs::remove_file(sandbox.path("run/cloud-agent/agent.sock.lock")).unwrap();
    assert!(agent.wait(PATIENCE).success());
    assert!(agent.log().contains("its lock file was removed or replaced"), "{}", agent.log());
    assert!(!sandbox.socket().exists());
    let _next = sandbox.agent();
}
