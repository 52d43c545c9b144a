//! The only file that asks what time it is.
//!
//! Two clocks, because each lies in its own way: the wall clock can be set, and every interval clock but the boot clock
//! stops while the machine sleeps (`std::time::Instant` among them).

use std::pin::Pin;
use std::time::Duration;

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

    /// Waits.
    fn sleep(&self, interval: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(interval))
    }
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only place")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn uptime(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn uptime(&self) -> Duration {
        // macOS counts sleep in CLOCK_MONOTONIC_RAW's sibling that `Instant` uses there; Windows counts it too.
        static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// A clock that stands still until it is moved, for tests of this crate and of the whole program.
#[derive(Debug)]
pub struct ManualClock {
    wall: std::sync::atomic::AtomicI64,
    uptime: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// Stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { wall: now.0.into(), uptime: 1_000_000.into() }
    }

    /// Time passes, asleep or awake: both clocks move.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.wall.fetch_add(i64::try_from(millis).unwrap_or(i64::MAX), std::sync::atomic::Ordering::SeqCst);
        self.uptime.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set(&self, now: Timestamp) {
        self.wall.store(now.0, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.uptime.load(std::sync::atomic::Ordering::SeqCst))
    }

    /// Whoever waits finds that the time has passed.
    fn sleep(&self, interval: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.advance(interval);
        Box::pin(std::future::ready(()))
    }
}
