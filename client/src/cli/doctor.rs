//! The arguments of what looks whether all is as it should be.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::commands::doctor;
use crate::deadline::parse_timeout;
use crate::report::Failure;

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  cloud-token doctor                         what is wrong, what says so, and what mends it
  cloud-token doctor --prove                 also ask each cloud, write into the vault, and have another user try
  cloud-token doctor --json | jq -r '.findings[] | select(.level == \"error\") | .mend'

It changes nothing and starts no agent. Without --prove, no cloud is asked. --prove may ask `sudo -n` to be another user.
The worst finding is the exit code: 0 if nothing is worse than a note, else 3 no agent that can be asked, 4 it takes a login or
an unlock, 1 something else, 6 an account or cloud that is not known, 5 a cloud or a proxy cannot be reached.";

#[derive(Args)]
pub(super) struct Doctor {
    /// Try it out: a call to each account's cloud, a round trip through the vault, another user at the socket
    #[arg(long)]
    prove: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// How long to wait for each answer of the agent: `5`, `500ms`, `1m30s`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_timeout)]
    timeout: Duration,
    /// Be the other user who tries
    #[arg(long, hide = true, value_name = "SOCKET")]
    intrude: Option<PathBuf>,
}

impl Doctor {
    /// Looks, and tells.
    pub(super) fn run(self) -> Result<(), Failure> {
        #[cfg(unix)]
        if let Some(socket) = &self.intrude {
            return doctor::intrude(socket);
        }
        doctor::run(doctor::Options { prove: self.prove, json: self.json, timeout: self.timeout })
    }
}
