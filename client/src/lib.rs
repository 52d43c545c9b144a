//! The thin client of `cloud-agent`: asks over the socket, prints what comes back, and ends.
//!
//! It knows no cloud, holds no secret longer than a call, and links neither an async runtime nor TLS: what it costs is
//! paid by every `git push` and every line of a script.
//!
//! | module | what it is | what it must not know |
//! |---|---|---|
//! | `hot` | arguments of `cloud-token ACCOUNT`, parsed without clap | every other command |
//! | `cli` | everything else on the command line, and the help texts | sockets |
//! | `get` | the one question that matters | how it travels |
//! | `output`, `shell` | a credential in a format; pure | where it goes |
//! | `client` | a request answered: connect, start the agent if there is none, ask, once more if it died | what is asked |
//! | `connection` | one trusted connection, frames over it | how an agent is started |
//! | `wire` | bytes with a deadline, per platform | frames |
//! | `windows` | what std has no words for there | what for |
//! | `launch` | starting the agent, once, whoever asks at the same time | messages |
//! | `frontend` | git, kubectl and other programs that ask by a protocol of their own | clouds |
//! | `dialogue` | a login as questions and answers | terminals |
//! | `tty` | questions to a human | what they are for |
//! | `paint` | what the reader's screen can show | what is shown |
//! | `places` | where programs lie and keep their configuration | what is in it |
//! | `report` | failure → words and exit code | where it came from |
//! | `commands` | one file per command | each other; `doctor` alone asks `setup` how things stand |
#![cfg_attr(not(windows), forbid(unsafe_code))]
#![cfg_attr(not(unix), allow(dead_code, reason = "sockets are forwarded, and curl is run, on Unix"))]

mod cli;
mod client;
mod commands;
mod connection;
mod deadline;
mod dialogue;
mod frontend;
mod get;
mod harden;
mod hot;
mod json;
mod launch;
mod moment;
mod output;
mod paint;
mod places;
mod report;
mod shell;
mod stdio;
mod tty;
mod waiting;
#[cfg(windows)]
mod windows;
mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

pub use cli::command;

/// The whole program: reads the arguments of this process, does what they say, and tells how it ends.
#[must_use]
pub fn main() -> ExitCode {
    // First of all: from here on no other process of the user may read this one's memory.
    harden::process();
    let mut args = std::env::args_os();
    let name = args.next();
    let args: Vec<OsString> = args.collect();
    let done = match name.as_deref().and_then(frontend::Consumer::of_program) {
        Some(consumer) => frontend::run(consumer, args),
        None => match hot::parse(&args) {
            Some(options) => get::run(&options),
            None => cli::run(args),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report::failure(&failure),
    }
}
