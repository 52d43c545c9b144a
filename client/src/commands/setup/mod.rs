//! `setup`: makes consumers ask us, and stops that again. What it did not write it does not touch.

mod block;
mod docker;
mod edit;
mod git;
mod graft;
mod kubectl;
mod launchd;
mod mask;
mod owned;
mod shell;
mod systemd;

use std::path::{Path, PathBuf};
use std::{env, io};

use cloud_agent_protocol::{Fault, FaultKind};

use crate::report::{self, Failure, printable};
use crate::stdio;
use edit::Edit;

/// Whose configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Git,
    Kubectl,
    Docker,
    Shell,
    Systemd,
    Launchd,
}

impl Target {
    /// All of them, by name.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("git", Self::Git),
        ("kubectl", Self::Kubectl),
        ("docker", Self::Docker),
        ("shell", Self::Shell),
        ("systemd", Self::Systemd),
        ("launchd", Self::Launchd),
    ];

    /// The one of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Only show it.
    pub(crate) print: bool,
    /// Take it back.
    pub(crate) remove: bool,
}

/// A change, and what is to be said once it is made.
struct Plan {
    edits: Vec<Edit>,
    notes: Vec<String>,
}

/// Does it, or shows what it would do.
#[cold]
pub(crate) fn run(target: Target, options: Options) -> Result<(), Failure> {
    let plan = match target {
        Target::Git => git::plan(options.remove)?,
        Target::Kubectl => kubectl::plan(options.remove)?,
        Target::Docker => docker::plan(options.remove)?,
        Target::Shell => shell::plan(options.remove)?,
        Target::Systemd => systemd::plan(options.remove)?,
        Target::Launchd => launchd::plan(options.remove)?,
    };
    let changes: Vec<&Edit> = plan.edits.iter().filter(|edit| edit.changes()).collect();
    if options.print {
        let shown: String = changes.iter().map(|edit| edit.diff()).collect();
        stdio::stdout(shown.as_bytes())?;
    } else {
        for edit in &changes {
            edit.make().map_err(|e| unusable(edit.path(), &e))?;
            report::note(&format!("{}: {}", edit.deed(), edit.path().display()));
        }
    }
    if changes.is_empty() {
        report::note("nothing to do");
    }
    plan.notes.iter().for_each(|note| report::note(note));
    Ok(())
}

/// What this program's file is called.
const PROGRAM: &str = if cfg!(windows) { "cloud-token.exe" } else { "cloud-token" };

/// Names the home directory.
const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// How other programs are to start us: the way that the user does, so that an update of ours does not move it.
#[cold]
fn own_program() -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|e| unusable(Path::new("cloud-token"), &e))?;
    let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == own);
    Ok(on_path(PROGRAM, is_own).unwrap_or(own))
}

/// The agent, which lies beside this program, else on the path.
#[cold]
fn agent_program() -> Result<PathBuf, Failure> {
    const AGENT: &str = if cfg!(windows) { "cloud-agent.exe" } else { "cloud-agent" };
    let beside = own_program()?.with_file_name(AGENT);
    if beside.is_file() {
        return Ok(beside);
    }
    on_path(AGENT, |path| path.is_file()).ok_or_else(|| {
        Fault::new(FaultKind::Config, "`cloud-agent` is neither beside `cloud-token` nor in a directory of PATH")
            .hint("install `cloud-agent` beside `cloud-token`")
            .into()
    })
}

/// The first on the path that `is_it`.
#[cold]
fn on_path(name: &str, is_it: impl Fn(&PathBuf) -> bool) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(is_it)
}

/// The home directory.
#[cold]
fn home() -> Result<PathBuf, Failure> {
    directory(HOME).ok_or_else(|| {
        Fault::new(FaultKind::Config, "it is not known where your configuration is")
            .because(format!("`${HOME}` is not set"))
            .into()
    })
}

/// The directory that a variable names.
#[cold]
fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cold]
fn unusable(path: &Path, error: &io::Error) -> Failure {
    let fault = Fault::new(FaultKind::Config, format!("`{}` cannot be used", printable(&path.display().to_string())));
    fault.because(error.to_string()).into()
}
