//! How long tokens live whose end nobody tells: learnt from the first that the API refused.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use cloud_agent_protocol::{ExpirySource, Secret};

use crate::provider::{Grant, Held};

/// The name under which the age lies beside what is held. No cloud file can name it: names begin with a letter.
const LEARNED: &str = "@learned";

/// A token that is refused younger than this was revoked, or never good: that says nothing about how long others live,
/// and to renew that often would lock logins out.
const LEAST: Duration = Duration::from_mins(1);

/// The part of the age at which a token was refused that the next is taken to live.
const SAFE_PART: f64 = 0.8;

/// The age at which a token was refused, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age(NonZeroU32);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::words::duration(Duration::from_secs(self.0.get().into())))
    }
}

impl Age {
    /// What a rejection at `age` teaches: nothing if the cloud itself had told another end.
    pub(super) fn taught_by(age: Duration, source: ExpirySource) -> Option<Self> {
        let untold = matches!(source, ExpirySource::Unknown | ExpirySource::Assumed | ExpirySource::Learned);
        if !untold || age < LEAST {
            return None;
        }
        NonZeroU32::new(u32::try_from(age.as_secs()).unwrap_or(u32::MAX)).map(Self)
    }

    /// The youngest that was refused counts.
    pub(super) fn learn(self, learned: &mut Option<NonZeroU32>) {
        *learned = Some(learned.map_or(self.0, |before| before.min(self.0)));
    }
}

/// Ends a grant whose end nobody tells before the age at which one was refused.
pub(super) fn apply(learned: Option<NonZeroU32>, grant: &mut Grant) {
    let source = grant.credential.expiry_source;
    let Some(learned) = learned.filter(|_| matches!(source, ExpirySource::Unknown | ExpirySource::Assumed)) else {
        return;
    };
    let end = grant.obtained_at.after(Duration::from_secs(learned.get().into()).mul_f64(SAFE_PART));
    if grant.expires_at.is_none_or(|assumed| end < assumed) {
        grant.expires_at = Some(end);
        grant.credential.expires_at = Some(end.seconds());
        grant.credential.expiry_source = ExpirySource::Learned;
    }
}

/// Puts what was learnt beside what is held.
pub(super) fn write(learned: Option<NonZeroU32>, held: &mut Held) {
    if let Some(learned) = learned {
        held.0.insert(LEARNED.to_owned(), Secret::new(learned.to_string()));
    }
}

/// Takes it out again.
pub(super) fn read(held: &mut Held) -> Option<NonZeroU32> {
    held.0.remove(LEARNED)?.expose().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_whose_end_nobody_told_teaches_and_only_if_it_lived_for_a_while() {
        let hour = Duration::from_hours(1);
        for source in [ExpirySource::Unknown, ExpirySource::Assumed, ExpirySource::Learned] {
            assert!(Age::taught_by(hour, source).is_some());
            assert!(Age::taught_by(Duration::from_secs(59), source).is_none());
        }
        for source in [ExpirySource::Jwt, ExpirySource::Epoch, ExpirySource::Relative] {
            assert!(Age::taught_by(hour, source).is_none());
        }
    }

    #[test]
    fn the_youngest_that_was_refused_counts() {
        let mut learned = None;
        for minutes in [60, 30, 45] {
            Age::taught_by(Duration::from_mins(minutes), ExpirySource::Assumed).unwrap().learn(&mut learned);
        }
        assert_eq!(learned, NonZeroU32::new(1800));
    }

    #[test]
    fn what_was_learnt_lies_beside_what_is_held() {
        let mut held = Held::default();
        write(NonZeroU32::new(7200), &mut held);
        assert_eq!((read(&mut held), held), (NonZeroU32::new(7200), Held::default()));
    }
}
