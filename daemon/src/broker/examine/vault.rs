//! How the vault is, as findings.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud_agent_protocol::v1::{Finding, Level};
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::super::Broker;
use crate::provider::Held;
use crate::vault::{GONE, Saved, UNLOCK, Vault};

/// What is written to be read back is of no account: this word of the command line can be none's name.
const NOBODY: &str = "doctor";

/// How long a vault has to say whom it has something of.
const PATIENCE: Duration = Duration::from_secs(5);

impl Broker {
    pub(super) async fn examine_vault(&self, prove: bool, patience: Duration) -> Vec<Finding> {
        let vault = &*self.vault;
        let mut findings = vec![how_it_is(vault)];
        let locked = vault.ready().err();
        if locked.is_none() {
            findings.extend(whom_it_has(vault).await);
            // The key of one that is open is in memory; whether the next agent finds it is another question.
            if let Err(fault) = vault.probe().await {
                findings.push(
                    Finding::of_fault("vault.keyring", Level::Warning, fault)
                        .seen("the vault is open, because the agent has its key in memory; the next one would not have it")
                        .mend_instead("unlock the session's keyring, or `cloud-token vault move passphrase`"),
                );
            }
        }
        // What keeps it closed was said.
        let said = |warning: &String| locked.as_ref().is_some_and(|fault| warning.starts_with(&fault.message));
        for warning in vault.warnings().into_iter().filter(|warning| !said(warning)) {
            findings.push(trouble("vault.warning", Level::Warning, warning, vault));
        }
        for warning in self.unsaved() {
            findings.push(trouble("vault.unsaved", Level::Error, warning, vault));
        }
        if prove && locked.is_none() {
            let tried = tokio::time::timeout(patience, self.round_trip()).await;
            findings.push(match tried.unwrap_or_else(|_| Err(silent(vault, patience))) {
                Ok(()) => Finding::new("vault.round-trip", Level::Ok, "what is put into the vault comes back")
                    .seen(format!("written, read, compared and erased; vault `{}`", vault.kind())),
                Err(fault) => with_evidence(Finding::of_fault("vault.round-trip", Level::Error, fault), vault)
                    .mend("`cloud-token vault move KIND` moves it to one that works"),
            });
        }
        findings
    }

    /// Puts something into the vault, looks whether it comes back, and takes it out again.
    async fn round_trip(&self) -> Result<(), Fault> {
        let failed = |why: &str| {
            Fault::new(FaultKind::Internal, "what is put into the vault does not come back as it was").because(why)
        };
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|why| {
            Fault::new(FaultKind::Internal, "the system gives no randomness").because(why.to_string())
        })?;
        let text = bytes.iter().fold(String::with_capacity(32), |text, byte| text + &format!("{byte:02x}"));
        let held = Held(BTreeMap::from([("probe".to_owned(), Secret::new(text))]));
        let _turn = self.vault.turn(NOBODY).await?;
        let come_back = async {
            match self.vault.save(NOBODY, &held, None).await? {
                Saved::As(_) => self.vault.load(NOBODY).await,
                Saved::Newer(_) => Err(failed("somebody else writes there")),
            }
        };
        let come_back = come_back.await;
        let erased = self.vault.erase(NOBODY).await;
        match come_back? {
            Some(record) if record.held == held => {}
            Some(_) => return Err(failed("it is something else")),
            None => return Err(failed("it is gone")),
        }
        erased?;
        match self.vault.load(NOBODY).await? {
            None => Ok(()),
            Some(_) => Err(failed("it was erased, and is still there")),
        }
    }
}

fn how_it_is(vault: &dyn Vault) -> Finding {
    let (kind, reason, place) = (vault.kind(), vault.reason(), vault.place());
    let where_ = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
    if let Err(fault) = vault.ready() {
        let found = Finding::of_fault("vault.locked", Level::Error, fault).about(kind);
        return found.seen(format!("vault `{kind}`{where_}: {reason}")).mend(UNLOCK);
    }
    if vault.outlives_agent() {
        let open = Finding::new("vault.open", Level::Ok, format!("the vault `{kind}` is open"));
        return open.about(kind).seen(format!("{reason}{where_}"));
    }
    // Whoever chose it knows; whoever has it for want of a keyring may not.
    let level = if reason.starts_with("auto") { Level::Warning } else { Level::Note };
    let why = reason.strip_suffix(GONE).unwrap_or(&reason).trim_end_matches("; ");
    Finding::new("vault.memory", level, GONE)
        .about(kind)
        .seen(format!("vault `{kind}`: {why}"))
        .mend("`cloud-token vault move passphrase`")
        .kind(FaultKind::Config)
}

async fn whom_it_has(vault: &dyn Vault) -> Option<Finding> {
    let asked = tokio::time::timeout(PATIENCE, vault.accounts()).await;
    let fault = asked.unwrap_or_else(|_| Err(silent(vault, PATIENCE))).err()?;
    let found = Finding::of_fault("vault.unreadable", Level::Error, fault).about(vault.kind());
    Some(with_evidence(found, vault).mend("`cloud-token vault` says where it is; mend that place"))
}

fn silent(vault: &dyn Vault, patience: Duration) -> Fault {
    Fault::new(FaultKind::Busy, format!("the vault `{}` does not answer", vault.kind()))
        .because(format!("it said nothing for {} s", patience.as_secs_f32()))
}

fn trouble(id: &str, level: Level, warning: String, vault: &dyn Vault) -> Finding {
    let found = Finding::new(id, level, warning).about(vault.kind()).kind(FaultKind::Config);
    with_evidence(found, vault).mend("`cloud-token vault` says where it is; mend that place")
}

fn with_evidence(found: Finding, vault: &dyn Vault) -> Finding {
    let place = vault.place();
    found.seen(if place.is_empty() {
        format!("vault `{}`", vault.kind())
    } else {
        format!("vault `{}` in `{place}`", vault.kind())
    })
}
