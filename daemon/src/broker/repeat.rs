//! Who asked for what lately: a consumer that asks twice in one life was refused in between.
//!
//! kubectl keeps what it got for as long as it runs, and asks again only when the API answered 401; it has no other way to
//! say so. The caller's parent, which is that kubectl, is told from others by its id and start time. Both are a label and
//! prove nothing: whoever forges them can make a token be renewed, once in a while.

use std::collections::VecDeque;

/// So many callers are remembered: more than run at once on one desk, and nothing next to a token.
const REMEMBERED: usize = 64;

/// The process that made its child ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Its id.
    pub pid: u32,
    /// When it started, in the kernel's ticks: ids are used again.
    pub started: u64,
}

/// What was handed out to whom, the latest last.
#[derive(Debug, Default)]
pub(super) struct Repeats(VecDeque<Handed>);

#[derive(Debug)]
struct Handed {
    caller: Caller,
    account: String,
    /// The address, or what the consumer calls it.
    place: String,
    /// The token's fingerprint.
    token: String,
}

impl Repeats {
    /// Remembers that `caller` got a token.
    pub(super) fn remember(&mut self, caller: Caller, account: &str, place: &str, token: String) {
        self.0.retain(|handed| !handed.is(&caller, account, place));
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Handed { caller, account: account.to_owned(), place: place.to_owned(), token });
    }

    /// Whether it got this very token before.
    pub(super) fn is_repeated(&self, caller: &Caller, account: &str, place: &str, token: &str) -> bool {
        self.0.iter().any(|handed| handed.is(caller, account, place) && handed.token == token)
    }
}

impl Handed {
    fn is(&self, caller: &Caller, account: &str, place: &str) -> bool {
        self.caller == *caller && self.account == account && self.place == place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECTL: Caller = Caller { pid: 7, started: 100 };

    #[test]
    fn only_the_same_process_with_the_same_token_for_the_same_address_repeats_itself() {
        let mut repeats = Repeats::default();
        assert!(!repeats.is_repeated(&KUBECTL, "work", "https://a", "t1"));
        repeats.remember(KUBECTL, "work", "https://a", "t1".into());
        assert!(repeats.is_repeated(&KUBECTL, "work", "https://a", "t1"));
        for (caller, account, url, token) in [
            (Caller { started: 101, ..KUBECTL }, "work", "https://a", "t1"),
            (Caller { pid: 8, ..KUBECTL }, "work", "https://a", "t1"),
            (KUBECTL, "home", "https://a", "t1"),
            (KUBECTL, "work", "https://b", "t1"),
            (KUBECTL, "work", "https://a", "t2"),
        ] {
            assert!(!repeats.is_repeated(&caller, account, url, token), "{caller:?} {account} {url} {token}");
        }
        repeats.remember(KUBECTL, "work", "https://a", "t2".into());
        assert!(!repeats.is_repeated(&KUBECTL, "work", "https://a", "t1"), "only the last one counts");
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut repeats = Repeats::default();
        for pid in 0..200 {
            repeats.remember(Caller { pid, started: 1 }, "work", "", "t".into());
        }
        assert_eq!(repeats.0.len(), REMEMBERED);
        assert!(!repeats.is_repeated(&Caller { pid: 0, started: 1 }, "work", "", "t"));
        assert!(repeats.is_repeated(&Caller { pid: 199, started: 1 }, "work", "", "t"));
    }
}
