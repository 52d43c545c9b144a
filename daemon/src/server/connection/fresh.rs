//! A connection that nothing waits for yet.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use interprocess::local_socket::PeerCreds;
use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon as _;
use interprocess::os::unix::uds_local_socket;
use tokio::io::ReadBuf;
use tokio::net::UnixStream;

/// How often it is looked at before it is watched: for the request, and for the end when that is answered. Whoever asks on and on
/// has to let others have their turn as everybody.
const LOOKS: u8 = 2;

/// A socket that does not block.
#[derive(Debug)]
pub(crate) struct Fresh {
    socket: uds_local_socket::Stream,
    looks: u8,
    answered: bool,
}

impl From<OwnedFd> for Fresh {
    fn from(socket: OwnedFd) -> Self {
        Self { socket: socket.into(), looks: LOOKS, answered: false }
    }
}

impl Fresh {
    /// Whether it was answered since it was looked at.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Reads; `None` if it has to be watched for that.
    pub(super) fn read(&mut self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        self.looks = self.looks.checked_sub(1)?;
        self.answered = false;
        let read = unless_it_blocks((&self.socket).read(buffer.initialize_unfilled()))?;
        Some(read.map(|count| buffer.advance(count)))
    }

    /// Writes; `None` if it has to be watched for that.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        self.answered = true;
        unless_it_blocks((&self.socket).write(bytes))
    }

    pub(super) fn watch(self) -> io::Result<Stream> {
        let stream = UnixStream::from_std(OwnedFd::from(self.socket).into())?;
        Ok(uds_local_socket::tokio::Stream::from(stream).into())
    }

    pub(super) fn peer_creds(&self) -> io::Result<PeerCreds> {
        self.socket.peer_creds()
    }
}

fn unless_it_blocks(done: io::Result<usize>) -> Option<io::Result<usize>> {
    let blocks = |e: &io::Error| matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
    if done.as_ref().is_err_and(blocks) { None } else { Some(done) }
}

impl AsFd for Fresh {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
