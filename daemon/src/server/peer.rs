//! Who is at the other end, by the kernel's word.

use std::sync::LazyLock;

use interprocess::local_socket::tokio::Stream;

use crate::broker::Caller;

/// Whether the caller runs as our user. Anybody else is closed without reading a byte or writing one; so is a caller the
/// kernel cannot name (it has gone, or lives in another process namespace).
pub(super) fn is_trusted(stream: &Stream) -> bool {
    #[cfg(unix)]
    {
        use interprocess::local_socket::traits::StreamCommon as _;
        static OWN: LazyLock<u32> = LazyLock::new(|| rustix::process::geteuid().as_raw());
        let own = *OWN;
        match stream.peer_creds() {
            Ok(creds) if creds.euid() == Some(own) => true,
            Ok(creds) => {
                tracing::warn!(pid = creds.pid(), uid = creds.euid(), "a caller of another user was turned away");
                false
            }
            Err(e) => {
                tracing::debug!("a caller that the kernel cannot name was turned away: {e}");
                false
            }
        }
    }
    // The pipe's access list lets nobody else in; this is the second lock on the same door.
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle as _;
        static OWN: LazyLock<Option<String>> = LazyLock::new(|| cloud_agent_protocol::windows::own_sid().ok());
        let Stream::NamedPipe(pipe) = stream;
        match crate::hardening::windows::caller(pipe.as_handle()) {
            Ok(sid) if OWN.as_ref() == Some(&sid) => true,
            Ok(sid) => {
                tracing::warn!(sid, "a caller of another user was turned away");
                false
            }
            Err(e) => {
                tracing::debug!("a caller that the system cannot name was turned away: {e}");
                false
            }
        }
    }
}

/// The process that started the caller: a label, for what the caller itself is too short-lived to tell. `None` where the
/// kernel does not say, or the caller has gone.
pub(super) fn parent(stream: &Stream) -> Option<Caller> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        #[cfg(target_os = "linux")]
        use linux::{peer, stat};
        #[cfg(target_os = "macos")]
        use macos::{peer, stat};

        let child = peer(stream)?;
        let parent = stat(child)?.parent;
        let started = stat(parent)?.started;
        // The caller waits for its answer. Had it died, its id might be another's by now; its parent might, too.
        (stat(child)?.parent == parent).then_some(Caller { pid: parent, started })
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = stream;
        None
    }
}

#[cfg(target_os = "macos")]
mod macos {
    use std::os::fd::AsFd as _;

    use interprocess::local_socket::tokio::Stream;

    pub(super) use crate::hardening::macos::stat;

    pub(super) fn peer(stream: &Stream) -> Option<u32> {
        let Stream::UdSocket(socket) = stream;
        crate::hardening::macos::peer(socket.as_fd())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use interprocess::local_socket::tokio::Stream;
    use interprocess::local_socket::traits::StreamCommon as _;

    pub(super) fn peer(stream: &Stream) -> Option<u32> {
        u32::try_from(stream.peer_creds().ok()?.pid()?).ok()
    }

    /// What the kernel says about a process.
    pub(super) struct Stat {
        pub(super) parent: u32,
        pub(super) started: u64,
    }

    pub(super) fn stat(pid: u32) -> Option<Stat> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The fourth and the twenty-second field of `/proc/PID/stat` (proc(5)). The second is a name, and may hold anything.
    fn parse(text: &str) -> Option<Stat> {
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Stat { parent, started })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_process_and_its_parent_are_told_by_the_kernel_whatever_their_names() {
            let own = stat(std::process::id()).unwrap();
            assert_eq!(own.parent, std::os::unix::process::parent_id());
            let line = "7 (a) b) S 41 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1";
            let parsed = parse(line).unwrap();
            assert_eq!((parsed.parent, parsed.started), (41, 98765));
            assert!(stat(u32::MAX).is_none() && parse("7 (a").is_none());
        }
    }
}
