//! Time that a test moves.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Clock, Timestamp, Wait};

/// A clock that stands still until it is moved, for tests of this crate and of the whole program.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    uptime: AtomicU64,
    slept: AtomicU64,
    /// Rung at every move.
    moved: Notify,
    /// Rung when the wall clock is set or the machine wakes up.
    jumped: Notify,
}

impl ManualClock {
    /// Stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let (moved, jumped) = (Notify::new(), Notify::new());
        Self { wall: now.millis().into(), uptime: 1_000_000.into(), slept: 0.into(), moved, jumped }
    }

    /// Time passes; both clocks move.
    pub fn advance(&self, by: Duration) {
        let millis = millis(by);
        self.wall.fetch_add(i64::try_from(millis).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.uptime.fetch_add(millis, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// The machine sleeps, and wakes up again.
    pub fn suspend(&self, by: Duration) {
        self.slept.fetch_add(millis(by), Ordering::SeqCst);
        self.advance(by);
        self.jumped.notify_waiters();
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set(&self, now: Timestamp) {
        self.wall.store(now.millis(), Ordering::SeqCst);
        self.jumped.notify_waiters();
    }
}

fn millis(interval: Duration) -> u64 {
    u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.uptime.load(Ordering::SeqCst))
    }

    fn slept(&self) -> Duration {
        Duration::from_millis(self.slept.load(Ordering::SeqCst))
    }

    /// Whoever waits finds that the time has passed.
    fn sleep(&self, interval: Duration) -> Wait<'_> {
        self.advance(interval);
        Box::pin(std::future::ready(()))
    }

    /// Waits until a test has moved the clock that far.
    fn alarm(&self, up: Duration) -> Wait<'_> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if self.uptime() >= up {
                    return;
                }
                moved.await;
            }
        })
    }

    fn jump(&self) -> Wait<'_> {
        Box::pin(self.jumped.notified())
    }
}
