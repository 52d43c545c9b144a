//! Somebody else at the socket: this program once more, as another user, who ought to be turned away. Root can become one;
//! whoever `sudo` lets without a password can, too.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use cloud_agent_protocol::hello;
use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::v1::{Finding, Level, Request};

use super::probe::{self, Asked};
use crate::report::Failure;
use crate::stdio;

/// The user that owns nothing, on every system.
const NOBODY: u32 = 65_534;

/// How long whoever listens has to answer the other user.
const PATIENCE: Duration = Duration::from_secs(2);

/// How what the other user found begins.
const TURNED_AWAY: &str = "turned away: ";
const ANSWERED: &str = "answered: ";

/// Tries it.
#[cold]
pub(super) fn attempt(socket: &Path) -> Finding {
    let untried = |why: String| {
        Finding::new("peer.second-user-untried", Level::Note, "no other user has tried to be answered").seen(why)
    };
    let own = rustix::process::geteuid().as_raw();
    if own == NOBODY {
        return untried(format!("you are uid {NOBODY} yourself"));
    }
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(e) => return untried(e.to_string()),
    };
    let mut command = if own == 0 {
        // By a way that leads through no directory: the program may lie in a home that is closed to others.
        let same = Path::new("/proc/self/exe");
        let mut command = Command::new(if same.exists() { same } else { &program });
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "-u", &format!("#{NOBODY}"), "--"]).arg(&program);
        command
    };
    command.args(["doctor", "--intrude"]).arg(socket);
    let said = match probe::ask(&mut command, PATIENCE * 3) {
        Asked::Said(said) => said,
        Asked::Missing => return untried("you are not root, and there is no `sudo`".to_owned()),
        Asked::Hung => return untried("it did not end in time".to_owned()),
        Asked::Failed(why) => return untried(format!("this program cannot be run as uid {NOBODY}: {why}")),
    };
    let found = said.stdout.trim();
    if let Some(how) = found.strip_prefix(TURNED_AWAY) {
        return Finding::new("peer.second-user", Level::Ok, "another user is turned away")
            .seen(format!("as uid {NOBODY}: {how}"));
    }
    if let Some(how) = found.strip_prefix(ANSWERED) {
        let directory = quoted(socket.parent().unwrap_or(Path::new("/")).display());
        return Finding::new("peer.second-user", Level::Error, "another user is answered at the socket")
            .seen(format!("as uid {NOBODY}: {how}"))
            .mend(format!("`chmod 700 {directory}`, and end whoever listens there: it is not this agent"));
    }
    let how = if own == 0 { "as root" } else { "by `sudo -n`" };
    let why = if said.complaint.is_empty() { "it said nothing".to_owned() } else { said.complaint };
    untried(format!("{how}: {why}"))
}

/// What the other user does: connects, whatever the place is like, and asks.
#[cold]
pub(crate) fn intrude(socket: &PathBuf) -> Result<(), Failure> {
    let found = match ask(socket) {
        Ok(0) => format!("{TURNED_AWAY}connected, and closed unread"),
        Ok(bytes) => format!("{ANSWERED}with {bytes} bytes or more"),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            format!("{TURNED_AWAY}connected, and nothing was said for {} s", PATIENCE.as_secs())
        }
        Err(e) => format!("{TURNED_AWAY}{e}"),
    };
    stdio::stdout(format!("{found}\n").as_bytes())
}

fn ask(socket: &PathBuf) -> io::Result<usize> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let frame = Request::Status.encode().map_err(io::Error::other)?;
    // It may be closed already.
    let sent = stream.write_all(&frame.encode_after(&hello::encode(hello::VERSIONS)));
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => Ok(bytes),
        // Closed with our question unread.
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(0),
        Err(e) => Err(sent.err().unwrap_or(e)),
    }
}
