//! A client's connection.
//!
//! Most clients have written their request by the time they are accepted, and leave as soon as they are answered. To be told by
//! the kernel when there is something to read costs system calls, an allocation and a timer, so whoever has just come is read
//! and answered without; a connection is watched once there was nothing to read (Linux).

#[cfg(target_os = "linux")]
mod fresh;

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(unix)]
use interprocess::local_socket::PeerCreds;
use interprocess::local_socket::tokio::Stream;
#[cfg(unix)]
use interprocess::local_socket::traits::StreamCommon as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(target_os = "linux")]
use fresh::Fresh;

/// See the module.
#[derive(Debug)]
pub(crate) enum Connection {
    /// Just accepted, and not watched yet.
    #[cfg(target_os = "linux")]
    Fresh(Fresh),
    Watched(Stream),
    /// It could not be watched.
    #[cfg(target_os = "linux")]
    Lost,
}

impl From<Stream> for Connection {
    fn from(stream: Stream) -> Self {
        Self::Watched(stream)
    }
}

/// A socket that does not block.
#[cfg(target_os = "linux")]
impl From<OwnedFd> for Connection {
    fn from(socket: OwnedFd) -> Self {
        Self::Fresh(socket.into())
    }
}

impl Connection {
    /// Whether the client has just been answered, and has left as soon as others have had their turn, as a rule.
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unused_self, reason = "all are watched there"))]
    pub(super) fn may_be_over(&self) -> bool {
        #[cfg(target_os = "linux")]
        return matches!(self, Self::Fresh(fresh) if fresh.is_answered());
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// If the kernel cannot name them.
    #[cfg(unix)]
    pub(super) fn peer_creds(&self) -> io::Result<PeerCreds> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Fresh(fresh) => fresh.peer_creds(),
            Self::Watched(stream) => stream.peer_creds(),
            #[cfg(target_os = "linux")]
            Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// For what is asked of the kernel about it. `None` if it is lost.
    #[cfg(unix)]
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unnecessary_wraps, reason = "all are watched there"))]
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Fresh(fresh) => Some(fresh.as_fd()),
            Self::Watched(Stream::UdSocket(socket)) => Some(socket.as_fd()),
            #[cfg(target_os = "linux")]
            Self::Lost => None,
        }
    }

    /// The stream, watched from now on.
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unnecessary_wraps, reason = "all are watched there"))]
    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        #[cfg(target_os = "linux")]
        if matches!(self, Self::Fresh(_))
            && let Self::Fresh(fresh) = std::mem::replace(self, Self::Lost)
        {
            *self = Self::Watched(fresh.watch()?);
        }
        match self {
            Self::Watched(stream) => Ok(Pin::new(stream)),
            #[cfg(target_os = "linux")]
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        #[cfg(target_os = "linux")]
        if let Self::Fresh(fresh) = &mut *self
            && let Some(read) = fresh.read(buffer)
        {
            return Poll::Ready(read);
        }
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        if let Self::Fresh(fresh) = &mut *self
            && let Some(written) = fresh.write(bytes)
        {
            return Poll::Ready(written);
        }
        self.stream()?.poll_write(context, bytes)
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair() -> (UnixStream, Connection) {
        let (client, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (client, OwnedFd::from(ours).into())
    }

    /// What is there to read at once.
    async fn look(connection: &mut Connection, buffer: &mut [u8]) -> Option<usize> {
        tokio::select! {
            biased;
            read = connection.read(buffer) => Some(read.unwrap()),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn a_client_that_asks_and_leaves_is_never_watched() {
        let (mut client, mut connection) = pair();
        client.write_all(b"request").unwrap();
        let mut buffer = [0; 64];
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 7);
        connection.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).unwrap();
        drop(client);
        assert!(connection.may_be_over());
        assert_eq!((connection.read(&mut buffer).await.unwrap(), &answer), (0, b"answer"));
        assert!(matches!(connection, Connection::Fresh(_)));
    }

    #[tokio::test]
    async fn a_client_that_is_slow_to_ask_is_watched_until_it_does() {
        let (mut client, mut connection) = pair();
        let mut buffer = [0; 64];
        let mut read = look(&mut connection, &mut buffer).await;
        assert!(read.is_none());
        client.write_all(b"late").unwrap();
        while read.is_none() {
            tokio::task::yield_now().await;
            read = look(&mut connection, &mut buffer).await;
        }
        assert!(matches!(connection, Connection::Watched(_)));
    }

    #[tokio::test]
    async fn a_client_that_goes_on_asking_is_watched_and_has_to_let_others_have_their_turn() {
        let (mut client, mut connection) = pair();
        let mut buffer = [0; 1];
        client.write_all(b"abc").unwrap();
        for byte in b"abc" {
            assert_eq!((connection.read(&mut buffer).await.unwrap(), buffer[0]), (1, *byte));
        }
        assert!(matches!(connection, Connection::Watched(_)));
    }

    #[tokio::test]
    async fn an_answer_that_the_client_is_slow_to_take_arrives_whole() {
        let (mut client, mut connection) = pair();
        let long = vec![7; 4 << 20];
        let expected = long.len();
        let reader = std::thread::spawn(move || {
            let mut taken = Vec::new();
            client.read_to_end(&mut taken).unwrap();
            taken.len()
        });
        connection.write_all(&long).await.unwrap();
        assert!(matches!(connection, Connection::Watched(_)));
        drop(connection);
        assert_eq!(reader.join().unwrap(), expected);
    }
}
