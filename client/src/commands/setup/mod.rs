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

use crate::places::unusable;
use crate::report::{self, Failure};
use crate::stdio;
use edit::Edit;

pub(crate) use kubectl::let_a_context_use;

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

/// How what `setup` would write stands to what is there.
pub(crate) enum Standing {
    /// Nothing of it is there.
    Absent,
    /// It is as it would be written now.
    Current,
    /// It is there, and would be written otherwise now.
    Outdated,
    /// It cannot be told, for this reason.
    Unusable(Failure),
}

/// Looks, and changes nothing. Only of targets whose plan is made by reading alone.
#[cold]
pub(crate) fn standing(target: Target) -> Standing {
    let plan = |remove: bool| match target {
        Target::Git => git::plan(remove),
        Target::Shell => shell::plan(remove),
        Target::Systemd => systemd::plan(remove),
        Target::Launchd => launchd::plan(remove),
        // kubectl is run for it, and docker's asks the agent.
        Target::Kubectl | Target::Docker => Ok(Plan { edits: Vec::new(), notes: Vec::new() }),
    };
    let changes = |remove: bool| plan(remove).map(|plan| plan.edits.iter().any(Edit::changes));
    match (changes(true), || changes(false)) {
        (Err(failure), _) => Standing::Unusable(failure),
        (Ok(false), _) => Standing::Absent,
        (Ok(true), is_outdated) => match is_outdated() {
            Ok(false) => Standing::Current,
            Ok(true) => Standing::Outdated,
            Err(failure) => Standing::Unusable(failure),
        },
    }
}
