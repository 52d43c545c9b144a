//! Who is at the other end, by the kernel's word.

#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::connection::Connection;
use crate::access;
use crate::broker::Caller;
use crate::callers::{Callers, Process, stat};

/// The caller, if it runs as our user: its process id, 0 where the kernel does not say. Anybody else is closed without reading
/// a byte or writing one; so is a caller the kernel cannot name (it has gone, or lives in another process namespace).
pub(super) fn trusted(connection: &Connection) -> Option<u32> {
    #[cfg(unix)]
    {
        static OWN: LazyLock<u32> = LazyLock::new(|| rustix::process::geteuid().as_raw());
        let own = *OWN;
        match connection.peer_creds() {
            Ok(creds) if creds.euid() == Some(own) => {
                let pid = creds.pid().and_then(|pid| u32::try_from(pid).ok());
                #[cfg(target_os = "macos")]
                let pid = pid.or_else(|| crate::hardening::macos::peer(connection.descriptor()?));
                Some(pid.unwrap_or_default())
            }
            Ok(creds) => {
                tracing::warn!(pid = creds.pid(), uid = creds.euid(), "a caller of another user was turned away");
                None
            }
            Err(e) => {
                tracing::debug!("a caller that the kernel cannot name was turned away: {e}");
                None
            }
        }
    }
    // The pipe's access list lets nobody else in; this is the second lock on the same door.
    #[cfg(windows)]
    {
        use interprocess::local_socket::tokio::Stream;
        use std::os::windows::io::AsHandle as _;
        static OWN: LazyLock<Option<String>> = LazyLock::new(|| cloud_agent_protocol::windows::own_sid().ok());
        let Connection::Watched(Stream::NamedPipe(pipe)) = connection;
        match crate::hardening::windows::caller(pipe.as_handle()) {
            Ok(sid) if OWN.as_ref() == Some(&sid) => Some(0),
            Ok(sid) => {
                tracing::warn!(sid, "a caller of another user was turned away");
                None
            }
            Err(e) => {
                tracing::debug!("a caller that the system cannot name was turned away: {e}");
                None
            }
        }
    }
}

/// The process that started process `child`, which waits for its answer: a label, for what the caller itself is too short-lived
/// to tell. `None` where the kernel does not say, or the caller has gone.
pub(super) fn parent(child: u32) -> Option<Caller> {
    #[cfg(target_os = "macos")]
    use crate::hardening::macos::stat;

    let parent = stat(child)?.parent;
    let started = stat(parent)?.started;
    // Had it died, its id might be another's by now; its parent's might, too.
    (stat(child)?.parent == parent).then_some(Caller { pid: parent, started })
}

/// A process at the other end, to be looked at when something depends on it.
pub(super) struct Peer<'a> {
    #[cfg_attr(windows, expect(dead_code, reason = "nothing pins a process by it there"))]
    pub(super) connection: &'a Connection,
    /// Its id when it connected; 0 where the kernel does not say.
    pub(super) pid: u32,
    /// The uptime at which its connection was taken.
    pub(super) since: Duration,
}

impl access::Caller for Peer<'_> {
    /// Pinned while it is looked at, where the kernel can; its start is read again after everything else. One that has ended in
    /// between, or has passed the connection on and left its id to another, has exited, whoever has the id now.
    fn look(&self) -> Arc<Process> {
        let pinned = self.pinned();
        let callers = Callers::default();
        let process = callers.asking(self.pid, self.since, self.since);
        callers.trace(&process, || self.since);
        let is_same = stat(self.pid).is_some_and(|now| now.started == process.started);
        if is_same && !pinned.is_some_and(|pinned| has_ended(&pinned)) {
            process
        } else {
            Arc::new(Process::gone(self.pid))
        }
    }
}

impl Peer<'_> {
    #[cfg(unix)]
    fn pinned(&self) -> Option<OwnedFd> {
        crate::hardening::peer_pidfd(self.connection.descriptor()?).ok()
    }

    #[cfg(not(unix))]
    fn pinned(&self) -> Option<()> {
        None
    }
}

/// A descriptor of a process is readable once that has ended.
#[cfg(unix)]
fn has_ended(pinned: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(pinned, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

#[cfg(not(unix))]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as where it is a descriptor")]
fn has_ended((): &()) -> bool {
    false
}
