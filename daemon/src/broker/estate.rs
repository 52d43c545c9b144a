//! What an agent leaves to the one that comes after it: all that is in its memory and in no vault.
//!
//! It is pairs of names and values, some of which say how many of the following are their own. So an agent of another version
//! reads what it knows and skips the rest.

use std::collections::HashMap;
use std::num::{NonZeroI64, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_protocol::frame::MAX_RESPONSE;
use cloud_agent_protocol::v1::Response;
use cloud_agent_protocol::{Fault, FaultKind, Frame, Secret};

use super::Broker;
use super::entry::{Entry, State};
use super::hold::Unsaved;
use super::memo::Memo;
use super::term::Term;
use crate::accounts::Stored;
use crate::cache::Cached;
use crate::packed::Packed;
use crate::provider::Held;
use crate::vault::Vault;

/// Names and values, one behind the other.
type Pairs = Vec<(String, Secret)>;

/// Headings: their value says how many pairs follow, the first word of it if there are several.
const VAULT: &str = "*vault";
const SCRATCH: &str = "*scratch";
const ACCOUNT: &str = "*account";
const UNSAVED: &str = "*unsaved";
const EPHEMERAL: &str = "*ephemeral";
const LOCK: &str = "*lock";
const NOTICES: &str = "*notices";

/// Which vault it was, and why: the one that comes after must not choose anew.
const KIND: &str = "vault-kind";
const REASON: &str = "vault-reason";

impl Broker {
    /// A copy of all that is in memory, behind what `others` leave. Nothing may be under way.
    pub(crate) fn estate(&self, others: Vec<(String, Secret)>) -> Packed {
        let mut pairs = others;
        pairs.extend([plain(KIND, self.vault.kind()), plain(REASON, self.vault.reason())]);
        section(&mut pairs, LOCK, self.lock.parts());
        let told = self.notices.parts().into_iter().map(|(key, told)| (key, Secret::new(told)));
        section(&mut pairs, NOTICES, told.collect());
        // Of a locked agent, what they had is sealed in the lock.
        if !self.lock.is_shut() {
            if self.vault.ready().is_ok() {
                section(&mut pairs, VAULT, copy_of(&*self.vault));
            }
            section(&mut pairs, SCRATCH, copy_of(&self.scratch));
        }
        for (stored, text) in self.accounts.ephemeral() {
            section(&mut pairs, EPHEMERAL, vec![(stored, Secret::new(text))]);
        }
        for entry in self.every_entry() {
            let state = entry.state();
            if let Some(unsaved) = &state.unsaved {
                let follows = unsaved.follows.map_or_else(|| "-".to_owned(), |follows| follows.to_string());
                let head = format!("{} {follows} {}", unsaved.held.0.len(), entry.name.key());
                pairs.push(plain(UNSAVED, head));
                pairs.extend(unsaved.held.0.clone());
            }
            let mut parts = vec![plain("name", entry.name.as_str())];
            parts.extend(remembered(&entry, &state));
            section(&mut pairs, ACCOUNT, parts);
        }
        Packed::new(pairs.iter().map(|(name, value)| (name.as_str(), value.expose())))
    }

    /// Takes what the agent before left. Nothing may have been begun.
    ///
    /// # Errors
    /// `Internal` if it is not what such an agent leaves. Then this one is of no use.
    pub(crate) fn inherit(&self, estate: &Packed) -> Result<(), Fault> {
        self.take(estate).ok_or_else(|| {
            Fault::new(FaultKind::Internal, "what the agent before left cannot be read")
                .hint("`cloud-token stop`; the next use starts the newer agent")
        })
    }

    fn take(&self, estate: &Packed) -> Option<()> {
        let mut pairs = estate.pairs();
        let mut unsaved = Vec::new();
        while let Some((name, value)) = pairs.next() {
            if !name.starts_with('*') {
                continue;
            }
            let mut words = value.split(' ');
            let count: usize = words.next()?.parse().ok()?;
            let own: Pairs = pairs.by_ref().take(count).map(|(name, value)| (name.to_owned(), value.into())).collect();
            if own.len() != count {
                return None;
            }
            match name {
                VAULT => self.vault.restore(own).then_some(())?,
                SCRATCH => self.scratch.restore(own).then_some(())?,
                LOCK => self.inherit_lock(&own)?,
                NOTICES => self.notices.inherit(own.iter().map(|(key, told)| (key.as_str(), told.expose()))),
                EPHEMERAL => {
                    let (name, text) = own.first()?;
                    self.accounts.put(Stored::from_text(name, text.expose())?, true).ok()?;
                }
                UNSAVED => unsaved.push((words.next()?.parse().ok(), words.next()?.to_owned(), own)),
                ACCOUNT => self.remember(&own)?,
                _ => {}
            }
        }
        for (follows, account, held) in unsaved {
            let entry = self.entry_of(&account)?;
            entry.state().unsaved = Some(Box::new(Unsaved { held: Held(held.into_iter().collect()), follows }));
        }
        Some(())
    }

    /// If it was locked, the vaults are told, too.
    fn inherit_lock(&self, parts: &Pairs) -> Option<()> {
        self.lock.inherit(parts)?;
        if self.lock.is_shut() {
            let _ = (self.vault.surrender(), self.scratch.surrender());
        }
        Some(())
    }

    fn remember(&self, parts: &Pairs) -> Option<()> {
        let parts: HashMap<&str, &str> = parts.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let part = |name: &str| parts.get(name).copied();
        let entry = self.entry_of(&part("name")?.to_ascii_lowercase())?;
        entry.set_ephemeral(part("ephemeral").is_some());
        let number = |name: &str| part(name).and_then(|text| text.parse::<u64>().ok());
        let mut state = entry.state();
        state.cached = Cached::from_parts(&entry.name, part).map(Arc::new);
        state.used = part("used").is_some();
        state.rejected = part("rejected").is_some();
        state.forced = part("forced").is_some();
        state.learned = number("learned").and_then(|age| NonZeroU32::new(u32::try_from(age).ok()?));
        state.keep_alive_up = number("keep-alive-up").map(Duration::from_millis);
        state.streak = number("streak").and_then(|streak| u32::try_from(streak).ok()).unwrap_or_default();
        state.term = Term::inherited(part).map(Box::new);
        state.logged_in = part("logged-in").and_then(|since| NonZeroI64::new(since.parse().ok()?));
        state.memo = part("fault")
            .and_then(fault_of)
            .map(|fault| Box::new(Memo::inherited(fault, number("fault-until").map(Duration::from_millis))));
        Some(())
    }
}

/// Which vault an estate was kept in, and why.
pub(crate) fn vault_of(estate: &Packed) -> Option<(String, String)> {
    let of = |wanted: &str| estate.pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
    Some((of(KIND)?, of(REASON)?))
}

/// What a vault has in memory, which it also keeps.
fn copy_of(vault: &dyn Vault) -> Pairs {
    let given = vault.surrender();
    // It is its own.
    let _ = vault.restore(given.clone());
    given
}

fn section(pairs: &mut Pairs, heading: &str, own: Pairs) {
    pairs.push(plain(heading, own.len().to_string()));
    pairs.extend(own);
}

fn plain(name: &str, value: impl Into<String>) -> (String, Secret) {
    (name.to_owned(), Secret::new(value.into()))
}

/// What is known of an account besides what is held of it.
fn remembered(entry: &Entry, state: &State) -> Pairs {
    let mut parts: Pairs = state.cached.as_ref().map(|cached| cached.parts()).unwrap_or_default();
    let flags = [
        ("ephemeral", entry.is_ephemeral()),
        ("used", state.used),
        ("rejected", state.rejected),
        ("forced", state.forced),
    ];
    parts.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| plain(name, "")));
    let numbers = [
        ("learned", state.learned.map(|age| u128::from(age.get()))),
        ("keep-alive-up", state.keep_alive_up.map(|up| up.as_millis())),
        ("streak", Some(u128::from(state.streak))),
        ("fault-until", state.memo.as_ref().and_then(|memo| memo.until()).map(|up| up.as_millis())),
    ];
    parts.extend(numbers.into_iter().filter_map(|(name, number)| Some(plain(name, number?.to_string()))));
    parts.extend(state.logged_in.map(|since| plain("logged-in", since.to_string())));
    parts.extend(state.term.iter().flat_map(|term| term.parts()).map(|(name, value)| plain(name, value)));
    let fault = state.memo.as_ref().and_then(|memo| Response::Fault(memo.fault().clone()).encode().ok());
    parts.extend(fault.map(|frame| plain("fault", STANDARD.encode(&*frame.encode()))));
    parts
}

fn fault_of(text: &str) -> Option<Fault> {
    let frame = Frame::read(&mut STANDARD.decode(text).ok()?.as_slice(), MAX_RESPONSE).ok()?;
    match Response::decode(&frame) {
        Ok(Response::Fault(fault)) => Some(fault),
        _ => None,
    }
}
