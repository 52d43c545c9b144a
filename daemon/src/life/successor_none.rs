//! Where no agent takes over from another: a restart is a stop, and the next use starts the newer one.

#![expect(clippy::unused_async, reason = "as where one does")]

use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::mpsc;

use super::{Begun, Leaving};
use crate::access::Access;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::paths::Paths;
use crate::server::{Control, Renewal};
use crate::vault::Choice;

/// Nothing.
#[derive(Debug)]
pub(crate) enum Estate {}

pub(crate) async fn meet() -> Result<Begun, Fault> {
    Err(Fault::new(FaultKind::Unsupported, "no agent hands anything over on this system"))
}

impl Estate {
    pub(crate) fn vault(&self, _: &Paths, _: Arc<dyn Clock>) -> Result<Choice, Fault> {
        match *self {}
    }

    pub(crate) fn give_to(&self, _: &Broker) -> Result<(), Fault> {
        match *self {}
    }

    pub(crate) fn tell(&self, _: &Access) {
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

impl Leaving {
    /// Whoever asks is told that it cannot be done.
    pub(crate) async fn serve(self, renewals: mpsc::Receiver<Renewal>) {
        drop(renewals);
    }
}
