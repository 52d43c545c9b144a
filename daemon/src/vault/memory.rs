//! No file at all, as `ssh-agent` does it: what is held lives as long as the agent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Vault;
use crate::provider::{Boxed, Held};

/// The vault without a file.
#[derive(Debug, Default)]
pub struct Memory {
    held: Mutex<HashMap<String, Held>>,
    reason: String,
}

impl Memory {
    /// An empty one, used for `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { held: Mutex::default(), reason: reason.into() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
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
        Box::pin(async move { Ok(self.held().get(account).cloned()) })
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held) -> Boxed<'a, ()> {
        Box::pin(async move {
            self.held().insert(account.to_owned(), held.clone());
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
