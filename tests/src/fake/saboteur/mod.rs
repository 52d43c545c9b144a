//! Sits before a server and breaks what lies between the agent and it: connections and certificates.
//!
//! The agent binds what it holds to an address. So a fault can be played on an account that is logged in only if the address
//! stays the same while it comes and goes. TLS ends here: the server behind speaks plain HTTP, and breaks replies by itself.

mod relay;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, listen, shutdown, socket_with, sockopt};

use super::{Authority, Certificate};

/// How long a connection on loopback may take before the queue counts as full.
const FULL: Duration = Duration::from_millis(300);

/// More connections than the kernel lets wait in a queue without places.
const CROWD: usize = 16;

/// What happens to whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing: the certificate is right, and everything is passed on.
    None,
    /// Nobody listens.
    Refuse,
    /// The queue is full, so the kernel drops who wants to connect, and says nothing.
    Blackhole,
    /// Whoever connects is listened to, and told nothing.
    Silence,
    /// The certificate is this one.
    Certificate(Certificate),
    /// A hello of TLS is answered in plain HTTP.
    Plain,
}

/// A place before a server, in which anything can be done to connections.
pub struct Saboteur {
    /// Bound and never listening: the port stays ours while nobody listens there.
    _hold: OwnedFd,
    address: SocketAddr,
    host: String,
    upstream: SocketAddr,
    authority: Arc<Authority>,
    seen: Arc<Seen>,
    gate: Mutex<Gate>,
}

impl Saboteur {
    /// Before `upstream`, which speaks plain HTTP, by the name `host`, with certificates that `authority` signs.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    #[must_use]
    pub fn before(upstream: SocketAddr, host: &str, authority: &Arc<Authority>) -> Self {
        let hold = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address =
            getsockname(&hold).ok().and_then(|any| any.try_into().ok()).expect("a bound socket has an address");
        let (authority, seen, gate) = (Arc::clone(authority), Arc::default(), Mutex::new(Gate::Shut));
        let saboteur = Self { _hold: hold, address, host: host.into(), upstream, authority, seen, gate };
        saboteur.engage(Sabotage::None);
        saboteur
    }

    /// The origin by which the server is reached through here.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.address.port())
    }

    /// Does this from now on. Connections that are open already go on as they are.
    ///
    /// # Panics
    /// If the port was lost, or a queue without places does not fill up.
    pub fn engage(&self, sabotage: Sabotage) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        // First the old listener goes: one port has one.
        *gate = Gate::Shut;
        let tls = |certificate| relay::Way::Tls(self.authority.config(certificate, &self.host), self.upstream);
        *gate = match sabotage {
            Sabotage::Refuse => Gate::Shut,
            Sabotage::Blackhole => Gate::full(self.listen(0)),
            Sabotage::None => Gate::Open { _door: self.open(tls(Certificate::Valid)) },
            Sabotage::Certificate(certificate) => Gate::Open { _door: self.open(tls(certificate)) },
            Sabotage::Silence => Gate::Open { _door: self.open(relay::Way::Silence) },
            Sabotage::Plain => Gate::Open { _door: self.open(relay::Way::Plain) },
        };
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many bytes were sent here that are not TLS's own: requests, or what should have been one.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.seen.heard.load(Ordering::SeqCst)
    }

    fn listen(&self, backlog: i32) -> Listener {
        let socket = bound(self.address);
        listen(&socket, backlog).expect("a port that is held can be listened on");
        Listener(socket.into())
    }

    fn open(&self, way: relay::Way) -> Door {
        let (listener, seen) = (Arc::new(self.listen(128)), Arc::clone(&self.seen));
        let closing = Arc::new(AtomicBool::new(false));
        let (heard, told) = (Arc::clone(&listener), Arc::clone(&closing));
        let thread = thread::spawn(move || accept(&heard.0, &way, &seen, &told));
        Door { listener, closing, thread: Some(thread) }
    }
}

impl fmt::Debug for Saboteur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Saboteur at {} before {}", self.url(), self.upstream)
    }
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicU64,
    heard: AtomicU64,
}

enum Gate {
    /// Nobody listens.
    Shut,
    /// Somebody listens and accepts nobody, and the queue is full.
    Full {
        _listener: Listener,
        _crowd: Vec<TcpStream>,
    },
    Open {
        _door: Door,
    },
}

impl Gate {
    fn full(listener: Listener) -> Self {
        let address = listener.0.local_addr().expect("a bound listener has an address");
        let come = || TcpStream::connect_timeout(&address, FULL).ok();
        let crowd: Vec<_> = (0..CROWD).map_while(|_| come()).collect();
        assert!(crowd.len() < CROWD, "a queue without places took {CROWD}");
        Self::Full { _listener: listener, _crowd: crowd }
    }
}

/// Listens until it is dropped, and not a moment longer: a child that another thread forks meanwhile holds our descriptor
/// until its `exec`, and would go on listening if it were only closed.
struct Listener(TcpListener);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = shutdown(&self.0, Shutdown::Both);
    }
}

/// A listener that somebody attends to, until this is dropped.
struct Door {
    listener: Arc<Listener>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread, which sees that it is to end.
        let _ = shutdown(&self.listener.0, Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, way: &relay::Way, seen: &Arc<Seen>, closing: &AtomicBool) {
    for stream in listener.incoming() {
        if closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let (way, seen) = (way.clone(), Arc::clone(seen));
        // Whoever goes away in the middle is no event: what came is counted.
        thread::spawn(move || relay::serve(stream, &way, &seen.heard));
    }
}

/// A socket at `address`, beside others that are bound there and do not listen.
fn bound(address: SocketAddr) -> OwnedFd {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = socket.expect("a socket can be made");
    sockopt::set_socket_reuseaddr(&socket, true).expect("a socket's address can be shared");
    bind(&socket, &address).expect("a port of loopback can be bound");
    socket
}
