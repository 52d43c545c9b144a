//! No file at all, as `ssh-agent` does it: what is held lives as long as the agent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::Secret;

use super::Vault;
use crate::provider::{Boxed, Held};

/// Held secrets without the room that a tree keeps for more: there may be a thousand accounts.
type Packed = Box<[(Box<str>, Secret)]>;

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
    held.0.iter().map(|(name, secret)| (name.as_str().into(), Secret::from(secret.expose()))).collect()
}

fn unpack(packed: &Packed) -> Held {
    Held(packed.iter().map(|(name, secret)| (name.to_string(), secret.clone())).collect())
}
