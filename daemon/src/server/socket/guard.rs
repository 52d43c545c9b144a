//! Sees to it that the agent can be found where it listens, for as long as that place is its own.
//!
//! Whoever tidies up a temporary directory, or displaces the socket, would leave an agent behind that nobody finds and that
//! keeps its secrets for nobody.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use interprocess::local_socket::tokio::Listener;
use tokio::sync::mpsc;

use super::{Identity, Place, bind, identity, lock_path, verify};
use crate::life::watch::Watch;
use crate::server::Control;
use crate::shutdown::Shutdown;

/// What there is at the agent's place.
#[derive(Debug)]
enum Found {
    /// Its socket.
    Own,
    /// No socket, and the place is still its own.
    Nothing,
    /// The place is not its own any more; why.
    Lost(String),
}

/// Listens anew at `place` whenever its socket was removed; ends the agent, in good order, when the place is lost.
pub(crate) async fn guard(place: Arc<Place>, control: mpsc::Sender<Control>, shutdown: Shutdown) {
    // A directory that is gone already cannot be watched, and is found to be gone below.
    let watch = Watch::new().and_then(|watch| {
        watch.names_in(place.path.parent().unwrap_or(Path::new("/")))?;
        Ok(watch)
    });
    loop {
        // A look before each wait: what happened before it is seen, what happens from now on ends it.
        let lost = match place.look() {
            Found::Own => None,
            Found::Nothing => match place.listen_again() {
                Ok(listener) => {
                    tracing::warn!("the socket was removed: the agent listens again at {}", place.path.display());
                    let _ = control.send(Control::Listen(listener)).await;
                    None
                }
                Err(why) => Some(why.to_string()),
            },
            Found::Lost(why) => Some(why),
        };
        if let Some(why) = lost {
            tracing::error!("nobody can find this agent at {} any more: {why}; it ends", place.path.display());
            shutdown.request();
            return;
        }
        let changed = match &watch {
            Ok(watch) => watch.changed().await,
            Err(why) => Err(io::Error::new(why.kind(), why.to_string())),
        };
        if let Err(why) = changed {
            tracing::debug!("nobody will notice if the socket is removed: {why}");
            return;
        }
    }
}

impl Place {
    fn look(&self) -> Found {
        if self.bound().passed_on {
            return Found::Own;
        }
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        if identity(directory) != self.directory {
            return Found::Lost("its directory was removed or replaced".into());
        }
        if identity(&lock_path(&self.path)) != held(&self.lock) {
            return Found::Lost("its lock file was removed or replaced, so another agent may be there".into());
        }
        match identity(&self.path) {
            found if found == self.bound().identity => Found::Own,
            None => verify(&self.path).map_or_else(|fault| Found::Lost(fault.to_string()), |()| Found::Nothing),
            Some(_) => Found::Lost("something else is in its place".into()),
        }
    }

    fn listen_again(&self) -> io::Result<Listener> {
        let listener = bind(&self.path)?;
        let mut bound = self.bound();
        bound.identity = identity(&self.path);
        bound.ours = true;
        Ok(listener)
    }
}

#[cfg(unix)]
fn held(lock: &fs::File) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;

    lock.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn held(_: &fs::File) -> Option<Identity> {
    None
}
