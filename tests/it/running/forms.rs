//! `cloud-agent --fork` in every shell, and `cloud-agent -- PROGRAM`.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use cloud_agent_tests::sandbox::{AGENT, Running, Sandbox, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use crate::support::sandbox;

/// Shells, how each is told to start the agent, and to show where that is.
const SHELLS: [(&str, &str); 6] = [
    ("sh", POSIX),
    ("bash", POSIX),
    ("dash", POSIX),
    ("zsh", POSIX),
    // In a script of its own, because csh looks for history in what its variables hold, too.
    ("tcsh", "eval \"`./start --fork -c --vault memory`\"; printenv CLOUD_AGENT_SOCK; $TOKEN:q status"),
    ("fish", "$AGENT --socket $WANTED --fork --fish --vault memory | source; printenv CLOUD_AGENT_SOCK; $TOKEN status"),
];
const POSIX: &str =
    "eval \"$(\"$AGENT\" --socket \"$WANTED\" --fork --vault memory)\"; printenv CLOUD_AGENT_SOCK; \"$TOKEN\" status";

/// A name that does something in every shell that does not take it for a name.
const HOSTILE: &str = "it's $(touch pwned)`touch pwned`; touch pwned #\"\\!!*?";

fn private(dir: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).unwrap();
}

#[test]
fn the_assignment_of_a_fork_is_taken_by_every_shell_whatever_the_path_holds() {
    for (shell, script) in SHELLS {
        if skip::unless_tool(&format!("--fork in {shell}"), shell).is_none() {
            continue;
        }
        let sandbox = sandbox();
        let dir = sandbox.path("run").join(HOSTILE);
        private(&dir);
        let wanted = dir.join("agent.sock");
        let start = "#!/bin/sh\nexec \"$AGENT\" --socket \"$WANTED\" \"$@\"\n";
        crate::support::put_script(&sandbox.path("home/start"), start);
        let flags = if shell == "tcsh" { "-fc" } else { "-c" };
        let run = sandbox.command(shell).args([flags, script]).env("WANTED", &wanted);
        let outcome = run.env("AGENT", sandbox.program(AGENT)).env("TOKEN", sandbox.program(TOKEN)).finish();
        let said = outcome.ok();
        assert_eq!(said.lines().next().map(PathBuf::from), Some(wanted), "{shell}: {outcome:?}");
        assert_eq!(sandbox.agents().len(), 1, "{shell}");
        assert!(!sandbox.path("home/pwned").exists(), "{shell} ran a path");
    }
}

#[test]
fn a_fork_needs_no_variable_and_returns_while_the_agent_stays() {
    let sandbox = sandbox();
    let outcome = sandbox.command(AGENT).args(["--fork", "--vault", "memory"]).finish();
    let expected = format!("CLOUD_AGENT_SOCK='{}'; export CLOUD_AGENT_SOCK;", sandbox.socket().display());
    assert_eq!(outcome.ok(), expected);
    let agents = sandbox.agents();
    assert_eq!(agents.len(), 1, "{outcome:?}");
    // Another one is the same one.
    let again = sandbox.command(AGENT).args(["--fork", "--vault", "memory"]).finish();
    assert_eq!(again.ok(), expected);
    assert!(again.stderr.contains("already running"), "{again:?}");
    assert_eq!(sandbox.agents(), agents);
    sandbox.token(["stop"]).ok();
    assert!(until(PATIENCE, || sandbox.agents().is_empty()));
}

#[test]
fn a_path_that_no_shell_can_be_given_starts_no_agent() {
    let sandbox = sandbox();
    let dir = sandbox.path("run").join("a\nb");
    private(&dir);
    for flags in [&["--fork"][..], &["--fork", "-c"], &["--fork", "--fish"]] {
        let run = sandbox.command(AGENT).args(flags.iter().copied()).env("CLOUD_AGENT_SOCK", dir.join("agent.sock"));
        let outcome = run.finish();
        assert!(outcome.fails(2).contains("cannot be given to a shell"), "{outcome:?}");
        assert_eq!(sandbox.agents(), Vec::<u32>::new());
    }
}

