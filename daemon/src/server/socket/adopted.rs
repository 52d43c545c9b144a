//! A socket that a service manager made, and hands to the agent that the first call starts.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};
use interprocess::local_socket::tokio::Listener;
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use super::{Claim, Place, lock_path, open_lock};
use crate::thread;

/// What the unit calls the one that is meant.
const NAME: &str = "agent";
/// What they are called where nobody gave them a name: by systemd, and by `systemd-socket-activate`.
const UNNAMED: [&str; 2] = ["cloud-agent.socket", "unknown"];

/// How long an agent that was there before is given to save what it has and leave. Callers wait in the queue of the socket.
const HANDING_OVER: Duration = Duration::from_mins(1);

/// Takes the socket for the agent from what was handed down; `None` if nothing was.
///
/// # Errors
/// `Config` if something was, and none of it is a socket that an agent could trust and serve.
pub(crate) async fn adopt(handed: Vec<(String, OwnedFd)>) -> Result<Option<(PathBuf, Claim)>, Fault> {
    if handed.is_empty() {
        return Ok(None);
    }
    let socket = choose(handed)?;
    let (path, socket) = judge(socket)?;
    let refused = |why: String| unusable(why).because(format!("it is bound to `{}`", path.display()));
    super::verify(&path)?;
    let lock = open_lock(&lock_path(&path)).map_err(|e| refused(format!("its lock file: {e}")))?;
    let locked = thread::run("lock", move || lock.lock().map(|()| lock));
    let lock = match tokio::time::timeout(HANDING_OVER, locked).await {
        Ok(locked) => locked?.map_err(|e| refused(format!("its lock file: {e}")))?,
        Err(_) => return Ok(Some((path, Claim::AlreadyRunning))),
    };
    let uds = interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(socket);
    let listener: Listener = uds.map_err(|e| refused(e.to_string()))?.into();
    // Whoever made it removes it.
    let place = Place::new(&path, lock, false);
    Ok(Some((path, Claim::Taken(place, listener))))
}

/// The one that is named, else the only one if it has no name.
fn choose(handed: Vec<(String, OwnedFd)>) -> Result<OwnedFd, Fault> {
    let names: Vec<_> = handed.iter().map(|(name, _)| format!("`{}`", name.escape_debug())).collect();
    let only = handed.len() == 1;
    let is_it = |name: &str| name == NAME || (only && UNNAMED.contains(&name));
    let mut fitting = handed.into_iter().filter(|(name, _)| is_it(name));
    match (fitting.next(), fitting.next()) {
        (Some((_, socket)), None) => Ok(socket),
        (None, _) => Err(unusable(format!("none of them is called `{NAME}`: {}", names.join(", ")))),
        (Some(_), Some(_)) => Err(unusable(format!("more than one is called `{NAME}`"))),
    }
}

/// Where it is bound, if it is a listening stream socket in the file system, of our own.
fn judge(socket: OwnedFd) -> Result<(PathBuf, OwnedFd), Fault> {
    let socket = UnixListener::from(socket);
    let address = socket.local_addr().map_err(|_| unusable("it is not a Unix socket"))?;
    if socket_type(&socket).ok() != Some(SocketType::STREAM) || socket_acceptconn(&socket).ok() != Some(true) {
        return Err(unusable("it is not a stream socket that listens"));
    }
    let path = address.as_pathname().filter(|path| path.is_absolute());
    let path = path.ok_or_else(|| unusable("it has no path, and so no permissions"))?;
    let own = rustix::process::geteuid().as_raw();
    match fs::symlink_metadata(path).map(|meta| meta.uid()) {
        Ok(owner) if owner == own => Ok((path.to_owned(), socket.into())),
        Ok(owner) => Err(unusable(format!("`{}` is owned by uid {owner}", path.display()))),
        Err(e) => Err(unusable(format!("`{}`: {e}", path.display()))),
    }
}

fn unusable(why: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Config, "what the service manager hands down cannot be used")
        .because(why)
        .hint("`cloud-token setup systemd --print` shows units that can")
}
