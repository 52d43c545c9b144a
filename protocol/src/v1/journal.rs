//! Messages about the journal of hand-outs. None of them carries a credential out.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// Read the journal, the oldest entries first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLog {
    /// Only what comes after the entry of this number; 0 for all.
    pub after: u64,
    /// Only what handed this token out: the token, or the first header's value where there is none.
    pub token: Option<Secret>,
}

/// A part of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// In their order.
    pub entries: Vec<LogEntry>,
    /// There are more after the last of them.
    pub more: bool,
}

/// What was handed out, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its number, from 1.
    pub n: u64,
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// Whose credential.
    pub account: String,
    /// The first characters of the token's SHA-256, if one was handed out.
    pub fingerprint: Option<String>,
    /// `given`, `denied`, or the word of the fault that was answered instead.
    pub outcome: String,
    /// How often in the same moment.
    pub times: u32,
    /// Through which restricted socket; `None` for the agent's own.
    pub origin: Option<String>,
    /// Who asked, and who started that, and so on. A label: no process proves who it is.
    pub caller: Vec<LogProcess>,
    /// The systemd unit of the caller.
    pub unit: Option<String>,
    /// Its terminal.
    pub terminal: Option<String>,
    /// Its session.
    pub session: u32,
    /// Hand-outs before this one that found no room to be noted.
    pub lost: u64,
}

/// A process as it was when it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogProcess {
    /// Its id.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub started: u64,
    /// What it calls itself.
    pub name: String,
    /// The file that it ran, if it showed it.
    pub program: Option<String>,
}

/// Whether the journal is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// How many entries are as they were written.
    pub sound: u64,
    /// What is not, each in a sentence that names the entry.
    pub faults: Vec<String>,
}
