//! One sealed file per account, in a directory of its own.
//!
//! ```text
//! cloud-agent\0  schema  generation | nonce  ( length  what is held  padding )  tag
//!        12        2         8      |  24                                        16     = a multiple of 4 KiB
//! ```
//!
//! Everything before the bar, and the account's name, is bound in: a file that was renamed, rolled back or bent does not
//! open. Whatever does not open is moved aside and said, never overwritten: it may be all that is left of a login.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::{Fault, FaultKind};
use zeroize::Zeroizing;

use super::disk::{self, Found};
use super::seal::{self, Key};
use super::{Record, Saved, record};
use crate::clock::Timestamp;
use crate::provider::Held;

/// How a sealed file begins.
const MAGIC: &[u8; 12] = b"cloud-agent\0";
/// The form of what follows.
const SCHEMA: u16 = 1;
/// Bytes before the bar.
const HEADER: usize = MAGIC.len() + 2 + 8;

/// Files are multiples of this, so that their size tells little, and mostly does not change.
const BLOCK: usize = 4096;
/// By how much tokens may grow from one rotation to the next and still fit the room that was reserved, in bytes.
const GROWTH: usize = 1024;

/// What tells a sealed file from what lies beside it.
const SUFFIX: &str = "sealed";

/// The sealed files of a vault.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    seen: Mutex<Seen>,
}

/// What this agent knows of the files from before.
#[derive(Debug, Default)]
struct Seen {
    /// The newest generation of each account: an older one is a file that somebody put back.
    newest: HashMap<String, u64>,
    /// What was moved aside, and why, until there is something better.
    aside: BTreeMap<String, String>,
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, seen: Mutex::default() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is held of `account`.
    ///
    /// # Errors
    /// `Config` if the file cannot be read; `NeedsHuman` if it could not be used and was moved aside.
    pub(super) fn load(&self, key: &Key, account: &str) -> Result<Option<Record>, Fault> {
        let path = self.path(account);
        // Held while the file is read: of two who read at once, the slower one would take what it read for put back.
        let mut seen = self.seen();
        let mut found = disk::read(&path).map_err(|why| self.unreadable(account, &why))?;
        loop {
            let opened = match &found {
                Found::Nothing => {
                    return match seen.aside.get(account) {
                        Some(why) => Err(lost(account, why)),
                        None => Ok(None),
                    };
                }
                Found::Odd(why) => Err(why.clone()),
                Found::File(bytes) => open(key, account, bytes),
            };
            let newest = seen.newest.get(account).copied().unwrap_or(0);
            let why = match opened {
                Ok(record) if record.generation >= newest => {
                    seen.newest.insert(account.to_owned(), record.generation);
                    seen.aside.remove(account);
                    return Ok(Some(record));
                }
                Ok(_) => "it is older than what was there before: somebody put it back".to_owned(),
                Err(why) => why,
            };
            // Another agent may have put a good one there since.
            let again = disk::read(&path).map_err(|why| self.unreadable(account, &why))?;
            if again != found {
                found = again;
                continue;
            }
            let moved = match disk::set_aside(&path) {
                Ok(to) => format!("{why}; it was moved to `{}`", to.display()),
                Err(error) => format!("{why}; it could not be moved aside: {error}"),
            };
            tracing::error!(account, "what is held cannot be used: {moved}");
            seen.aside.insert(account.to_owned(), moved.clone());
            return Err(lost(account, &moved));
        }
    }

    /// Replaces what is held, if it is still the generation `follows`. The caller has the account's turn.
    ///
    /// # Errors
    /// `Config` if the file cannot be written; what was there is then still there.
    pub(super) fn save(
        &self,
        key: &Key,
        account: &str,
        held: &Held,
        follows: Option<u64>,
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        let there = match self.load(key, account) {
            Ok(there) => there,
            // It was moved aside, or somebody else has to be asked: the new one harms nothing.
            Err(fault) if fault.kind == FaultKind::NeedsHuman => None,
            Err(fault) => return Err(fault),
        };
        let generation = there.as_ref().map_or(0, |record| record.generation);
        if follows.is_some_and(|follows| follows != generation) {
            return Ok(Saved::Newer(there));
        }
        disk::make_private(&self.dir).map_err(|why| self.unwritable(&why))?;
        let path = self.path(account);
        let reserved = disk::spare_size(&path).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let next = self.next(account, generation, now);
        let bytes = close(key, account, held, next, reserved)?;
        disk::replace(&path, &bytes).map_err(|why| self.unwritable(&why))?;
        let mut seen = self.seen();
        seen.newest.insert(account.to_owned(), next);
        seen.aside.remove(account);
        Ok(Saved::As(next))
    }

