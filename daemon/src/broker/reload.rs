//! What a change of the configuration means for what is cached.

use std::sync::Arc;

use super::Broker;
use super::entry::Entry;
use crate::accounts::Stored;

impl Broker {
    /// Reads accounts and clouds again if somebody has edited them. A file that cannot be used changes nothing. What is under way
    /// goes on as it began. A cached token stays, unless its account is another one by now.
    pub fn read_configuration_again(&self) {
        let before = self.clouds.broken();
        let (clouds, accounts) = (self.clouds.refresh(), self.accounts.refresh());
        for fault in self.clouds.broken().iter().filter(|fault| !before.contains(fault)) {
            tracing::warn!("{fault}; what was in use of it stays as it was");
        }
        if !clouds.is_empty() {
            tracing::info!(edited = clouds.len(), "the clouds were read again");
        }
        if self.accounts.was_limited() {
            self.limit_again();
        }
        if clouds.is_empty() && accounts.is_empty() {
            return;
        }
        let of_an_edited_cloud = |stored: &Stored| clouds.contains(&stored.cloud.to_ascii_lowercase());
        for entry in self.every_entry() {
            let edited = accounts.contains(&entry.name.key());
            if edited || self.accounts.find(&entry.name).is_ok_and(|stored| of_an_edited_cloud(&stored)) {
                doubt(&entry);
            }
        }
    }

    /// Ends when this agent has written its configuration itself.
    pub(crate) async fn configured(&self) {
        self.configured.notified().await;
    }
}

/// Forgets a token that may be another account's by now, and failures that may have been the old configuration's.
fn doubt(entry: &Arc<Entry>) {
    let mut state = entry.state();
    state.cached = None;
    state.memo = None;
    let Some(mut flight) = state.flight.clone() else { return };
    drop(state);
    let entry = entry.clone();
    // Whoever waits for it gets what it brings; nobody else does.
    tokio::spawn(async move {
        let landed =
            flight.wait_for(Option::is_some).await.is_ok_and(|outcome| outcome.as_ref().is_some_and(Result::is_ok));
        if landed {
            entry.state().cached = None;
        }
    });
}
