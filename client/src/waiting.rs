//! Waits until a human has done what an account needs: a login, a code, an unlock. The waiting is the agent's, which rings when
//! something was done; nothing is asked again and again from here.

use std::time::Duration;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::{AwaitHuman, Request, Response};

use crate::client::{Client, answered, unexpected};
use crate::connection::NoAnswer;
use crate::deadline::parse_timeout;
use crate::moment;
use crate::report::{self, Failure};

/// How long to wait, where no option says. Read only where something is to be waited for: a warm get pays nothing for it.
const VARIABLE: &str = "CLOUD_AGENT_WAIT";

/// An agent that dies of what it was asked dies sooner. One that let go of whoever waits later than that was restarted: through a
/// forwarded socket, the connection does not move on to the next.
const LIVED: Duration = Duration::from_secs(1);

/// Whether a human may be able to mend `failure`; the agent knows.
pub(crate) fn may_help(failure: &Failure) -> bool {
    matches!(failure.fault.kind, FaultKind::NeedsHuman | FaultKind::Refused) && !failure.is_of_no_agent()
}

/// Waits until the human has mended `failure`, by which `account` has no credential, for as long as `given` or the environment
/// says. It has one then, and is to be asked for it within `timeout`.
///
/// # Errors
/// `failure`, or what it has become by the time that the wait is over; `Usage` if the environment says no duration.
#[cold]
pub(crate) fn for_human(
    account: &str,
    failure: Failure,
    given: Option<Duration>,
    timeout: Duration,
) -> Result<(), Failure> {
    let Some(patience) = patience(given)? else { return Err(failure) };
    let hint = failure.fault.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let for_how_long = moment::span(patience.as_secs());
    report::note(&format!("cloud-token: {}; waiting for up to {for_how_long}{hint}", failure.message()));
    let client = Client::new(patience.saturating_add(timeout))?;
    let millis = |span: Duration| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
    let mut died = false;
    let answer = loop {
        let request = Request::AwaitHuman(AwaitHuman {
            account: account.to_owned(),
            wait_ms: millis(client.deadline.left().saturating_sub(timeout)),
            deadline_ms: millis(timeout),
        });
        let left = client.deadline.left();
        match client.connect()?.ask(&request, &client.deadline) {
            // As with every question: once more, and with what is left of the time. But a long wait may see several restarts.
            Err(NoAnswer::Died) if !died || left.saturating_sub(client.deadline.left()) > LIVED => died = true,
            other => break answered(other),
        }
    };
    match answer {
        Ok(Response::Done(_)) => Ok(()),
        Ok(other) => Err(unexpected(&other)),
        // An agent that is older than its client cannot wait: all is as it would be without.
        Err(older) if older.fault.kind == FaultKind::Unsupported => Err(failure),
        Err(now) if now.is_of_no_agent() => Err(now),
        Err(now) => Err(failure.turned_into(now.fault)),
    }
}

#[cold]
fn patience(given: Option<Duration>) -> Result<Option<Duration>, Failure> {
    if given.is_some() {
        return Ok(given);
    }
    let Some(said) = std::env::var_os(VARIABLE).filter(|said| !said.is_empty()) else { return Ok(None) };
    parse_timeout(&said.to_string_lossy()).map(Some).map_err(|why| Failure::usage(format!("{VARIABLE}: {why}")))
}
