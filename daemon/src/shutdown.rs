//! "End now, in good order": asked once by a signal or a client, seen by all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A switch that goes one way.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    asked: AtomicBool,
    told: Notify,
}

impl Shutdown {
    /// Asks everything to end.
    pub fn request(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Ends when it is asked.
    pub async fn requested(&self) {
        // Listening begins before the look, so that it cannot be asked unheard in between.
        let mut told = std::pin::pin!(self.0.told.notified());
        told.as_mut().enable();
        if !self.is_requested() {
            told.await;
        }
    }
}
