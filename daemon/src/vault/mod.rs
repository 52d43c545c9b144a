//! Where held secrets rest.
//!
//! | module | what it is |
//! |---|---|
//! | `choice` | which of them it is, and the one that the agent uses |
//! | `config` | what the user says about it |
//! | `memory` | no file at all |
//! | `command` | a program of the user's, which keeps it all; `program` runs it |
//! | `keyring`, `passphrase` | whoever keeps the key of sealed files |
//! | `sealed` | a directory of sealed files, once it has its key |
//! | `files` | those files: one per account, each replaced as a whole |
//! | `disk` | how a file is read and replaced, whatever happens meanwhile |
//! | `head` | the file beside them that says where their key rests |
//! | `record` | what is held, as bytes |
//! | `seal` | sealing bytes; it knows nothing of vaults |
//! | `turn` | one at a time, across processes |
//!
//! None of them knows a cloud, a broker or a socket.

mod choice;
mod command;
mod config;
mod disk;
mod files;
mod head;
mod keyring;
mod memory;
mod passphrase;
pub(crate) mod program;
mod record;
pub(crate) mod seal;
mod sealed;
mod turn;

#[cfg(test)]
mod tests;

pub(crate) use choice::GONE;
pub use choice::{Choice, Kind};
pub use command::Command;
pub use keyring::Keyring;
pub(crate) use keyring::store::main as ask_keyring;
pub use memory::Memory;
pub use passphrase::Passphrase;
pub use sealed::Sealed;
pub(crate) use sealed::{locked, penalty};
pub use turn::Turn;

use std::sync::Arc;

pub(crate) use cloud_agent_protocol::v1::UNLOCK;
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use crate::provider::{Ask, Boxed, Held};

/// What a vault has of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What is held.
    pub held: Held,
    /// Which state of it that is. Each save makes another one, and none comes twice, not even after an erasure.
    pub generation: u64,
}

/// What came of a save.
#[derive(Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is safe, as this generation.
    As(u64),
    /// Somebody else was faster: this is there, and nothing was changed. `None` if they erased it.
    Newer(Option<Record>),
}

/// A place for held secrets. `account` is always the account's key (its name in lower case).
///
/// Every method may return `Config` or `Internal` if the place cannot be read or written, and `NeedsHuman` if it is locked.
pub trait Vault: Send + Sync + 'static {
    /// What `status` and `--vault` call it.
    fn kind(&self) -> &'static str;

    /// Why this one is used, in a few words.
    fn reason(&self) -> String;

    /// Whether it can be used now.
    ///
    /// # Errors
    /// `NeedsHuman`, with the command that opens it.
    fn ready(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether it can be read without anybody noticing: nobody is asked, no program of the user's runs.
    fn is_quiet(&self) -> bool {
        true
    }

    /// Whether what is in it is there when the agent has ended.
    fn outlives_agent(&self) -> bool {
        true
    }

    /// What is held of `account`, if anything.
    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>>;

    /// Replaces what is held of `account`, if that is still the generation `follows`; `None` replaces whatever there is.
    /// When this returns, a crash loses nothing that the vault promises to keep. The caller has the account's turn.
    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved>;

    /// Saves what is about to happen, and sees to it that the save after this one has all the room it needs.
    fn reserve<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        self.save(account, held, follows)
    }

    /// Forgets all that is held of `account`; whether there was anything. Works on a locked vault, too.
    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool>;

    /// The accounts that something is held of.
    fn accounts(&self) -> Boxed<'_, Vec<String>>;

    /// Waits until no other agent on this machine is busy with `account`; they wait until the turn is dropped.
    ///
    /// # Errors
    /// `Unreachable` if that takes too long.
    fn turn<'a>(&'a self, account: &'a str) -> Boxed<'a, Turn> {
        let _ = account;
        Box::pin(std::future::ready(Ok(Turn::default())))
    }

    /// What tells writers apart that no turn keeps apart: machines that share a vault. Empty where none can.
    fn writer(&self) -> String {
        String::new()
    }

    /// Opens it, with what is given or said. In words, what came of it.
    ///
    /// # Errors
    /// `Refused` if what was said is wrong, `NeedsHuman` if nobody is there to say it, `Usage` if it needs no opening.
    fn unlock<'a>(&'a self, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, String> {
        let _ = (given, ask);
        let message = format!("the vault `{}` has no lock", self.kind());
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::Usage, message))))
    }

    /// Gives away what it has in memory and could not do without, and keeps none of it: it is locked until [`Self::restore`].
    fn surrender(&self) -> Vec<(String, Secret)> {
        Vec::new()
    }

    /// Takes back what it has given away; whether it was that.
    fn restore(&self, given_away: Vec<(String, Secret)>) -> bool {
        given_away.is_empty()
    }

    /// Erases all of it, once it was moved elsewhere.
    fn destroy(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            for account in self.accounts().await? {
                self.erase(&account).await?;
            }
            Ok(())
        })
    }

    /// A vault of another kind, open, to move to.
    ///
    /// # Errors
    /// `Usage` if there is no such kind; as [`Self::unlock`].
    fn prepare<'a>(&'a self, kind: &'a str, given: Option<Secret>, ask: &'a dyn Ask) -> Boxed<'a, Arc<dyn Vault>> {
        let _ = (given, ask);
        let message = format!("this vault cannot be moved to `{kind}`");
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::Unsupported, message))))
    }

    /// Puts `other` in its place from now on, also for agents that start later; the one that was there.
    ///
    /// # Errors
    /// `Config` if that cannot be written down.
    fn adopt(&self, other: Arc<dyn Vault>) -> Boxed<'_, Arc<dyn Vault>> {
        let message = format!("this vault cannot be moved to `{}`", other.kind());
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::Unsupported, message))))
    }

    /// Asks whoever keeps its key whether the next agent will find it there. What is open stays open.
    ///
    /// # Errors
    /// As [`Self::unlock`] with nobody there.
    fn probe(&self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What is wrong with what the user says about it by now: the next agent would not start.
    fn misconfigured(&self) -> Option<Fault> {
        None
    }

    /// Where it is, for a human: a directory, a program, or nothing.
    fn place(&self) -> String {
        String::new()
    }

    /// What the human should know about it.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
