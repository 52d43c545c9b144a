//! What findings come to: the groups they are told in, and the exit code.

use cloud_agent_protocol::v1::{Finding, Level};
use cloud_agent_protocol::{Fault, FaultKind};

use crate::report::Failure;

/// The groups, in their order, with the first words of the ids in them. What no group names is the consumers'.
const GROUPS: [(&str, &[&str]); 6] = [
    ("agent", &["program", "socket", "peer", "agent"]),
    ("files", &["directory", "config"]),
    ("vault", &["vault"]),
    ("network", &["clock", "tls", "proxy"]),
    ("accounts", &["account"]),
    ("consumers", &[]),
];

/// Of these, no agent can be asked, or none that can be trusted.
const NO_AGENT: [&str; 4] = ["agent.absent", "agent.silent", "agent.failed", "program.agent"];

/// Of findings that are equally bad, the first of these exit codes wins: what has to be done first.
const ORDER: [u8; 5] = [3, 4, 1, 6, 5];

/// The findings by group, each in the order that they were found in.
pub(super) fn grouped(findings: &[Finding]) -> impl Iterator<Item = (&'static str, Vec<&Finding>)> {
    GROUPS.iter().map(|(name, _)| (*name, findings.iter().filter(|found| group(&found.id) == *name).collect()))
}

/// The group of an id.
pub(super) fn group(id: &str) -> &'static str {
    let first = id.split('.').next().unwrap_or_default();
    GROUPS.iter().find(|(_, words)| words.contains(&first)).map_or("consumers", |(name, _)| name)
}

/// The exit code that they come to: that of the worst, and 0 if nothing is worse than a note.
pub(super) fn code(findings: &[Finding]) -> u8 {
    let worst = findings.iter().map(Finding::level).max().unwrap_or(Level::Ok);
    if worst <= Level::Note {
        return 0;
    }
    let codes: Vec<u8> = findings.iter().filter(|found| found.level() == worst).map(code_of).collect();
    ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(1)
}

/// Ends the program with that code; all has been said.
pub(super) fn end(findings: &[Finding]) -> Result<(), Failure> {
    let kind = match code(findings) {
        0 => return Ok(()),
        3 => return Err(Failure::no_agent(Fault::new(FaultKind::Config, "no agent can be asked")).and_told()),
        4 => FaultKind::NeedsHuman,
        5 => FaultKind::Unreachable,
        6 => FaultKind::UnknownAccount,
        _ => FaultKind::Config,
    };
    Err(Failure::told(Fault::new(kind, "not all is as it should be")))
}

fn code_of(found: &Finding) -> u8 {
    let of_the_socket = matches!(found.id.split('.').next(), Some("socket" | "peer"));
    if of_the_socket || NO_AGENT.contains(&found.id.as_str()) {
        return 3;
    }
    let code = found.kind.map_or(1, |kind| Failure::from(Fault::new(kind, "")).code());
    // What is wrong with this command line is said by others.
    if code == 2 { 1 } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, level: Level, kind: Option<FaultKind>) -> Finding {
        Finding { kind, ..Finding::new(id, level, "") }
    }

    #[test]
    fn the_worst_finding_decides_and_of_equals_what_has_to_be_done_first() {
        let note = found("vault.memory", Level::Note, Some(FaultKind::Config));
        let login = found("account.needs-login", Level::Warning, Some(FaultKind::NeedsHuman));
        let away = found("account.failing", Level::Error, Some(FaultKind::Unreachable));
        let stranger = found("account.config", Level::Error, Some(FaultKind::UnknownCloud));
        let dead = found("agent.absent", Level::Error, None);
        for (findings, expected) in [
            (vec![], 0),
            (vec![note.clone()], 0),
            (vec![note, login.clone()], 4),
            (vec![login.clone(), away.clone()], 5),
            (vec![away.clone(), stranger], 6),
            (vec![away, login, dead], 3),
            (vec![found("git.program", Level::Warning, None)], 1),
            (vec![found("x.usage", Level::Error, Some(FaultKind::Usage))], 1),
        ] {
            assert_eq!(code(&findings), expected, "{findings:?}");
        }
    }

    #[test]
    fn every_finding_is_in_one_group() {
        assert_eq!([group("agent.absent"), group("tls.roots"), group("git.reset")], ["agent", "network", "consumers"]);
        let findings = [found("config.cloud", Level::Ok, None), found("new.kind", Level::Ok, None)];
        let told: usize = grouped(&findings).map(|(_, found)| found.len()).sum();
        assert_eq!(told, findings.len());
    }
}
