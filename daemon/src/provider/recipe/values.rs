//! The values of one conversation: what was asked, held and taken, and when.

use std::collections::BTreeMap;

use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::skew::Skew;
use crate::clock::Timestamp;
use crate::cloud::{AskSpec, Method};
use crate::provider::{Account, Held};

/// Values by name.
#[derive(Debug, Default)]
pub(super) struct Values {
    values: BTreeMap<String, Value>,
}

#[derive(Debug)]
struct Value {
    text: Secret,
    /// Must not be seen, not even in the cloud's own error message.
    secret: bool,
    /// Whence it was taken; `None` if it is not from a reply.
    taken: Option<Taken>,
}

/// The reply that a value was taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// When its request was sent.
    pub(super) sent_at: Timestamp,
    /// How far the cloud's clock is ahead of ours; `None` if the reply does not tell.
    pub(super) skew: Option<Skew>,
}

impl Values {
    /// The account's addresses and settings.
    pub(super) fn of_account(account: &Account, method: &Method) -> Self {
        let mut values = Self::default();
        for (name, origin) in &account.origins {
            let name = if name.is_empty() { "origin".to_owned() } else { format!("origin-{name}") };
            values.insert(&name, Secret::from(origin.as_str()), false);
        }
        for ask in method.asks.iter().filter(|ask| !ask.secret && !ask.at_login) {
            if let Some(setting) = account.settings.get(&ask.name).filter(|setting| !setting.is_empty()) {
                values.insert(&ask.name, Secret::from(setting.as_str()), false);
            }
        }
        values
    }

    /// Adds what is held, or given by the human.
    pub(super) fn add_held(&mut self, held: &Held) {
        for (name, secret) in held.0.iter().filter(|(_, secret)| !secret.is_empty()) {
            self.insert(name, secret.clone(), true);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(name).map(|value| &value.text)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn insert(&mut self, name: &str, text: Secret, secret: bool) {
        self.values.insert(name.to_owned(), Value { text, secret, taken: None });
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    pub(super) fn take(&mut self, name: &str, text: Secret, secret: bool, taken: Taken) {
        self.values.insert(name.to_owned(), Value { text, secret, taken: Some(taken) });
    }

    /// When the request was sent whose reply held this; `None` if it is not from a reply.
    pub(super) fn taken_at(&self, name: &str) -> Option<Timestamp> {
        Some(self.values.get(name)?.taken?.sent_at)
    }

    /// How far the clock that this was written by is ahead of ours; `None` if its reply did not tell, or there was none.
    pub(super) fn skew(&self, name: &str) -> Option<Skew> {
        self.values.get(name)?.taken?.skew
    }

    /// Every value that must not be seen, the longest first, so that none hides a part of another.
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        let mut secrets: Vec<&Secret> = self.values.values().filter(|v| v.secret).map(|v| &v.text).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

/// The answer to a question in the form that the cloud wants: digits without the spaces that people put between them.
pub(super) fn normalise(ask: &AskSpec, answer: Secret) -> Result<Secret, Fault> {
    if !ask.digits || answer.is_empty() {
        return Ok(answer);
    }
    let mut digits = zeroize::Zeroizing::new(String::with_capacity(answer.len()));
    for c in answer.expose().chars().filter(|c| !c.is_whitespace() && *c != '-') {
        if !c.is_ascii_digit() {
            return Err(Fault::new(FaultKind::Usage, format!("`{}` has to be digits", ask.name)));
        }
        digits.push(c);
    }
    Ok(Secret::new(std::mem::take(&mut *digits)))
}
