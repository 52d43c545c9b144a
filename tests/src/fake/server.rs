//! Listens on loopback, records, breaks. One thread per connection: a fake serves one agent, not the world.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::tls::{Certificate, Identity};
use super::{Cloud, Fault, Journal, Nothing, Reply, Request, wire};

/// "For ever", for a fault that hangs: longer than any test.
const FOREVER: Duration = Duration::from_hours(1);

/// A cloud on a port of its own, gone when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    identity: Option<Identity>,
    listener: Option<JoinHandle<()>>,
}

/// How a server is to be.
#[derive(Debug, Default)]
pub struct Builder {
    certificate: Option<Certificate>,
}

impl Builder {
    /// Speaks TLS with this certificate.
    #[must_use]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If loopback cannot be listened on.
    #[must_use]
    pub fn start(self, cloud: impl Cloud) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback can be listened on");
        let address = listener.local_addr().expect("a bound listener has an address");
        let identity = self.certificate.map(Identity::new);
        let shared = Arc::new(Shared {
            cloud: Box::new(cloud),
            journal: Journal::default(),
            open: Mutex::default(),
            tls: identity.as_ref().map(|identity| Arc::clone(&identity.config)),
        });
        let accepting = Arc::clone(&shared);
        let listener = Some(thread::spawn(move || accept(&listener, &accepting)));
        Server { address, shared, identity, listener }
    }
}

impl Server {
    /// A server in plain HTTP.
    #[must_use]
    pub fn start(cloud: impl Cloud) -> Self {
        Builder::default().start(cloud)
    }

    /// A server that nobody is to reach.
    #[must_use]
    pub fn unvisited() -> Self {
        Self::start(Nothing)
    }

    /// How a server is to be, if not plain.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Its origin, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.identity.is_some() { "https" } else { "http" }, self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate authority to trust, as a PEM file.
    ///
    /// # Panics
    /// If it speaks no TLS.
    #[must_use]
    pub fn ca(&self) -> &Path {
        self.identity.as_ref().expect("only a server with TLS has a certificate").authority.ca()
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.journal.requests()
    }

    /// The requests to `path` so far.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }

    /// How many requests to `path` there were so far.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.requests_to(path).len()
    }

    /// How many connections were accepted so far, whether or not a request came.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.journal.connections()
    }

    /// How many bytes of endless or huge bodies the client's end has taken.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.journal.sent()
    }

    /// Every secret that was issued or received so far.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<String> {
        self.shared.journal.secrets()
    }

    /// Every breach of the cloud's rules so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.journal.violations()
    }

    /// Waits until the requests so far satisfy `predicate`.
    ///
    /// # Panics
    /// If they do not within `deadline`; the message lists them.
    #[track_caller]
    pub fn wait_for(&self, deadline: Duration, predicate: impl FnMut(&[Request]) -> bool) {
        self.shared.journal.wait_for(deadline, predicate);
    }

    /// Breaks every request to `path` (`*`: to any) in this way until [`Self::clear`]. Earlier faults go first.
    pub fn break_always(&self, path: &str, fault: Fault) {
        self.shared.journal.add_rule(path, None, fault);
    }

    /// Breaks the next `times` requests to `path` (`*`: to any) in this way.
    pub fn break_next(&self, times: u32, path: &str, fault: Fault) {
        self.shared.journal.add_rule(path, Some(times), fault);
    }

    /// Works again, also for whoever hangs or waits.
    pub fn clear(&self) {
        self.shared.journal.clear_rules();
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.shared.journal
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.journal.stop();
        // Wakes the listener, which sees that it is to stop.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

struct Shared {
    cloud: Box<dyn Cloud>,
    journal: Journal,
    open: Mutex<HashMap<u64, TcpStream>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.journal.stopping() {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.journal.connected();
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = stream.set_nodelay(true);
            if let Ok(clone) = stream.try_clone() {
                shared.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, clone);
            }
            // A client that goes away is no event: the journal has what it sent.
            let _ = converse(stream, &shared, number);
            shared.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        });
    }
}

