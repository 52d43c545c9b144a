//! Who is at the other end, by the kernel's word.

#[cfg(unix)]
use std::sync::LazyLock;

use interprocess::local_socket::tokio::Stream;

use crate::broker::Caller;
use crate::callers::stat;

/// The caller, if it runs as our user: its process id, 0 where the kernel does not say. Anybody else is closed without reading
/// a byte or writing one; so is a caller the kernel cannot name (it has gone, or lives in another process namespace).
pub(super) fn trusted(stream: &Stream) -> Option<u32> {
    #[cfg(unix)]
    {
        use interprocess::local_socket::traits::StreamCommon as _;
        static OWN: LazyLock<u32> = LazyLock::new(|| rustix::process::geteuid().as_raw());
        let own = *OWN;
        match stream.peer_creds() {
            Ok(creds) if creds.euid() == Some(own) => {
                Some(creds.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default())
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
    // The pipe's access list lets nobody else in.
    #[cfg(not(unix))]
    {
        let _ = stream;
        Some(0)
    }
}

/// The process that started process `child`, which waits for its answer: a label, for what the caller itself is too short-lived
/// to tell. `None` where the kernel does not say, or the caller has gone.
pub(super) fn parent(child: u32) -> Option<Caller> {
    let parent = stat(child)?.parent;
    let started = stat(parent)?.started;
    // Had it died, its id might be another's by now; its parent's might, too.
    (stat(child)?.parent == parent).then_some(Caller { pid: parent, started })
}
