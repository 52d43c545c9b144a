//! Who is at the other end, by the kernel's word.

use std::sync::LazyLock;

use interprocess::local_socket::tokio::Stream;

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
    // The pipe's access list lets nobody else in.
    #[cfg(not(unix))]
    {
        let _ = stream;
        true
    }
}
