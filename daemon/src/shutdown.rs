//! "End now, in good order": asked once by a signal or a client, seen by all.

use std::sync::Arc;

use tokio::sync::watch;

/// A switch that goes one way.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Asks everything to end.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when it is asked.
    pub async fn requested(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}
