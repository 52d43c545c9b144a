//! How often one program may have an account's credential.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::rules::Limit;

/// So many programs are counted; beyond that the windows that are over are forgotten, and if that is not enough, a further
/// program waits: whoever starts a thousand programs must not get around a limit by that.
const COUNTED: usize = 1024;

/// What was handed out in the window of each limit and program.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<Key, Window>>);

/// The limit's line, the account's key, the program.
type Key = (usize, String, String);

#[derive(Debug, Clone, Copy)]
struct Window {
    /// The uptime at which it is over.
    until: Duration,
    count: u32,
}

impl Counts {
    /// Counts one more hand-out of `account` to `program`. If that is one too many: how long until the next.
    pub(super) fn count(&self, limit: &Limit, account: &str, program: &str, up: Duration) -> Result<(), Duration> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (limit.line, account.to_ascii_lowercase(), program.to_owned());
        if counts.len() >= COUNTED {
            counts.retain(|_, window| up < window.until);
            if counts.len() >= COUNTED && !counts.contains_key(&key) {
                return Err(limit.within);
            }
        }
        let anew = Window { until: up.saturating_add(limit.within), count: 0 };
        let window = counts.entry(key).or_insert(anew);
        if up >= window.until {
            *window = anew;
        } else if window.count >= limit.hand_outs {
            return Err(window.until.saturating_sub(up));
        }
        window.count += 1;
        Ok(())
    }

    /// All windows, for another agent: line, end by the uptime in milliseconds, count and account; and the program.
    #[cfg(target_os = "linux")]
    pub(super) fn counted(&self) -> Vec<(String, String)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |((line, account, program), window): (&Key, &Window)| {
            (format!("{line} {} {} {account}", window.until.as_millis(), window.count), program.clone())
        };
        counts.iter().map(part).collect()
    }

    /// Takes [`Self::counted`] of another agent.
    #[cfg(target_os = "linux")]
    pub(super) fn inherit<'a>(&self, counted: impl Iterator<Item = (&'a str, &'a str)>) {
        let window = |(name, program): (&str, &str)| {
            let mut words = name.splitn(4, ' ');
            let (line, until) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let (count, account) = (words.next()?.parse().ok()?, words.next()?);
            let key = (line, account.to_owned(), program.to_owned());
            Some((key, Window { until: Duration::from_millis(until), count }))
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(counted.filter_map(window));
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn sees(&self, line: usize, account: &str, program: &str, until: Duration, count: u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert((line, account.to_owned(), program.to_owned()), Window { until, count });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_so_many_in_a_window_and_then_waits_for_the_next() {
        let limit = Limit { line: 1, accounts: None, hand_outs: 2, within: Duration::from_mins(1) };
        let counts = Counts::default();
        let count = |program: &str, up: u64| counts.count(&limit, "Work", program, Duration::from_secs(up));
        assert_eq!([count("/a", 0), count("/a", 10)], [Ok(()); 2]);
        assert_eq!(count("/a", 20), Err(Duration::from_secs(40)));
        assert_eq!(count("/b", 20), Ok(()), "another program has its own");
        assert_eq!(counts.count(&limit, "home", "/a", Duration::from_secs(20)), Ok(()), "so has another account");
        assert_eq!(count("/a", 60), Ok(()));
    }

    #[test]
    fn a_crowd_of_programs_fills_no_memory_and_gets_around_nothing() {
        let limit = Limit { line: 1, accounts: None, hand_outs: 1, within: Duration::from_mins(1) };
        let counts = Counts::default();
        let count =
            |program: usize, up: u64| counts.count(&limit, "work", &format!("/opt/{program}"), Duration::from_secs(up));
        assert!((0..COUNTED).all(|program| count(program, 0).is_ok()));
        assert_eq!(count(COUNTED, 30), Err(Duration::from_mins(1)), "one too many");
        assert_eq!(count(0, 30), Err(Duration::from_secs(30)), "and the first has had its own");
        assert!((COUNTED..3 * COUNTED).all(|program| count(program, 60).is_ok() == (program < 2 * COUNTED)));
    }
}
