//! What is remembered of a failure, so that the next caller is answered in milliseconds and the cloud is left in peace.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use crate::clock::{Clock, Timestamp};

/// A failure answers for at least this long: kubectl runs its plug-in six times for one command, and the cloud is to be asked
/// once for all of them.
const BURST: Duration = Duration::from_secs(2);
/// The first pause after a failure …
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// … which doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A cloud that asks for more patience than this is asked again all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(15);

/// A failure, and until when it stands for an answer.
#[derive(Debug, Clone)]
pub(super) struct Memo {
    fault: Fault,
    /// The uptime from which a caller may have the cloud asked again; `None` if only the human can change anything.
    until: Option<Duration>,
    /// The uptime from which it is asked again though nobody waits: jitter alone decides.
    unasked: Option<Duration>,
}

impl Memo {
    /// Remembers `fault`, the `streak`th in a row (from 1). `jitter` is in `0.0..1.0`.
    ///
    /// The pause is drawn from the whole of `0.5 s · 2ⁿ` ("full jitter"), so that a fleet that failed together does not
    /// come back together. Callers are answered from memory for [`BURST`] longer.
    pub(super) fn new(fault: Fault, streak: u32, jitter: f64, clock: &dyn Clock) -> Self {
        if matches!(fault.kind, FaultKind::Refused | FaultKind::NeedsHuman | FaultKind::UnknownCloud) {
            return Self { fault, until: None, unasked: None };
        }
        let (now, up) = (clock.now(), clock.uptime());
        let (pause, unasked) = if let Some(at) = fault.retry_at {
            let told = Timestamp::from_seconds(at).since(now).min(LONGEST_RETRY_AFTER);
            (told.max(BURST), told)
        } else {
            let longest = FIRST_PAUSE.saturating_mul(1 << streak.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
            let drawn = longest.mul_f64(jitter);
            (BURST + drawn, FIRST_PAUSE / 5 + drawn)
        };
        let mut fault = fault;
        // Rounded up: a caller who comes back at that second finds the pause over.
        fault.retry_at = Some(now.after(pause + Duration::from_millis(999)).seconds());
        Self { fault, until: Some(up + pause), unasked: Some(up + unasked) }
    }

    /// What another agent remembered. Without a caller nothing is asked before a caller may.
    #[cfg(target_os = "linux")]
    pub(super) fn inherited(fault: Fault, until: Option<Duration>) -> Self {
        Self { fault, until, unasked: until }
    }

    /// The uptime from which a caller may have the cloud asked again; `None` if only the human can change anything.
    #[cfg(target_os = "linux")]
    pub(super) fn until(&self) -> Option<Duration> {
        self.until
    }

    /// The fault, while it still stands for an answer.
    pub(super) fn standing(&self, clock: &dyn Clock) -> Option<&Fault> {
        match self.until {
            Some(until) if clock.uptime() >= until => None,
            _ => Some(&self.fault),
        }
    }

    /// The uptime from which the cloud may be asked again without a caller; `None` if only the human can change anything.
    pub(super) fn unasked(&self) -> Option<Duration> {
        self.unasked
    }

    /// The fault, whether or not it still stands.
    pub(super) fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// A number in `0.0..1.0`.
pub(super) fn jitter() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn clock() -> ManualClock {
        ManualClock::new(Timestamp::from_seconds(1_000))
    }

    fn unreachable() -> Fault {
        Fault::new(FaultKind::Unreachable, "down")
    }

    #[test]
    fn a_transient_fault_stands_for_a_pause_that_doubles_up_to_a_minute() {
        for (streak, least, most) in [(1, 2000, 2500), (2, 2000, 3000), (5, 2000, 10_000), (30, 2000, 62_000)] {
            for (jitter, pause) in [(0.0, least), (0.999_999, most)] {
                let clock = clock();
                let memo = Memo::new(unreachable(), streak, jitter, &clock);
                clock.advance(Duration::from_millis(pause - 10));
                assert!(memo.standing(&clock).is_some(), "{streak} {jitter}");
                clock.advance(Duration::from_millis(20));
                assert!(memo.standing(&clock).is_none(), "{streak} {jitter}");
            }
        }
    }

    #[test]
    fn a_burst_of_callers_is_answered_from_memory_and_the_schedule_keeps_its_full_jitter() {
        for (fault, jitter, unasked) in
            [(unreachable(), 0.0, 100), (unreachable(), 0.5, 350), (unreachable().retry_at(1_000), 0.5, 0)]
        {
            let clock = clock();
            let memo = Memo::new(fault, 1, jitter, &clock);
            assert_eq!(memo.unasked(), Some(clock.uptime() + Duration::from_millis(unasked)));
            clock.advance(Duration::from_millis(1_999));
            assert!(memo.standing(&clock).is_some());
        }
    }

    #[test]
    fn it_says_when_the_next_try_is() {
        let clock = clock();
        assert_eq!(Memo::new(unreachable(), 1, 0.0, &clock).fault().retry_at, Some(1_002));
    }

    #[test]
    fn a_cloud_that_names_a_time_is_left_alone_until_then_but_not_for_ever() {
        let clock = clock();
        let memo = Memo::new(unreachable().retry_at(1_030), 1, 0.5, &clock);
        clock.advance(Duration::from_millis(29_900));
        assert!(memo.standing(&clock).is_some());
        clock.advance(Duration::from_millis(200));
        assert!(memo.standing(&clock).is_none());
        let patient = Memo::new(unreachable().retry_at(9_999_999), 1, 0.5, &clock);
        clock.advance(LONGEST_RETRY_AFTER);
        assert!(patient.standing(&clock).is_none());
    }

    #[test]
    fn a_refusal_stands_until_the_human_acts() {
        let clock = clock();
        let memo = Memo::new(Fault::new(FaultKind::Refused, "no"), 1, 0.0, &clock);
        clock.advance(Duration::from_secs(1_000_000));
        assert!(memo.standing(&clock).is_some());
    }
}
