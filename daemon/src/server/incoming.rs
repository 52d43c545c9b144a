//! Where callers come in.

#[cfg(target_os = "linux")]
use std::future::poll_fn;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd as _, OwnedFd};
#[cfg(target_os = "linux")]
use std::task::{Poll, ready};

use interprocess::local_socket::tokio::Listener;
#[cfg(not(target_os = "linux"))]
use interprocess::local_socket::traits::tokio::Listener as _;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

use super::connection::Connection;
#[cfg(target_os = "linux")]
use crate::hardening::watched;

/// A listener, from which connections come that are not watched yet, where there are such.
#[derive(Debug)]
pub(super) struct Incoming {
    #[cfg(target_os = "linux")]
    socket: AsyncFd<OwnedFd>,
    #[cfg(not(target_os = "linux"))]
    listener: Listener,
}

#[cfg(target_os = "linux")]
impl Incoming {
    /// # Errors
    /// If the kernel does not watch it.
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        let Listener::UdSocket(listener) = listener;
        Ok(Self { socket: watched(listener.try_into()?)? })
    }

    /// The next one.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub(super) async fn accept(&self) -> io::Result<Connection> {
        use rustix::net::{SocketFlags, accept_with};

        let accept = |socket: &AsyncFd<OwnedFd>| {
            accept_with(socket.get_ref(), SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).map_err(io::Error::from)
        };
        poll_fn(|context| {
            loop {
                let mut ready = ready!(self.socket.poll_read_ready(context))?;
                if let Ok(accepted) = ready.try_io(accept) {
                    return Poll::Ready(accepted.map(Connection::from));
                }
            }
        })
        .await
    }

    /// Another descriptor of the same socket.
    ///
    /// # Errors
    /// As `dup(2)`.
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }
}

#[cfg(not(target_os = "linux"))]
impl Incoming {
    #[expect(clippy::unnecessary_wraps, reason = "as where it has to be watched")]
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        Ok(Self { listener })
    }

    /// The next one.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub(super) async fn accept(&self) -> io::Result<Connection> {
        self.listener.accept().await.map(Connection::from)
    }

    /// Another descriptor of the same socket.
    ///
    /// # Errors
    /// As `dup(2)`.
    #[cfg(unix)]
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        let Listener::UdSocket(listener) = &self.listener;
        listener.as_fd().try_clone_to_owned()
    }
}
