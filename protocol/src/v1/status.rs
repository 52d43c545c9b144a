//! Messages about how agent and accounts are. None of them carries a secret.

use serde::{Deserialize, Serialize};

use crate::Fault;

/// How the agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in seconds since the Unix epoch.
    pub started_at: i64,
    /// Where it listens.
    pub socket: String,
    /// Its configuration directory.
    pub config: String,
    /// Which vault it uses.
    pub vault: String,
    /// Why that one.
    pub vault_reason: String,
    /// What the human should know: a configuration that could not be read, a vault that could not be written.
    pub warnings: Vec<String>,
    /// The accounts, by name.
    pub accounts: Vec<AccountStatus>,
}

/// How an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// As it was set up.
    pub name: String,
    /// Its cloud.
    pub cloud: String,
    /// Its method.
    pub method: String,
    /// Its main origin.
    pub origin: String,
    /// `valid`, `renewable`, `needs-login`, `locked`, `failing` or `refused`.
    pub state: String,
    /// When the cached token ends, in seconds since the Unix epoch.
    pub expires_at: Option<i64>,
    /// How that is known; see [`crate::ExpirySource::word`].
    pub expiry_source: String,
    /// When it will be renewed ahead of time, in seconds since the Unix epoch.
    pub renews_at: Option<i64>,
    /// The names of the held secrets.
    pub holds: Vec<String>,
    /// The first characters of the token's SHA-256, in hexadecimal, by which a log line or a colleague can be matched.
    pub fingerprint: Option<String>,
    /// The last fault, if nothing has succeeded since.
    pub fault: Option<Fault>,
}

/// All that [`Status`] tells, and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// How agent and accounts are.
    pub status: Status,
    /// For how many seconds after its login any account is held at most; `None` if the agent sets no such limit.
    pub hold_for: Option<u32>,
    /// For how many seconds any account is held that nobody asks for; `None` if the agent sets no such limit.
    pub hold_idle: Option<u32>,
    /// Of each account in [`Status::accounts`], in the same order.
    pub holdings: Vec<Holding>,
}

/// Where what is held of an account rests, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The kind of vault, or `memory` for what would not outlive the agent; empty if nothing is held.
    pub place: String,
    /// When it was logged in, in seconds since the Unix epoch, if that is known.
    pub since: Option<i64>,
    /// When it is forgotten if nobody asks for it before, in seconds since the Unix epoch; `None` for never.
    pub until: Option<i64>,
    /// The setting that says so: `hold-for`, or `hold-idle`, where asking puts it off; empty for never.
    pub by: String,
}
