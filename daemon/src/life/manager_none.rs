//! Where no service manager hands anything down or wants to be told. launchd and the Windows task scheduler run the agent in
//! the foreground, and see its end.

#![expect(clippy::unused_async, reason = "as where there is one")]

use std::sync::Arc;

use crate::clock::Clock;
use crate::shutdown::Shutdown;

/// None.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manager;

/// Nothing.
pub(crate) type Handed = Vec<()>;

impl Manager {
    pub(crate) fn take() -> (Self, Handed) {
        (Self, Handed::new())
    }

    pub(crate) fn ready(&self) {}

    pub(crate) fn reloading(&self) {}

    pub(crate) async fn tell_of_the_end(self, _: Shutdown) {}

    pub(crate) async fn keep_the_watchdog_quiet(self, _: Arc<dyn Clock>) {}
}
