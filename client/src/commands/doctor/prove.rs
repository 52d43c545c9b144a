//! What only a try tells: a real call for each account, and somebody else at the socket.

use std::path::Path;
use std::thread;
use std::time::Duration;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::{Check, Finding, Level, Request, Response};

use crate::client::{Client, unexpected};
use crate::report::Failure;

/// So many clouds are asked at once.
const AT_ONCE: usize = 8;

/// Of an account that is found to be one of these, a try would say the same once more.
const KNOWN: [&str; 5] =
    ["account.needs-login", "account.locked", "account.refused", "account.config", "account.ca-file"];

/// Whether a try would tell anything new of an account.
pub(super) fn is_worth_a_try(account: &str, findings: &[Finding]) -> bool {
    !findings.iter().any(|found| found.subject == account && KNOWN.contains(&found.id.as_str()))
}

/// Has each account's token tried at its cloud. One that is slow delays no other.
#[cold]
pub(super) fn accounts(accounts: &[String], timeout: Duration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for some in accounts.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let asked: Vec<_> = some.iter().map(|account| scope.spawn(move || alive(account, timeout))).collect();
            findings.extend(asked.into_iter().filter_map(|asked| asked.join().ok()));
        });
    }
    findings
}

fn alive(account: &str, timeout: Duration) -> Finding {
    let fault = match check(account, timeout) {
        Ok(()) => {
            return Finding::new("account.alive", Level::Ok, format!("the cloud takes the token of `{account}`"))
                .about(account)
                .seen("its own call for that, just now");
        }
        Err(failure) => failure.fault,
    };
    if fault.kind == FaultKind::Unsupported {
        return Finding::of_fault("account.unproved", Level::Note, fault)
            .about(account)
            .seen(format!("so whether the token of `{account}` is alive was not tried"));
    }
    let mut found = if fault.kind == FaultKind::Refused {
        // A hint would be a login; but what the cloud calls dead the agent has forgotten, and mostly it can renew.
        let mend = format!("`cloud-token {account}`: the dead token is forgotten, and this renews it");
        Finding::of_fault("account.dead", Level::Error, fault).mend_instead(mend)
    } else {
        let mend = format!("`cloud-token check {account}` tries again");
        Finding::of_fault("account.unreachable", Level::Error, fault).mend(mend)
    };
    if !found.what.contains(&format!("`{account}`")) {
        found.what = format!("`{account}`: {}", found.what);
    }
    found.about(account).seen("a call to its cloud, just now")
}

fn check(account: &str, timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(timeout)?.without_autostart();
    let check = Check { account: account.to_owned(), deadline_ms: client.deadline.for_agent() };
    match client.ask(&Request::Check(check))? {
        Response::Done(_) => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// Has another user try to be answered at `socket`.
#[cfg(unix)]
#[cold]
pub(super) fn second_user(socket: &Path) -> Vec<Finding> {
    vec![super::intruder::attempt(socket)]
}

/// Elsewhere nobody can become another user for a moment.
#[cfg(not(unix))]
#[cold]
pub(super) fn second_user(_: &Path) -> Vec<Finding> {
    vec![
        Finding::new("peer.second-user-untried", Level::Note, "no other user has tried to be answered")
            .seen("this system has no way to try it"),
    ]
}
