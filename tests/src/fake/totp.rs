//! Codes of authenticator apps (RFC 6238), as a server checks them: SHA-1, six digits, thirty seconds, and none twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha1::{Digest, Sha1};

/// How long a code is shown.
pub const STEP: Duration = Duration::from_secs(30);

/// The block of SHA-1, to which HMAC pads its key (RFC 2104).
const BLOCK: usize = 64;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The number of the step that it is now.
#[must_use]
pub fn step() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / STEP.as_secs()
}

/// The code that an app shows now for `seed`, in base 32.
///
/// # Panics
/// If the seed is not base 32.
#[must_use]
pub fn code(seed: &str) -> String {
    code_at(&decode(seed).expect("the seed is base 32"), step())
}

/// Checks codes of one seed.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: Vec<u8>,
    /// The latest step whose code was taken: neither it nor an earlier one is taken again.
    last: Option<u64>,
    replays: bool,
}

impl Verifier {
    /// For a seed in base 32. With `replays`, a code is taken as often as it comes: what RFC 6238 forbids and many do.
    ///
    /// # Panics
    /// If it is not base 32.
    #[must_use]
    pub fn new(seed: &str, replays: bool) -> Self {
        Self { key: decode(seed).expect("the seed is base 32"), last: None, replays }
    }

    /// Whether the code is one of now, or of the step before or after, and a newer one than the last that was taken.
    pub fn takes(&mut self, given: &str) -> bool {
        let now = step();
        let newer = |step: &u64| self.replays || self.last.is_none_or(|last| *step > last);
        let found = (now - 1..=now + 1).filter(newer).find(|step| code_at(&self.key, *step) == given);
        self.last = found.or(self.last);
        found.is_some()
    }
}

/// A seed of 160 bits that nobody had before.
pub(super) fn seed() -> String {
    let digest = Sha1::digest([super::jwt::unique(), super::jwt::unique()].concat());
    encode(&digest)
}

fn code_at(key: &[u8], step: u64) -> String {
    let mac = hmac(key, &step.to_be_bytes());
    let at = usize::from(mac[19] & 0xf);
    let number = u32::from_be_bytes([mac[at] & 0x7f, mac[at + 1], mac[at + 2], mac[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..20].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha1::digest([&pad(0x36)[..], message].concat());
    Sha1::digest([&pad(0x5c)[..], &inner].concat()).into()
}

fn encode(bytes: &[u8]) -> String {
    let (mut text, mut bits, mut count) = (String::new(), 0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(ALPHABET[(bits >> count & 31) as usize]));
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        let key = b"12345678901234567890";
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(code_at(key, seconds / 30), code);
        }
        assert_eq!(decode("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(), key);
        assert_eq!(encode(key), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_is_taken_once_and_nothing_else_is() {
        let seed = seed();
        assert_eq!(seed.len(), 32);
        let code = code(&seed);
        let mut verifier = Verifier::new(&seed, false);
        assert!(!verifier.takes("") && !verifier.takes(&format!(" {code}")));
        assert!(verifier.takes(&code) && !verifier.takes(&code));
        let mut forgiving = Verifier::new(&seed, true);
        assert!(forgiving.takes(&code) && forgiving.takes(&code));
    }
}
