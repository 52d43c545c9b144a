//! `reject`: an API answered 401 to a token that the agent had given.

use std::time::Duration;

use cloud_agent_protocol::AccountName;
use cloud_agent_protocol::v1::{Reject, Request};

use crate::client::Client;
use crate::report::Failure;
use crate::stdio;

/// Reports the token on stdin, or whichever is cached if there is none.
#[cold]
pub(crate) fn run(account: String, timeout: Duration) -> Result<(), Failure> {
    AccountName::parse(&account)?;
    let client = Client::new(timeout)?;
    let token = if stdio::stdin_is_tty() { None } else { Some(stdio::stdin(&client.deadline)?) };
    let token = token.filter(|token| !token.is_empty());
    super::done(client.ask(&Request::Reject(Reject { account, token }))?)
}
