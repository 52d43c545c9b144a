//! Bytes and frames on the agent's socket, without the client in between.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Frame, FrameError, frame, hello};

use crate::wait::PATIENCE;

/// A connection to the agent on which anything may be sent.
#[derive(Debug)]
pub struct Raw(UnixStream);

impl Raw {
    /// Connects; reads and writes give up after [`PATIENCE`].
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Of the stream: an agent that has had enough closes it.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sends a request behind a hello, in one write.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// # Panics
    /// If the request is longer than a frame may be.
    pub fn ask(&mut self, request: &Request) -> io::Result<()> {
        let frame = request.encode().expect("requests of tests fit a frame");
        self.send(&frame.encode_after(&hello::encode(hello::VERSIONS)))
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// Of the stream and of the frame.
    pub fn frame(&mut self) -> Result<Frame, FrameError> {
        Frame::read(&mut self.0, frame::MAX_RESPONSE)
    }

    /// Sends a request and reads its answer.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn answer(&mut self, request: &Request) -> Response {
        self.ask(request).expect("the agent takes a request");
        let frame = self.frame().expect("the agent answers with a frame");
        Response::decode(&frame).expect("the agent answers with a message of version 1")
    }

    /// Sends what follows a first request on the same connection, and reads its answer.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn then(&mut self, request: &Request) -> Response {
        let frame = request.encode().expect("requests of tests fit a frame");
        self.send(&frame.encode()).expect("the agent takes a request");
        let frame = self.frame().expect("the agent answers with a frame");
        Response::decode(&frame).expect("the agent answers with a message of version 1")
    }

    /// Whether the agent closes the connection within `deadline`, and how many bytes came before.
    ///
    /// # Panics
    /// If the connection fails in another way.
    #[must_use]
    pub fn closed(&mut self, deadline: Duration) -> Option<usize> {
        let end = Instant::now() + deadline;
        let mut count = 0;
        let mut buffer = [0; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.0.set_read_timeout(Some(left)).ok()?;
            match self.0.read(&mut buffer) {
                Ok(0) => return Some(count),
                Ok(some) => count += some,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Some(count),
                // A signal ends a read that has a deadline, whatever its handler says about restarts.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() >= end => return None,
                Err(error) => panic!("neither closed nor silent: {error}"),
            }
        }
    }

    /// The stream itself, for what these methods do not do.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        &self.0
    }
}
