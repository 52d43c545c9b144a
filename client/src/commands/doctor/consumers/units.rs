//! What is written by `setup`: units of systemd, launchd's property list, a shell's function.

use cloud_agent_protocol::endpoint;
use cloud_agent_protocol::v1::{Finding, Level};

use super::{Facts, bad, ready};
use crate::commands::setup::{self, Standing, Target};
use crate::places;

/// Where the packaged unit of a socket listens, below the runtime directory.
const LISTENS: &str = "cloud-agent/agent.sock";

#[cold]
pub(super) fn systemd(_: &Facts) -> Vec<Finding> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let mut findings =
        standing("systemd", Target::Systemd, "`cloud-token setup systemd && systemctl --user daemon-reload`");
    let is_there = !findings.is_empty();
    if let (true, Some(runtime), Ok(socket)) = (is_there, places::directory("XDG_RUNTIME_DIR"), endpoint::resolve())
        && socket != runtime.join(LISTENS)
    {
        let what = "systemd listens at another socket than this shell asks";
        let evidence = format!("systemd: `{}`; here: `{}`", runtime.join(LISTENS).display(), socket.display());
        let mend = format!("unset {}, or `systemctl --user edit cloud-agent.socket`", endpoint::ENV_SOCKET);
        findings.push(bad("systemd.place", Level::Warning, what, evidence, mend));
    }
    findings
}

#[cold]
pub(super) fn launchd(_: &Facts) -> Vec<Finding> {
    if cfg!(target_os = "macos") {
        standing("launchd", Target::Launchd, "`cloud-token setup launchd`")
    } else {
        Vec::new()
    }
}

#[cold]
pub(super) fn shell(_: &Facts) -> Vec<Finding> {
    standing("shell", Target::Shell, "`cloud-token setup shell`")
}

/// How what `setup` has written stands; nothing if it has written nothing.
pub(super) fn standing(name: &str, target: Target, setup: &str) -> Vec<Finding> {
    let found = match setup::standing(target) {
        Standing::Absent => return Vec::new(),
        Standing::Current => ready(name, "as `cloud-token setup` writes it now"),
        Standing::Outdated => bad(
            &format!("{name}.outdated"),
            Level::Warning,
            format!("what `cloud-token setup {name}` has written is not what it would write now"),
            format!("`cloud-token setup {name} --print` shows the difference"),
            setup,
        ),
        Standing::Unusable(failure) => {
            let what = format!("it cannot be told what `cloud-token setup {name}` has written");
            let found = Finding::of_fault(&format!("{name}.block"), Level::Warning, failure.fault);
            let message = found.what.clone();
            Finding { what, ..found.seen(message).mend(setup) }
        }
    };
    vec![found]
}
