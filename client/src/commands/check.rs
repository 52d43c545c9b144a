//! `check`: is this token alive, by the cloud's own word.

use std::time::Duration;

use cloud_agent_protocol::v1::{Check, Request, Response};
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use crate::client::{Client, unexpected};
use crate::report::{Failure, printable};
use crate::stdio;

/// Prints `alive`, or `not alive` and why.
pub(crate) fn run(account: String, timeout: Duration) -> Result<(), Failure> {
    AccountName::parse(&account)?;
    let client = Client::new(timeout)?;
    let deadline_ms = client.deadline.for_agent();
    match client.ask(&Request::Check(Check { account, deadline_ms })) {
        Ok(Response::Done(_)) => stdio::stdout(b"alive\n"),
        Ok(other) => Err(unexpected(&other)),
        Err(failure) if failure.fault.kind == FaultKind::Refused => {
            stdio::stdout(not_alive(&failure.fault).as_bytes())?;
            Err(Failure::told(failure.fault))
        }
        Err(failure) => Err(failure),
    }
}

fn not_alive(fault: &Fault) -> String {
    format!("not alive: {}\n", printable(&fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_token_is_told_in_one_line() {
        let fault = Fault::new(FaultKind::Refused, "refused").because("ended\nyesterday");
        assert_eq!(not_alive(&fault), "not alive: refused: ended\u{fffd}yesterday\n");
        assert_eq!(Failure::told(fault).code(), 1);
    }
}
