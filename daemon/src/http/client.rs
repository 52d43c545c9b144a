//! The network itself: one request, one reply, nothing left running.
//!
//! A client is made for each request and dropped with its reply. That costs a few milliseconds for the certificate store,
//! on a thread of their own, a few times an hour; for that no pool, timer or thread outlives a request, an idle agent
//! sleeps, and a certificate that was added is trusted by the next request.
//!
//! A header's value and what TLS encrypts are copied by the libraries below; only the agent's allocator wipes those.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::{MAX_BODY, NoReply, Replied, Reply, Request, Transport, resolve, words};
use crate::cloud::origin::is_loopback;

/// The largest file of certificate authorities that is read, in bytes.
const MAX_CA_FILE: u64 = 4 * 1024 * 1024;

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Finding the host and shaking hands.
    pub connect: Duration,
    /// Between two signs of life.
    pub idle: Duration,
    /// In all.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), idle: Duration::from_secs(10), total: Duration::from_secs(20) }
    }
}

/// Sends requests over HTTP/1.1 and TLS.
///
/// Never follows a redirect, never tries again, keeps no cookie and no connection. Proxies of the environment
/// (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) are used for `https://` beyond this machine, and never for `http://`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpClient {
    deadlines: Deadlines,
}

impl HttpClient {
    /// Gives every request `deadlines`.
    #[must_use]
    pub fn new(deadlines: Deadlines) -> Self {
        Self { deadlines }
    }

    async fn exchange(&self, request: Request) -> Result<Reply, NoReply> {
        let url = address(&request)?;
        let host = words::host(&url);
        // Whatever happens below, the whole of it ends in time: reqwest's own deadline begins only with the connection.
        let whole = tokio::time::timeout(self.deadlines.total, self.exchange_with(request, url, &host)).await;
        tokio::spawn(tidy());
        whole.unwrap_or_else(|_| Err(NoReply { fault: words::silent(&host), lost: true }))
    }

    async fn exchange_with(&self, request: Request, url: Url, host: &str) -> Result<Reply, NoReply> {
        let client = self.client(&url, request.ca_file.as_deref()).await?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Fault::new(FaultKind::Internal, "a request has no verb"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            headers.append(header_name(name)?, header_value(name, value)?);
        }
        let mut builder = client.request(method, url);
        if let Some(body) = request.body {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(body.media_type));
            // The same allocation is sent and then wiped: there is no second copy on this side of TLS.
            builder = builder.body(Bytes::from_owner(body.bytes));
        }
        let response = builder.headers(headers).send().await.map_err(|why| none(why, host))?;
        read(response, host).await
    }

    /// Made on a thread of its own: reading the certificate store would hold up everybody else's answers.
    async fn client(&self, url: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, Fault> {
        let (deadlines, url) = (self.deadlines, url.clone());
        let ca_file = ca_file.map(Path::to_owned);
        let (send, receive) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("tls-setup".to_owned())
            .spawn(move || send.send(build(deadlines, &url, ca_file.as_deref())))
            .map_err(|why| Fault::new(FaultKind::Busy, "no thread could be started").because(why.to_string()))?;
        receive.await.unwrap_or_else(|_| Err(Fault::new(FaultKind::Internal, "the setting up of TLS broke off")))
    }
}

/// Lets go of the pages that an exchange ran through, and of what it has left on the stack, once its connection and whoever waited
/// for it have come to their end.
pub(super) async fn tidy() {
    crate::hardening::others_first().await;
    crate::hardening::wipe_stack();
    crate::hardening::give_back();
}

impl Transport for HttpClient {
    fn send(&self, request: Request) -> Replied<'_> {
        Box::pin(self.exchange(request))
    }
}

fn build(deadlines: Deadlines, url: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, Fault> {
    assemble(deadlines, url, ca_file).map_err(|fault| match std::fs::File::open("/") {
        // A certificate store that cannot be opened says that it is empty.
        Err(io) if words::is_shortage(&io) => words::shortage(&io, &words::host(url)),
        _ => fault,
    })
}

fn assemble(deadlines: Deadlines, url: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, Fault> {
    let encrypted = url.scheme() == "https";
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .https_only(encrypted)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        .connect_timeout(deadlines.connect)
        .read_timeout(deadlines.idle)
        .timeout(deadlines.total)
        .dns_resolver(resolve::Threads)
        .user_agent(concat!("cloud-agent/", env!("CARGO_PKG_VERSION")));
    if !encrypted || is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder = match ca_file {
        // No certificate is looked at, so a machine without any is no reason to fail.
        _ if !encrypted => builder.tls_certs_only([]),
        Some(path) => builder.tls_certs_merge(authorities(path)?),
        None => builder,
    };
    builder.build().map_err(|why| words::no_client(&why.without_url()))
}

/// The certificate authorities in a PEM file. May block.
///
/// # Errors
/// `Config` if it cannot be read, or none are in it.
pub(crate) fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, Fault> {
    use std::io::Read as _;

    let fail = |why: String| {
        Fault::new(FaultKind::Config, format!("the CA file `{}` cannot be used", path.display())).because(why)
    };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(|why| fail(why.to_string()))?;
    file.take(MAX_CA_FILE).read_to_end(&mut pem).map_err(|why| fail(why.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|why| fail(why.to_string()))?;
    if certificates.is_empty() {
        return Err(fail("there is no PEM certificate in it".to_owned()));
    }
    Ok(certificates)
}

/// The address, if a secret may go there.
fn address(request: &Request) -> Result<Url, Fault> {
    let url = Url::parse(&request.url)
        .map_err(|why| Fault::new(FaultKind::Config, "the address of a request is not one").because(why.to_string()))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if request.allow_plaintext || is_loopback(&url) => Ok(url),
        _ => {
            let message = format!("`{}` would send secrets unencrypted", words::host(&url));
            Err(Fault::new(FaultKind::Config, message)
                .hint("use `https://`; only if nothing can listen in between: `cloud-token login ACCOUNT --set allow-plaintext=true`"))
        }
    }
}

fn header_name(name: &str) -> Result<HeaderName, Fault> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Fault::new(FaultKind::Internal, format!("`{}` is no header name", name.escape_debug())))
}

fn header_value(name: &str, value: &Secret) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
        let message = format!("a value for the header `{name}` holds a character that no header has");
        Fault::new(FaultKind::Usage, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What came instead of a reply. Until the connection stood, TLS included, no byte of the request had left.
fn none(why: reqwest::Error, host: &str) -> NoReply {
    let lost = !(why.is_connect() || why.is_builder());
    NoReply { fault: words::fault(&why.without_url(), host), lost }
}

async fn read(mut response: reqwest::Response, host: &str) -> Result<Reply, NoReply> {
    let announced = response.content_length().unwrap_or(0);
    if announced > MAX_BODY as u64 {
        return Err(words::too_long(host).into());
    }
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), Secret::from(value.to_str().ok()?))))
        .collect();
    let mut body = Zeroizing::new(Vec::with_capacity(usize::try_from(announced).unwrap_or(0)));
    while let Some(chunk) = response.chunk().await.map_err(|why| none(why, host))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(words::too_long(host).into());
        }
        append(&mut body, &chunk);
    }
    Ok(Reply { status, headers, body })
}

/// Grows by moving to a larger buffer and wiping the old one, which a `Vec` by itself would leave as it is.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
