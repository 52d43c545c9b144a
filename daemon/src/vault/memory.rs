//! No file at all, as `ssh-agent` does it: what is held lives as long as the agent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::Secret;
use zeroize::Zeroizing;

use super::Vault;
use crate::provider::{Boxed, Held};

/// Held secrets in one piece: there may be a thousand accounts. Each name and each value is preceded by its length
/// (4 bytes).
type Packed = Zeroizing<Box<[u8]>>;

/// The vault without a file.
#[derive(Debug, Default)]
pub struct Memory {
    held: Mutex<HashMap<String, Packed>>,
    reason: String,
}

impl Memory {
    /// An empty one, used for `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { held: Mutex::default(), reason: reason.into() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Packed>> {
        // A panic elsewhere leaves the map whole: every change to it is one call.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn reason(&self) -> &str {
        &self.reason
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Held>> {
        Box::pin(async move { Ok(self.held().get(account).map(unpack)) })
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held) -> Boxed<'a, ()> {
        Box::pin(async move {
            self.held().insert(account.to_owned(), pack(held));
            Ok(())
        })
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        Box::pin(async move { Ok(self.held().remove(account).is_some()) })
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        Box::pin(async move { Ok(self.held().keys().cloned().collect()) })
    }
}

fn pack(held: &Held) -> Packed {
    let texts = || held.0.iter().flat_map(|(name, secret)| [name.as_str(), secret.expose()]);
    let mut bytes = Vec::with_capacity(texts().map(|text| LENGTH + text.len()).sum());
    for text in texts() {
        let length = u32::try_from(text.len()).expect("a secret is far shorter than 4 GiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Zeroizing::new(bytes.into_boxed_slice())
}

fn unpack(packed: &Packed) -> Held {
    let mut rest = &packed[..];
    let mut next = || {
        let (length, behind) = rest.split_first_chunk::<LENGTH>()?;
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        std::str::from_utf8(text).ok()
    };
    Held(std::iter::from_fn(|| Some((next()?.to_owned(), Secret::from(next()?)))).collect())
}

/// Bytes of a length.
const LENGTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_back_as_it_was() {
        for pairs in [&[][..], &[("a", "")], &[("refresh", "r-\u{e9}"), ("secret", "s\n"), ("x", "1")]] {
            let held = Held(pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect());
            assert_eq!(unpack(&pack(&held)), held);
        }
    }
}
