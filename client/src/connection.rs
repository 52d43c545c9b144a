//! One trusted connection to an agent that is there, and messages over it.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use cloud_agent_protocol::frame::{HEADER, MAX_REQUEST, MAX_RESPONSE};
use cloud_agent_protocol::v1::{self, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind, Frame, FrameError, endpoint, hello};

use crate::deadline::Deadline;
use crate::moment;
use crate::report::Failure;
use crate::wire::{self, Timed, Wire};

/// The first and the longest pause before asking a full backlog again.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What ends an agent that does not understand us.
pub(crate) const END: &str = if cfg!(windows) { "taskkill /f /im cloud-agent.exe" } else { "pkill -x cloud-agent" };

/// What helps where it says nothing. To ask for its status, as with other faults, would hang as well.
const HANGS: &str = if cfg!(windows) {
    "give it longer with `--timeout`; if it hangs, `taskkill /f /im cloud-agent.exe`: the next use starts another"
} else {
    "give it longer with `--timeout`; if it was stopped, `pkill -CONT -x cloud-agent`; if it hangs, `pkill -x cloud-agent`"
};

/// Why there is no connection.
pub(crate) enum NoConnection {
    /// Nobody listens there; an agent may be started.
    Absent,
    /// Somebody or something else is there.
    Failed(Failure),
}

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// The connection ended before a byte of the answer: the agent stopped, or was killed.
    Died,
    /// Anything else.
    Failed(Failure),
}

/// A connection whose other end is our own agent.
pub(crate) struct Connection {
    wire: Wire,
    greeted: bool,
}

