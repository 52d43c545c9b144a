//! Messages about restricted sockets: what goes over one can have credentials of some accounts, and nothing else.
//!
//! None of them names a place for the agent to act on. Whoever asks makes the socket, and says on each connection that it comes by it.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// Let connections that come by a socket of mine have these accounts' credentials, for as long as this connection is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Which accounts.
    pub accounts: Vec<String>,
    /// For how long, in seconds; `None` until this connection ends.
    pub lifetime: Option<u32>,
    /// Ask the human before anything is handed out.
    pub confirm: bool,
    /// What the journal calls it.
    pub name: String,
}

/// It may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// What a connection says to be one of them; see [`Forwarded`].
    pub id: Secret,
    /// The accounts, as they were set up.
    pub accounts: Vec<String>,
    /// Until when, in seconds since the Unix epoch.
    pub until: Option<i64>,
}

/// What follows on this connection comes by a restricted socket. There is no way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// From [`Forwarding`].
    pub id: Secret,
}
