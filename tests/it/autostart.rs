//! The client starts the agent if there is none, and nobody has to wait for that agent's end.

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::TOKEN;

use crate::support::{KEY, login, sandbox, token};

#[test]
fn a_command_substitution_returns_although_the_agent_stays() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let script =
        "out=$(\"$0\" login ecHome --cloud echome --url \"$1\" --set access-id=AKIA1 --secret secret=env:S) || exit
        out=$(\"$0\" ecHome) || exit; printf '[%s]' \"$out\"";
    let run = sandbox.command("sh").args(["-c", script]).arg(sandbox.program(TOKEN)).arg(cloud.url()).env("S", &secret);
    let outcome = run.finish();
    let printed = outcome.ok().trim_start_matches('[').trim_end_matches(']');
    assert!(cloud.accepts(printed), "{outcome:?}");
    assert_eq!(sandbox.agents().len(), 1);
    assert_eq!(token(&sandbox, "ecHome"), printed, "it is the same agent");
}

#[test]
fn a_pipe_that_the_caller_has_open_besides_ends_although_the_agent_stays() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let script =
        "\"$0\" login ecHome --cloud echome --url \"$1\" --set access-id=AKIA1 --secret secret=env:S 7>&1 >/dev/null";
    let run = sandbox.command("sh").args(["-c", script]).arg(sandbox.program(TOKEN)).arg(cloud.url()).env("S", &secret);
    assert_eq!(run.finish().ok(), "");
    assert_eq!(sandbox.agents().len(), 1);
}

#[test]
fn the_agent_that_was_started_has_not_the_secret_in_its_environment() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let agents = sandbox.agents();
    let [agent] = agents.as_slice() else { panic!("one agent, not {agents:?}") };
    assert!(!process::environment(*agent).join("\n").contains(&secret));
    assert!(!process::arguments(*agent).join("\n").contains(&secret));
}

#[test]
fn without_autostart_no_agent_is_an_exit_code_of_its_own() {
    let sandbox = sandbox();
    sandbox.set("CLOUD_AGENT_NO_AUTOSTART", "1");
    let outcome = sandbox.token(["ecHome"]);
    assert!(outcome.fails(3).contains("error: "), "{outcome:?}");
    assert_eq!(sandbox.agents(), Vec::<u32>::new());
}

#[test]
fn a_second_agent_finds_the_first_and_ends_well() {
    let sandbox = sandbox();
    let first = sandbox.agent();
    let second = sandbox.command("cloud-agent").args(["--vault", "memory"]).finish();
    assert_eq!(second.ok(), "");
    assert!(!second.stderr.is_empty(), "it says so");
    assert_eq!(sandbox.agents(), [first.pid()]);
}

#[test]
fn a_crashed_agent_is_replaced() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    sandbox.agent().crash();
    assert!(sandbox.socket().exists(), "it could not tidy up");
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    assert!(cloud.accepts(&token(&sandbox, "ecHome")));
    assert_eq!(sandbox.agents().len(), 1);
}
