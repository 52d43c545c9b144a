//! Messages about where held secrets rest. None of them carries one.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// How the vault is; or move it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    /// The kind to move it to; `None` to leave it where it is.
    pub move_to: Option<String>,
    /// The passphrase of the one that it is moved to, if that has one.
    pub passphrase: Option<Secret>,
    /// Somebody is there to answer questions.
    pub interactive: bool,
    /// How long the caller waits, in milliseconds, not counting the time questions take.
    pub deadline_ms: u32,
}

/// How the first warning of a locked agent's status begins.
pub const LOCKED: &str = "the agent is locked";

/// The hint of every fault that an unlock mends: of a locked agent, and of a locked vault.
pub const UNLOCK: &str = "`cloud-token unlock`";

/// Seal all that is secret in memory, until somebody unlocks it. What it takes is asked for, if `interactive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// What is to open it again; `None` to be asked, or for the one of the last time.
    pub passphrase: Option<Secret>,
    /// Somebody is there to answer questions.
    pub interactive: bool,
    /// How long the caller waits, in milliseconds, not counting the time questions take.
    pub deadline_ms: u32,
}

/// Open what is locked. What it takes is asked for, if `interactive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlock {
    /// What opens it; `None` to be asked, or where something else does.
    pub passphrase: Option<Secret>,
    /// Somebody is there to answer questions.
    pub interactive: bool,
    /// How long the caller waits, in milliseconds, not counting the time questions take.
    pub deadline_ms: u32,
}

/// How the vault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// `keyring`, `passphrase`, `memory` or `command`.
    pub kind: String,
    /// Why that one.
    pub reason: String,
    /// A directory or a program; empty where there is none.
    pub place: String,
    /// Whether it can be used now.
    pub open: bool,
    /// The accounts that something is held of, by key.
    pub accounts: Vec<String>,
    /// What the human should know.
    pub warnings: Vec<String>,
}
