//! `cloud-agent`: holds the long-lived secrets, caches access tokens, renews them, answers over a private socket.

pub mod check;
pub mod clock;
pub mod cloud;
pub mod http;
pub mod provider;
