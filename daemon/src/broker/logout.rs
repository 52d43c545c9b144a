//! Logging out: the cloud is told where it can be, the local side forgets in any case.

use std::time::Duration;

use cloud_agent_protocol::v1::Logout;
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::Broker;
use super::entry::Entry;
use super::hold::Hold;
use crate::provider::{Account, Revocation};

/// How long a cloud is given to revoke, and a renewal under way to end, before the local side forgets without them.
const PATIENCE: Duration = Duration::from_secs(10);

impl Broker {
    /// Logs accounts out; a line of words for each.
    ///
    /// # Errors
    /// `UnknownAccount` (nothing is done then), `Usage` if none is named, `Config` if the settings cannot be forgotten.
    pub async fn logout(&self, request: &Logout) -> Result<Vec<String>, Fault> {
        let names = self.named(request)?;
        let _tracked = self.under_way.track();
        let mut notes = Vec::new();
        for name in names {
            notes.push(self.log_out(&name, request.forget).await?);
        }
        Ok(notes)
    }

    fn named(&self, request: &Logout) -> Result<Vec<AccountName>, Fault> {
        if request.all {
            return Ok(self.accounts.list().0.into_iter().map(|stored| stored.name).collect());
        }
        if request.accounts.is_empty() {
            return Err(
                Fault::new(FaultKind::Usage, "no account is named").hint("`cloud-token logout ACCOUNT`, or `--all`")
            );
        }
        request
            .accounts
            .iter()
            .map(|name| {
                let name = AccountName::parse(name)?;
                // Even with a broken accounts file, what is held must be forgettable.
                match self.accounts.find(&name) {
                    Ok(stored) => Ok(stored.name),
                    Err(fault) if fault.kind == FaultKind::Config => Ok(name),
                    Err(fault) => Err(fault),
                }
            })
            .collect()
    }

    async fn log_out(&self, name: &AccountName, forget: bool) -> Result<String, Fault> {
        let key = name.key();
        // Whoever asks or logs in from now on takes turns with this logout: they would find in the vault what is about to be
        // erased, send it while a renewal does, and save what came of it after.
        let successor = Entry::new(name.clone());
        let _first = successor.turn.lock().await;
        let entry =
            self.entries().insert(key.as_str().into(), successor.clone()).unwrap_or_else(|| Entry::new(name.clone()));
        let credential = entry.state().cached.clone();
        // A renewal under way must not bring back what is forgotten here.
        entry.retire();
        let turn = tokio::time::timeout(PATIENCE, self.turn(&entry)).await;
        let vault = self.vault_of(&entry);
        let account = self.accounts.find(name).and_then(|stored| self.resolve(&stored));
        let told = match self.what_to_revoke(&entry, account).await {
            Ok(None) => None,
            Err(fault) => Some(Err(fault)),
            Ok(Some((hold, account))) => {
                let credential = credential.as_ref().map(|cached| cached.credential());
                let told = self.provider.revoke(&account, &hold.held, credential.as_ref());
                let revoked = tokio::time::timeout(PATIENCE, told).await;
                Some(revoked.unwrap_or_else(|_| Err(Fault::new(FaultKind::Unreachable, "it did not answer"))))
            }
        };
        vault.erase(&key).await?;
        drop(turn);
        if forget {
            self.entries().remove(&*key);
            self.accounts.remove(name)?;
        }
        crate::hardening::wipe_stack();
        tracing::info!(account = %name, "logged out");
        Ok(match told {
            None => format!("`{name}` was not logged in"),
            Some(Ok(Revocation::Revoked)) => format!("`{name}` is logged out: revoked at the cloud and forgotten here"),
            Some(Ok(Revocation::AlreadyDead)) => {
                format!("`{name}` is logged out: the cloud had ended it already; forgotten here")
            }
            Some(Ok(Revocation::NothingLeft)) => {
                format!("`{name}` is logged out: forgotten here; there was no token left to be revoked")
            }
            Some(Ok(Revocation::NotOffered)) => {
                format!(
                    "`{name}` is logged out: forgotten here; the cloud offers no way to revoke, so what it issued ends by itself"
                )
            }
            Some(Err(fault)) => {
                format!("`{name}` is logged out: forgotten here, but the cloud could not be told: {fault}")
            }
        })
    }

    /// What the cloud could be told to forget; `None` if nothing is held.
    async fn what_to_revoke(
        &self,
        entry: &Entry,
        account: Result<Account, Fault>,
    ) -> Result<Option<(Hold, Account)>, Fault> {
        let Some(record) = self.vault_of(entry).load(&entry.name.key()).await? else { return Ok(None) };
        let account = account?;
        Ok(Some((Hold::from(record).unbound(entry, &account, &*self.clock)?, account)))
    }
}
