//! The real curl: the headers go in, and the responses' heads come back, through pipes that nobody else sees.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio, read};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::arguments::Plan;
use super::status::Heads;
use super::{REFUSED, Ran};
use crate::stdio;

/// The longest body of a refusal that is held back for a second try.
const MAX_HELD: usize = 1024 * 1024;

/// Runs curl with `headers`, a configuration of its own, before its `arguments`. With `hold`, the body of a refusal is kept
/// back, for the caller to show or to drop.
#[cold]
pub(super) fn run(headers: &str, plan: &Plan, arguments: &[OsString], hold: bool) -> io::Result<Ran> {
    let hold = hold && !plan.dumps;
    let (config, mut to_curl) = from_us()?;
    let (heads, from_curl) = to_us()?;
    let mut curl = Command::new("curl");
    if plan.disabled {
        curl.arg("-q");
    }
    curl.arg("--config").arg(place(&config));
    if !plan.dumps {
        // A proxy's own answer is none of the API's.
        curl.arg("--suppress-connect-headers").arg("--dump-header").arg(place(&from_curl));
    }
    // Behind curl's own configuration, before the arguments: those have been looked at.
    curl.arg(if plan.stays { "--no-location" } else { "--no-location-trusted" });
    let protocols = if plan.is_plain() { "=http,https" } else { "=https" };
    curl.args(["--proto", protocols, "--proto-redir", protocols, "--proto-default", "https"]);
    if plan.is_plain() {
        // Nor does it take the way round through a proxy of the environment's, which would read it.
        curl.args(["--noproxy", "*"]);
    }
    // With a pipe for its output, curl would show its progress where a terminal was meant.
    if hold && stdio::stdout_is_tty() && !plan.saves {
        curl.arg("--no-progress-meter");
    }
    curl.args(arguments);
    if hold {
        curl.stdout(Stdio::piped());
    }
    // The two ends that curl inherits must not stay open here, or the pipes would never end.
    let spawned = curl.spawn();
    drop((config, from_curl));
    let mut child = spawned?;
    // curl reads its configuration before anything else; one that fails earlier does not read it, and says so itself.
    let _ = to_curl.write_all(headers.as_bytes());
    drop(to_curl);
    let ran = watch(&mut child, &heads, Heads::new(plan.follows))?;
    Ok(Ran { code: code(child.wait()?), ..ran })
}

/// Passes on what comes, until there is no more.
#[cold]
fn watch(child: &mut Child, heads: &OwnedFd, mut seen: Heads) -> io::Result<Ran> {
    let body = child.stdout.take().map(OwnedFd::from);
    let ended = ended_by_signal()?;
    let mut ran = Ran { code: 0, status: None, held: Vec::new(), shown: false };
    let (mut heads_open, mut body_open) = (true, body.is_some());
    let mut chunk = vec![0_u8; 64 * 1024];
    while heads_open || body_open {
        let wanted = |open| if open { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&ended, PollFlags::IN), PollFd::new(heads, wanted(heads_open))];
        fds.extend(body.as_ref().map(|body| PollFd::new(body, wanted(body_open))));
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            pass_on(child, &ended, &mut chunk);
        }
        // Always before the body: a head is written before the body that belongs to it.
        while heads_open {
            match read(heads, &mut chunk[..]) {
                Ok(0) => heads_open = false,
                Ok(n) => seen.feed(&chunk[..n]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(body) = body.as_ref().filter(|_| body_open && ready.get(2) == Some(&true)) {
            match read(body, &mut chunk[..]) {
                Ok(0) => body_open = false,
                Ok(n) => keep_or_show(&mut ran, seen.status(), &chunk[..n])?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    ran.status = seen.status();
    Ok(ran)
}

#[cold]
fn keep_or_show(ran: &mut Ran, status: Option<u16>, bytes: &[u8]) -> io::Result<()> {
    if status == Some(REFUSED) && !ran.shown && ran.held.len() + bytes.len() <= MAX_HELD {
        ran.held.extend_from_slice(bytes);
        return Ok(());
    }
    // Too late for another try, or none is needed.
    ran.shown |= status == Some(REFUSED);
    let held = std::mem::take(&mut ran.held);
    stdio::stdout_parts([&held, bytes]).map_err(|failure| io::Error::other(failure.fault.to_string()))
}

/// A signal that ends us ends curl, and with it us: a service manager knows only this process.
fn ended_by_signal() -> io::Result<OwnedFd> {
    let (ended, notify) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, notify.try_clone()?)?;
    }
    // Kept open by the handlers.
    Ok(ended)
}

fn pass_on(child: &Child, ended: &OwnedFd, chunk: &mut [u8]) {
    let _ = read(ended, chunk);
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// A pipe of which the child inherits the end that is read.
fn from_us() -> io::Result<(OwnedFd, std::fs::File)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfd(&read, FdFlags::empty())?;
    Ok((read, write.into()))
}

/// A pipe of which the child inherits the end that is written.
fn to_us() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfd(&write, FdFlags::empty())?;
    ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// What a program opens to get a descriptor that it inherited.
fn place(fd: &impl AsFd) -> String {
    let fd: BorrowedFd<'_> = fd.as_fd();
    format!("/dev/fd/{}", fd.as_raw_fd())
}

/// As a shell tells it.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
