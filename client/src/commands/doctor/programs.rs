//! The two programs, as a shell finds them.

use std::path::Path;

use cloud_agent_protocol::v1::{Finding, Level};

use crate::places::{self, PROGRAM};

#[cold]
pub(super) fn look() -> Vec<Finding> {
    let agent = match places::agent_program() {
        Ok(path) => Finding::new("program.agent", Level::Ok, "`cloud-agent` is installed").seen(shown(&path)),
        Err(failure) => Finding::of_fault("program.agent", Level::Error, failure.fault)
            .seen("no agent can be started, and one that runs cannot be restarted"),
    };
    vec![agent, own()]
}

fn own() -> Finding {
    let Ok(running) = std::env::current_exe() else {
        return Finding::new("program.path", Level::Note, "it is not known which program this is")
            .seen("the system does not say");
    };
    match places::on_path(PROGRAM, |path| path.is_file()) {
        None => Finding::new("program.path", Level::Note, "`cloud-token` is in no directory of PATH")
            .seen(format!("this is {}; what names it without its directory does not find it", shown(&running)))
            .mend("put its directory into PATH"),
        Some(found) if found.canonicalize().is_ok_and(|real| real == running) => {
            Finding::new("program.path", Level::Ok, "`cloud-token` is found in PATH").seen(shown(&found))
        }
        Some(other) => {
            Finding::new("program.other", Level::Warning, "a shell finds another `cloud-token` than this one")
                .seen(format!("this is {}; PATH leads to {}", shown(&running), shown(&other)))
                .mend(format!("remove {}, or put the directory of this one before it in PATH", shown(&other)))
        }
    }
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
