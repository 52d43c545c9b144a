//! The machine's clocks.

use std::time::Duration;

use super::{Clock, Timestamp, Wait};

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_millis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    fn uptime(&self) -> Duration {
        os::uptime()
    }

    fn slept(&self) -> Duration {
        os::slept()
    }

    fn alarm(&self, up: Duration) -> Wait<'_> {
        Box::pin(os::alarm(up))
    }

    fn jump(&self) -> Wait<'_> {
        os::jump()
    }
}

/// Linux has a clock that counts sleep, timers by it, and a timer that ends when the wall clock is set: none of them
/// costs a wake-up before its time.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod os {
    use std::io;
    use std::time::Duration;

    use rustix::time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
        timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    use super::Wait;

    /// The year 4251: later than any clock is set, and a number that every kernel takes.
    const NEVER: Duration = Duration::from_hours(20_000_000);

    /// Two clocks are not read in one moment; less than this between them is no sleep.
    const READING: Duration = Duration::from_millis(10);

    pub(super) fn uptime() -> Duration {
        read(ClockId::Boottime)
    }

    pub(super) fn slept() -> Duration {
        let awake = read(ClockId::Monotonic);
        let slept = uptime().saturating_sub(awake);
        if slept < READING { Duration::ZERO } else { slept }
    }

    /// Without a timer of the kernel's (no file descriptor is left) it may be late by as long as the machine sleeps.
    pub(super) async fn alarm(up: Duration) {
        let armed = arm(TimerfdClockId::Boottime, TimerfdTimerFlags::ABSTIME, up);
        match armed {
            Ok(timer) => over(&timer).await,
            Err(_) => tokio::time::sleep(up.saturating_sub(uptime())).await,
        }
    }

    /// Armed before it is waited for: what happens in between is not missed.
    pub(super) fn jump() -> Wait<'static> {
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let armed = arm(TimerfdClockId::Realtime, flags, NEVER);
        Box::pin(async move {
            match armed {
                Ok(timer) => over(&timer).await,
                Err(_) => std::future::pending().await,
            }
        })
    }

    /// Waits until a timer has ended, be it because the clock was set.
    async fn over(timer: &Receiver) {
        let mut count = [0; 8];
        while timer.readable().await.is_ok() {
            match timer.try_read(&mut count) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }

    /// A timer, as tokio takes it: it has no type of its own for one, and the one for a pipe's reading end does what is
    /// needed with any descriptor that becomes readable.
    fn arm(clock: TimerfdClockId, flags: TimerfdTimerFlags, at: Duration) -> io::Result<Receiver> {
        let timer = timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // All zero would disarm it.
        let at = at.max(Duration::from_nanos(1));
        let value =
            Timespec { tv_sec: i64::try_from(at.as_secs()).unwrap_or(i64::MAX), tv_nsec: at.subsec_nanos().into() };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&timer, flags, &Itimerspec { it_interval: zero, it_value: value })?;
        Receiver::from_owned_fd_unchecked(timer)
    }

    fn read(clock: ClockId) -> Duration {
        let now = clock_gettime(clock);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[tokio::test]
        async fn an_alarm_goes_off_when_its_time_has_come_and_not_before() {
            let at = uptime() + Duration::from_millis(30);
            alarm(at).await;
            assert!(uptime() >= at);
            alarm(Duration::ZERO).await;
        }

        #[tokio::test]
        async fn a_clock_that_nobody_sets_does_not_jump() {
            let jumped = jump();
            let passed = async { alarm(uptime() + Duration::from_millis(50)).await };
            tokio::select! {
                () = jumped => panic!("nobody set the clock"),
                () = passed => {}
            }
        }
    }
}

/// Elsewhere, what the standard library has.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod os {
    use std::time::Duration;

    use super::Wait;

    #[cfg(target_os = "macos")]
    use crate::hardening::macos::{awake, continuous};

    /// How often a wait looks at the clock. A timer may not count sleep, and a machine that wakes up must not find out a
    /// whole wait later. Only while something is due: an idle agent waits for nothing.
    const LOOK: Duration = Duration::from_secs(30);

    /// Two clocks are not read in one moment; less than this between them is no sleep.
    #[cfg(target_os = "macos")]
    const READING: Duration = Duration::from_millis(10);

    /// Counts sleep, which `Instant` does not there.
    #[cfg(target_os = "macos")]
    pub(super) fn uptime() -> Duration {
        continuous()
    }

    /// Counts sleep on Windows.
    #[cfg(not(target_os = "macos"))]
    pub(super) fn uptime() -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }

    #[cfg(target_os = "macos")]
    pub(super) fn slept() -> Duration {
        let awake = awake();
        let slept = continuous().saturating_sub(awake);
        if slept < READING { Duration::ZERO } else { slept }
    }

    /// Not told.
    #[cfg(not(target_os = "macos"))]
    pub(super) fn slept() -> Duration {
        Duration::ZERO
    }

    pub(super) async fn alarm(up: Duration) {
        while let Some(left) = up.checked_sub(uptime()).filter(|left| !left.is_zero()) {
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    pub(super) fn jump() -> Wait<'static> {
        Box::pin(std::future::pending())
    }
}
