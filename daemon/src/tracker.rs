//! Counts what is under way, so that a shutdown can wait for it.

use std::sync::Arc;

use tokio::sync::watch;

/// A counter that can be waited on until it is zero.
#[derive(Debug, Clone)]
pub(crate) struct Tracker(Arc<watch::Sender<usize>>);

/// One thing under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Tracked(Arc<watch::Sender<usize>>);

impl Default for Tracker {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Tracker {
    /// Counts one more.
    #[must_use]
    pub(crate) fn track(&self) -> Tracked {
        self.0.send_modify(|count| *count += 1);
        Tracked(self.0.clone())
    }

    /// Ends when nothing is under way.
    pub(crate) async fn idle(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
