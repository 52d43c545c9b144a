//! `completions`: what a shell reads once, and what it asks at each press of the key.
//!
//! The shell's part is a few lines that run this program with [`VARIABLE`] set and the words typed so far behind `--`. What
//! may come next is decided here, by the same definitions that parse a command line, so that the two never disagree.

mod powershell;

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::Command;
use clap_complete::CompletionCandidate;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use cloud_agent_protocol::v1::{ListClouds, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};

use crate::client::Client;
use crate::report::{Failure, printable};
use crate::stdio;
use powershell::Powershell;

/// Set to the shell's name by the shell that asks.
pub(crate) const VARIABLE: &str = "CLOUD_TOKEN_COMPLETE";

/// The shells that can be taught.
pub(crate) const SHELLS: [&str; 4] = ["bash", "zsh", "fish", "powershell"];

/// A key was pressed: names that take longer than this are left out.
const PATIENCE: Duration = Duration::from_millis(300);

/// Prints what `shell` is to read when it starts.
#[cold]
pub(crate) fn register(shell: &str) -> Result<(), Failure> {
    let mut script = Vec::new();
    let name = "cloud-token";
    known(shell)?.write_registration(VARIABLE, name, name, name, &mut script).map_err(|e| failed(&e))?;
    stdio::stdout(&script)
}

/// Answers a shell: what may come next in `words`, which begin with `--`.
#[cold]
pub(crate) fn answer(shell: &OsStr, mut command: Command, words: Vec<OsString>) -> Result<(), Failure> {
    let words = words.into_iter().skip_while(|word| word == "--").collect();
    let mut candidates = Vec::new();
    let here = std::env::current_dir().ok();
    known(&shell.to_string_lossy())?
        .write_complete(&mut command, words, here.as_deref(), &mut candidates)
        .map_err(|e| failed(&e))?;
    stdio::stdout(&candidates)
}

/// The accounts that a running agent knows, each with its cloud. None is started for a key.
pub(crate) fn accounts() -> Vec<CompletionCandidate> {
    let Some(Response::Status(status)) = ask(&Request::Status) else { return Vec::new() };
    let candidate =
        |name: &str, cloud: &str| CompletionCandidate::new(printable(name)).help(Some(printable(cloud).into()));
    status.accounts.iter().map(|account| candidate(&account.name, &account.cloud)).collect()
}

/// The clouds that it knows, each with its title.
pub(crate) fn clouds() -> Vec<CompletionCandidate> {
    let Some(Response::Clouds(list)) = ask(&Request::Clouds(ListClouds { name: None })) else { return Vec::new() };
    let candidate =
        |name: &str, title: &str| CompletionCandidate::new(printable(name)).help(Some(printable(title).into()));
    list.clouds.iter().map(|cloud| candidate(&cloud.name, &cloud.title)).collect()
}

fn ask(request: &Request) -> Option<Response> {
    Client::new(PATIENCE).ok()?.without_autostart().ask(request).ok()
}

fn known(shell: &str) -> Result<&'static dyn EnvCompleter, Failure> {
    Ok(match shell {
        "bash" => &Bash,
        "zsh" => &Zsh,
        "fish" => &Fish,
        "powershell" => &Powershell,
        _ => {
            let (shell, known) = (printable(shell), SHELLS.join(", "));
            return Err(Failure::usage(format!("no completions for `{shell}`: the shells are {known}")));
        }
    })
}

fn failed(error: &std::io::Error) -> Failure {
    Fault::new(FaultKind::Internal, "nothing can be completed").because(error.to_string()).into()
}
