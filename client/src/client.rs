//! A request answered: connect, start the agent if there is none, ask, and once more if it died meanwhile.

use std::ffi::OsString;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Fault, FaultKind, endpoint};

use crate::connection::{Connection, END, NoAnswer, NoConnection};
use crate::deadline::Deadline;
use crate::launch;
use crate::report::Failure;

/// Asks the user's agent.
pub(crate) struct Client {
    socket: PathBuf,
    /// Covers everything from the first connect on.
    pub(crate) deadline: Deadline,
    /// Whether an agent is started where there is none.
    autostart: bool,
    /// Environment variables that a new agent must not inherit, because a secret was read from them.
    withheld: Vec<OsString>,
}

impl Client {
    /// For the agent that the environment names.
    pub(crate) fn new(timeout: Duration) -> Result<Self, Failure> {
        let socket = endpoint::resolve()?;
        Ok(Self { socket, deadline: Deadline::after(timeout), autostart: true, withheld: Vec::new() })
    }

    /// Where the agent is.
    #[cfg(unix)]
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts no agent.
    pub(crate) fn without_autostart(mut self) -> Self {
        self.autostart = false;
        self
    }

    /// Keeps these environment variables from an agent that is started.
    pub(crate) fn withhold(mut self, names: Vec<OsString>) -> Self {
        self.withheld = names;
        self
    }

    /// A connection, to an agent that is started if need be.
    pub(crate) fn connect(&self) -> Result<Connection, Failure> {
        match Connection::open(&self.socket, &self.deadline) {
            Ok(connection) => Ok(connection),
            Err(NoConnection::Failed(failure)) => Err(failure),
            Err(NoConnection::Absent) if self.autostart => launch::agent(&self.socket, &self.deadline, &self.withheld),
            Err(NoConnection::Absent) => Err(launch::none(&self.socket)),
        }
    }

    /// The answer to a request that does no harm if it is made twice.
    pub(crate) fn ask(&self, request: &Request) -> Result<Response, Failure> {
        match self.connect()?.ask(request, &self.deadline) {
            // Once more and not for ever: an agent that dies of this very request would be started again and again.
            Err(NoAnswer::Died) => self.ask_once(request),
            other => answered(other),
        }
    }

    /// The answer to a request that is not repeated: the agent may have acted on it before it died.
    pub(crate) fn ask_once(&self, request: &Request) -> Result<Response, Failure> {
        answered(self.connect()?.ask(request, &self.deadline))
    }
}

/// What an answer means to a caller that has nothing more to say on this connection.
pub(crate) fn answered(answer: Result<Response, NoAnswer>) -> Result<Response, Failure> {
    match answer {
        Ok(Response::Fault(fault)) => Err(fault.into()),
        Ok(Response::Withheld(withheld)) => Err(Failure::of(withheld.account, withheld.fault)),
        Ok(response) => Ok(response),
        Err(NoAnswer::Failed(failure)) => Err(failure),
        Err(NoAnswer::Died) => Err(Failure::no_agent(
            Fault::new(FaultKind::Internal, "the agent closed the connection before it answered")
                .hint("`cloud-token status`, then ask again; the agent's log says why it stopped"),
        )),
    }
}

/// An answer to another question than was asked.
#[cold]
pub(crate) fn unexpected(response: &Response) -> Failure {
    Fault::new(FaultKind::Internal, "the agent answered something other than what was asked")
        .because(format!("message {:#06x}", response.kind()))
        .hint(format!("end the running agent with `{END}`, and install both programs in the same version"))
        .into()
}
