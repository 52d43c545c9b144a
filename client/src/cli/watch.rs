//! The arguments of what tells who got what.

use clap::Args;

use super::Wait;
use crate::commands::log;
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
