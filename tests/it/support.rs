//! What several topics need: the programs in a sandbox, and a login at either kind of ecHome.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::fake::jwt;
use cloud_agent_tests::lab;
use cloud_agent_tests::sandbox::{Outcome, Run, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until, value};

/// The access key that every test logs in with.
pub(crate) const KEY: &str = "AKIA1";

/// A sandbox with the programs of this build.
pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_it-agent"), env!("CARGO_BIN_EXE_it-token"))
}

/// An ecHome, imitated or real.
pub(crate) trait Cloud {
    fn origin(&self) -> String;
    fn accepts(&self, token: &str) -> bool;
    fn set_active(&self, active: bool);
}

impl Cloud for EcHome {
    fn origin(&self) -> String {
        self.url()
    }

    fn accepts(&self, token: &str) -> bool {
        EcHome::accepts(self, token)
    }

    fn set_active(&self, active: bool) {
        EcHome::set_active(self, KEY, active);
    }
}

impl Cloud for lab::EcHome {
    fn origin(&self) -> String {
        self.url().to_owned()
    }

    fn accepts(&self, token: &str) -> bool {
        lab::EcHome::accepts(self, token)
    }

    fn set_active(&self, active: bool) {
        lab::EcHome::set_active(self, KEY, active);
    }
}

/// A login that is about to happen, with the secret where no other process sees it.
pub(crate) fn login<'a>(sandbox: &'a Sandbox, account: &str, origin: &str, secret: &str) -> Run<'a> {
    let access_id = format!("access-id={KEY}");
    sandbox
        .command(TOKEN)
        .args(["login", account, "--cloud", "echome", "--url", origin])
        .args(["--set", &access_id, "--secret", "secret=env:IT_SECRET"])
        .env("IT_SECRET", secret)
}

/// A token of `account`.
#[track_caller]
pub(crate) fn token(sandbox: &Sandbox, account: &str) -> String {
    sandbox.token([account]).ok().to_owned()
}

/// A token of `account` that the API accepts. Short-lived ones may run out on their way on a busy machine, so another is
/// asked for; but none may have run out before it was asked for.
#[track_caller]
pub(crate) fn working_token(sandbox: &Sandbox, cloud: &impl Cloud, account: &str) -> String {
    let look = || {
        let asked = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        let token = token(sandbox, account);
        let end = jwt::payload(&token).and_then(|claims| claims["exp"].as_u64()).expect("it is a JWT");
        assert!(Duration::from_secs(end) > asked, "an expired token was handed out");
        cloud.accepts(&token).then_some(token)
    };
    value(PATIENCE, look).expect("no token works")
}

/// Makes the next use of `account` renew, without waiting for an end, ahead of which the agent might have renewed already.
#[track_caller]
pub(crate) fn spoil(sandbox: &Sandbox, cloud: &EcHome, account: &str) -> String {
    let current = token(sandbox, account);
    cloud.revoke_access_tokens();
    sandbox.command(TOKEN).args(["reject", account]).stdin(current.as_str()).finish().ok();
    current
}

/// Waits until the API refuses `token`: until it has expired.
#[track_caller]
pub(crate) fn wait_until_refused(cloud: &impl Cloud, token: &str) {
    assert!(until(PATIENCE, || !cloud.accepts(token)), "the token does not expire");
}

/// An access token's life that a test can wait for.
pub(crate) const SHORT: Duration = Duration::from_secs(2);

/// That a run ended with one of `codes`, said what happened, and printed nothing that a script could take for a token.
#[track_caller]
pub(crate) fn assert_fault(outcome: &Outcome, codes: &[i32], case: &str) {
    assert!(codes.contains(&outcome.code()), "{case}: expected one of {codes:?}: {outcome:?}");
    assert_eq!(outcome.stdout, "", "{case}: stdout carries data only");
    assert!(outcome.stderr.contains("error: "), "{case}: {}", outcome.stderr);
}

/// A script that other programs may run at once; written by another process: a fork of this one, between two of its instructions,
/// would hold it open, and a program that somebody may still write to cannot be run.
#[track_caller]
pub(crate) fn put_script(path: &Path, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(path).arg(text);
    assert!(shell.status().expect("there is a shell").success(), "{}", path.display());
}
