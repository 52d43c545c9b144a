//! Counts what is under way, so that a shutdown can wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A counter that can be waited on until it is zero. Every connection passes through it, so it costs an addition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracker(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    under_way: AtomicUsize,
    none: Notify,
}

/// One thing under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Tracked(Arc<Count>);

impl Tracker {
    /// Counts one more.
    #[must_use]
    pub(crate) fn track(&self) -> Tracked {
        self.0.under_way.fetch_add(1, Ordering::AcqRel);
        Tracked(self.0.clone())
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.under_way.load(Ordering::Acquire) == 0
    }

    /// Ends when nothing is under way.
    pub(crate) async fn idle(&self) {
        loop {
            // Listening begins before the look, so that the last one cannot end unheard in between.
            let mut none = std::pin::pin!(self.0.none.notified());
            none.as_mut().enable();
            if self.is_idle() {
                return;
            }
            none.await;
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_idle_when_the_last_one_has_ended_and_not_before() {
        let tracker = Tracker::default();
        tracker.idle().await;
        let (first, second) = (tracker.track(), tracker.track());
        let waiting = tokio::spawn({
            let tracker = tracker.clone();
            async move { tracker.idle().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
