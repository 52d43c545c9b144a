//! The socket, who listens there, and what the agent says of itself. Nothing is sent to anybody but our own agent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud_agent_protocol::v1::{Examine, Examined, Finding, Level, Place, Request, Response, Status};
use cloud_agent_protocol::{FaultKind, endpoint};

use super::Options;
use crate::client::{answered, unexpected};
use crate::connection::{Connection, NoConnection};
use crate::deadline::Deadline;
use crate::launch;
use crate::moment;
use crate::report::Failure;

/// What an agent is given to say that it is there, if the user gives it longer: it answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen of it.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    /// What the agent found; nothing if it was not asked.
    pub(super) examined: Option<Examined>,
    /// The addresses that accounts answer for.
    pub(super) served: Option<Vec<Place>>,
    /// Where somebody listens.
    pub(super) socket: Option<PathBuf>,
}

#[cold]
pub(super) fn look(options: Options) -> Seen {
    let mut seen = Seen::default();
    let socket = match endpoint::resolve() {
        Ok(socket) => socket,
        Err(fault) => {
            let found = Finding::of_fault("socket.path", Level::Error, fault).seen(said_by_environment());
            seen.findings.push(found.mend(format!("set {} to a short, absolute path", endpoint::ENV_SOCKET)));
            return seen;
        }
    };
    #[cfg(unix)]
    if let Err(found) = place(&socket) {
        seen.findings.push(found);
        // Whoever listens in an open directory may be asked by others: that is worth a try.
        seen.socket = Some(socket);
        return seen;
    }
    let deadline = Deadline::after(options.timeout.min(PATIENCE));
    let connection = match Connection::open(&socket, &deadline) {
        Ok(connection) => connection,
        Err(NoConnection::Absent) => {
            seen.findings.push(absent(&socket));
            return seen;
        }
        Err(NoConnection::Failed(failure)) => {
            let id = if failure.fault.kind == FaultKind::Busy { "agent.silent" } else { "peer.foreign" };
            seen.findings.push(failed(id, failure, &socket));
            return seen;
        }
    };
    let trusted = Finding::new("peer.own", Level::Ok, "who listens at the socket is you");
    seen.findings.push(trusted.seen(format!("the kernel's word, at `{}`", socket.display())));
    if let Err(found) = question(connection, &socket, &deadline, options, &mut seen) {
        seen.findings.push(found);
    }
    seen.socket = Some(socket);
    seen
}

/// Whether the socket's place is a safe one, and nothing else is there.
#[cfg(unix)]
fn place(socket: &Path) -> Result<(), Finding> {
    use std::os::unix::fs::FileTypeExt as _;

    let unsafe_place = |fault| {
        let found = Finding::of_fault("socket.directory", Level::Error, fault);
        found.seen(said_by_environment())
    };
    if endpoint::verify_directory(socket).map_err(unsafe_place)? {
        endpoint::verify_parents(socket).map_err(unsafe_place)?;
    }
    match std::fs::symlink_metadata(socket) {
        Ok(meta) if !meta.file_type().is_socket() => {
            let path = socket.display();
            Err(Finding::new("socket.obstacle", Level::Error, format!("`{path}` is in the way: it is no socket"))
                .seen("an agent neither listens there nor removes it")
                .mend(crate::places::out_of_the_way(socket, "moved")))
        }
        _ => Ok(()),
    }
}

fn absent(socket: &Path) -> Finding {
    let failure = launch::none(socket);
    let level = if failure.fault.causes.is_empty() { Level::Warning } else { Level::Error };
    let left = socket.symlink_metadata().is_ok().then_some("its socket is left: it did not end in good order");
    let found = Finding::of_fault("agent.absent", level, failure.fault);
    let found = left.into_iter().fold(found, Finding::seen);
    let starts = "`cloud-token status`, which starts one; then `cloud-token doctor` again";
    let found = found.seen("so vault, network and accounts were not looked at");
    if level == Level::Warning { found.mend_instead(starts) } else { found }
}

fn question(
    mut connection: Connection,
    socket: &Path,
    deadline: &Deadline,
    options: Options,
    seen: &mut Seen,
) -> Result<(), Finding> {
    match answered(connection.ask(&Request::Status, deadline)) {
        Ok(Response::Status(status)) => seen.findings.push(answers(&status)),
        Ok(other) => return Err(failed("agent.failed", unexpected(&other), socket)),
        // Every agent knows that question: somebody else's agent answers, by a socket that is for tokens alone.
        Err(failure) if failure.fault.kind == FaultKind::Unsupported => {
            let found = Finding { kind: None, ..failed("agent.forwarded", failure, socket) };
            let mend = "`cloud-token doctor`, where the agent runs, looks at the rest";
            return Err(Finding { level: Level::Note.word().to_owned(), ..found }.mend_instead(mend));
        }
        Err(failure) => {
            let id = match failure.fault.kind {
                FaultKind::Busy => "agent.silent",
                FaultKind::Version => "agent.other-version",
                _ => "agent.failed",
            };
            return Err(failed(id, failure, socket));
        }
    }
    let deadline = Deadline::after(options.timeout);
    let examine = Examine { prove: options.prove, deadline_ms: deadline.for_agent() };
    let answer = answered(connection.ask(&Request::Examine(examine), &deadline));
    match answer {
        Ok(Response::Examined(examined)) => seen.examined = Some(examined),
        Ok(other) => return Err(failed("agent.failed", unexpected(&other), socket)),
        Err(failure) => {
            let mend = if failure.fault.kind == FaultKind::Unsupported { Some("`cloud-token restart`") } else { None };
            let found = failed("agent.unexamined", failure, socket);
            let found = found.seen("so vault, network and accounts were not looked at");
            return Err(mend.into_iter().fold(found, Finding::mend_instead));
        }
    }
    // What cannot be had of a locked agent is not missed: it was said that it is locked.
    if let Ok(Response::Served(served)) = answered(connection.ask(&Request::ListServed, &deadline)) {
        seen.served = Some(served.places);
    }
    Ok(())
}

fn answers(status: &Status) -> Finding {
    let Status { version, pid, started_at, .. } = status;
    let evidence = format!("version {version}, pid {pid}, started {}", moment::relative(*started_at, moment::now()));
    let own = env!("CARGO_PKG_VERSION");
    if version == own {
        return Finding::new("agent.answers", Level::Ok, "the agent answers").seen(evidence);
    }
    Finding::new("agent.other-release", Level::Warning, "the agent that runs is another release than this program")
        .seen(format!("{evidence}; this is version {own}"))
        .kind(FaultKind::Version)
        .mend("`cloud-token restart`")
}

fn failed(id: &str, failure: Failure, socket: &Path) -> Finding {
    Finding::of_fault(id, Level::Error, failure.fault)
        .seen(format!("at `{}`", socket.display()))
        .mend("`pkill -x cloud-agent`; the next use starts another")
}

fn said_by_environment() -> String {
    match std::env::var_os(endpoint::ENV_SOCKET).filter(|value| !value.is_empty()) {
        Some(_) => format!("{} names it", endpoint::ENV_SOCKET),
        None => format!("{} is not set, so it is where the system has such places", endpoint::ENV_SOCKET),
    }
}
