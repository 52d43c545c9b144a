//! Whether the agent could end and nobody would miss what it had.

use std::time::Duration;

use super::Broker;
use crate::clock::Wait;
use crate::vault::Vault as _;

/// Whether an agent that nobody calls may end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spare {
    /// Whatever it has is in its vault.
    Yes,
    /// Something is under way, or about to be saved.
    Later,
    /// It has what no other agent could have, until a caller changes that; why.
    No(&'static str),
}

impl Broker {
    /// Whether the agent could end without a loss.
    pub(crate) async fn spare(&self) -> Spare {
        if self.lock.is_shut() {
            // The next agent would be open.
            return Spare::No("it is locked");
        }
        if !self.under_way.is_idle() || self.every_entry().iter().any(|entry| entry.state().unsaved.is_some()) {
            return Spare::Later;
        }
        let held = |accounts: Result<Vec<String>, _>| accounts.is_ok_and(|accounts| !accounts.is_empty());
        let only_here = !self.vault.outlives_agent() && held(self.vault.accounts().await);
        if only_here || held(self.scratch.accounts().await) {
            return Spare::No("something is held in its memory only");
        }
        Spare::Yes
    }

    /// See [`crate::clock::Clock::uptime`].
    pub(crate) fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// See [`crate::clock::Clock::alarm`].
    pub(crate) fn alarm(&self, up: Duration) -> Wait<'_> {
        self.clock.alarm(up)
    }
}
