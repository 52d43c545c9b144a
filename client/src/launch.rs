//! Starts the agent where none answers: once, whoever else asks at the same time, and within the deadline.

#[cfg(windows)]
mod windows;

use std::ffi::OsString;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use cloud_agent_protocol::{Fault, FaultKind, endpoint};

use crate::connection::{Connection, NoConnection};
use crate::deadline::Deadline;
use crate::report::Failure;
#[cfg(windows)]
use windows::{spawn as start, wait_until_ready};

/// Set and not empty: no agent is started.
pub(crate) const ENV_NO_AUTOSTART: &str = "CLOUD_AGENT_NO_AUTOSTART";

/// Held by the one client that starts the agent; of this socket, so that a socket elsewhere has its own.
const LOCK: &str = "launch.lock";

/// What the agent writes to stdout once it listens.
const READY: &[u8] = b"ready";

/// The most that is read from an agent that starts; more is cut, because all of it ends up on a terminal.
const MAX_WORDS: usize = 8 * 1024;

/// The pauses while another client starts the agent.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A connection to an agent that this client, or another one at the same moment, has started.
#[cold]
pub(crate) fn agent(socket: &Path, deadline: &Deadline, withheld: &[OsString]) -> Result<Connection, Failure> {
    if env::var_os(ENV_NO_AUTOSTART).is_some_and(|value| !value.is_empty()) {
        return Err(none(socket));
    }
    let directory = endpoint::lock_directory(socket);
    prepare(&directory).map_err(|e| cannot(socket, format!("`{}`: {e}", directory.display())))?;
    #[cfg(unix)]
    endpoint::verify_directory(socket).map_err(Failure::no_agent)?;

    let lock = open_lock(&directory.join(LOCK)).map_err(|e| cannot(socket, format!("`{LOCK}`: {e}")))?;
    let mut pause = PAUSE;
    loop {
        let locked = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(e)) => return Err(cannot(socket, format!("`{LOCK}`: {e}"))),
        };
        // Only a look under the lock tells that nobody was faster; without it, it tells when somebody is done.
        match Connection::open(socket, deadline) {
            Ok(connection) => return Ok(connection),
            Err(NoConnection::Failed(failure)) => return Err(failure),
            Err(NoConnection::Absent) if locked => break,
            Err(NoConnection::Absent) => {}
        }
        if deadline.left() <= pause {
            return Err(late(socket, "another client is starting it"));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }

    let mut child = spawn(socket, withheld)?;
    wait_until_ready(&mut child, socket, deadline)?;
    match Connection::open(socket, deadline) {
        Ok(connection) => Ok(connection),
        Err(NoConnection::Failed(failure)) => Err(failure),
        Err(NoConnection::Absent) => Err(cannot(socket, "it said that it is ready, and then was not there")),
    }
    // The lock goes here, after the connection stands: nobody starts a second one in between.
}

/// The failure of a client that starts no agent.
#[cold]
pub(crate) fn none(socket: &Path) -> Failure {
    let mut fault = Fault::new(FaultKind::Unreachable, format!("no agent answers at `{}`", socket.display()));
    fault = match env::var_os(ENV_NO_AUTOSTART).filter(|value| !value.is_empty()) {
        Some(_) => fault
            .because(format!("{ENV_NO_AUTOSTART} is set, so none was started"))
            .hint(format!("start one with `cloud-agent &`, or unset {ENV_NO_AUTOSTART}")),
        None => fault.hint("the next `cloud-token ACCOUNT` starts one"),
    };
    Failure::no_agent(fault)
}

#[cold]
fn cannot(socket: &Path, why: impl Into<String>) -> Failure {
    let message = format!("cannot start the agent at `{}`", socket.display());
    Failure::no_agent(Fault::new(FaultKind::Internal, message).because(why))
}

#[cold]
fn late(socket: &Path, why: &str) -> Failure {
    let mut failure = cannot(socket, why);
    failure.fault.message = format!("the agent was not ready in time at `{}`", socket.display());
    failure.fault.hint = Some("ask again in a moment, or give it longer with `--timeout`".to_owned());
    failure
}

#[cfg(unix)]
fn prepare(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(windows)]
fn prepare(directory: &Path) -> io::Result<()> {
    cloud_agent_protocol::windows::make_private(directory).map(drop)
}

