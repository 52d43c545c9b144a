//! `status`: how agent and accounts are. Never a secret: the protocol has none to show here.

mod glance;
mod json;
mod watch;

use std::time::Duration;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::{AccountStatus, Holding, Overview, Request, Response};

use crate::client::{Client, unexpected};
use crate::paint::Paint;
use crate::report::Failure;
use crate::{moment, stdio};

/// What the command line said.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) json: bool,
    pub(crate) watch: bool,
    pub(crate) timeout: Duration,
}

/// Shows the status.
#[cold]
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    if options.watch {
        return watch::run(options);
    }
    let overview = ask(&Client::new(options.timeout)?)?;
    stdio::stdout(text(&overview, options.json, &Paint::of_stdout()).as_bytes())
}

fn text(overview: &Overview, as_json: bool, paint: &Paint) -> String {
    if as_json { json::write(overview) } else { glance::words(overview, moment::now(), paint) }
}

fn ask(client: &Client) -> Result<Overview, Failure> {
    let answer = match client.ask(&Request::Overview) {
        // An agent from before there was such a request.
        Err(failure) if failure.fault.kind == FaultKind::Unsupported => client.ask(&Request::Status),
        other => other,
    };
    match answer? {
        Response::Overview(overview) => Ok(overview),
        Response::Status(status) => {
            let holdings = vec![Holding::default(); status.accounts.len()];
            Ok(Overview { status, hold_for: None, hold_idle: None, holdings })
        }
        other => Err(unexpected(&other)),
    }
}

/// The accounts, and how each is held.
fn accounts(overview: &Overview) -> impl Iterator<Item = (&AccountStatus, &Holding)> {
    overview.status.accounts.iter().zip(&overview.holdings)
}

#[cfg(test)]
mod tests;
