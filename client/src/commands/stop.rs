//! `stop`: ends the agent. It is not started for that.

use std::time::Duration;

use cloud_agent_protocol::v1::Request;

use crate::client::{Client, answered};
use crate::connection::NoAnswer;
use crate::report::Failure;

/// Ends the agent.
#[cold]
pub(crate) fn run(timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(timeout)?.without_autostart();
    match client.connect()?.ask(&Request::Stop, &client.deadline) {
        // It went before it said so, which is what was asked for.
        Err(NoAnswer::Died) => Ok(()),
        other => super::done(answered(other)?),
    }
}