fn open_lock(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn spawn(socket: &Path, withheld: &[OsString]) -> Result<Child, Failure> {
    let sibling = env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(|dir| dir.join("cloud-agent").with_extension(env::consts::EXE_EXTENSION)))
        .filter(|path| path.is_file());
    let program = sibling.unwrap_or_else(|| PathBuf::from("cloud-agent"));
    let mut command = Command::new(&program);
    // All three streams are ours: an agent that kept the caller's stdout would make `$(cloud-token …)` wait for ever.
    // No process group of its own: the leader of one could not become the leader of a session, which the agent does.
    command.arg("--socket").arg(socket).arg("--detached");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in withheld {
        command.env_remove(name);
    }
    start(&mut command).map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            let mut failure =
                cannot(socket, "`cloud-agent` is neither beside `cloud-token` nor in a directory of PATH");
            failure.fault.hint = Some("install `cloud-agent` beside `cloud-token`".to_owned());
            failure
        } else {
            cannot(socket, format!("`{}`: {e}", program.display()))
        }
    })
}

#[cfg(unix)]
fn start(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// Judges what the agent wrote before it was ready or gave up.
fn judge(socket: &Path, ready: bool, words: &[u8], status: Option<std::process::ExitStatus>) -> Result<(), Failure> {
    if ready {
        return Ok(());
    }
    let mut failure = cannot(socket, status.map_or("it ended".to_owned(), |status| format!("it ended: {status}")));
    for line in String::from_utf8_lossy(words).lines().filter(|line| !line.trim().is_empty()) {
        if let Some(hint) = line.strip_prefix("hint: ") {
            failure.fault.hint = Some(hint.to_owned());
        } else {
            let cause = line.strip_prefix("error: ").or(line.strip_prefix("caused by: "));
            failure.fault.causes.push(cause.unwrap_or(line).to_owned());
        }
    }
    Err(failure)
}

fn is_ready(words: &[u8]) -> bool {
    words.split_inclusive(|b| *b == b'\n').any(|line| line.strip_suffix(b"\n") == Some(READY))
}

#[cfg(unix)]
fn wait_until_ready(child: &mut Child, socket: &Path, deadline: &Deadline) -> Result<(), Failure> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::{Errno, read};
    use rustix::time::Timespec;

    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else { return Err(cannot(socket, "it has no pipes")) };
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let (mut stdout_open, mut stderr_open) = (true, true);
    let mut chunk = [0_u8; 512];
    // Both pipes are emptied: an agent that warns at length must not block on a full one. Both must end before a
    // failure is told, because the words come through the second.
    while stdout_open || stderr_open {
        let left = Timespec::try_from(deadline.left()).unwrap_or_default();
        let wanted = |open| if open { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [PollFd::new(&stdout, wanted(stdout_open)), PollFd::new(&stderr, wanted(stderr_open))];
        match poll(&mut fds, Some(&left)) {
            // It is left running: a slow start that was killed would never come to an end.
            Ok(0) => return Err(late(socket, "it is still starting")),
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(cannot(socket, e.to_string())),
        }
        let (first, second) = (fds[0].revents(), fds[1].revents());
        if stdout_open && !first.is_empty() {
            let n = read(&stdout, &mut chunk).unwrap_or(0);
            stdout_open = n > 0;
            said.extend_from_slice(&chunk[..n]);
            if is_ready(&said) {
                return Ok(());
            }
            stdout_open &= said.len() <= MAX_WORDS;
        }
        if stderr_open && !second.is_empty() {
            let n = read(&stderr, &mut chunk).unwrap_or(0);
            stderr_open = n > 0;
            complaint.extend_from_slice(&chunk[..n.min(MAX_WORDS.saturating_sub(complaint.len()))]);
        }
    }
    judge(socket, false, &complaint, reap(child, deadline))
}

/// How the child ended, if it does so soon: its pipes are closed, so it is about to.
fn reap(child: &mut Child, deadline: &Deadline) -> Option<std::process::ExitStatus> {
    let patience = Deadline::after(deadline.left().min(Duration::from_millis(500)));
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if !patience.left().is_zero() => thread::sleep(PAUSE),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_whole_line() {
        assert!(is_ready(b"ready\n") && is_ready(b"warning\nready\n"));
        assert!(!is_ready(b"ready") && !is_ready(b"not ready\n") && !is_ready(b""));
    }

    #[test]
    fn the_words_of_an_agent_that_gave_up_become_causes_and_hint() {
        let failure =
            judge(Path::new("/s"), false, b"error: no vault\ncaused by: disk\nhint: mount it\n", None).unwrap_err();
        assert_eq!(failure.fault.causes, ["it ended", "no vault", "disk"]);
        assert_eq!(failure.fault.hint.as_deref(), Some("mount it"));
        assert_eq!(failure.code(), 3);
    }
}
