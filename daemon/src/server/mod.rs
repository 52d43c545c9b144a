//! Accepts connections, and ends in good order.

mod asker;
mod connection;
mod examine;
mod forward;
mod gate;
mod handout;
mod idle;
mod incoming;
mod locked;
mod log;
mod message;
mod peer;
mod session;
pub mod socket;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};
use interprocess::local_socket::tokio::Listener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::access::Access;
use crate::broker::{Broker, Surroundings};
use crate::shutdown::Shutdown;
use crate::tracker::{Tracked, Tracker};
pub(crate) use gate::{Gate, Moving};
use idle::Idle;
use incoming::Incoming;
use session::Session;
use workers::Workers;

/// Connections beyond this wait in the kernel's queue. A thousand clients that stay connected find room.
const MAX_CONNECTIONS: usize = 4096;
/// Open files kept back for the cloud's connections, the vault and the log.
const RESERVED_FILES: usize = 32;
/// After a failed accept (no file descriptors, as a rule) nothing is gained by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The time that a client is given, and the room.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// From the connection to its first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to its last.
    pub request: Duration,
    /// For an answer to be taken.
    pub answer: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For the human to answer a question.
    pub question: Duration,
    /// The longest that a caller may wait for a renewal.
    pub longest_wait: Duration,
    /// For what is under way when the agent is told to end. No less than the longest a cloud may take: a rotated secret
    /// may be on its way.
    pub drain: Duration,
    /// After this long without a caller the agent ends, if the user wants that.
    pub idle_exit: Option<Duration>,
}

impl Limits {
    /// The limits of a process that may open `files` files.
    #[must_use]
    pub fn for_files(files: usize) -> Self {
        Self {
            connections: MAX_CONNECTIONS.min(files.saturating_sub(RESERVED_FILES)).max(1),
            first_byte: Duration::from_secs(2),
            request: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            question: Duration::from_mins(5),
            longest_wait: Duration::from_mins(2),
            drain: Duration::from_secs(25),
            idle_exit: None,
        }
    }
}

/// What every session of a server shares.
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) access: Arc<Access>,
    pub(crate) limits: Limits,
    pub(crate) surroundings: Surroundings,
    pub(crate) shutdown: Shutdown,
    /// Wakes idle sessions so that they leave: the one that has been idle longest for every connection that waits for
    /// room, all of them when the agent ends.
    pub(crate) leave: Notify,
    /// Places for callers who wait for a human. There are fewer than connections: somebody has to get through who does what is waited for.
    places: Semaphore,
    /// If the agent is to end when nobody calls.
    idle: Option<Idle>,
    gate: Arc<Gate>,
    renewals: mpsc::Sender<Renewal>,
}

/// What a server is told while it runs.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "no agent takes over from another one there"))]
pub(crate) enum Control {
    /// Accept from here from now on.
    Listen(Listener),
    /// A caller of the agent before.
    Serve(Moving),
    /// A copy of what is accepted from, for the agent that is about to come.
    #[cfg(unix)]
    Lend(oneshot::Sender<std::io::Result<std::os::fd::OwnedFd>>),
    /// Another agent serves from now on: connections at rest move there, and nothing is saved here any more.
    HandOver,
}

/// Somebody wants the program started anew. The answer is what was done, in words.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nobody renews it there"))]
pub(crate) struct Renewal {
    /// How long they wait.
    pub(crate) patience: Duration,
    pub(crate) answer: oneshot::Sender<Result<Vec<String>, Fault>>,
}

/// How whoever runs the server has a hand in it.
#[derive(Debug)]
pub(crate) struct Reins {
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) gate: Arc<Gate>,
    /// Who renews the agent itself.
    pub(crate) renewals: mpsc::Sender<Renewal>,
}

