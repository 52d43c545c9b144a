//! Recorded requests and replies: what a cloud file promises about itself, and what runs as its tests.

use std::collections::BTreeMap;

use cloud_agent_protocol::FaultKind;

/// One recorded conversation and what comes of it.
#[derive(Debug)]
pub struct Example {
    /// What it shows.
    pub title: String,
    /// The line of the file where it begins, counted from 1.
    pub line: usize,
    /// Which method.
    pub method: String,
    /// Which of its doings.
    pub phase: Phase,
    /// Which action, if it is one.
    pub action: Option<String>,
    /// Whether a login's secrets are to be remembered.
    pub remember: bool,
    /// Settings, secrets and held values by name.
    pub given: BTreeMap<String, String>,
    /// What is answered to the questions, by name, in turn; then nobody is there.
    pub answers: BTreeMap<String, Vec<String>>,
    /// What time it is, in seconds since the Unix epoch.
    pub now: i64,
    /// What is sent and what comes back, in order.
    pub exchanges: Vec<Exchange>,
    /// What comes of it.
    pub expected: Expected,
}

/// What of a method an example plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Logging in.
    Login,
    /// Renewing with what is held.
    Renew,
    /// Revoking.
    Revoke,
    /// Asking whether the credential is alive.
    Check,
    /// An action of the cloud.
    Act,
}

/// A request that must be sent, and the reply that was recorded.
#[derive(Debug)]
pub struct Exchange {
    /// `GET`, `POST` …
    pub verb: String,
    /// Which origin; empty for the main one.
    pub origin: String,
    /// Path and query as they are on the wire.
    pub path: String,
    /// All headers that must be there but `Accept` and `Content-Type`, which are there if the body says so.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: SentBody,
    /// The reply's status.
    pub status: u16,
    /// The reply's headers.
    pub reply_headers: Vec<(String, String)>,
    /// The reply's body.
    pub reply: String,
}

/// A body that must have been sent.
#[derive(Debug)]
pub enum SentBody {
    /// None.
    Empty,
    /// This JSON, whatever its spelling.
    Json(serde_json::Value),
    /// These fields in any order.
    Form(BTreeMap<String, String>),
}

/// What must come of an example.
#[derive(Debug)]
pub enum Expected {
    /// A credential.
    Grant(ExpectedGrant),
    /// A fault of this kind whose words contain this text.
    Fault(FaultKind, Option<String>),
    /// `revoked`, `already-dead`, `not-offered`, `nothing-left`, or `alive`.
    Word(String),
    /// An action that was done.
    Done(ExpectedDone),
}

/// What an action must have come to; what is left out is not compared.
#[derive(Debug)]
pub struct ExpectedDone {
    /// What is said.
    pub says: Option<Vec<String>>,
    /// What is listed.
    pub rows: Option<Vec<Vec<String>>>,
    /// The address that is shown.
    pub shows: Option<String>,
    /// What is held from then on.
    pub holds: Option<BTreeMap<String, String>>,
    /// What is held no longer.
    pub forgets: Option<Vec<String>>,
}

/// What a grant must be; what is left out is not compared.
#[derive(Debug)]
pub struct ExpectedGrant {
    /// The headers to present.
    pub headers: Vec<(String, String)>,
    /// The primary token.
    pub token: Option<String>,
    /// All that is held.
    pub held: Option<BTreeMap<String, String>>,
    /// Seconds from `now` to its end; `Some(None)` if it must be unknown.
    pub expires_in: Option<Option<i64>>,
    /// How its end is known, as [`cloud_agent_protocol::ExpirySource::word`] says it.
    pub expiry: Option<String>,
    /// How many seconds what is held lives on without a refresh.
    pub idle: Option<u64>,
}
