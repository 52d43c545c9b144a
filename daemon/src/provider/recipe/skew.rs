//! How wrong our clock is, by the clocks of the clouds that tell theirs.
//!
//! An end that a cloud names is a moment on its clock. If ours is an hour fast, every token looks as if it had ended when it
//! was issued, and is renewed for ever; if it is slow, what has ended is handed out. Each reply's `Date` says which.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// Clocks this close are the same: `Date` has whole seconds, and a reply has been under way.
pub(super) const NO_SKEW: Duration = Duration::from_secs(2);

/// How far a cloud's clock is ahead of ours, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Skew(i64);

impl Skew {
    /// Of a clock that shows `theirs` when ours shows `ours`.
    pub(super) fn between(ours: Timestamp, theirs: Timestamp) -> Self {
        Self(theirs.millis().saturating_sub(ours.millis()))
    }

    /// By a reply whose `date` was written between `sent_at` and `received_at`.
    fn by_date(date: Timestamp, sent_at: Timestamp, received_at: Timestamp) -> Self {
        // In the middle of its second, and of the time that the exchange took.
        let middle = date.after(Duration::from_millis(500));
        let guess = Self::between(sent_at.after(received_at.since(sent_at) / 2), middle);
        let doubt = NO_SKEW + received_at.since(sent_at) / 2;
        if u128::from(guess.0.unsigned_abs()) <= doubt.as_millis() {
            return Self::default();
        }
        // The most that it can be: what ends by the cloud's clock then ends too early by ours, and never too late.
        Self::between(sent_at, date.after(Duration::from_millis(999)))
    }

    /// A moment on the cloud's clock, on ours.
    pub(super) fn local(self, theirs: Timestamp) -> Timestamp {
        Timestamp::from_millis(theirs.millis().saturating_sub(self.0))
    }

    /// A moment on our clock, on the cloud's.
    pub(super) fn theirs(self, local: Timestamp) -> Timestamp {
        Timestamp::from_millis(local.millis().saturating_add(self.0))
    }
}

/// What was learnt, by origin; only of those whose clock is not ours.
#[derive(Debug, Default)]
pub(super) struct Skews(Mutex<BTreeMap<String, Skew>>);

impl Skews {
    /// Learns from a reply.
    pub(super) fn learn(&self, origin: &str, date: Timestamp, sent_at: Timestamp, received_at: Timestamp) -> Skew {
        let skew = Skew::by_date(date, sent_at, received_at);
        let mut skews = self.skews();
        let before = if skew == Skew::default() { skews.remove(origin) } else { skews.insert(origin.to_owned(), skew) };
        drop(skews);
        if before.is_none() && skew != Skew::default() {
            tracing::warn!("{}", words(origin, skew));
        }
        skew
    }

    /// What was learnt of an origin last.
    pub(super) fn of(&self, origin: &str) -> Skew {
        self.skews().get(origin).copied().unwrap_or_default()
    }

    /// What the human should know of an origin.
    pub(super) fn remark(&self, origin: &str) -> Option<String> {
        self.skews().get(origin).map(|skew| words(origin, *skew))
    }

    fn skews(&self) -> MutexGuard<'_, BTreeMap<String, Skew>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(origin: &str, skew: Skew) -> String {
    let by = crate::words::duration(Duration::from_millis(skew.0.unsigned_abs()));
    let way = if skew.0 < 0 { "ahead of" } else { "behind" };
    format!("the clock of this machine is {by} {way} that of `{origin}`; ends of its tokens are corrected by that")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn date(ours_is_behind: i64, took: u64) -> Skew {
        let date = Timestamp::from_seconds(NOON.seconds() + ours_is_behind);
        Skew::by_date(date, NOON, NOON.after(Duration::from_secs(took)))
    }

    #[test]
    fn a_second_here_or_there_is_no_skew_nor_is_a_slow_reply() {
        for (behind, took) in [(0, 0), (1, 0), (-2, 0), (0, 20), (19, 20)] {
            assert_eq!(date(behind, took), Skew::default(), "{behind} {took}");
        }
    }

    #[test]
    fn an_hour_is_and_takes_moments_from_clock_to_clock() {
        let slow = date(3600, 0);
        let end = Timestamp::from_seconds(NOON.seconds() + 7200);
        assert_eq!(slow.local(end).seconds(), NOON.seconds() + 3599);
        assert_eq!(slow.theirs(slow.local(end)), end);
        assert!(date(-3600, 0).local(end) > end);
    }

    #[test]
    fn an_end_on_ours_is_never_too_late_however_late_in_its_second_the_date_was_written() {
        for late in [0, 1, 500, 999] {
            // What the cloud's clock shows when ours shows noon.
            let theirs = Timestamp::from_millis(NOON.millis() + 3_600_000 + late);
            let date = Timestamp::from_seconds(theirs.seconds());
            let end = theirs.after(Duration::from_secs(2));
            let left = Skew::by_date(date, NOON, NOON.after(Duration::from_millis(300))).local(end).since(NOON);
            assert!(left <= Duration::from_secs(2) && left > Duration::from_secs(1), "{late}: {left:?}");
        }
    }

    #[test]
    fn the_human_is_told_until_the_clock_is_right_again() {
        let skews = Skews::default();
        skews.learn("https://a.example", Timestamp::from_seconds(NOON.seconds() + 7200), NOON, NOON);
        let remark = skews.remark("https://a.example").unwrap();
        assert!(
            remark.starts_with("the clock of this machine is 2 h 0 min behind that of `https://a.example`"),
            "{remark}"
        );
        skews.learn("https://a.example", NOON, NOON, NOON);
        assert_eq!(skews.remark("https://a.example"), None);
    }
}
