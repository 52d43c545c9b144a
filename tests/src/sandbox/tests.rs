//! The sandbox with programs that are certainly there.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::*;
use crate::skip;

fn sandbox() -> Sandbox {
    // A shell plays both programs.
    Sandbox::new("/bin/sh", "/bin/sh")
}

#[test]
fn nothing_of_our_own_environment_gets_in() {
    let sandbox = sandbox();
    let seen = sandbox.command("env").finish();
    let names: Vec<_> = seen.ok().lines().filter_map(|line| line.split('=').next()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["HOME", "LANG", "PATH", "TMPDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"]);
    assert!(sandbox.socket().as_os_str().len() < 60);
}

#[test]
fn a_run_tells_its_code_and_both_its_outputs() {
    let sandbox = sandbox();
    let outcome = sandbox.command(TOKEN).args(["-c", "cat; echo no >&2; exit 4"]).stdin("in").finish();
    assert_eq!((outcome.code(), outcome.stdout.as_str(), outcome.stderr.as_str()), (4, "in", "no\n"));
    assert_eq!(sandbox.token(["-c", "echo yes"]).ok(), "yes");
}

#[test]
#[should_panic(expected = "did not end within")]
fn a_program_that_hangs_is_told_apart_from_one_that_fails() {
    let _ = sandbox().command("sleep").arg("60").deadline(Duration::from_millis(50)).finish();
}

#[test]
#[should_panic(expected = "holds its stdout or stderr open")]
fn a_left_over_that_holds_the_pipes_is_noticed() {
    let sandbox = sandbox();
    // Started from our own `bin/`, so that the sandbox ends it.
    let _ = sandbox.command(TOKEN).args(["-c", "\"$0\" -c 'read x < /dev/zero' &", "/proc/self/exe"]).finish();
}

#[test]
fn whatever_runs_in_a_sandbox_ends_with_it() {
    let sandbox = sandbox();
    let path = sandbox.path("");
    let stray = sandbox.command(AGENT).args(["-c", "while :; do sleep 1; done"]).spawn();
    assert!(until(PATIENCE, || sandbox.agents() == [stray.pid()]));
    drop(sandbox);
    assert!(!process::runs(stray.pid()));
    assert!(!path.exists());
}

#[test]
fn an_agent_that_does_not_come_up_is_told_with_its_log() {
    let sandbox = sandbox();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = sandbox.agent_with(["-c", "echo no socket for you >&2; exit 1"]);
    }))
    .unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("no socket for you"));
}

#[test]
fn another_user_can_own_a_sandbox_and_run_in_it() {
    let what = "another_user_can_own_a_sandbox_and_run_in_it";
    if !skip::unless_root(what) || skip::unless_tool(what, "setpriv").is_none() {
        return;
    }
    let sandbox = sandbox();
    sandbox.give_to(4001);
    let outcome = sandbox.command(TOKEN).args(["-c", "id -u; touch \"$HOME/mine\""]).as_user(4001).finish();
    assert_eq!(outcome.ok(), "4001");
    assert_eq!(fs::metadata(sandbox.path("home/mine")).unwrap().uid(), 4001);
    assert_eq!(fs::metadata(sandbox.program(TOKEN)).unwrap().uid(), 0, "the build's own binary stays ours");
}
