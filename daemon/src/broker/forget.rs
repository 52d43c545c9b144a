//! Forgetting what is cached, at once and for all accounts.

use super::Broker;
use crate::hardening;

impl Broker {
    /// Forgets every cached credential. What is held is kept, so that the next caller gets a new one; what a renewal under
    /// way brings is new, and stays. In words, what was done.
    pub fn drop_cached(&self) -> String {
        let mut count = 0_usize;
        for entry in self.entries().values() {
            count += usize::from(entry.state().cached.take().is_some());
        }
        hardening::wipe_stack();
        tracing::info!(count, "cached tokens were forgotten");
        match count {
            0 => "no token was cached".into(),
            1 => "the cached token of one account is forgotten".into(),
            many => format!("the cached tokens of {many} accounts are forgotten"),
        }
    }
}
