//! What a pipe is made with.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;

use interprocess::local_socket::ListenerOptions;
use interprocess::os::windows::local_socket::ListenerOptionsExt as _;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use widestring::U16CString;

use crate::rights;

/// For the user alone: by default everybody may read a pipe. interprocess itself refuses callers of other machines, and a name
/// that somebody has a pipe of already.
pub(super) fn closed(options: ListenerOptions<'_>) -> io::Result<ListenerOptions<'_>> {
    let text = U16CString::from_str(rights::pipe_descriptor()?).map_err(io::Error::other)?;
    Ok(options.security_descriptor(SecurityDescriptor::deserialize(&text)?))
}

/// Whether somebody listens there. A pipe without room right now is a sign of life, too.
pub(super) fn is_alive(path: &Path) -> bool {
    let opened = OpenOptions::new().read(true).write(true).security_qos_flags(IDENTIFICATION).open(path);
    opened.map_or_else(|e| e.kind() != io::ErrorKind::NotFound, |_| true)
}

/// Whoever listens may know who we are and not act as us (`SECURITY_IDENTIFICATION`).
const IDENTIFICATION: u32 = 0x1_0000;

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsHandle as _;
    use std::path::PathBuf;

    use cloud_agent_protocol::windows::{Descriptor, Object, own_sid, owner_of};
    use interprocess::local_socket::tokio::Stream;
    use interprocess::local_socket::traits::tokio::Listener as _;

    use super::super::{Claim, claim};
    use super::*;
    use crate::hardening::windows::caller;

    fn place(name: &str) -> PathBuf {
        PathBuf::from(format!(r"\\.\pipe\cloud-agent-test-{name}-{}", std::process::id()))
    }

    #[tokio::test]
    async fn the_pipe_is_the_users_alone_and_each_end_knows_the_other() {
        let path = place("alone");
        let Claim::Taken(_place, listener) = claim(&path).await.unwrap() else { panic!("nobody else is there") };
        let client = OpenOptions::new().read(true).write(true).security_qos_flags(IDENTIFICATION).open(&path).unwrap();
        let own = own_sid().unwrap();
        assert_eq!(owner_of(client.as_handle(), Object::Kernel).unwrap(), own);
        let text = Descriptor::of(client.as_handle(), Object::Kernel).unwrap().text().unwrap();
        let entries = text.matches("(A;").count();
        assert!(text.contains("D:P(A;;") && text.ends_with(&format!(";;;{own})")) && entries == 1, "{text}");
        assert_eq!(rights::strangers(&text, &[&own], u32::MAX), Vec::<String>::new());
        let Stream::NamedPipe(served) = listener.accept().await.unwrap();
        assert_eq!(caller(served.as_handle()).unwrap(), own);
    }

    #[tokio::test]
    async fn one_place_is_claimed_once() {
        let path = place("once");
        let first = claim(&path).await.unwrap();
        assert!(matches!(first, Claim::Taken(..)));
        assert!(matches!(claim(&path).await.unwrap(), Claim::AlreadyRunning));
        drop(first);
        assert!(matches!(claim(&path).await.unwrap(), Claim::Taken(..)));
    }
}
