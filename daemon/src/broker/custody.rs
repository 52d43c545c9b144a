//! The vault itself: opening it, telling how it is, and moving all that is held to another one.

use std::collections::BTreeSet;
use std::sync::Arc;

use cloud_agent_protocol::v1::VaultStatus;
use cloud_agent_protocol::{AccountName, Fault, FaultKind, Secret};

use super::Broker;
use super::entry::Entry;
use super::hold::Turns;
use super::lock::WhileOpen;
use super::notices::ALL;
use crate::provider::Ask;
use crate::vault::{Saved, UNLOCK, Vault};

impl Broker {
    /// Opens the vault. Whatever failed because it was locked is tried again when somebody asks for it.
    ///
    /// # Errors
    /// As [`Vault::unlock`].
    pub(super) async fn unlock_vault(
        self: &Arc<Self>,
        given: Option<Secret>,
        ask: &dyn Ask,
    ) -> Result<Vec<String>, Fault> {
        let note = self.vault.unlock(given, ask).await?;
        self.forget_failures();
        self.look_for_idle().await;
        Ok(vec![note])
    }

    /// How the vault is.
    ///
    /// # Errors
    /// `Config` if it cannot be read.
    pub async fn vault(&self) -> Result<VaultStatus, Fault> {
        let open = self.vault.ready().is_ok();
        Ok(VaultStatus {
            kind: self.vault.kind().into(),
            reason: self.vault.reason(),
            place: self.vault.place(),
            open,
            accounts: self.vault.accounts().await?,
            warnings: self.vault.warnings(),
        })
    }

    /// Copies all that is held into a vault of another kind, reads it back, and only then erases the old one.
    ///
    /// # Errors
    /// `Usage` if it is of that kind already, `NeedsHuman` if either vault is locked and nobody opens it, `Config` if
    /// something could not be copied. The old vault is then as it was, and in use.
    pub async fn move_vault(
        self: &Arc<Self>,
        kind: &str,
        given: Option<Secret>,
        ask: &dyn Ask,
    ) -> Result<VaultStatus, Fault> {
        if kind == self.vault.kind() {
            return Err(Fault::new(FaultKind::Usage, format!("the vault is `{kind}` already")));
        }
        self.vault.ready()?;
        let _tracked = self.under_way.track();
        let ask = &WhileOpen { ask, lock: &self.lock };
        let other = self.vault.prepare(kind, given, ask).await?;
        // Nobody may change in the old one what was copied already. From the first turn on to the last, none is given back.
        let entries = self.all_that_is_held().await?;
        let mut turns: Vec<Turns<'_>> = Vec::new();
        for entry in &entries {
            turns.push(self.turn(entry).await?);
        }
        let moved = async {
            for entry in &entries {
                self.copy(entry, &*other).await?;
            }
            self.vault.adopt(other.clone()).await
        };
        let old = match moved.await {
            Ok(old) => old,
            Err(fault) => {
                // Nothing is to be in two places of which one is forgotten.
                for entry in &entries {
                    let _ = other.erase(&entry.name.key()).await;
                }
                return Err(fault.because("the old vault is as it was, and in use"));
            }
        };
        for entry in &entries {
            entry.state().unsaved = None;
        }
        drop(turns);
        if let Err(fault) = old.destroy().await {
            tracing::error!("all that is held was moved to `{kind}`, but the old vault could not be erased: {fault}");
            let fault = Fault::new(FaultKind::Config, "the old vault could not be erased").because(fault.to_string());
            return Err(fault.because(format!("all that is held is in `{kind}` now, and is used from there")));
        }
        self.forget_failures();
        tracing::info!(vault = kind, "the vault was moved");
        self.vault().await
    }

    pub(super) fn entry_of(&self, account: &str) -> Option<Arc<Entry>> {
        let name = AccountName::parse(account).ok()?;
        Some(self.entries().entry(account.into()).or_insert_with(|| Entry::new(name)).clone())
    }

    /// The accounts that something is held of, be it only in memory because the vault would not take it.
    async fn all_that_is_held(&self) -> Result<Vec<Arc<Entry>>, Fault> {
        let mut names: BTreeSet<String> = self.vault.accounts().await?.into_iter().collect();
        let mut entries = self.entries();
        let unsaved = entries.iter().filter(|(_, entry)| !entry.is_ephemeral() && entry.state().unsaved.is_some());
        names.extend(unsaved.map(|(key, _)| String::from(&**key)));
        let names = names.into_iter().filter_map(|key| Some((AccountName::parse(&key).ok()?, key)));
        Ok(names.map(|(name, key)| entries.entry(key.into()).or_insert_with(|| Entry::new(name)).clone()).collect())
    }

    /// Copies one account, and looks whether it has arrived.
    async fn copy(&self, entry: &Entry, to: &dyn Vault) -> Result<(), Fault> {
        let key = entry.name.key();
        let failed = |why: &str| {
            Fault::new(FaultKind::Config, format!("what is held of `{}` could not be moved", entry.name)).because(why)
        };
        // What the old vault would not take is newer than what it has.
        let unsaved = entry.state().unsaved.as_ref().map(|unsaved| unsaved.held().clone());
        let held = match unsaved {
            Some(held) => held,
            None => match self.vault.load(&key).await? {
                Some(record) => record.held,
                None => return Ok(()),
            },
        };
        match to.save(&key, &held, None).await? {
            Saved::As(_) => {}
            Saved::Newer(_) => return Err(failed("somebody else writes there")),
        }
        match to.load(&key).await? {
            Some(copied) if copied.held == held => Ok(()),
            _ => Err(failed("it does not come back as it was")),
        }
    }

    /// Of a locked vault: what a cloud refused stays refused.
    pub(super) fn forget_failures(&self) {
        let locked = |fault: &Fault| fault.hint.as_deref() == Some(UNLOCK);
        for entry in self.entries().values() {
            let mut state = entry.state();
            if state.memo.as_ref().is_some_and(|memo| locked(memo.fault())) {
                state.memo = None;
            }
        }
        self.mended(ALL);
    }
}
