//! When a human was told what, so that nobody is told twice. It knows names and moments, and neither accounts nor clouds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Nobody is told the same again for this long, unless it was mended meanwhile …
const FIRST_PAUSE: Duration = Duration::from_mins(5);
/// … which doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The name under which everybody is told that all is locked. No account has it.
pub(super) const ALL: &str = "";

/// What was told, by the account's key or [`ALL`]. Nothing is in it of an account that needs nobody.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<HashMap<String, Told>>);

#[derive(Debug, Default)]
struct Told {
    /// How often since it was mended.
    times: u32,
    /// The uptime before which nobody is told again.
    quiet_until: Duration,
    /// A notice is on its way.
    armed: bool,
    /// So many humans are at it.
    attended: u32,
}

/// A human is at it, until this is dropped.
pub(super) struct Attended<'a> {
    notices: &'a Notices,
    key: String,
}

impl Notices {
    /// Whether a notice may be sent on its way at the uptime `now`; if so, it is until [`Self::land`].
    pub(super) fn arm(&self, key: &str, now: Duration) -> bool {
        let mut all = self.all();
        let told = all.entry(key.to_owned()).or_default();
        let may = !told.armed && told.attended == 0 && now >= told.quiet_until;
        told.armed |= may;
        may
    }

    /// The notice on its way has come to its end at the uptime `now`. Whether the human is to be told: if it is still `needed`,
    /// and nobody is at it.
    pub(super) fn land(&self, key: &str, needed: bool, now: Duration) -> bool {
        let mut all = self.all();
        let Some(told) = all.get_mut(key) else { return false };
        let tells = needed && told.armed && told.attended == 0;
        told.armed = false;
        if tells {
            let pause = FIRST_PAUSE.saturating_mul(1 << told.times.min(16)).min(LONGEST_PAUSE);
            told.times = told.times.saturating_add(1);
            told.quiet_until = now + pause;
        }
        tells
    }

    /// It is mended: whatever comes is news.
    pub(super) fn forget(&self, key: &str) {
        let mut all = self.all();
        if let Some(told) = all.get_mut(key) {
            // A notice on its way has somebody who lands it.
            *told = Told { armed: told.armed, attended: told.attended, ..Told::default() };
            if !told.armed && told.attended == 0 {
                all.remove(key);
            }
        }
    }

    /// A human is at it: they need no notice.
    pub(super) fn attend(&self, key: &str) -> Attended<'_> {
        self.all().entry(key.to_owned()).or_default().attended += 1;
        Attended { notices: self, key: key.to_owned() }
    }

    /// What was told, for another agent: by key, how often and the uptime before which nobody is told again.
    #[cfg(target_os = "linux")]
    pub(super) fn parts(&self) -> Vec<(String, String)> {
        let all = self.all();
        let told = all.iter().filter(|(_, told)| told.times > 0);
        told.map(|(key, told)| (key.clone(), format!("{} {}", told.times, told.quiet_until.as_millis()))).collect()
    }

    /// What another agent has told; what cannot be read is left out.
    #[cfg(target_os = "linux")]
    pub(super) fn inherit<'a>(&self, parts: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut all = self.all();
        for (key, value) in parts {
            let Some((times, until)) = value.split_once(' ') else { continue };
            let (Ok(times), Ok(until)) = (times.parse(), until.parse()) else { continue };
            all.insert(key.to_owned(), Told { times, quiet_until: Duration::from_millis(until), ..Told::default() });
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Told>> {
        // Every change leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        let mut all = self.notices.all();
        if let Some(told) = all.get_mut(&self.key) {
            told.attended -= 1;
            if told.attended == 0 && !told.armed && told.times == 0 {
                all.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(notices: &Notices, now: Duration) -> bool {
        notices.arm("work", now) && notices.land("work", true, now)
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_begin_anew_once_it_is_mended() {
        let notices = Notices::default();
        let mut now = Duration::from_secs(1_000);
        for minutes in [5, 10, 20, 40, 60, 60] {
            assert!(told(&notices, now), "{minutes}");
            now += Duration::from_mins(minutes);
            assert!(!told(&notices, now.saturating_sub(Duration::from_millis(1))), "{minutes}");
        }
        notices.forget("work");
        assert!(told(&notices, now));
        assert!(!told(&notices, now + Duration::from_mins(4)) && told(&notices, now + Duration::from_mins(5)));
    }

    #[test]
    fn one_is_on_its_way_and_no_second_one_and_none_while_somebody_is_at_it() {
        let (notices, now) = (Notices::default(), Duration::ZERO);
        assert!(notices.arm("work", now) && !notices.arm("work", now) && notices.arm("home", now));
        let at_it = notices.attend("work");
        assert!(!notices.land("work", true, now), "they know");
        assert!(!notices.arm("work", now));
        drop(at_it);
        assert!(told(&notices, now), "they gave up, and nobody was told");
        assert!(!notices.land("home", false, now), "it was mended on the way");
        assert!(notices.arm("home", now));
    }

    #[test]
    fn nothing_is_kept_of_what_was_mended() {
        let (notices, now) = (Notices::default(), Duration::ZERO);
        assert!(told(&notices, now));
        let at_it = notices.attend("work");
        notices.forget("work");
        drop(at_it);
        assert!(notices.all().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_agent_keeps_the_pauses() {
        let (notices, now) = (Notices::default(), Duration::from_secs(1_000));
        assert!(told(&notices, now));
        let heir = Notices::default();
        let parts = notices.parts();
        heir.inherit(parts.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        assert!(!told(&heir, now + Duration::from_mins(4)) && told(&heir, now + Duration::from_mins(5)));
        assert!(!told(&heir, now + Duration::from_mins(14)), "the second pause");
    }
}
