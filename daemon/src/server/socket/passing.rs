//! A place that passes from one agent to the next, with nobody turned away in between.

#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
#[cfg(target_os = "linux")]
use std::path::Path;

#[cfg(target_os = "linux")]
use interprocess::local_socket::tokio::Listener;

use super::Place;

/// The place that another agent has: the lock goes with what is open, not with who opened it. It looks after it until
/// [`Place::take_over`].
///
/// # Errors
/// If that is no socket.
#[cfg(target_os = "linux")]
pub(crate) fn inherit(path: &Path, socket: OwnedFd, lock: File, ours: bool) -> io::Result<(Place, Listener)> {
    let listener = interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(socket)?;
    let place = Place::new(path, lock, ours);
    place.pass_on();
    Ok((place, listener.into()))
}

impl Place {
    #[cfg(target_os = "linux")]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn lock(&self) -> &File {
        &self.lock
    }

    /// Whether the socket is the agent's to remove.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_ours(&self) -> bool {
        self.bound().ours
    }

    /// From now on it is another agent's to look after.
    #[cfg(target_os = "linux")]
    pub(crate) fn pass_on(&self) {
        self.bound().passed_on = true;
    }

    /// From now on it is this one's.
    pub(crate) fn take_over(&self) {
        self.bound().passed_on = false;
    }
}
