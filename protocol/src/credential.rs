//! The answer to "give me access": a set of headers, never a bare token string.
//!
//! Two of the five first clouds need two headers per call, so a single string cannot carry a credential.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// One HTTP header to present to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name, in the case that the cloud expects.
    pub name: String,
    /// Its value, scheme included.
    pub value: Secret,
}

/// Where an expiry was learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExpirySource {
    /// Nothing told one.
    Unknown,
    /// The reply gave a number of seconds, counted from when the request was sent.
    Relative,
    /// The reply gave a moment.
    Epoch,
    /// The `exp` claim of a JWT, taken as a hint and never verified.
    Jwt,
    /// The cloud tells none; its description assumes one.
    Assumed,
    /// The cloud tells none; the age at which a token was refused taught one.
    Learned,
}

impl ExpirySource {
    /// The word that people and `--json` see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Relative => "relative",
            Self::Epoch => "epoch",
            Self::Jwt => "jwt",
            Self::Assumed => "assumed",
            Self::Learned => "learned",
        }
    }
}

/// What a caller presents to a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The account it belongs to, spelt as it was set up.
    pub account: String,
    /// The cloud's name.
    pub cloud: String,
    /// The primary token, where one value alone is of use.
    pub token: Option<Secret>,
    /// Every header that a call needs.
    pub headers: Vec<Header>,
    /// Environment variables for programs, in the order of the cloud's description; empty unless asked for.
    pub environment: Vec<Header>,
    /// When the cloud stops accepting it, in seconds since the Unix epoch; `None` if nobody knows.
    pub expires_at: Option<i64>,
    /// How that is known.
    pub expiry_source: ExpirySource,
}
