//! Programs with the environment of accounts, in place of the client.

use std::fs;

use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::{Stage, own};
use crate::support::sandbox;

#[test]
fn a_program_sees_the_variables_that_the_clouds_file_names() {
    let stage = Stage::serving("none");
    let seen =
        stage.sandbox.token(["exec", "ecHome", "--", "sh", "-c", "printf '%s %s' \"$ECHOME_TOKEN\" \"$ECHOME_URL\""]);
    assert_eq!(seen.ok(), format!("{} {}", stage.token(), stage.cloud.url()));
}

#[test]
fn several_accounts_share_one_environment_if_they_do_not_contradict() {
    let sandbox = sandbox();
    let other = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    stage.serve("none");
    own::login(&stage.sandbox, &other.url(), "");
    let seen = stage.sandbox.token(["exec", "ecHome", "keyed", "--", "env"]);
    let has = |name: &str| seen.ok().lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(has("ECHOME_TOKEN") && has("AWS_ACCESS_KEY_ID"), "{}", seen.stdout);
    stage.account("second", "none");
    let outcome = stage.sandbox.token(["exec", "ecHome", "second", "--", "env"]);
    assert!(outcome.fails(2).contains("`ECHOME_TOKEN`"), "{}", outcome.stderr);
}

#[test]
fn the_programs_exit_code_and_signals_are_its_own() {
    let stage = Stage::serving("none");
    assert_eq!(stage.sandbox.token(["exec", "ecHome", "--", "sh", "-c", "exit 7"]).code(), 7);
    let script = "trap 'echo caught; exit 3' TERM; echo ready > ready; while :; do sleep 0.05; done";
    let run = stage.sandbox.command(TOKEN).args(["exec", "ecHome", "--", "sh", "-c", script]).spawn();
    assert!(until(PATIENCE, || stage.sandbox.path("home/ready").exists()));
    run.signal(Signal::TERM);
    let outcome = run.finish();
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (3, "caught\n"));
    // A program that was killed by a pipe is not told that pipes do not kill.
    let outcome = stage.sandbox.token(["exec", "ecHome", "--", "sh", "-c", "kill -PIPE $$; echo alive"]);
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (-1, ""));
}

#[test]
fn a_program_that_is_not_there_is_told_as_shells_do() {
    let stage = Stage::serving("none");
    assert!(stage.sandbox.token(["exec", "ecHome", "--", "no-such-program"]).fails(127).contains("no-such-program"));
    let file = stage.sandbox.path("home/data");
    fs::write(&file, "not a program").unwrap();
    assert!(stage.sandbox.token(["exec", "ecHome", "--", file.to_str().unwrap()]).fails(126).contains("cannot run"));
    stage.log_out();
    let outcome = stage.sandbox.token(["exec", "ecHome", "--", "touch", "ran"]);
    assert!(outcome.fails(4).contains("cloud-token login ecHome"));
    assert!(!stage.sandbox.path("home/ran").exists());
}

/// What a cloud may hand out, at its worst for a shell.
const HOSTILE: &str =
    "a'b\"c$d`e\\f g;h&i|j k$(touch pwned)'';touch pwned;\u{2019}%PATH% !x ~ # * ? [a] {a,b} <a> \u{fc}";

#[test]
fn every_shell_reads_back_what_is_written_for_it() {
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    let hostile = format!("{HOSTILE}\nand another line; touch pwned\r\n'");
    own::login(&stage.sandbox, &cloud.url(), &hostile);
    let sh = "eval \"$(cloud-token keyed -o env)\"";
    let fish = "cloud-token keyed -o env --shell fish | source";
    for (program, read) in [("sh", sh), ("dash", sh), ("bash", sh), ("zsh", sh), ("fish", fish)] {
        if skip::unless_tool("every_shell_reads_back_what_is_written_for_it", program).is_none() {
            continue;
        }
        let script = format!("{read}; printf %s \"$HOSTILE\"");
        let seen = stage.sandbox.command(program).args(["-c", &script]).finish();
        assert_eq!((seen.code(), seen.stdout.as_str()), (0, hostile.as_str()), "{program}");
        assert!(!stage.sandbox.path("home/pwned").exists(), "{program} ran what it was to quote");
    }
}

#[test]
fn shells_that_are_not_here_get_what_their_rules_say() {
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), HOSTILE);
    let written = |shell: &str| stage.sandbox.token(["keyed", "-o", "env", "--shell", shell]);
    let record: serde_json::Value = serde_json::from_str(written("nu").ok()).unwrap();
    assert_eq!(record["HOSTILE"], HOSTILE);
    assert!(written("powershell").ok().contains("$env:HOSTILE = 'a''b\"c$d`e\\f g;"));
    assert!(written("cmd").fails(1).contains("cannot be written for cmd"));
    own::login(&stage.sandbox, &cloud.url(), "plain & simple");
    assert!(written("cmd").ok().contains("set \"HOSTILE=plain & simple\"\r"));
    written("csh").fails(2);
    own::login(&stage.sandbox, &cloud.url(), "one line\nand another");
    let record: serde_json::Value = serde_json::from_str(written("nu").ok()).unwrap();
    assert_eq!(record["HOSTILE"], "one line\nand another");
    for shell in ["powershell", "cmd"] {
        assert!(written(shell).fails(1).contains("cannot be written for"), "{shell}");
    }
}
