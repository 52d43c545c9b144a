//! Logging out: the cloud is told where it can be, the local side forgets in any case.

use std::time::Duration;

use cloud_agent_protocol::v1::Logout;
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::{Broker, place};
use crate::provider::Revocation;

/// How long a cloud is given to revoke, and a renewal under way to end, before the local side forgets without them.
const PATIENCE: Duration = Duration::from_secs(10);

impl Broker {
    /// Logs accounts out; a line of words for each.
    ///
    /// # Errors
    /// `UnknownAccount` (nothing is done then), `Usage` if none is named, `Config` if the settings cannot be forgotten.
    pub async fn logout(&self, request: &Logout) -> Result<Vec<String>, Fault> {
        let names = self.named(request)?;
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
        let entry = self.entries().remove(&key);
        let credential = entry.as_ref().and_then(|entry| entry.state().cached.clone());
        if let Some(entry) = &entry {
            // A renewal under way must not bring back what is forgotten here.
            entry.retire();
            let _ = tokio::time::timeout(PATIENCE, entry.turn.lock()).await;
        }
        let held = self.vault.load(&key).await.unwrap_or_default();
        let account = self.accounts.find(name).and_then(|stored| self.resolve(&stored));
        let told = match held.map(|held| account.and_then(|account| Ok((place::unbind(held, &account)?, account)))) {
            None => None,
            Some(Err(fault)) => Some(Err(fault)),
            Some(Ok((held, account))) => {
                let credential = credential.as_ref().map(|cached| cached.credential());
                let told = self.provider.revoke(&account, &held, credential.as_ref());
                let revoked = tokio::time::timeout(PATIENCE, told).await;
                Some(revoked.unwrap_or_else(|_| Err(Fault::new(FaultKind::Unreachable, "it did not answer"))))
            }
        };
        self.vault.erase(&key).await?;
        if forget {
            self.accounts.remove(name)?;
        }
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
}
