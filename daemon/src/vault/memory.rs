//! No file at all, as `ssh-agent` does it: what is held lives as long as the agent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::{Fault, Secret};

use super::{Record, Saved, Vault, locked};
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
    /// A tree, because a table of a thousand and one accounts has room for two thousand.
    held: BTreeMap<Box<str>, (u64, Packed)>,
    /// The last generation that was given, whoever got it.
    last: u64,
    /// What was held is given away.
    locked: bool,
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

    /// The shelf, unless what was on it is given away.
    fn open(&self) -> Result<MutexGuard<'_, Shelf>, Fault> {
        let all = self.lock();
        if all.locked { Err(locked("the agent is")) } else { Ok(all) }
    }

    fn load(&self, account: &str) -> Result<Option<Record>, Fault> {
        let all = self.open()?;
        let Some((generation, packed)) = all.held.get(account) else { return Ok(None) };
        let held = packed.pairs().map(|(name, secret)| (name.to_owned(), Secret::from(secret))).collect();
        Ok(Some(Record { held: Held(held), generation: *generation }))
    }

    fn save(&self, account: &str, held: &Held, follows: Option<u64>) -> Result<Saved, Fault> {
        let there = self.load(account)?;
        if follows.is_some_and(|follows| follows != there.as_ref().map_or(0, |record| record.generation)) {
            return Ok(Saved::Newer(there));
        }
        let pairs = held.0.iter().map(|(name, secret)| (name.as_str(), secret.expose()));
        let mut all = self.open()?;
        all.last += 1;
        let generation = all.last;
        all.held.insert(account.into(), (generation, Packed::new(pairs)));
        Ok(Saved::As(generation))
    }

    fn erase(&self, account: &str) -> Result<bool, Fault> {
        Ok(self.open()?.held.remove(account).is_some())
    }

    fn accounts(&self) -> Result<Vec<String>, Fault> {
        Ok(self.open()?.held.keys().map(ToString::to_string).collect())
    }

    /// What is held of each account, behind its name, its generation and how many pairs there are.
    fn give_away(&self) -> Vec<(String, Secret)> {
        let mut all = self.lock();
        all.locked = true;
        let mut pairs = Vec::new();
        for (account, (generation, packed)) in std::mem::take(&mut all.held) {
            pairs.push((account.into(), Secret::new(format!("{generation} {}", packed.pairs().count()))));
            pairs.extend(packed.pairs().map(|(name, secret)| (name.to_owned(), Secret::from(secret))));
        }
        pairs
    }

    fn take_back(&self, pairs: &[(String, Secret)]) -> Option<()> {
        let mut held = BTreeMap::new();
        let mut rest = pairs;
        while let Some(((account, head), behind)) = rest.split_first() {
            let (generation, count) = head.expose().split_once(' ')?;
            let (pairs, behind) = behind.split_at_checked(count.parse().ok()?)?;
            let pairs = pairs.iter().map(|(name, secret)| (name.as_str(), secret.expose()));
            held.insert(account.as_str().into(), (generation.parse().ok()?, Packed::new(pairs)));
            rest = behind;
        }
        let mut all = self.lock();
        all.held = held;
        all.locked = false;
        Some(())
    }
}

impl Vault for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn reason(&self) -> String {
        self.reason.clone()
    }

    fn outlives_agent(&self) -> bool {
        false
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>> {
        Box::pin(std::future::ready(self.load(account)))
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        Box::pin(std::future::ready(self.save(account, held, follows)))
    }

    /// Nothing: an intent that ends with the agent tells nobody anything.
    fn reserve<'a>(&'a self, account: &'a str, _: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        let reserved = self.load(account).map(|there| {
            let generation = there.as_ref().map_or(0, |record| record.generation);
            let is_it = follows.is_none_or(|follows| follows == generation);
            if is_it { Saved::As(generation) } else { Saved::Newer(there) }
        });
        Box::pin(std::future::ready(reserved))
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        Box::pin(std::future::ready(self.erase(account)))
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        Box::pin(std::future::ready(self.accounts()))
    }

    fn surrender(&self) -> Vec<(String, Secret)> {
        self.give_away()
    }

    fn restore(&self, given_away: Vec<(String, Secret)>) -> bool {
        self.take_back(&given_away).is_some()
    }
}