impl Connection {
    /// Connects to the agent at `socket`, if one is there. Nothing is sent to anybody else: the directory must be
    /// private, and the kernel must say that the listener is ours, before the first byte.
    pub(crate) fn open(socket: &Path, deadline: &Deadline) -> Result<Self, NoConnection> {
        #[cfg(unix)]
        match endpoint::verify_directory(socket) {
            Ok(true) => {}
            Ok(false) => return Err(NoConnection::Absent),
            Err(fault) => return Err(NoConnection::Failed(Failure::no_agent(fault))),
        }
        let mut pause = PAUSE;
        loop {
            let error = match wire::connect(socket, deadline) {
                Ok(wire) => return Ok(Self { wire, greeted: false }),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Err(NoConnection::Absent),
                // A full backlog, in the ways it shows.
                ErrorKind::ConnectionReset
                | ErrorKind::NotConnected
                | ErrorKind::WouldBlock
                | ErrorKind::TimedOut
                | ErrorKind::Interrupted => {}
                _ => return Err(NoConnection::Failed(untrusted(socket, &error))),
            }
            if deadline.left() <= pause {
                return Err(NoConnection::Failed(silent(deadline, "it has more callers than it takes")));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The connection as a stream that blocks, for what is no exchange of messages.
    #[cfg(unix)]
    pub(crate) fn into_stream(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.wire.into_stream()
    }

    /// Sends `request` and reads what comes back. A fault of the agent's is an answer too.
    pub(crate) fn ask(&mut self, request: &Request, deadline: &Deadline) -> Result<Response, NoAnswer> {
        self.ask_while(request, deadline, |_| {})
    }

    /// The same, and does something between the two, while the answer is under way.
    #[inline]
    pub(crate) fn ask_while(
        &mut self,
        request: &Request,
        deadline: &Deadline,
        meanwhile: impl FnOnce(&Self),
    ) -> Result<Response, NoAnswer> {
        let frame = request.encode().map_err(|e| NoAnswer::Failed(malformed(&e)))?;
        if frame.body.len() + HEADER > MAX_REQUEST {
            let fault = Fault::new(FaultKind::Usage, "the request is longer than an agent takes")
                .because(format!("it has {} bytes, and the limit is {MAX_REQUEST}", frame.body.len() + HEADER));
            return Err(NoAnswer::Failed(fault.into()));
        }
        // The hello rides with the first request, so that a warm get is one write and one answer.
        let bytes = if self.greeted { frame.encode() } else { frame.encode_after(&hello::encode(hello::VERSIONS)) };
        let mut timed = Timed { wire: &self.wire, deadline, received: false };
        let sent = timed.write_all(&bytes);
        meanwhile(self);
        // A failed write is no verdict yet: an agent that refuses may have answered and closed before it read all.
        let frame = match Frame::read(&mut timed, MAX_RESPONSE) {
            Ok(frame) => frame,
            Err(error) => return Err(no_answer(error, sent.as_ref().err(), timed.received, deadline)),
        };
        self.greeted = true;
        if let Some(spoken) = frame.refused_versions() {
            return Err(NoAnswer::Failed(version_refused(&spoken).into()));
        }
        if frame.version != v1::VERSION {
            return Err(NoAnswer::Failed(version_refused(&[frame.version]).into()));
        }
        Response::decode(&frame).map_err(|e| NoAnswer::Failed(malformed(&e)))
    }

    /// Whether there is something to read, be it the end, at the latest after `patience`.
    #[cold]
    pub(crate) fn answers_within(&self, patience: Duration) -> bool {
        self.wire.is_ready_within(patience)
    }
}

/// The agent is there, and says nothing until the deadline.
#[cold]
fn silent(deadline: &Deadline, why: &str) -> Failure {
    let waited = deadline.given();
    let words =
        if waited.as_secs() >= 1 { moment::span(waited.as_secs()) } else { format!("{} ms", waited.as_millis()) };
    Failure::no_agent(
        Fault::new(FaultKind::Busy, format!("the agent did not answer within {words}")).because(why).hint(HANGS),
    )
}

#[cold]
fn untrusted(socket: &Path, error: &io::Error) -> Failure {
    let path = socket.display();
    let distrusted =
        || Fault::new(FaultKind::Config, format!("the socket `{path}` cannot be trusted; nothing was sent to it"));
    let fault = match error.kind() {
        ErrorKind::PermissionDenied => {
            distrusted().hint(format!("set {} to a path in a directory of your own", endpoint::ENV_SOCKET))
        }
        ErrorKind::Unsupported => distrusted().hint("ask from outside of the container, or run an agent inside of it"),
        _ => Fault::new(FaultKind::Config, format!("cannot connect to the agent at `{path}`")),
    };
    Failure::no_agent(fault.because(error.to_string()))
}

#[cold]
fn no_answer(error: FrameError, sent: Option<&io::Error>, received: bool, deadline: &Deadline) -> NoAnswer {
    let FrameError::Io(error) = error else { return NoAnswer::Failed(malformed(&error)) };
    let timed_out = |e: &io::Error| e.kind() == ErrorKind::TimedOut;
    if timed_out(&error) || sent.is_some_and(timed_out) {
        return NoAnswer::Failed(silent(deadline, "it accepted the connection and then said nothing"));
    }
    if !received {
        return NoAnswer::Died;
    }
    let fault = Fault::new(FaultKind::Internal, "the agent's answer broke off").because(error.to_string());
    NoAnswer::Failed(Failure::no_agent(fault))
}

#[cold]
fn malformed(error: &FrameError) -> Failure {
    Fault::new(FaultKind::Internal, "agent and client do not understand each other")
        .because(error.to_string())
        .hint(format!("end the running agent with `{END}`, and install both programs in the same version"))
        .into()
}

#[cold]
fn version_refused(spoken: &[u16]) -> Fault {
    let list = |versions: &[u16]| versions.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    Fault::new(
        FaultKind::Version,
        format!(
            "the agent speaks version {} of the protocol, and this client speaks version {}",
            if spoken.is_empty() { "?".to_owned() } else { list(spoken) },
            list(hello::VERSIONS)
        ),
    )
    .because("one of the two was updated while the other kept running")
    .hint(format!("end the running agent with `{END}`; the next use starts the one that is installed"))
}
