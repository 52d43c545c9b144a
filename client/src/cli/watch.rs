//! The arguments of what tells who got what, and of what lets somebody else have it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Wait;
use crate::commands::{forward, log};
use crate::deadline::parse_seconds;
use crate::report::Failure;

pub(super) const LOG_EXAMPLES: &str = "\
Examples:
  cloud-token log                            every hand-out: when, whose, which token, what came of it, who asked
  printf %s \"$token\" | cloud-token log --who  which hand-outs gave this token, and to whom
  cloud-token log --verify                   exit 0 if no entry was changed, removed or cut off; else 1, and which

A token is told by the first 12 hexadecimal digits of its SHA-256. Programs are labels: none proves who it is.";

#[derive(Args)]
pub(super) struct Log {
    /// As JSON, an object in each line; times are seconds since the Unix epoch
    #[arg(long, conflicts_with = "verify")]
    json: bool,
    /// Only what handed out the token that is on stdin; exit 1 if nothing did
    #[arg(long, conflicts_with = "verify")]
    who: bool,
    /// Hold the journal against its own chain, and name what does not fit
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Log {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.verify { log::verify(self.wait.timeout) } else { log::show(self.json, self.who, self.wait.timeout) }
    }
}

pub(super) const FORWARD_EXAMPLES: &str = "\
Examples:
  mkdir -m 700 ~/.cloud-forward
  cloud-token forward --only work --max-ttl 8h ~/.cloud-forward/build.sock &
  ssh -R /home/me/.cloud-forward/agent.sock:$HOME/.cloud-forward/build.sock host
  host$ CLOUD_AGENT_SOCK=~/.cloud-forward/agent.sock cloud-token work

Who comes by that socket gets tokens of these accounts, and nothing else: no other account, no status, login, logout or lock.
The socket is gone when its time is over or this program ends.";

#[derive(Args)]
pub(super) struct Forward {
    /// The accounts whose tokens it hands out
    #[arg(long, value_name = "ACCOUNT,…", required = true, value_delimiter = ',')]
    only: Vec<String>,
    /// Close it after this time; without it, when this program ends
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    max_ttl: Option<u32>,
    /// Ask you before anything is handed out
    #[arg(long)]
    confirm: bool,
    /// Where to make it: in a directory that is yours alone
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    wait: Wait,
}

impl Forward {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        forward::run(&forward::Options {
            accounts: self.only,
            lifetime: self.max_ttl.map(|seconds| Duration::from_secs(seconds.into())),
            confirm: self.confirm,
            path: self.path,
            timeout: self.wait.timeout,
        })
    }
}
