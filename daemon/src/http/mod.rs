//! The network as an argument: one request, one reply.

mod circuit;
mod client;
mod resolve;
mod roots;
mod way;
mod words;

pub use circuit::Circuit;
pub(crate) use client::authorities;
pub use client::{Deadlines, HttpClient};
pub(crate) use roots::{STORE_PATIENCE, roots};
pub(crate) use way::{Way, way};

use std::future::Future;
use std::pin::Pin;

use cloud_agent_protocol::{Fault, Secret};
use zeroize::Zeroizing;

/// The largest reply body that is read, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// A request to a cloud. Its body and headers may hold secrets.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order; a header may hold a secret.
    pub headers: Vec<(String, Secret)>,
    /// The body and its media type.
    pub body: Option<Body>,
    /// Certificate authorities to trust besides the system's: a PEM file.
    pub ca_file: Option<std::path::PathBuf>,
    /// `http://` beyond loopback is allowed.
    pub allow_plaintext: bool,
    /// A human is waiting for it.
    pub urgent: bool,
}

/// A body that is wiped once sent.
pub struct Body {
    /// Such as `application/json`.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.media_type, self.bytes.len())
    }
}

/// What the cloud answered, of whatever status.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// In order, names in lower case; values that are not visible ASCII are left out.
    pub headers: Vec<(String, Secret)>,
    /// At most [`MAX_BODY`] bytes.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no reply.
#[derive(Debug)]
pub struct NoReply {
    /// What went wrong.
    pub fault: Fault,
    /// Whether the cloud may have acted on the request, and its reply was lost on the way. After a request that spends
    /// something, nobody then knows whether it is spent.
    pub lost: bool,
}

impl From<Fault> for NoReply {
    /// Nothing was sent.
    fn from(fault: Fault) -> Self {
        Self { fault, lost: false }
    }
}

impl From<NoReply> for Fault {
    fn from(none: NoReply) -> Self {
        none.fault
    }
}

/// A reply that is awaited.
pub type Replied<'a> = Pin<Box<dyn Future<Output = Result<Reply, NoReply>> + Send + 'a>>;

/// Something that sends requests.
pub trait Transport: Send + Sync + 'static {
    /// Sends once: never follows a redirect, never tries again.
    ///
    /// # Errors
    /// `Unreachable` if no whole reply came in time (DNS, refused, reset, silence), `MalformedReply` if it was no HTTP or
    /// longer than [`MAX_BODY`], `Config` if the address or its certificate cannot be used, `Busy` if this process has no
    /// file descriptor or memory left for it.
    fn send(&self, request: Request) -> Replied<'_>;
}
