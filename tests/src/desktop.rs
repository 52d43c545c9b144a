//! A desktop that shows notifications to nobody, and remembers them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use zbus::zvariant::OwnedValue;

use crate::keyring::Bus;

/// What it was to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which program it is from.
    pub from: String,
    /// In a line.
    pub title: String,
    /// More about it, which may be read as markup.
    pub text: String,
}

/// The service of a desktop, which ends with this value.
pub struct Desktop {
    _connection: zbus::blocking::Connection,
    shown: Arc<Mutex<Vec<Shown>>>,
}

impl Desktop {
    /// Puts it on `bus`.
    ///
    /// # Panics
    /// If it does not get the name.
    #[must_use]
    pub fn start(bus: &Bus) -> Self {
        let shown = Arc::<Mutex<Vec<Shown>>>::default();
        let builder = zbus::blocking::connection::Builder::address(bus.address()).expect("the bus has an address");
        let connection = builder
            .name("org.freedesktop.Notifications")
            .and_then(|builder| builder.serve_at("/org/freedesktop/Notifications", Notifications(shown.clone())))
            .and_then(zbus::blocking::connection::Builder::build)
            .expect("nobody else has the name");
        Self { _connection: connection, shown }
    }

    /// What it was to show so far.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Notifications(Arc<Mutex<Vec<Shown>>>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[allow(clippy::too_many_arguments, reason = "the desktops have agreed on them")]
    fn notify(
        &self,
        app_name: String,
        replaces_id: u32,
        app_icon: &str,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        expire_timeout: i32,
    ) -> u32 {
        let _ = (replaces_id, app_icon, actions, hints, expire_timeout);
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.push(Shown { from: app_name, title: summary, text: body });
        u32::try_from(shown.len()).unwrap_or(u32::MAX)
    }
}