fn converse(stream: TcpStream, shared: &Shared, number: u64) -> io::Result<()> {
    let mut stream = match &shared.tls {
        None => Stream::Plain(stream),
        Some(config) => {
            let connection = rustls::ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Stream::Tls(Box::new(rustls::StreamOwned::new(connection, stream)))
        }
    };
    let mut pending = Vec::new();
    loop {
        match wire::read(&mut stream, &mut pending, number) {
            Ok(Some(request)) => {
                if !answer(&mut stream, shared, &request)? {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData && shared.tls.is_none() {
                    shared.journal.violation(error.to_string());
                    // As real servers do; a client that tried TLS first knows by that.
                    let _ = wire::write(&mut stream, &Reply::empty(400).bytes());
                }
                return Err(error);
            }
        }
    }
}

/// Answers one request, well or not; `false` ends the connection.
fn answer(stream: &mut Stream, shared: &Shared, request: &Request) -> io::Result<bool> {
    let Shared { cloud, journal, .. } = shared;
    if let Err(breach) = cloud.judge(request) {
        journal.violation(format!("{} {}: {breach}", request.method, request.path));
    }
    let fault = journal.record(request.clone());
    let good = || cloud.answer(request, journal);
    let keep = request.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
    let Some((fault, epoch)) = fault else {
        wire::write(stream, &good().bytes())?;
        return Ok(keep);
    };
    match &fault {
        Fault::Delay(duration) => {
            journal.pause(epoch, *duration);
            wire::write(stream, &good().bytes())?;
            return Ok(keep);
        }
        Fault::Hang => journal.pause(epoch, FOREVER),
        Fault::Close => {}
        Fault::Reset => stream.reset_on_close(),
        Fault::Answer(reply) => {
            wire::write(stream, &reply.bytes())?;
            return Ok(keep);
        }
        Fault::Bytes(bytes) => wire::write(stream, bytes)?,
        Fault::Huge(length) => pour(stream, journal, Some(*length))?,
        Fault::Endless => pour(stream, journal, None)?,
        Fault::CloseAfter => drop(good()),
        Fault::ResetAfter => {
            drop(good());
            stream.reset_on_close();
        }
        Fault::Truncated | Fault::ResetMidBody => {
            let reply = good();
            let mut bytes = reply.bytes();
            bytes.truncate(bytes.len() - reply.body.len().div_ceil(2));
            wire::write(stream, &bytes)?;
            if matches!(fault, Fault::ResetMidBody) {
                stream.reset_on_close();
            }
        }
        Fault::Drip(interval) | Fault::DripBody(interval) => {
            let reply = good();
            let mut bytes = reply.bytes();
            if matches!(fault, Fault::DripBody(_)) {
                let body = bytes.split_off(bytes.len() - reply.body.len());
                wire::write(stream, &std::mem::replace(&mut bytes, body))?;
            }
            for byte in bytes {
                wire::write(stream, &[byte])?;
                journal.pause(epoch, *interval);
            }
            return Ok(keep);
        }
        Fault::Cut
        | Fault::Replace(..)
        | Fault::Remove(_)
        | Fault::Duplicate(..)
        | Fault::ClaimsGzip
        | Fault::Header(..) => {
            wire::write(stream, &fault.spoil(good()).bytes())?;
            return Ok(keep);
        }
    }
    Ok(false)
}

fn pour(stream: &mut Stream, journal: &Journal, length: Option<u64>) -> io::Result<()> {
    let head = Reply::typed(200, "application/json", "").head(length);
    wire::write(stream, &head)?;
    wire::write(stream, br#"{"access":""#)?;
    let chunk = [b'a'; 16 * 1024];
    let mut left = length.unwrap_or(u64::MAX).saturating_sub(11);
    while left > 0 && !journal.stopping() {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        stream.write_all(&chunk[..count])?;
        journal.count_sent(count);
        left -= count as u64;
    }
    Ok(())
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Stream {
    /// Makes the coming close a reset: with no time to linger, the kernel throws the connection away.
    fn reset_on_close(&self) {
        let tcp = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        };
        let _ = rustix::net::sockopt::set_socket_linger(tcp, Some(Duration::ZERO));
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
