//! A lock on its way to the agent that comes after this one: locked stays locked, by the same passphrase.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::Secret;
use zeroize::Zeroizing;

use super::{Inner, Lock};
use crate::vault::seal::{Derivation, Key};

const SHUT: &str = "shut";
const SEALED: &str = "sealed";
const LAST: &str = "last";
const WRONG: &str = "wrong";
const DERIVATION: [&str; 4] = ["memory", "passes", "lanes", "salt"];

impl Lock {
    /// All of it, by name. What is sealed stays so.
    pub(in crate::broker) fn parts(&self) -> Vec<(String, Secret)> {
        let mut parts = Vec::new();
        let mut put = |name: &str, value: String| parts.push((name.to_owned(), Secret::new(value)));
        let inner = self.inner();
        if self.is_shut() {
            put(SHUT, String::new());
        }
        if let Some(sealed) = &inner.sealed {
            put(SEALED, STANDARD.encode(sealed));
        }
        if let Some(key) = &inner.last {
            put(LAST, STANDARD.encode(key.expose()));
        }
        if let Some(Derivation { memory, passes, lanes, salt }) = &inner.derivation {
            let values = [memory.to_string(), passes.to_string(), lanes.to_string(), STANDARD.encode(salt)];
            DERIVATION.into_iter().zip(values).for_each(|(name, value)| put(name, value));
        }
        put(WRONG, self.wrong.load(Ordering::Relaxed).to_string());
        parts
    }

    /// Becomes that lock; `None` if it is not whole.
    pub(in crate::broker) fn inherit(&self, parts: &[(String, Secret)]) -> Option<()> {
        let part = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.expose());
        let bytes = |name: &str| STANDARD.decode(part(name)?).ok().map(Zeroizing::new);
        let [memory, passes, lanes] = [0, 1, 2].map(|at| part(DERIVATION[at]).and_then(|text| text.parse().ok()));
        let derivation = match (memory, passes, lanes, bytes(DERIVATION[3])) {
            (Some(memory), Some(passes), Some(lanes), Some(salt)) => {
                Some(Derivation { memory, passes, lanes, salt: salt.as_slice().try_into().ok()? })
            }
            _ => None,
        };
        let sealed = bytes(SEALED).map(|sealed| sealed.to_vec());
        let last = bytes(LAST).and_then(|key| Key::from_bytes(&key));
        let shut = part(SHUT).is_some();
        if shut && (sealed.is_none() || derivation.is_none()) {
            return None;
        }
        self.wrong.store(part(WRONG).and_then(|count| count.parse().ok()).unwrap_or_default(), Ordering::Relaxed);
        *self.inner() = Inner { sealed, derivation, last };
        if shut {
            self.shut();
        }
        Some(())
    }
}
