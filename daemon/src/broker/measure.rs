//! What is counted, and what is told of it.

use std::time::Duration;

use super::Broker;
use super::describe::Surroundings;
use super::entry::{Entry, Outcome};
use crate::clock::Timestamp;
use crate::metrics::{AccountCounts, AgentCounts, Metrics};

/// When something that is timed began, and whether it came out of the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lap {
    since: Duration,
    cached: bool,
}

impl Broker {
    /// Where counts go.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The beginning of an answer that the cache may have; `None` if it is not timed.
    pub(crate) fn lap(&self) -> Option<Lap> {
        self.metrics.is_timed().then(|| Lap { since: self.clock.uptime(), cached: true })
    }

    /// The beginning of one that the cache does not have: what is waited for is always timed, and from `lap` on if that was.
    pub(crate) fn waits(&self, lap: Option<Lap>) -> Lap {
        Lap { since: lap.map_or_else(|| self.clock.uptime(), |lap| lap.since), cached: false }
    }

    /// The answer is out.
    pub(crate) fn finish(&self, lap: Option<Lap>) {
        if let Some(lap) = lap {
            self.metrics.answered(lap.cached, self.clock.uptime().saturating_sub(lap.since));
        }
    }

    /// A renewal that began at the uptime `since` has ended.
    pub(super) fn count_renewal(&self, entry: &Entry, outcome: &Outcome, since: Duration) {
        self.metrics.renewal(outcome.as_ref().err(), self.clock.uptime().saturating_sub(since));
        let (renewed, failed) = &mut entry.state().renewals;
        let count = if outcome.is_ok() { renewed } else { failed };
        *count = count.saturating_add(1);
    }

    /// All counts, as OpenMetrics text. A locked agent tells of no account.
    pub(crate) fn counts(&self, surroundings: &Surroundings) -> String {
        let locked = self.refuse_locked().is_err();
        let accounts = if locked { Vec::new() } else { self.count_accounts() };
        let unsaved = self.entries().values().filter(|entry| entry.state().unsaved.is_some()).count();
        let agent = AgentCounts { started_at: surroundings.started_at.seconds(), locked, unsaved };
        self.metrics.text(&agent, &accounts)
    }

    fn count_accounts(&self) -> Vec<AccountCounts> {
        let stored = self.accounts.list().0.into_iter();
        stored
            .map(|account| {
                let entry = self.held(account.name.as_str());
                let mut counts = AccountCounts::of(account.name.as_str());
                if let Some(entry) = entry {
                    let state = entry.state();
                    let living = state.living(&*self.clock);
                    counts.valid = living.is_some();
                    counts.expires_at = living.and_then(|cached| cached.expires_at()).map(Timestamp::seconds);
                    counts.handed_out = state.handed_out;
                    (counts.renewed, counts.failed) = (state.renewals.0.into(), state.renewals.1.into());
                }
                counts
            })
            .collect()
    }
}
