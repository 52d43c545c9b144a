//! `exec`: a program with the environment of some accounts, in place of this one.

use std::ffi::OsString;
use std::process::Command;

use cloud_agent_protocol::{Fault, FaultKind, Header};

use crate::get;
use crate::output::Format;
use crate::report::Failure;
use crate::shell;

/// What shells exit with if a program is not there, and if it cannot be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

/// Runs `command` with what `accounts` name; does not come back if it could be started.
#[cold]
pub(crate) fn run(accounts: &[String], command: Vec<OsString>, want: &get::Options) -> Result<(), Failure> {
    let mut variables: Vec<(String, Header)> = Vec::new();
    for account in accounts {
        let options = get::Options { account: account.clone(), format: Format::Env, ..*want };
        let credential = get::credential(&options)?;
        for variable in shell::variables(&credential)? {
            match variables.iter().find(|(_, other)| other.name == variable.name) {
                Some((other, known)) if known.value != variable.value => {
                    return Err(both(other, account, &variable.name));
                }
                Some(_) => {}
                None => variables.push((account.clone(), variable.clone())),
            }
        }
    }
    let mut command = command.into_iter();
    let Some(program) = command.next() else { return Err(Failure::usage("no program is named")) };
    let mut run = Command::new(&program);
    run.args(command);
    for (_, variable) in &variables {
        run.env(&variable.name, variable.value.expose());
    }
    let error = replace(&mut run);
    let program = program.to_string_lossy();
    let fault =
        Fault::new(FaultKind::Usage, format!("cannot run `{}`", program.escape_debug())).because(error.to_string());
    crate::report::failure(&fault.into());
    std::process::exit(if error.kind() == std::io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN })
}

#[cold]
fn both(one: &str, other: &str, name: &str) -> Failure {
    Fault::new(FaultKind::Usage, format!("`{one}` and `{other}` both set `{name}`"))
        .because("a program has one environment")
        .hint("run it once for each, or write one of them by `cloud-token ACCOUNT -o env` under other names")
        .into()
}

/// Puts the program in the place of this one; returns only if that failed.
#[cfg(unix)]
fn replace(run: &mut Command) -> std::io::Error {
    use std::os::unix::process::CommandExt as _;

    // Standard library: gives the signals that this program ignores their default meaning back.
    run.exec()
}

/// Where no program can take another's place, it is waited for.
#[cfg(not(unix))]
fn replace(run: &mut Command) -> std::io::Error {
    match run.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
