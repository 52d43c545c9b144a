//! Where callers wait while another agent is about to take over, and where their connections go when it has.
//!
//! What the cache can answer is answered meanwhile. Whatever else is asked waits here; it is answered by this agent if nothing comes
//! of it, and by the other one if it does: the connection itself moves, so that nobody has to ask again.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

use super::connection::Connection;
use crate::tracker::{Tracked, Tracker};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: AtomicU8,
    changed: Notify,
    /// Requests that are past the gate.
    busy: Tracker,
    movers: RwLock<Option<mpsc::UnboundedSender<Moving>>>,
}

const OPEN: u8 = 0;
#[cfg(target_os = "linux")]
const SHUT: u8 = 1;
const GONE: u8 = 2;

/// A connection on its way to the other agent.
#[derive(Debug)]
pub(crate) struct Moving {
    pub(crate) connection: Connection,
    /// The client has said hello.
    pub(crate) greeted: bool,
    /// What it has sent and nobody has answered yet.
    pub(crate) received: Zeroizing<Vec<u8>>,
}

impl Moving {
    /// One that has just come, to be served here.
    pub(super) fn fresh(connection: Connection) -> Self {
        Self { connection, greeted: false, received: Zeroizing::default() }
    }
}

impl Gate {
    /// Past the gate: nothing is handed over until what this returns is dropped. `None` if the connection is to move.
    pub(super) async fn enter(&self) -> Option<Tracked> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            // Counted before the look, so that whoever shuts it waits for this one.
            let busy = self.busy.track();
            match self.state.load(Ordering::Acquire) {
                OPEN => return Some(busy),
                GONE => return None,
                _ => drop(busy),
            }
            changed.await;
        }
    }

    /// Whether connections are to move.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.load(Ordering::Acquire) == GONE
    }

    /// Ends when another agent has taken over.
    pub(super) async fn gone(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_gone() {
                return;
            }
            changed.await;
        }
    }

    /// Has a connection moved. Without another agent, or if that has died since, it ends.
    pub(super) fn give(&self, moving: Moving) {
        let movers = self.movers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(movers) = &*movers {
            let _ = movers.send(moving);
        }
    }

    /// Lets nobody past from now on.
    #[cfg(target_os = "linux")]
    pub(crate) fn shut(&self) {
        self.state.store(SHUT, Ordering::Release);
    }

    /// Ends when nobody is past it.
    #[cfg(target_os = "linux")]
    pub(crate) async fn empty(&self) {
        self.busy.idle().await;
    }

    /// Nothing came of it: whoever waits goes on here.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(&self) {
        self.state.store(OPEN, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// The other agent serves: every connection that is at rest, or waits, is to move.
    #[cfg(target_os = "linux")]
    pub(crate) fn hand_over(&self) -> mpsc::UnboundedReceiver<Moving> {
        let (send, receive) = mpsc::unbounded_channel();
        *self.movers.write().unwrap_or_else(PoisonError::into_inner) = Some(send);
        self.state.store(GONE, Ordering::Release);
        self.changed.notify_waiters();
        receive
    }

    /// No more connections come.
    pub(crate) fn close(&self) {
        *self.movers.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
