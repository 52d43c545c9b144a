//! `status --metrics`: what the agent has counted, as OpenMetrics text.

use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Response};

use crate::client::{Client, unexpected};
use crate::report::Failure;
use crate::stdio;

/// Prints it. No agent is started: a collector asks once a minute, and what was never used is not to run because of that.
#[cold]
pub(crate) fn run(timeout: Duration) -> Result<(), Failure> {
    match Client::new(timeout)?.without_autostart().ask(&Request::Metrics)? {
        Response::Metrics(metrics) => stdio::stdout(metrics.text.as_bytes()),
        other => Err(unexpected(&other)),
    }
}
