//! No file at all, as `ssh-agent` does it: what is held lives as long as the agent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::Secret;

use super::{Record, Saved, Vault};
use crate::packed::Packed;
use crate::provider::{Boxed, Held};

/// The vault without a file.
#[derive(Debug, Default)]
pub struct Memory {
    shelf: Mutex<Shelf>,
    reason: String,
}

#[derive(Debug, Default)]
struct Shelf {
    held: HashMap<String, (u64, Packed)>,
    /// The last generation that was given, whoever got it.
    last: u64,
}

impl Memory {
    /// An empty one, used for `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { shelf: Mutex::default(), reason: reason.into() }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // A panic elsewhere leaves the map whole: every change to it is one call.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, account: &str) -> Option<Record> {
        let all = self.lock();
        let (generation, packed) = all.held.get(account)?;
        let held = packed.pairs().map(|(name, secret)| (name.to_owned(), Secret::from(secret))).collect();
        Some(Record { held: Held(held), generation: *generation })
    }

    fn save(&self, account: &str, held: &Held, follows: Option<u64>) -> Saved {
        let there = self.load(account);
        if follows.is_some_and(|follows| follows != there.as_ref().map_or(0, |record| record.generation)) {
            return Saved::Newer(there);
        }
        let pairs = held.0.iter().map(|(name, secret)| (name.as_str(), secret.expose()));
        let mut all = self.lock();
        all.last += 1;
        let generation = all.last;
        all.held.insert(account.to_owned(), (generation, Packed::new(pairs)));
        Saved::As(generation)
    }
}

impl Vault for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn reason(&self) -> String {
        self.reason.clone()
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>> {
        Box::pin(std::future::ready(Ok(self.load(account))))
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        Box::pin(std::future::ready(Ok(self.save(account, held, follows))))
    }

    /// Nothing: an intent that ends with the agent tells nobody anything.
    fn reserve<'a>(&'a self, account: &'a str, _: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        let there = self.load(account);
        let generation = there.as_ref().map_or(0, |record| record.generation);
        let is_it = follows.is_none_or(|follows| follows == generation);
        Box::pin(std::future::ready(Ok(if is_it { Saved::As(generation) } else { Saved::Newer(there) })))
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        Box::pin(std::future::ready(Ok(self.lock().held.remove(account).is_some())))
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        Box::pin(std::future::ready(Ok(self.lock().held.keys().cloned().collect())))
    }
}
