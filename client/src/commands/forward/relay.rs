//! Passes connections on to the agent, which is told of each that it comes by the restricted socket.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cloud_agent_protocol::Secret;
use cloud_agent_protocol::v1::{Forwarded, Request, Response};
use interprocess::local_socket::traits::StreamCommon as _;
use interprocess::os::unix::uds_local_socket::Stream;
use rustix::process::geteuid;
use zeroize::{Zeroize as _, Zeroizing};

use crate::client::answered;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::report;

/// So many connections at once; those beyond are closed, as a full agent's are.
const MOST: usize = 64;
/// So long a refusal may be one that passes.
const MOMENT: Duration = Duration::from_secs(1);
/// Before it is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// What is passed on at once.
const CHUNK: usize = 16 * 1024;

/// Where the agent is, and what it is told of each connection.
pub(super) struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    agent: PathBuf,
    id: Mutex<Secret>,
    timeout: Duration,
    open: AtomicUsize,
}

impl Gate {
    pub(super) fn new(agent: PathBuf, id: Secret, timeout: Duration) -> Self {
        Self { shared: Arc::new(Shared { agent, id: Mutex::new(id), timeout, open: AtomicUsize::new(0) }) }
    }

    /// From now on the agent knows it as `id`.
    pub(super) fn renew(&self, id: Secret) {
        *self.shared.id() = id;
    }

    /// Passes `caller` on until either end has enough. Anybody else's connection is closed unread.
    pub(super) fn admit(&self, caller: UnixStream) {
        let Some(caller) = ours(caller) else { return };
        if self.shared.open.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.shared.open.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let shared = self.shared.clone();
        let pass = move || {
            // Whatever goes wrong is the end of this connection; the agent, or its want, is told to the caller by that.
            let _ = shared.pass_on(&caller);
            shared.open.fetch_sub(1, Ordering::AcqRel);
        };
        if thread::Builder::new().spawn(pass).is_err() {
            self.shared.open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Shared {
    fn id(&self) -> MutexGuard<'_, Secret> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the agent that is restricted. While another agent takes the place of the one that knew the id, nobody
    /// knows it for a moment.
    fn restricted(&self) -> Option<Connection> {
        let deadline = Deadline::after(self.timeout);
        let patience = Deadline::after(MOMENT);
        loop {
            let id = self.id().clone();
            let mut connection = Connection::open(&self.agent, &deadline).ok()?;
            let answer = connection.ask(&Request::Forwarded(Forwarded { id }), &deadline);
            if let Ok(Response::Done(_)) = answered(answer) {
                return Some(connection);
            }
            if patience.left().is_zero() {
                return None;
            }
            thread::sleep(PAUSE);
        }
    }

    fn pass_on(&self, caller: &UnixStream) -> Option<()> {
        caller.set_nonblocking(false).ok()?;
        let connection = self.restricted()?;
        let agent = connection.into_stream().ok()?;
        let (from, to) = (caller.try_clone().ok()?, agent.try_clone().ok()?);
        thread::Builder::new()
            .spawn(move || {
                pump(&from, &to);
                // It may have asked its last question and wait for the answer.
                let _ = to.shutdown(Shutdown::Write);
            })
            .ok()?;
        pump(&agent, caller);
        let _ = caller.shutdown(Shutdown::Both);
        let _ = agent.shutdown(Shutdown::Both);
        Some(())
    }
}

/// The caller's stream, if the kernel says that it runs as us.
fn ours(caller: UnixStream) -> Option<UnixStream> {
    let stream = Stream::from(OwnedFd::from(caller));
    match stream.peer_creds() {
        Ok(creds) if creds.euid() == Some(geteuid().as_raw()) => Some(UnixStream::from(OwnedFd::from(stream))),
        Ok(creds) => {
            let uid = creds.euid().map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
            report::note(&format!("a caller of uid {uid} was turned away"));
            None
        }
        Err(_) => None,
    }
}

/// Passes on what comes until there is no more. Tokens pass through the buffer, so it is wiped.
fn pump(from: &UnixStream, to: &UnixStream) {
    let (mut from, mut to) = (from, to);
    let mut chunk = Zeroizing::new(vec![0_u8; CHUNK]);
    loop {
        match from.read(&mut chunk) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) => {
                let passed = to.write_all(&chunk[..count]);
                chunk[..count].zeroize();
                if passed.is_err() {
                    break;
                }
            }
        }
    }
}
