//! The vault that is a program of the user's: a password manager, or a store that many machines share.
//!
//! | run with | stdin | does, and answers |
//! |---|---|---|
//! | `load ACCOUNT` | | prints the record; nothing if there is none |
//! | `save ACCOUNT GENERATION` | the record | stores it, if what is there is of that generation (0: nothing is there); else exits 10 |
//! | `erase ACCOUNT` | | forgets it, if it is there |
//! | `list` | | prints the accounts, one in each line |
//!
//! A record is two lines of text; the first is `cloud-agent-record 1 GENERATION`. Exit 0 is success, 10 means that somebody
//! else was faster, and anything else is an error whose last line on stderr is shown.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::program::{self, Ended};
use super::{Record, Saved, Turn, Vault, disk, record, seal};
use crate::clock::Clock;
use crate::provider::{Boxed, Held};

/// The exit code of a save that came too late.
const STALE: i32 = 10;

/// See the module.
pub struct Command {
    program: Vec<String>,
    patience: Duration,
    /// Where agents of this machine take turns.
    locks: PathBuf,
    clock: Arc<dyn Clock>,
    reason: String,
    /// What tells this machine from the others.
    writer: String,
    /// The newest generation of each account that this agent saw: no new record may go below it.
    newest: Mutex<HashMap<String, u64>>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Command({:?})", self.program)
    }
}

impl Command {
    /// The vault that is `program`, which gets `patience` for each thing that it does.
    ///
    /// # Errors
    /// `Config` if this machine's mark cannot be kept in `dir`.
    pub(super) fn new(
        program: Vec<String>,
        patience: Duration,
        dir: PathBuf,
        clock: Arc<dyn Clock>,
        reason: String,
    ) -> Result<Self, Fault> {
        let writer = mark(&dir)?;
        Ok(Self { program, patience, locks: dir, clock, reason, writer, newest: Mutex::default() })
    }

    /// Runs the program, and takes `good` exit codes for an answer.
    async fn run(&self, words: &[&str], told: &[u8], good: &[i32]) -> Result<Ended, Fault> {
        let all = self.program.iter().map(String::as_str).chain(words.iter().copied());
        let all: Vec<OsString> = all.map(OsString::from).collect();
        let failed = |why: String| {
            Fault::new(FaultKind::Config, format!("the vault's program failed at `{}`", words[0]))
                .because(format!("`{}`: {why}", self.program[0]))
                .hint("run it by hand; `vault.toml` names it")
        };
        let ended = program::run(&all, told, self.patience).await.map_err(&failed)?;
        if ended.code.is_some_and(|code| code == 0 || good.contains(&code)) {
            return Ok(ended);
        }
        let how = ended.code.map_or_else(|| "a signal ended it".to_owned(), |code| format!("exit {code}"));
        Err(failed(if ended.complaint.is_empty() { how } else { format!("{how}: {}", ended.complaint) }))
    }

    async fn load(&self, account: &str) -> Result<Option<Record>, Fault> {
        let said = self.run(&["load", account], b"", &[]).await?.said;
        if said.trim_ascii().is_empty() {
            return Ok(None);
        }
        let found = std::str::from_utf8(&said).ok().and_then(record::from_text).ok_or_else(|| {
            Fault::new(FaultKind::Config, format!("what the vault's program prints for `{account}` is no record"))
                .because("it is left as it is")
                .hint(format!("look at it; or erase it there, and `cloud-token login {account}`"))
        })?;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = newest.entry(account.to_owned()).or_default();
        *seen = found.generation.max(*seen);
        Ok(Some(found))
    }

    async fn save(&self, account: &str, held: &Held, follows: Option<u64>) -> Result<Saved, Fault> {
        // Somebody may be in between each time; whoever does not care what is there will get through at last.
        for _ in 0..ATTEMPTS {
            let expected = match follows {
                Some(follows) => follows,
                None => self.load(account).await?.map_or(0, |record| record.generation),
            };
            let next = self.next(account, expected);
            let text = record::text(&Record { held: held.clone(), generation: next });
            let expected = expected.to_string();
            let ended = self.run(&["save", account, &expected], text.as_bytes(), &[STALE]).await?;
            if ended.code == Some(0) {
                self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned(), next);
                return Ok(Saved::As(next));
            }
            if follows.is_some() {
                break;
            }
        }
        match follows {
            Some(_) => Ok(Saved::Newer(self.load(account).await?)),
            None => Err(Fault::new(FaultKind::Busy, format!("somebody else keeps saving `{account}`"))),
        }
    }

    /// A generation that was never there before, as far as this machine can tell: see `Files::next`.
    fn next(&self, account: &str, expected: u64) -> u64 {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).get(account).copied().unwrap_or(0);
        let fresh = u64::try_from(self.clock.now().seconds()).unwrap_or(0) << 20;
        if expected == 0 { fresh.max(newest + 1) } else { expected + 1 }
    }
}

/// How often a login tries to get its record in between those of others.
const ATTEMPTS: u32 = 5;

/// What tells this machine from others that share the vault; drawn once.
fn mark(dir: &std::path::Path) -> Result<String, Fault> {
    let path = dir.join("writer");
    let failed = |why: std::io::Error| {
        Fault::new(FaultKind::Config, "the vault cannot be used").because(format!("`{}`: {why}", path.display()))
    };
    disk::make_private(dir).map_err(failed)?;
    if let disk::Found::File(bytes) = disk::read(&path).map_err(failed)?
        && let Ok(text) = String::from_utf8(bytes)
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return Ok(text);
    }
    let mut mark = [0; 8];
    seal::fill(&mut mark)?;
    let mark = format!("{:016x}", u64::from_le_bytes(mark));
    disk::replace(&path, mark.as_bytes()).map_err(failed)?;
    Ok(mark)
}

impl Vault for Command {
    fn kind(&self) -> &'static str {
        "command"
    }

    fn reason(&self) -> String {
        self.reason.clone()
    }

    /// It may ask for the passphrase of a key.
    fn is_quiet(&self) -> bool {
        false
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>> {
        Box::pin(self.load(account))
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        Box::pin(self.save(account, held, follows))
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        Box::pin(async move {
            let there = self.load(account).await;
            self.run(&["erase", account], b"", &[]).await?;
            Ok(!matches!(there, Ok(None)))
        })
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        Box::pin(async move {
            let said = self.run(&["list"], b"", &[]).await?.said;
            let text = String::from_utf8_lossy(&said).into_owned();
            // Whatever else lies in a password manager is none of ours.
            let names = text.lines().filter_map(|line| AccountName::parse(line.trim()).ok().map(|name| name.key()));
            Ok(names.collect())
        })
    }

    fn turn<'a>(&'a self, account: &'a str) -> Boxed<'a, Turn> {
        Box::pin(async move { Turn::take(&self.locks.join(format!("{account}.lock"))).await })
    }

    fn writer(&self) -> String {
        self.writer.clone()
    }

    fn place(&self) -> String {
        self.program.join(" ")
    }
}