/// Serves connections from `listener` until `shutdown`, then lets what is under way come to its end.
///
/// # Errors
/// `Internal` if the kernel does not watch the listener; whatever comes of it later, the agent lives on.
pub(crate) async fn run(
    listener: Listener,
    reins: Reins,
    broker: Arc<Broker>,
    access: Arc<Access>,
    limits: Limits,
    surroundings: Surroundings,
    shutdown: Shutdown,
) -> Result<(), Fault> {
    let mut incoming = Incoming::new(listener)
        .map_err(|e| Fault::new(FaultKind::Internal, "the socket cannot be listened at").because(e.to_string()))?;
    let Reins { mut control, gate, renewals } = reins;
    let room = Arc::new(Semaphore::new(limits.connections));
    let sessions = Tracker::default();
    let idle = limits.idle_exit.map(Idle::new);
    let (leave, places) = (Notify::new(), Semaphore::new(limits.connections / 2));
    let shared =
        Arc::new(Shared { broker, access, limits, surroundings, shutdown, leave, places, idle, gate, renewals });
    if shared.idle.is_some() {
        tokio::spawn(idle::watch(shared.clone(), sessions.clone()));
    }
    let workers = Workers::new({
        let shared = shared.clone();
        move |(moving, peer, permit, tracked): (Moving, u32, OwnedSemaphorePermit, Tracked)| {
            let shared = shared.clone();
            async move {
                if let Some(moving) = Session::new(moving, peer, &shared).serve().await {
                    shared.gate.give(moving);
                }
                drop((permit, tracked));
            }
        }
    });
    let handed_over = loop {
        let permit = tokio::select! {
            biased;
            () = shared.shutdown.requested() => break false,
            permit = make_room(&room, &shared) => permit,
        };
        let accepted = tokio::select! {
            biased;
            accepted = incoming.accept() => accepted,
            () = shared.shutdown.requested() => break false,
            Some(told) = control.recv() => match told {
                // Nobody waits at the old one by now: that was asked first, and nobody finds it any more.
                Control::Listen(anew) => {
                    match Incoming::new(anew) {
                        Ok(anew) => incoming = anew,
                        Err(e) => tracing::error!("the new socket cannot be listened at: {e}"),
                    }
                    continue;
                }
                Control::Serve(moving) => {
                    if let Some(peer) = peer::trusted(&moving.connection) {
                        workers.give((moving, peer, permit, sessions.track()));
                    }
                    continue;
                }
                #[cfg(unix)]
                Control::Lend(answer) => {
                    let _ = answer.send(incoming.copy());
                    continue;
                }
                Control::HandOver => break true,
            },
        };
        let connection = match accepted {
            Ok(connection) => connection,
            Err(e) => {
                tracing::warn!("no connection could be accepted: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = peer::trusted(&connection);
        shared.broker.metrics().connection(peer.is_some());
        let Some(peer) = peer else { continue };
        if let Some(idle) = &shared.idle {
            idle.stir(&shared.broker);
        }
        workers.give((Moving::fresh(connection), peer, permit, sessions.track()));
    };
    drop(incoming);
    // Idle sessions leave now; the others finish what they were asked, and then see that they are to leave.
    shared.leave.notify_waiters();
    let drained = if handed_over {
        // Nothing is saved here any more, so the rest is waited for as long as anybody may wait: the human may have a question
        // before them, which the other agent would put once more. Who wants this one gone waits no longer.
        tokio::select! {
            done = tokio::time::timeout(limits.longest_wait, sessions.idle()) => done.is_ok(),
            () = shared.shutdown.requested() => false,
        }
    } else {
        tokio::time::timeout(limits.drain, sessions.idle()).await.is_ok()
    };
    if handed_over {
        shared.access.journal().close().await;
        // All that was in memory is the other agent's now. Saved here as well, it would be newer than what that one has.
        return Ok(());
    }
    shared.access.journal().flush().await;
    if !(drained && shared.broker.settle(limits.drain).await) {
        tracing::warn!("something was still under way when the agent had to end");
    }
    shared.access.journal().close().await;
    Ok(())
}

/// A place for one more connection. If there is none, the session that has been idle longest is asked to leave.
async fn make_room(room: &Arc<Semaphore>, shared: &Shared) -> OwnedSemaphorePermit {
    if let Ok(permit) = room.clone().try_acquire_owned() {
        return permit;
    }
    tracing::debug!("all {} connections are taken", shared.limits.connections);
    shared.leave.notify_one();
    let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
    // A session may have ended by itself meanwhile, with nobody idle to hear the call. It must not wait for whoever is idle
    // next, long after there is room again.
    tokio::select! {
        biased;
        () = shared.leave.notified() => {}
        () = std::future::ready(()) => {}
    }
    permit
}

#[cfg(all(test, unix))]
mod tests;
