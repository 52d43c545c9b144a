//! Bytes to and from the agent, with one deadline over everything, per platform.

#[cfg(unix)]
pub(crate) use unix::{Wire, connect};

#[cfg(not(unix))]
pub(crate) use other::{Wire, connect};

use std::io::{self, Read, Write};

use crate::deadline::Deadline;

/// A [`Wire`] as a stream, for as long as the deadline lasts.
pub(crate) struct Timed<'a> {
    /// What is read and written.
    pub(crate) wire: &'a Wire,
    /// Until when.
    pub(crate) deadline: &'a Deadline,
    /// Whether any byte was read: an agent that died before is one that did nothing we know of.
    pub(crate) received: bool,
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.wire.read(into, self.deadline)?;
        self.received |= n > 0;
        Ok(n)
    }
}

impl Write for Timed<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wire.write(bytes, self.deadline)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::time::Duration;

    use interprocess::ConnectWaitMode;
    use interprocess::local_socket::traits::StreamCommon;
    use interprocess::local_socket::{ConnectOptions, GenericFilePath, ToFsName};
    use interprocess::os::unix::uds_local_socket::Stream;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fd::AsFd;
    use rustix::io::Errno;
    use rustix::net::getpeername;
    use rustix::process::geteuid;
    use rustix::time::Timespec;

    use crate::deadline::Deadline;

    /// A connected socket. It does not block: one `poll` per wait holds the deadline of the whole conversation, where
    /// socket timeouts would start anew with every read and cost a call each.
    pub(crate) struct Wire(Stream);

    /// Connects, and asks the kernel who listens.
    ///
    /// # Errors
    /// `PermissionDenied` wrapping the uid if somebody else does; `Unsupported` if the kernel cannot know; else what the
    /// system says. When the backlog is full,
    /// interprocess takes `EAGAIN` for "in progress" and hands out a socket that is not connected: asking for the peer
    /// right away turns that into `ConnectionReset` or `NotConnected`, which the caller must take for "try again".
    pub(crate) fn connect(socket: &Path, deadline: &Deadline) -> io::Result<Wire> {
        let stream = ConnectOptions::new()
            .name(socket.to_fs_name::<GenericFilePath>()?)
            .wait_mode(ConnectWaitMode::Timeout(deadline.left_unclocked()))
            .nonblocking_stream(true)
            .connect_sync_as::<Stream>()?;
        let uid = stream.peer_creds().map_err(|e| unnamed(&stream, e))?.euid();
        let own = geteuid().as_raw();
        if uid == Some(own) {
            return Ok(Wire(stream));
        }
        let uid = uid.map_or_else(|| "an unknown uid".to_owned(), |uid| format!("uid {uid}"));
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it is owned by {uid}, and you are uid {own}")))
    }

    /// interprocess says `ConnectionReset` for two things: a socket that is not connected, and a connected one whose other
    /// end the kernel does not name because it is in another process namespace. Only the first passes by waiting.
    fn unnamed(stream: &Stream, error: io::Error) -> io::Error {
        match getpeername(stream.as_fd()) {
            Ok(_) if error.kind() == io::ErrorKind::ConnectionReset => io::Error::new(
                io::ErrorKind::Unsupported,
                "it is in another process namespace, so the kernel does not say whose it is",
            ),
            _ => error,
        }
    }

    impl Wire {
        /// As a stream that blocks.
        pub(crate) fn into_stream(self) -> io::Result<UnixStream> {
            let stream = UnixStream::from(OwnedFd::from(self.0));
            stream.set_nonblocking(false)?;
            Ok(stream)
        }

        pub(super) fn read(&self, into: &mut [u8], deadline: &Deadline) -> io::Result<usize> {
            // The answer is never there yet, so waiting first saves the read that would say so.
            loop {
                self.wait(PollFlags::IN, deadline)?;
                match (&self.0).read(into) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
            }
        }

        pub(super) fn write(&self, bytes: &[u8], deadline: &Deadline) -> io::Result<usize> {
            loop {
                match (&self.0).write(bytes) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT, deadline)?,
                    done => return done,
                }
            }
        }

        /// Whether there is something to read, be it the end, at the latest after `patience`.
        #[cold]
        pub(crate) fn is_ready_within(&self, patience: Duration) -> bool {
            let fd = self.0.as_fd();
            let slice = Timespec::try_from(patience).ok();
            // Whatever goes wrong, the read says what.
            !matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], slice.as_ref()), Ok(0) | Err(Errno::INTR))
        }

        fn wait(&self, what: PollFlags, deadline: &Deadline) -> io::Result<()> {
            let fd = self.0.as_fd();
            loop {
                let slice = Timespec::try_from(deadline.slice()).map_err(|_| io::ErrorKind::InvalidInput)?;
                match poll(&mut [PollFd::new(&fd, what)], Some(&slice)) {
                    Ok(0) if deadline.is_over() => return Err(io::ErrorKind::TimedOut.into()),
                    Ok(0) | Err(Errno::INTR) => {}
                    Ok(_) => return Ok(()),
                    Err(e) => return Err(e.into()),
                }
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io::{self, Read, Write};
    use std::path::Path;

    use interprocess::local_socket::traits::Stream as _;
    use interprocess::local_socket::{ConnectOptions, GenericFilePath, Stream, ToFsName};

    use crate::deadline::Deadline;

    /// A connected pipe. interprocess has no receive timeout for named pipes: the deadline is the agent's alone here.
    pub(crate) struct Wire(Stream);

    /// Connects. The pipe's name carries the user's SID; its descriptor is what keeps others out.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn connect(socket: &Path, _deadline: &Deadline) -> io::Result<Wire> {
        ConnectOptions::new().name(socket.to_fs_name::<GenericFilePath>()?).connect_sync_as::<Stream>().map(Wire)
    }

    impl Wire {
        pub(super) fn read(&self, into: &mut [u8], _deadline: &Deadline) -> io::Result<usize> {
            (&self.0).read(into)
        }

        pub(super) fn write(&self, bytes: &[u8], _deadline: &Deadline) -> io::Result<usize> {
            (&self.0).write(bytes)
        }

        /// A pipe does not tell: the read waits.
        pub(crate) fn is_ready_within(&self, _patience: std::time::Duration) -> bool {
            true
        }
    }
}
