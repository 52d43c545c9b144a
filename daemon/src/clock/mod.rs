//! The only place that asks what time it is.
//!
//! Two clocks, because each lies in its own way: the wall clock can be set, and every interval clock but the boot clock
//! stops while the machine sleeps (`std::time::Instant` among them).

mod manual;
mod system;

use std::pin::Pin;
use std::time::Duration;

pub use manual::ManualClock;
pub use system::SystemClock;

/// A wait that ends in nothing but time.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A moment on the wall clock: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this, zero if it is the other way round.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment and `interval` more; the end of time if that is beyond it.
    #[must_use]
    pub fn after(self, interval: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// What time it is, as an argument.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time since boot, sleep included. Never goes back.
    fn uptime(&self) -> Duration;

    /// How much of the uptime the machine has slept through; always zero where the system does not tell.
    fn slept(&self) -> Duration;

    /// Waits, in time that stands still while the machine sleeps.
    fn sleep(&self, interval: Duration) -> Wait<'_> {
        Box::pin(tokio::time::sleep(interval))
    }

    /// Waits until the uptime is `up`. Sleep of the machine counts; a machine that wakes up later is late.
    fn alarm(&self, up: Duration) -> Wait<'_>;

    /// Waits until the wall clock is set or the machine wakes up; for ever where the system does not tell. What happens
    /// from this call on is noticed, even if the wait begins later.
    fn jump(&self) -> Wait<'_>;
}

/// A reading of all clocks, by which a later one is held against it.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    wall: Timestamp,
    up: Duration,
    slept: Duration,
}

/// Shorter than this is no jump: a clock that is kept right by small steps, a reading that took its time.
const LEAST_JUMP: Duration = Duration::from_secs(1);

impl Reading {
    /// Reads them.
    #[must_use]
    pub fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), up: clock.uptime(), slept: clock.slept() }
    }

    /// Whether the machine has slept between this reading and a `later` one.
    #[must_use]
    pub fn slept_until(&self, later: &Self) -> bool {
        later.slept.saturating_sub(self.slept) >= LEAST_JUMP
    }

    /// Whether somebody set the wall clock between this reading and a `later` one.
    #[must_use]
    pub fn set_until(&self, later: &Self) -> bool {
        let expected = self.wall.after(later.up.saturating_sub(self.up));
        expected.since(later.wall).max(later.wall.since(expected)) >= LEAST_JUMP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_passes_is_no_jump_and_a_clock_that_is_set_is_one() {
        let clock = ManualClock::new(Timestamp::from_seconds(1_000_000));
        let before = Reading::of(&clock);
        clock.advance(Duration::from_hours(30));
        let later = Reading::of(&clock);
        assert!(!before.set_until(&later) && !before.slept_until(&later));
        for seconds in [1_000_000, 9_000_000] {
            clock.set(Timestamp::from_seconds(seconds));
            assert!(later.set_until(&Reading::of(&clock)), "{seconds}");
        }
    }

    #[test]
    fn sleep_is_told_from_waiting() {
        let clock = ManualClock::new(Timestamp::from_seconds(1_000_000));
        let before = Reading::of(&clock);
        clock.suspend(Duration::from_hours(1));
        let later = Reading::of(&clock);
        assert!(before.slept_until(&later) && !before.set_until(&later));
    }
}
