//! Codes from a held seed (RFC 6238: SHA-1, six digits, thirty seconds), each at most once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cloud_agent_protocol::{AccountName, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::skew::Skew;
use crate::clock::{Clock, Timestamp};

/// How long a code is good, in seconds.
const STEP: i64 = 30;

/// What time it is at a cloud.
pub(super) struct Time<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) skew: Skew,
}

impl Time<'_> {
    fn now(&self) -> Timestamp {
        self.skew.theirs(self.clock.now())
    }
}

/// Which step's code was last used, by the account's key. A server refuses a code that it has seen (RFC 6238, 5.2).
#[derive(Default)]
pub(super) struct Codes {
    used: Mutex<BTreeMap<String, i64>>,
}

impl Codes {
    /// The next code that was not used yet, after waiting for it if this step's was; `None` if `seed` is no base32. `time` is
    /// the cloud's: a code by a clock of ours that is wrong would be refused.
    pub(super) async fn next(&self, account: &AccountName, seed: &Secret, time: &Time<'_>) -> Option<Secret> {
        let key = decode(seed.expose())?;
        let mut step = self.reserve(account, time);
        let wait = Timestamp::from_seconds(step * STEP).since(time.now());
        if !wait.is_zero() {
            time.clock.sleep(wait).await;
            // The machine may have slept through the step that was waited for.
            if time.now().seconds() / STEP > step {
                step = self.reserve(account, time);
            }
        }
        Some(code(&key, step))
    }

    /// The code of this moment was used, by somebody else than [`Self::next`].
    pub(super) fn mark(&self, account: &AccountName, time: &Time<'_>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let step = used.entry(account.key()).or_insert(i64::MIN);
        *step = (*step).max(time.now().seconds() / STEP);
    }

    /// Takes the first step, from now on, whose code is unused. At once, so that no two callers get the same.
    fn reserve(&self, account: &AccountName, time: &Time<'_>) -> i64 {
        let now = time.now().seconds() / STEP;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.get(&account.key()).copied();
        // A clock that was set back must not make anybody wait for what it showed before.
        let step = last.filter(|last| *last >= now && *last <= now + 1).map_or(now, |last| last + 1);
        used.insert(account.key(), step);
        step
    }
}

/// The code of a step.
fn code(key: &[u8], step: i64) -> Secret {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = Zeroizing::new(<[u8; 20]>::from(mac.finalize().into_bytes()));
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]) & 0x7fff_ffff;
    Secret::new(format!("{:06}", number % 1_000_000))
}

/// RFC 4648 base32 as people copy it: in either case, in groups, with or without padding.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Sized first, because a buffer that grows leaves what it held in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut buffer, mut bits) = (0_u32, 0);
    for c in text.trim_end_matches('=').bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'-') {
        let value = match c.to_ascii_uppercase() {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).expect("masked to eight bits"));
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    /// RFC 6238, appendix B: the key is `12345678901234567890`; codes cut to six digits.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let key = decode("GEZD GNBV-gy3tqojqGEZDGNBVGY3TQOJQ====").unwrap();
        assert_eq!(&**key, b"12345678901234567890");
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(&key, seconds / STEP).expose(), expected, "{seconds}");
        }
    }

    #[test]
    fn what_is_no_base32_is_no_seed() {
        for bad in ["", "=", "0", "A1", "é", "AB!"] {
            assert!(decode(bad).is_none(), "{bad}");
        }
    }

    fn here(clock: &ManualClock) -> Time<'_> {
        Time { clock, skew: Skew::default() }
    }

    #[tokio::test]
    async fn no_code_is_given_twice_and_the_next_one_is_waited_for() {
        let (codes, clock) = (Codes::default(), ManualClock::new(Timestamp::from_seconds(59)));
        let (work, other) = (AccountName::parse("Work").unwrap(), AccountName::parse("other").unwrap());
        let seed = Secret::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let first = codes.next(&work, &seed, &here(&clock)).await.unwrap();
        assert_eq!((first.expose(), clock.now().seconds()), ("287082", 59));
        assert_eq!(
            codes.next(&other, &seed, &here(&clock)).await.unwrap(),
            first,
            "another account, another server's memory"
        );
        let second = codes.next(&AccountName::parse("work").unwrap(), &seed, &here(&clock)).await.unwrap();
        assert_eq!((second.expose(), clock.now().seconds()), ("359152", 60));
        codes.mark(&other, &here(&clock));
        codes.next(&other, &seed, &here(&clock)).await.unwrap();
        assert_eq!(clock.now().seconds(), 90, "the human has used this step's");
    }

    #[tokio::test]
    async fn a_code_is_of_the_clouds_time_where_ours_is_wrong() {
        let clock = ManualClock::new(Timestamp::from_seconds(59 + 7200));
        let skew = Skew::between(clock.now(), Timestamp::from_seconds(59));
        let (work, seed) = (AccountName::parse("work").unwrap(), Secret::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
        let code = Codes::default().next(&work, &seed, &Time { clock: &clock, skew }).await.unwrap();
        assert_eq!(code.expose(), "287082");
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_makes_nobody_wait_for_hours() {
        let (codes, clock) = (Codes::default(), ManualClock::new(Timestamp::from_seconds(100_000)));
        let (work, seed) = (AccountName::parse("work").unwrap(), Secret::from("GEZDGNBV"));
        codes.next(&work, &seed, &here(&clock)).await.unwrap();
        clock.set(Timestamp::from_seconds(10_000));
        codes.next(&work, &seed, &here(&clock)).await.unwrap();
        assert_eq!(clock.now().seconds(), 10_000);
    }
}
