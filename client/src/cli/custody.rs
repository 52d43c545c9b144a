//! The arguments of what locks and opens the agent, and moves its vault.

use clap::Args;

use super::Wait;
use crate::commands::{lock, unlock, vault};
use crate::report::Failure;

pub(super) const LOCK_EXAMPLES: &str = "\
Examples:
  cloud-token lock                           asks for a passphrase, twice
  cloud-token lock --no-input                with the passphrase of the last time: for a hook

A lock is of the running agent's memory. `cloud-token drop` forgets tokens only, and takes no passphrase.";

pub(super) const UNLOCK_EXAMPLES: &str = "\
Examples:
  cloud-token unlock                         asks; the first time it sets the passphrase
  cloud-token unlock --passphrase 'cmd:pass show cloud/vault'

SOURCE is as with `cloud-token login`.";

pub(super) const RESTART_EXAMPLES: &str = "\
Examples:
  cloud-token restart                        after an update of cloud-agent

The program that the agent was started from is started again. Nobody logs in or unlocks again; what is locked stays locked.
If the new program does not come up, the old one goes on and says why.";

#[derive(Args)]
pub(super) struct Opener {
    /// Where to read the passphrase from, instead of being asked
    #[arg(long, value_name = "SOURCE")]
    passphrase: Option<String>,
    /// Never ask at the terminal; exit 4 instead
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    wait: Wait,
}

pub(super) const VAULT_EXAMPLES: &str = "\
Examples:
  cloud-token vault
  cloud-token vault move passphrase          asks for a new passphrase
  cloud-token vault move keyring

The kinds are keyring, passphrase, command and memory. The choice is kept in `vault.toml`.";

#[derive(Args)]
pub(super) struct Vault {
    /// `move`: copy all that is held to another vault, look whether it has arrived, then erase the old one
    #[arg(value_parser = ["move"], value_name = "move", requires = "kind", hide_possible_values = true)]
    action: Option<String>,
    /// keyring, passphrase, command or memory
    #[arg(value_name = "KIND")]
    kind: Option<String>,
    /// Where to read the new passphrase from, instead of being asked
    #[arg(long, value_name = "SOURCE")]
    passphrase: Option<String>,
    /// Never ask at the terminal; exit 4 instead
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Opener {
    /// Locks.
    pub(super) fn lock(self) -> Result<(), Failure> {
        lock::run(self.passphrase.as_deref(), self.no_input, self.wait.timeout)
    }

    /// Unlocks.
    pub(super) fn unlock(self) -> Result<(), Failure> {
        unlock::run(self.passphrase.as_deref(), self.no_input, self.wait.timeout)
    }
}

impl Vault {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.kind {
            None => vault::show(self.wait.timeout),
            Some(kind) => vault::move_to(kind, self.passphrase.as_deref(), self.no_input, self.wait.timeout),
        }
    }
}
