//! What `doctor` is told: how each thing is that only the agent can know of, one finding each, with what mends it.
//!
//! Nothing here repairs anything, and without `prove` nothing is written and no cloud is asked.

mod accounts;
mod vault;

use std::time::Duration;

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::v1::{Examined, Finding, Level};
use cloud_agent_protocol::{Fault, FaultKind};

use super::Broker;
use super::describe::Surroundings;
use crate::accounts::Stored;

/// What sets a clock right by itself.
const SET_CLOCK: &str = if cfg!(target_os = "linux") {
    "`sudo timedatectl set-ntp true`"
} else {
    "have the system set its clock by the network"
};

impl Broker {
    /// Looks at accounts, configuration, vault and clocks; with `prove`, at the vault by writing into it, for at most
    /// `patience`. A locked agent says that it is, and tells of no account.
    pub async fn examine(&self, surroundings: &Surroundings, prove: bool, patience: Duration) -> Examined {
        let mut examined = Examined {
            config: surroundings.config.clone(),
            state: surroundings.state.clone(),
            environment: surroundings.network.clone(),
            accounts: Vec::new(),
            findings: Vec::new(),
        };
        if let Err(fault) = self.refuse_locked() {
            let locked = Finding::of_fault("agent.locked", Level::Error, fault);
            examined.findings.push(locked.seen("everything in its memory is sealed; it hands nothing out"));
            return examined;
        }
        let overview = self.overview(surroundings).await;
        let (stored, broken) = self.accounts.list();
        examined.findings.extend(self.configuration(surroundings, broken));
        examined.findings.extend(self.examine_vault(prove, patience).await);
        examined.findings.extend(self.clocks(&stored));
        examined.findings.extend(overview.status.accounts.iter().map(accounts::finding));
        examined.findings.extend(accounts::authorities(&stored).await);
        examined.accounts = overview.status.accounts.into_iter().map(|account| account.name).collect();
        examined
    }

    /// The user's own files.
    fn configuration(&self, surroundings: &Surroundings, accounts: Option<Fault>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let directory = &surroundings.config;
        match accounts {
            Some(fault) => findings.push(
                broken("config.accounts", Level::Error, fault, directory)
                    .mend(format!("edit that line; `cloud-token status` reads `{directory}/accounts.toml` again")),
            ),
            None => findings.push(
                Finding::new("config.accounts", Level::Ok, "`accounts.toml` is in order")
                    .seen(format!("read from `{directory}`")),
            ),
        }
        for fault in self.clouds.broken() {
            let hint = fault.hint.clone();
            let found = hint.into_iter().fold(broken("config.cloud", Level::Error, fault, directory), Finding::seen);
            let clouds = quoted(format_args!("{directory}/clouds"));
            let mend = format!("edit it until `cloud-agent check {clouds}/NAME.toml` says that it is in order");
            findings.push(found.mend_instead(mend));
        }
        if let Some(fault) = self.vault.misconfigured() {
            let mend = format!("edit `{directory}/vault.toml`: the next agent does not start with it");
            findings.push(broken("config.vault", Level::Error, fault, directory).mend(mend));
        }
        findings
    }

    /// This machine's clock, by those of the clouds.
    fn clocks(&self, stored: &[Stored]) -> Vec<Finding> {
        let mut remarks: Vec<String> = Vec::new();
        for account in stored.iter().filter_map(|account| self.resolve(account).ok()) {
            for remark in self.provider.remarks(&account) {
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
            }
        }
        if remarks.is_empty() {
            let right = Finding::new("clock.right", Level::Ok, "no cloud has shown another time than this machine");
            return vec![right.seen("the `Date` of the replies since the agent started")];
        }
        let wrong = |remark: String| {
            Finding::new("clock.wrong", Level::Warning, remark)
                .seen("the `Date` of its last reply")
                .mend(SET_CLOCK)
                .kind(FaultKind::Config)
        };
        remarks.into_iter().map(wrong).collect()
    }
}

/// A file that cannot be used.
fn broken(id: &str, level: Level, fault: Fault, directory: &str) -> Finding {
    let finding = Finding::of_fault(id, level, fault);
    if finding.evidence.is_empty() { finding.seen(format!("read from `{directory}`")) } else { finding }
}
