//! Many callers at once, and callers that go away.

use std::time::Duration;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{EcHome, Options, REFRESH};
use cloud_agent_tests::lab;
use cloud_agent_tests::sandbox::{Running, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use crate::support::{KEY, login, sandbox, spoil, token};

/// Enough to be sure that all callers have arrived before the answer does, even on a busy machine.
const SLOW: Duration = Duration::from_secs(3);

/// An ecHome where a refresh token works once, so that two refreshes would break the session.
fn strict() -> (EcHome, String) {
    let cloud = EcHome::with(Options { blacklist: true, ..Options::default() });
    let secret = cloud.add_key(KEY);
    (cloud, secret)
}

#[test]
fn two_hundred_callers_of_an_expired_token_cause_one_refresh() {
    let (cloud, secret) = strict();
    let sandbox = sandbox();
    let agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let first = spoil(&sandbox, &cloud, "ecHome");
    cloud.break_always(REFRESH, Fault::Delay(SLOW));
    let callers: Vec<Running> = (0..200).map(|_| sandbox.command(TOKEN).arg("ecHome").spawn()).collect();
    let mut tokens: Vec<String> = callers.into_iter().map(|caller| caller.finish().ok().to_owned()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "everybody gets the same answer");
    assert!(tokens[0] != first && cloud.accepts(&tokens[0]));
    assert_eq!((cloud.logins(), cloud.refreshes()), (1, 1));
    assert!(agent.runs());
}

/// Two refreshes with one token are a race at the real stack, too: some get a token each, and the others are refused.
#[test]
fn a_hundred_callers_at_once_break_no_session_at_the_real_stack() {
    let what = "a_hundred_callers_at_once_break_no_session_at_the_real_stack";
    let options = lab::echome::Options { blacklist: true, ..lab::echome::Options::default() };
    let Some(cloud) = lab::EcHome::start(what, &options) else { return };
    let secret = "s3cr3t-of-the-lab-0123456789";
    cloud.add_key(KEY, secret);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome", cloud.url(), secret).finish().ok();
    let first = token(&sandbox, "ecHome");
    sandbox.command(TOKEN).args(["reject", "ecHome"]).stdin(first.as_str()).finish().ok();
    let callers: Vec<Running> = (0..100).map(|_| sandbox.command(TOKEN).arg("ecHome").spawn()).collect();
    let mut tokens: Vec<String> = callers.into_iter().map(|caller| caller.finish().ok().to_owned()).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert!(tokens.len() == 1 && tokens[0] != first && cloud.accepts(&tokens[0]), "{} answers", tokens.len());
    for _ in 0..3 {
        assert!(cloud.accepts(sandbox.token(["ecHome", "--fresh"]).ok()), "what was rotated is what is held");
    }
}

#[test]
fn a_slow_account_delays_no_other() {
    let (slow, slow_secret) = strict();
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "slow", &slow.url(), &slow_secret).finish().ok();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    spoil(&sandbox, &slow, "slow");
    slow.break_always(REFRESH, Fault::Hang);
    let mut waiting = sandbox.command(TOKEN).arg("slow").spawn();
    slow.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path == REFRESH));
    for _ in 0..20 {
        token(&sandbox, "ecHome");
    }
    assert!(cloud.accepts(sandbox.token(["ecHome", "--fresh"]).ok()));
    assert!(waiting.runs(), "the slow one was still waiting all that time");
    slow.clear();
    let _ = waiting.finish();
}

#[test]
fn a_caller_that_is_killed_while_it_waits_cancels_nothing() {
    let (cloud, secret) = strict();
    let sandbox = sandbox();
    let agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    spoil(&sandbox, &cloud, "ecHome");
    cloud.break_always(REFRESH, Fault::Delay(SLOW));
    let caller = sandbox.command(TOKEN).arg("ecHome").spawn();
    cloud.wait_for(PATIENCE, |requests| requests.iter().filter(|r| r.path == REFRESH).count() == 1);
    caller.signal(Signal::KILL);
    let _ = caller.finish();
    assert!(cloud.accepts(&token(&sandbox, "ecHome")), "the refresh that it started was not lost");
    assert_eq!((cloud.logins(), cloud.refreshes()), (1, 1));
    assert!(agent.runs());
}

#[test]
fn callers_that_come_and_go_leave_nothing_behind() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    token(&sandbox, "ecHome");
    let files = agent.open_files();
    for round in 0..200 {
        let caller = sandbox.command(TOKEN).arg("ecHome").spawn();
        if round % 2 == 0 {
            caller.signal(Signal::KILL);
        }
        let _ = caller.finish();
    }
    assert!(until(PATIENCE, || agent.open_files() <= files), "{} files, before {files}", agent.open_files());
    assert!(cloud.accepts(&token(&sandbox, "ecHome")));
}

#[test]
fn fifty_callers_without_an_agent_start_one() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    // Memory is the vault here, so every caller brings its own login.
    let names: Vec<String> = (0..50).map(|number| format!("ecHome-{number}")).collect();
    let logins: Vec<Running> = names.iter().map(|name| login(&sandbox, name, &cloud.url(), &secret).spawn()).collect();
    for run in logins {
        run.finish().ok();
    }
    assert_eq!(sandbox.agents().len(), 1);
    let callers: Vec<Running> = names.iter().map(|name| sandbox.command(TOKEN).arg(name).spawn()).collect();
    for caller in callers {
        assert!(cloud.accepts(caller.finish().ok()));
    }
    assert_eq!(sandbox.agents().len(), 1);
}
