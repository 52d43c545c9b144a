//! Where no agent takes over from another: a restart is a stop, and the next use starts the newer one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind};
use interprocess::local_socket::tokio::Listener;
use tokio::sync::mpsc;

use super::bond::Bond;
use super::manager::Manager;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::paths::Paths;
use crate::server::socket::Place;
use crate::server::{Control, Gate, Renewal};
use crate::shutdown::Shutdown;
use crate::vault::Choice;

/// Nobody.
#[derive(Debug)]
pub(crate) struct Coming {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) listener: Listener,
    pub(crate) bond: Option<Bond>,
    pub(crate) estate: Estate,
}

/// Nothing.
#[derive(Debug)]
pub(crate) enum Estate {}

pub(crate) async fn meet() -> Result<Coming, Fault> {
    Err(Fault::new(FaultKind::Unsupported, "no agent hands anything over on this system"))
}

impl Estate {
    pub(crate) fn vault(&self, _: &Paths, _: Arc<dyn Clock>) -> Result<Choice, Fault> {
        match *self {}
    }

    pub(crate) fn give_to(&self, _: &Broker) -> Result<(), Fault> {
        match *self {}
    }

    pub(crate) async fn is_to_serve(&self) -> bool {
        match *self {}
    }

    pub(crate) async fn refuse(&self, _: &Fault) {
        match *self {}
    }

    pub(crate) async fn take_callers(self, _: mpsc::Sender<Control>) {
        match self {}
    }
}

/// One that never does.
#[allow(dead_code, reason = "as where it does")]
pub(crate) struct Leaving {
    pub(crate) origin: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) place: Arc<Place>,
    pub(crate) server: mpsc::Sender<Control>,
    pub(crate) manager: Manager,
    pub(crate) shutdown: Shutdown,
    pub(crate) bond: Option<Bond>,
}

impl Leaving {
    /// Whoever asks is told that it cannot be done.
    pub(crate) async fn serve(self, renewals: mpsc::Receiver<Renewal>) {
        drop(renewals);
    }
}
