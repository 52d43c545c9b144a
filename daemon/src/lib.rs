//! `cloud-agent`: holds the long-lived secrets, caches access tokens, renews them, answers over a private socket.
//!
//! ```text
//! server → session → broker → { cache, provider, vault, accounts }      provider → http
//! ```
//!
//! Nothing below the broker knows that there is a socket; nothing above a provider knows a cloud's name. Clocks,
//! environment and network come in as arguments. `docs/architecture.md` tells why.

pub mod access;
pub mod accounts;
pub mod broker;
pub mod cache;
pub mod callers;
pub mod check;
mod cli;
pub mod clock;
pub mod cloud;
pub mod hardening;
pub mod http;
pub mod journal;
mod life;
mod log;
mod metrics;
pub mod notice;
mod packed;
mod passphrase;
mod paths;
pub mod provider;
#[cfg(any(windows, test))]
mod rights;
pub mod server;
mod shutdown;
mod start;
mod thread;
mod tracker;
pub mod vault;
mod words;

pub use cli::command;
pub use paths::Paths;
pub use shutdown::Shutdown;
pub use start::main;
