//! The wire between `cloud-agent` and everything that asks it for credentials.
//!
//! | module | what it is | what it must not know |
//! |---|---|---|
//! | [`hello`] | the fixed opening of a conversation: magic and versions | serde, messages |
//! | [`frame`] | length-prefixed frames, the cap checked before a byte is allocated | what is inside |
//! | [`v1`] | the messages of version 1, frozen by golden bytes | how they travel |
//! | [`fault`] | an error that says what the caller should do | where it came from |
//! | [`credential`] | the answer: headers, token, expiry | how a cloud issues it |
//! | [`secret`] | the only type that holds a secret | how to print one |
//! | [`suggest`] | "did you mean" | what the names are of |
//! | [`shell`] | a word of a command that people are told to paste | what the command is |
//! | [`account`] | what an account may be called | accounts that exist |
//! | [`endpoint`] | where the socket is, and whether that place can be trusted | connections |
//! | `windows` | whose an object of Windows is; only there | what the object is for |
//!
//! `PROTOCOL.md` beside this crate describes the same for other languages.

pub mod account;
mod codec;
pub mod configured;
pub mod credential;
pub mod endpoint;
pub mod fault;
pub mod frame;
pub mod hello;
pub mod secret;
pub mod shell;
pub mod suggest;
pub mod v1;
#[cfg(windows)]
pub mod windows;

pub use account::AccountName;
pub use credential::{Credential, ExpirySource, Header};
pub use fault::{Fault, FaultKind};
pub use frame::{Frame, FrameError, Header as FrameHeader};
pub use secret::Secret;
