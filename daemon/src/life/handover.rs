//! What goes from an agent to the one that takes its place: of the same form where the system lets them, and where it does not.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use interprocess::local_socket::tokio::Listener;
use tokio::sync::mpsc;

use super::bond::Bond;
use super::manager::Manager;
use super::successor::Estate;
use crate::access::Access;
use crate::broker::Broker;
use crate::server::socket::Place;
use crate::server::{Control, Gate};
use crate::shutdown::Shutdown;

/// Where an agent begins to listen.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) listener: Listener,
    /// What it lives for, if that is one program.
    pub(crate) bond: Option<Bond>,
    /// Of the agent that it takes the place of.
    pub(crate) estate: Option<Estate>,
}

/// What an agent needs to start another one in its place.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no agent leaves for another one there"))]
pub(crate) struct Leaving {
    /// The program, as it was started.
    pub(crate) origin: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) access: Arc<Access>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) place: Arc<Place>,
    pub(crate) server: mpsc::Sender<Control>,
    pub(crate) manager: Manager,
    pub(crate) shutdown: Shutdown,
    pub(crate) bond: Option<Bond>,
}
