//! What a service manager hands down, and wants to be told (systemd's `sd_listen_fds(3)` and `sd_notify(3)`).
//!
//! Linux only. Where nobody has asked for it, nothing here does anything.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::hardening;
use crate::shutdown::Shutdown;

/// What it says about descriptors, and where it listens. Taken out of the environment: what it says is said to this process.
const VARIABLES: [&str; 7] =
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// More descriptors than this were not meant for an agent.
const MOST_HANDED_DOWN: usize = 64;

/// A service manager, or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manager {
    notify: Option<String>,
    watchdog: Option<Duration>,
}

/// Descriptors that were handed down, by their names.
pub(crate) type Handed = Vec<(String, std::os::fd::OwnedFd)>;

impl Manager {
    /// What the environment says to this process, and the descriptors that go with it. Called once, in `main`, before anything
    /// opens a descriptor or starts a thread: both are taken, and nothing that the agent runs takes them for its own.
    pub(crate) fn take() -> (Self, Handed) {
        let said = Said::read(|name| std::env::var(name).ok());
        let taken = hardening::take_handed_down(said.names.len());
        hardening::forget_variables(&VARIABLES);
        let handed = said.names.into_iter().zip(taken).filter_map(|(name, taken)| Some((name, taken?))).collect();
        (Self { notify: said.notify, watchdog: said.watchdog }, handed)
    }

    /// What it says to the next agent of this service.
    pub(crate) fn handed_down(&self) -> Vec<(&'static str, String)> {
        let watchdog = self.watchdog.map(|patience| ("WATCHDOG_USEC", patience.as_micros().to_string()));
        self.notify.clone().map(|name| ("NOTIFY_SOCKET", name)).into_iter().chain(watchdog).collect()
    }

    /// Another process is the service from now on.
    pub(crate) fn main_process(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}"));
    }

    /// It serves.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// It reads its configuration again; [`Self::ready`] follows.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000));
    }

    /// Tells that the agent is about to end, when it is.
    pub(crate) async fn tell_of_the_end(self, shutdown: Shutdown) {
        shutdown.requested().await;
        self.tell("STOPPING=1");
    }

    /// Tells that all is well, twice as often as it wants to hear that. Only if it does: this is a timer.
    pub(crate) async fn keep_the_watchdog_quiet(self, clock: Arc<dyn Clock>) {
        let Some(patience) = self.watchdog else { return };
        loop {
            self.tell("WATCHDOG=1");
            clock.sleep(patience / 2).await;
        }
    }

    fn tell(&self, words: &str) {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::{SocketAddr, UnixDatagram};

        let Some(name) = &self.notify else { return };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let told = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            // A manager that does not listen must not hold the agent up.
            socket.set_nonblocking(true)?;
            socket.send_to_addr(words.as_bytes(), &address)
        });
        if let Err(why) = told {
            tracing::debug!("the service manager could not be told: {why}");
        }
    }
}

/// What the environment says to this process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// Of the descriptors, from the first behind the standard ones on.
    names: Vec<String>,
    notify: Option<String>,
    watchdog: Option<Duration>,
}

impl Said {
    fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let own = std::process::id();
        let is_own = |name: &str| var(name).and_then(|pid| pid.parse().ok()) == Some(own);
        let count = var("LISTEN_FDS").and_then(|count| count.parse().ok()).filter(|_| is_own("LISTEN_PID"));
        let count: usize = count.filter(|count| *count <= MOST_HANDED_DOWN).unwrap_or_default();
        let given = var("LISTEN_FDNAMES").unwrap_or_default();
        let mut given = given.split(':').filter(|name| !name.is_empty());
        let names = (0..count).map(|_| given.next().unwrap_or(UNKNOWN).to_owned()).collect();
        let watchdog = var("WATCHDOG_USEC").and_then(|micros| micros.parse().ok()).filter(|micros| *micros > 0);
        let watched = var("WATCHDOG_PID").is_none() || is_own("WATCHDOG_PID");
        Self {
            names,
            notify: var("NOTIFY_SOCKET").filter(|name| name.starts_with(['/', '@'])),
            watchdog: watchdog.filter(|_| watched).map(Duration::from_micros),
        }
    }
}

/// What a descriptor without a name is called.
pub(crate) const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Said {
        let own = std::process::id().to_string();
        Said::read(|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(value.replace("OWN", &own))
        })
    }

    #[test]
    fn descriptors_are_for_the_process_that_they_were_handed_to() {
        let two = [("LISTEN_FDS", "2"), ("LISTEN_PID", "OWN"), ("LISTEN_FDNAMES", "agent:other")];
        assert_eq!(said(&two).names, ["agent", "other"]);
        assert_eq!(said(&two[..2]).names, [UNKNOWN, UNKNOWN]);
        let nobody: [&[(&str, &str)]; 5] = [
            &two[..1],
            &[("LISTEN_FDS", "2"), ("LISTEN_PID", "1")],
            &[("LISTEN_FDS", "many"), ("LISTEN_PID", "OWN")],
            &[("LISTEN_FDS", "-1"), ("LISTEN_PID", "OWN")],
            &[("LISTEN_FDS", "65"), ("LISTEN_PID", "OWN")],
        ];
        for variables in nobody {
            assert_eq!(said(variables).names, Vec::<String>::new(), "{variables:?}");
        }
    }

    #[test]
    fn a_watchdog_is_fed_by_whom_it_watches() {
        let minute = Some(Duration::from_mins(1));
        assert_eq!(said(&[("WATCHDOG_USEC", "60000000")]).watchdog, minute);
        assert_eq!(said(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "OWN")]).watchdog, minute);
        assert_eq!(said(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "1")]).watchdog, None);
        assert_eq!(said(&[("WATCHDOG_USEC", "0")]).watchdog, None);
        assert_eq!(said(&[("NOTIFY_SOCKET", "vsock:2:1")]).notify, None);
    }
}
