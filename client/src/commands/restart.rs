//! `restart`: the agent's program started anew, with all that the running one has in its memory. It is not started for that.

use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Restart};

use crate::client::Client;
use crate::report::Failure;

/// Restarts the agent.
#[cold]
pub(crate) fn run(timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(timeout)?.without_autostart();
    let deadline_ms = client.deadline.for_agent();
    super::done(client.ask_once(&Request::Restart(Restart { deadline_ms }))?)
}
