//! `doctor`: whether all is as it should be, one finding for each thing, with what says so and what mends it.
//!
//! | module | what it looks at |
//! |---|---|
//! | `programs` | the two programs, as a shell finds them |
//! | `agent` | the socket, who listens there, and what the agent says of itself |
//! | `directories` | whose the files are, and who may write them |
//! | `proxies` | the way to the clouds: the agent's environment and ours |
//! | `consumers` | the configuration of git, kubectl and others |
//! | `prove` | what only a try tells; `intruder` is the try of somebody else |
//! | `probe` | runs other programs, which may hang |
//! | `verdict`, `text`, `json` | what it comes to, and how it is told |
//!
//! It changes nothing, starts no agent, and asks no cloud unless it is to prove something.

mod agent;
mod aside;
mod consumers;
mod directories;
#[cfg(unix)]
mod intruder;
mod json;
mod probe;
mod programs;
mod prove;
mod proxies;
mod text;
mod verdict;

use std::time::Duration;

use cloud_agent_protocol::v1::{Finding, Place};

use crate::paint::Paint;
use crate::report::Failure;
use crate::stdio;

#[cfg(unix)]
pub(crate) use intruder::intrude;

/// What the command line said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Also try it out.
    pub(crate) prove: bool,
    pub(crate) json: bool,
    /// For each answer of the agent.
    pub(crate) timeout: Duration,
}

/// What the agent told that others are held against; nothing of it if there is none.
#[derive(Debug, Default)]
struct Facts {
    /// The accounts, if they are known.
    accounts: Option<Vec<String>>,
    /// The addresses that they answer for.
    served: Option<Vec<Place>>,
}

/// Looks at everything, and ends as the worst finding says.
#[cold]
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let findings = findings(options);
    let text =
        if options.json { json::write(&findings, options.prove) } else { text::write(&findings, &Paint::of_stdout()) };
    stdio::stdout(text.as_bytes())?;
    verdict::end(&findings)
}

#[cold]
fn findings(options: Options) -> Vec<Finding> {
    let mut findings = programs::look();
    let seen = agent::look(options);
    findings.extend(seen.findings);
    findings.extend(directories::look(seen.examined.as_ref()));
    let (mut facts, mut proofs) = (Facts { accounts: None, served: seen.served }, Vec::new());
    if let Some(examined) = seen.examined {
        findings.extend(proxies::look(&examined.environment));
        let environment = &examined.environment;
        findings.extend(examined.findings.into_iter().map(|finding| proxies::mend(finding, environment)));
        if options.prove {
            let worth_a_try = examined.accounts.iter().filter(|account| prove::is_worth_a_try(account, &findings));
            proofs.extend(prove::accounts(&worth_a_try.cloned().collect::<Vec<_>>(), options.timeout));
        }
        facts.accounts = Some(examined.accounts);
    }
    if let Some(socket) = seen.socket.filter(|_| options.prove) {
        proofs.extend(prove::second_user(&socket));
    }
    findings.extend(proofs);
    findings.extend(consumers::look(&facts));
    findings
}
