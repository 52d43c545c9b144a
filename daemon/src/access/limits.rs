//! How often one program may have an account's credential.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::rules::Limit;

/// So many programs are counted; beyond that the windows that are over are forgotten.
const COUNTED: usize = 1024;

/// What was handed out in the window of each limit and program.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<Key, Window>>);

/// The limit's line, the account's key, the program.
type Key = (usize, String, String);

#[derive(Debug, Clone, Copy)]
struct Window {
    from: Duration,
    count: u32,
}

impl Counts {
    /// Counts one more hand-out of `account` to `program`. If that is one too many: how long until the next.
    pub(super) fn count(&self, limit: &Limit, account: &str, program: &str, up: Duration) -> Result<(), Duration> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTED {
            counts.retain(|_, window| up.saturating_sub(window.from) < limit.within);
        }
        let window = counts
            .entry((limit.line, account.to_ascii_lowercase(), program.to_owned()))
            .or_insert(Window { from: up, count: 0 });
        let passed = up.saturating_sub(window.from);
        if passed >= limit.within {
            *window = Window { from: up, count: 0 };
        } else if window.count >= limit.hand_outs {
            return Err(limit.within.saturating_sub(passed));
        }
        window.count += 1;
        Ok(())
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
}