#[test]
fn a_fork_that_comes_to_nothing_fails_with_the_agents_own_words() {
    let sandbox = sandbox();
    private(&sandbox.path("run/cloud-agent"));
    fs::write(sandbox.socket(), "precious").unwrap();
    for arguments in [&["--fork"][..], &["--", "true"]] {
        let outcome = sandbox.command(AGENT).args(["--vault", "memory"]).args(arguments.iter().copied()).finish();
        assert!(outcome.fails(2).contains("is in the way"), "{outcome:?}");
    }
}

fn with_agent(sandbox: &Sandbox, program: &[&str]) -> Running {
    sandbox
        .command(AGENT)
        .args(["--vault", "memory", "--"])
        .args(program.iter().copied())
        .env("TOKEN", sandbox.program(TOKEN))
        .spawn()
}

#[test]
fn a_program_that_is_run_with_an_agent_finds_it_and_its_exit_code_is_the_programs() {
    let sandbox = sandbox();
    let script = "\"$TOKEN\" status --json >/dev/null || exit 1; printf %s \"$CLOUD_AGENT_SOCK\"; exit 7";
    let outcome = with_agent(&sandbox, &["sh", "-c", script]).finish();
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (7, sandbox.socket().to_str().unwrap()), "{outcome:?}");
    assert!(until(PATIENCE, || sandbox.agents().is_empty()), "it ends with the program");
    assert!(until(PATIENCE, || !sandbox.socket().exists()));
    // What it reads and writes is its own.
    let run = sandbox.command(AGENT).args(["--vault", "memory", "--", "cat"]).stdin("in");
    assert_eq!(run.finish().ok(), "in");
}

#[test]
fn signals_are_the_programs_and_so_is_its_death() {
    let sandbox = sandbox();
    let up = sandbox.path("home/up");
    let script = "trap 'exit 9' TERM; touch up; while :; do sleep 0.05; done";
    let running = with_agent(&sandbox, &["sh", "-c", script]);
    assert!(until(PATIENCE, || up.exists()));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().code(), 9);
    let outcome = with_agent(&sandbox, &["sh", "-c", "kill -KILL $$"]).finish();
    assert_eq!(outcome.status.signal(), Some(9), "{outcome:?}");
    assert!(until(PATIENCE, || sandbox.agents().is_empty()), "it ends with the program, however that ends");
}

#[test]
fn a_program_has_the_limits_that_it_would_have_without_an_agent() {
    let sandbox = sandbox();
    let script = "umask; ulimit -c; ulimit -H -c; ulimit -n";
    let bare = sandbox.command("sh").args(["-c", script]).finish();
    let outcome = with_agent(&sandbox, &["sh", "-c", script]).finish();
    assert_eq!(outcome.ok(), bare.ok());
}

#[test]
fn a_program_that_cannot_be_run_is_a_shells_exit_code_and_leaves_no_agent() {
    let sandbox = sandbox();
    fs::write(sandbox.path("home/text"), "no program").unwrap();
    for (program, code) in [("no-such-program", 127), ("./text", 126)] {
        let outcome = with_agent(&sandbox, &[program]).finish();
        assert!(outcome.fails(code).contains("cannot be run"), "{outcome:?}");
        assert!(until(PATIENCE, || sandbox.agents().is_empty()));
    }
}

#[test]
fn a_program_is_run_with_the_agent_that_is_there_and_leaves_it() {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let outcome = with_agent(&sandbox, &["sh", "-c", "\"$TOKEN\" status >/dev/null"]).finish();
    outcome.ok();
    assert!(outcome.stderr.contains("already running"), "{outcome:?}");
    assert_eq!(sandbox.agents(), [agent.pid()]);
}
