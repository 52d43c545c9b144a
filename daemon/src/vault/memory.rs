//! No file at all, as `ssh-agent` does it: what is held lives as long as the agent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::Secret;

use super::Vault;
use crate::packed::Packed;
use crate::provider::{Boxed, Held};

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
        Box::pin(async move { Ok(self.held().get(account).map(held)) })
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held) -> Boxed<'a, ()> {
        Box::pin(async move {
            let pairs = held.0.iter().map(|(name, secret)| (name.as_str(), secret.expose()));
            self.held().insert(account.to_owned(), Packed::new(pairs));
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

fn held(packed: &Packed) -> Held {
    Held(packed.pairs().map(|(name, secret)| (name.to_owned(), Secret::from(secret))).collect())
}
