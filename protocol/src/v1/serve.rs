//! Messages of consumers that know an address and not an account: git, kubectl and their like.

use serde::{Deserialize, Serialize};

use crate::{Fault, Secret};

/// Give me the credential for an address, whosever it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetFor {
    /// What the credential is for: `https://host:port/path`. Empty if only the account counts.
    pub url: String,
    /// Only this account; compared without case.
    pub account: Option<String>,
    /// Who asks, for the log: `git`, `kubectl`; perhaps where it goes, if `url` is empty: `kubectl https://k8s.example`.
    pub consumer: String,
    /// How many seconds it must at least live on; `None` leaves it to the agent.
    pub min_valid: Option<u32>,
    /// The caller's parent asks a second time only if the API refused what it got the first time.
    pub repeat_rejects: bool,
    /// Fill [`Credential::environment`](crate::Credential::environment).
    pub environment: bool,
    /// How long the caller waits, in milliseconds. The agent answers before that, if only with a fault.
    pub deadline_ms: u32,
}

/// What is at an address refused this token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectFor {
    /// Where it was refused.
    pub url: String,
    /// Only this account; compared without case.
    pub account: Option<String>,
    /// The token, or the whole value of the header that carried it.
    pub token: Secret,
}

/// An account answers for the address, and cannot: whatever else the caller might ask for the credential has none either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The account, as it was set up.
    pub account: String,
    /// Why it cannot.
    pub fault: Fault,
}

/// Which addresses the accounts answer for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// By account.
    pub places: Vec<Place>,
}

/// An address, and the account that answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The account, as it was set up.
    pub account: String,
    /// Scheme, host, port if it is not the usual one, and perhaps the beginning of a path.
    pub url: String,
}