    /// The same, and makes the room that the next save takes.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(super) fn reserve(
        &self,
        key: &Key,
        account: &str,
        held: &Held,
        follows: Option<u64>,
        now: Timestamp,
    ) -> Result<Saved, Fault> {
        let saved = self.save(key, account, held, follows, now)?;
        if matches!(saved, Saved::As(_)) {
            disk::make_spare(&self.path(account), size(held)).map_err(|why| self.unwritable(&why))?;
        }
        Ok(saved)
    }

    /// Forgets an account; whether there was anything.
    ///
    /// # Errors
    /// `Config` if its file cannot be removed.
    pub(super) fn erase(&self, account: &str) -> Result<bool, Fault> {
        self.seen().aside.remove(account);
        disk::erase(&self.path(account)).map_err(|why| self.unwritable(&why))
    }

    /// The accounts that there are files of.
    ///
    /// # Errors
    /// `Config` if the directory cannot be read.
    pub(super) fn accounts(&self) -> Result<Vec<String>, Fault> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(self.unwritable(&why)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(SUFFIX)?.strip_suffix('.')?.to_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Where an account's turn is taken.
    pub(super) fn lock(&self, account: &str) -> PathBuf {
        disk::beside(&self.path(account), "lock")
    }

    /// What the human should know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let seen = self.seen();
        seen.aside.iter().map(|(account, why)| format!("what was held of `{account}` cannot be used: {why}")).collect()
    }

    /// A generation that was never there before. After an erasure it is the time, which no account outruns by renewals.
    fn next(&self, account: &str, generation: u64, now: Timestamp) -> u64 {
        let newest = self.seen().newest.get(account).copied().unwrap_or(0).max(generation);
        let fresh = u64::try_from(now.seconds()).unwrap_or(0) << 20;
        if generation == 0 { fresh.max(newest + 1) } else { newest + 1 }
    }

    /// An account's name is letters, digits, `.`, `_`, `-` and `@`, and does not begin with a dot.
    fn path(&self, account: &str) -> PathBuf {
        self.dir.join(format!("{account}.{SUFFIX}"))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, account: &str, why: &io::Error) -> Fault {
        Fault::new(FaultKind::Config, format!("what is held of `{account}` cannot be read"))
            .because(format!("`{}`: {why}", self.path(account).display()))
    }

    fn unwritable(&self, why: &io::Error) -> Fault {
        Fault::new(FaultKind::Config, "the vault cannot be written")
            .because(format!("`{}`: {why}", self.dir.display()))
            .hint("make room, or make the directory writable; it is tried again by itself")
    }
}

fn lost(account: &str, why: &str) -> Fault {
    Fault::new(FaultKind::NeedsHuman, format!("what was held of `{account}` cannot be used"))
        .because(why)
        .hint(format!("`cloud-token login {account}`"))
}

/// How large the file of `held` is, with room to grow.
fn size(held: &Held) -> usize {
    (HEADER + seal::OVERHEAD + record::size(held) + GROWTH).next_multiple_of(BLOCK)
}

fn close(key: &Key, account: &str, held: &Held, generation: u64, reserved: usize) -> Result<Vec<u8>, Fault> {
    let exact = HEADER + seal::OVERHEAD + record::size(held);
    // What is reserved is used even if it leaves less to grow: it is the room that is there for certain.
    let size = if reserved >= exact { reserved } else { size(held) };
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&header(generation));
    let plain: Zeroizing<Vec<u8>> = record::pad(held, size - HEADER - seal::OVERHEAD);
    bytes.extend_from_slice(&seal::seal(key, &context(account, generation), &plain)?);
    Ok(bytes)
}

fn open(key: &Key, account: &str, bytes: &[u8]) -> Result<Record, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is no sealed file")?;
    let (schema, rest) = rest.split_first_chunk().ok_or("it was cut off")?;
    let schema = u16::from_le_bytes(*schema);
    if schema != SCHEMA {
        return Err(format!("it is of form {schema}, and this version of cloud-agent reads form {SCHEMA}"));
    }
    let (generation, sealed) = rest.split_first_chunk().ok_or("it was cut off")?;
    let generation = u64::from_le_bytes(*generation);
    if !bytes.len().is_multiple_of(BLOCK) {
        return Err("it was cut off".into());
    }
    let plain = seal::open(key, &context(account, generation), sealed)
        .ok_or("it was changed, or is another account's, or was sealed with another key")?;
    let held = record::unpad(&plain).ok_or("what is in it is no record")?;
    Ok(Record { held, generation })
}

fn header(generation: u64) -> Vec<u8> {
    [&MAGIC[..], &SCHEMA.to_le_bytes(), &generation.to_le_bytes()].concat()
}

/// What a sealed file is bound to.
fn context(account: &str, generation: u64) -> Vec<u8> {
    [&header(generation), account.as_bytes()].concat()
}
