//! An agent that another one is about to replace begins nothing more.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Broker;

impl Broker {
    /// Nothing is begun without a caller from now on, or it is again.
    #[cfg(target_os = "linux")]
    pub(crate) fn hold_still(&self, still: bool) {
        self.still.store(still, Ordering::Release);
        self.look_again();
    }

    /// Whether it is so.
    pub(super) fn is_still(&self) -> bool {
        self.still.load(Ordering::Acquire)
    }

    /// Ends when nothing is under way.
    #[cfg(target_os = "linux")]
    pub(crate) async fn quiet(&self) {
        self.under_way.idle().await;
    }
    /// Saves what the agent before could not, and looks for what is due: once this one serves.
    pub(crate) fn take_up(self: &Arc<Self>) {
        for entry in self.every_entry() {
            self.save_later(&entry);
        }
        self.look_again();
    }
}
