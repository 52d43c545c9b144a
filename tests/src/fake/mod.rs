//! Clouds that remember what they issued, break on demand, and judge how they were spoken to.
//!
//! Written over plain sockets: half of what a cloud can do wrong (a reset in the middle of a body, a promise of bytes that
//! never come, a reply that is not HTTP) is what a web framework exists to prevent.
//!
//! | module | what it is |
//! |---|---|
//! | [`Server`] | listens, records, breaks; knows no cloud |
//! | [`Cloud`] | what a cloud answers, and what it must never be sent |
//! | [`Fault`] | a way to break, as data |
//! | [`cleura`] | Cleura's REST API: its two logins, text messages included |
//! | [`echome`] | the identity API of ecHome |
//! | [`keystone`] | the Identity API v3 of OpenStack |
//! | [`openvcloud`] | an OpenvCloud portal, and the itsyou.online that issues its tokens |
//! | [`greencloud`] | the authentication API of Green Cloud |
//! | [`webitel`] | login, logout and whoami of Webitel |
//! | [`totp`] | codes of authenticator apps, and a server that checks them |
//! | [`Certificate`], [`Authority`] | certificates that are wrong on purpose, and who signs those that are not |
//! | [`Saboteur`] | sits before a server, at an address that stays: the network's own faults |

pub mod cleura;
pub mod echome;
mod fault;
pub mod greencloud;
mod journal;
pub mod jwt;
pub mod keystone;
pub mod openvcloud;
#[cfg(target_os = "linux")]
mod saboteur;
mod server;
mod tls;
pub mod totp;
pub mod webitel;
mod wire;

#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use journal::Journal;
#[cfg(target_os = "linux")]
pub use saboteur::{Sabotage, Saboteur};
pub use server::{Builder, Server};
pub use tls::{Authority, Certificate};
pub use wire::{Reply, Request};

/// What a cloud answers.
pub trait Cloud: Send + Sync + 'static {
    /// Answers a request, changing the cloud's state as the real one would.
    fn answer(&self, request: &Request, journal: &Journal) -> Reply;

    /// What no client may send, in words; also asked when a fault keeps [`Self::answer`] from being asked.
    ///
    /// # Errors
    /// What was wrong with the request.
    fn judge(&self, request: &Request) -> Result<(), String> {
        let _ = request;
        Ok(())
    }
}

/// A cloud in which everything answers 204: for origins that nobody may ever reach.
#[derive(Debug)]
pub struct Nothing;

impl Cloud for Nothing {
    fn answer(&self, _request: &Request, _journal: &Journal) -> Reply {
        Reply::empty(204)
    }
}
