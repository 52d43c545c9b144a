//! `logout`: revoked at the cloud where that can be done, forgotten here in any case.

use std::time::Duration;

use cloud_agent_protocol::AccountName;
use cloud_agent_protocol::v1::{Logout, Request};

use crate::client::Client;
use crate::report::Failure;

/// Logs out of `accounts`, or of all.
#[cold]
pub(crate) fn run(accounts: Vec<String>, all: bool, forget: bool, timeout: Duration) -> Result<(), Failure> {
    for account in &accounts {
        AccountName::parse(account)?;
    }
    // Not repeated over a second connection: the second answer would hide what the first one revoked.
    super::done(Client::new(timeout)?.ask_once(&Request::Logout(Logout { accounts, all, forget }))?)
}
