//! `drop`: forgets every cached token. An agent that is not there has none, so none is started.

use std::time::Duration;

use cloud_agent_protocol::v1::Request;

use crate::client::Client;
use crate::report::Failure;

/// Has them forgotten.
#[cold]
pub(crate) fn run(timeout: Duration) -> Result<(), Failure> {
    super::done(Client::new(timeout)?.without_autostart().ask(&Request::Drop)?)
}
