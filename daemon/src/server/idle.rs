//! An agent that nobody calls any more ends, if the user wants that, and never at the cost of what only it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Shared;
use crate::broker::{Broker, Spare};
use crate::tracker::Tracker;

/// When somebody called last. One timer is armed for the moment at which that is long enough ago.
pub(super) struct Idle {
    patience: Duration,
    /// The uptime of the last call, in milliseconds.
    last: AtomicU64,
    stirred: Notify,
}

impl Idle {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, last: AtomicU64::new(0), stirred: Notify::new() }
    }

    /// Somebody calls. Every connection of such an agent passes here: two stores, and the clock that costs no system call.
    pub(super) fn stir(&self, broker: &Broker) {
        self.last.store(millis(broker.uptime()), Ordering::Relaxed);
        self.stirred.notify_waiters();
    }

    /// The uptime at which nobody has called for long enough.
    fn due(&self) -> Duration {
        Duration::from_millis(self.last.load(Ordering::Relaxed)) + self.patience
    }
}

/// Ends the agent when nobody has called for as long as the user wants, and nothing would be lost.
pub(super) async fn watch(shared: Arc<Shared>, sessions: Tracker) {
    let (Some(idle), broker) = (&shared.idle, &shared.broker) else { return };
    idle.stir(broker);
    loop {
        broker.alarm(idle.due()).await;
        if broker.uptime() < idle.due() {
            continue;
        }
        // Before the look: whoever calls from here on is heard below.
        let mut stirred = std::pin::pin!(idle.stirred.notified());
        stirred.as_mut().enable();
        if !sessions.is_idle() {
            // A human may be reading a question. The time counts from when they are done.
            sessions.idle().await;
            idle.stir(broker);
            continue;
        }
        match broker.spare().await {
            Spare::Yes => break,
            Spare::Later => idle.stir(broker),
            // Only a caller changes that, so nothing is armed until one comes.
            Spare::No(why) => {
                tracing::debug!("nobody calls, and the agent stays: {why}");
                stirred.await;
            }
        }
    }
    tracing::info!("nobody has called for {}: the agent ends", crate::words::duration(idle.patience));
    shared.shutdown.request();
}

fn millis(up: Duration) -> u64 {
    u64::try_from(up.as_millis()).unwrap_or(u64::MAX)
}
