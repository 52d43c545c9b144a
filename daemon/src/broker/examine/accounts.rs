//! How each account is, as a finding.

use cloud_agent_protocol::v1::{AccountStatus, Finding, Level};
use cloud_agent_protocol::{Fault, FaultKind};

use crate::accounts::Stored;
use crate::{http, thread};

/// What `status` tells of an account.
pub(super) fn finding(account: &AccountStatus) -> Finding {
    let AccountStatus { name, state, fault, .. } = account;
    let login = format!("`cloud-token login {name}`");
    let found = match (state.as_str(), fault.clone()) {
        ("valid", None) => Finding::new("account.valid", Level::Ok, format!("`{name}` has a token")),
        ("renewable", None) => {
            let what = format!("`{name}` has no token now, and gets one when it is asked for");
            Finding::new("account.renewable", Level::Ok, what)
        }
        // It is served for as long as the token lives, and then no more.
        ("valid", Some(fault)) => of_fault("account.failing", Level::Warning, fault, name),
        ("locked", Some(fault)) => of_fault("account.locked", Level::Warning, fault, name),
        ("refused", Some(fault)) => of_fault("account.refused", Level::Error, fault, name).mend(login),
        ("needs-login", fault) => {
            let fault =
                fault.unwrap_or_else(|| Fault::new(FaultKind::NeedsHuman, format!("`{name}` is not logged in")));
            of_fault("account.needs-login", Level::Warning, fault, name).mend(login)
        }
        (_, Some(fault)) if fault.kind == FaultKind::UnknownCloud => {
            let known = fault.hint.clone().map(|hint| format!("; {hint}")).unwrap_or_default();
            let found = of_fault("account.config", Level::Error, fault, name);
            found.mend_instead(format!("`cloud-token login {name} --cloud CLOUD`{known}"))
        }
        (_, Some(fault)) if fault.kind == FaultKind::Config => {
            of_fault("account.config", Level::Error, fault, name).mend(login)
        }
        (_, Some(fault)) => of_fault("account.failing", Level::Error, fault, name),
        (_, None) => Finding::new("account.failing", Level::Warning, format!("`{name}` is `{state}`")),
    };
    let place = if account.origin.is_empty() { String::new() } else { format!(" at {}", account.origin) };
    found
        .about(name.clone())
        .seen(format!("`{}` by `{}`{place}; state `{state}`", account.cloud, account.method))
        .mend_if_bad(format!("`cloud-token check {name}` asks the cloud again"))
}

fn of_fault(id: &str, level: Level, fault: Fault, name: &str) -> Finding {
    let mut found = Finding::of_fault(id, level, fault);
    if !found.what.contains(&format!("`{name}`")) {
        found.what = format!("`{name}`: {}", found.what);
    }
    found
}

/// The private certificate authorities of accounts that cannot be used. Read on a thread of their own: a file may be on a
/// network that hangs.
pub(super) async fn authorities(stored: &[Stored]) -> Vec<Finding> {
    let files: Vec<_> =
        stored.iter().filter_map(|account| Some((account.name.clone(), account.ca_file.clone()?))).collect();
    if files.is_empty() {
        return Vec::new();
    }
    let judge = move || -> Vec<Finding> {
        let broken = |(name, path): (cloud_agent_protocol::AccountName, std::path::PathBuf)| {
            let fault = http::authorities(&path).err()?;
            let found = of_fault("account.ca-file", Level::Error, fault, name.as_str()).about(name.as_str());
            let found = if found.evidence.is_empty() { found.seen(path.display().to_string()) } else { found };
            Some(found.mend(format!("`cloud-token login {name} --set ca-file=PATH`")))
        };
        files.into_iter().filter_map(broken).collect()
    };
    let judged = tokio::time::timeout(http::STORE_PATIENCE, thread::run("tls-files", judge)).await;
    judged.ok().and_then(Result::ok).unwrap_or_else(|| {
        let slow = Finding::new("account.ca-file", Level::Error, "a file of certificate authorities cannot be read");
        vec![
            slow.seen(format!("it did not come within {} s", http::STORE_PATIENCE.as_secs()))
                .mend("`cloud-token login ACCOUNT --set ca-file=PATH`, with a copy of it on this machine"),
        ]
    })
}
