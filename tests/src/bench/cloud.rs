//! A fake cloud on loopback: ecHome's login and a provider for oidc-agent, over http and https.
//!
//! One blocking thread a connection and no runtime: it must not be in the way of what is measured, and its state is a
//! few atomics that a bench turns: how long it takes, for whom, how long tokens live, how often it was asked.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

/// The largest request it reads, in bytes.
const MAX_REQUEST: usize = 64 * 1024;

/// What the bench turns and reads.
struct State {
    /// `https://localhost:PORT`, which the provider must repeat.
    issuer: String,
    /// Seconds that new tokens live.
    lifetime: AtomicU64,
    /// Logins and refreshes so far.
    asked: AtomicU64,
    /// Requests with this text in them take this long.
    slow: Mutex<Option<(String, Duration)>>,
}

/// A running fake cloud; it ends with the process.
pub struct Cloud {
    state: Arc<State>,
    /// `http://127.0.0.1:PORT`.
    pub http: String,
    /// `https://localhost:PORT`; its certificate is signed by the authority in the file given to [`Cloud::start`].
    pub https: String,
}

impl Cloud {
    /// Starts it and writes the certificate of its own authority to `authority`.
    ///
    /// # Errors
    /// If it cannot listen, or no certificate can be made.
    pub fn start(authority: &Path) -> Result<Self, String> {
        let text = |e: &dyn std::error::Error| e.to_string();
        let plain = TcpListener::bind("127.0.0.1:0").map_err(|e| text(&e))?;
        let sealed = TcpListener::bind("127.0.0.1:0").map_err(|e| text(&e))?;
        let port = |listener: &TcpListener| listener.local_addr().map(|at| at.port()).map_err(|e| text(&e));
        let (http, https) =
            (format!("http://127.0.0.1:{}", port(&plain)?), format!("https://localhost:{}", port(&sealed)?));
        let (config, pem) = certificate()?;
        std::fs::write(authority, pem).map_err(|e| text(&e))?;
        let state = Arc::new(State {
            issuer: https.clone(),
            lifetime: AtomicU64::new(86_400),
            asked: AtomicU64::new(0),
            slow: Mutex::new(None),
        });
        accept(plain, &state, serve);
        accept(sealed, &state, move |stream, state| {
            let session = rustls::ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            serve(&mut rustls::StreamOwned::new(session, stream), state)
        });
        Ok(Self { state, http, https })
    }

    /// How often it was asked for a token so far.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// New tokens live so many seconds.
    pub fn tokens_live(&self, seconds: u64) {
        self.state.lifetime.store(seconds, Ordering::SeqCst);
    }

    /// Requests with `text` in them take `delay`; an empty text is in all.
    pub fn slow_for(&self, text: &str, delay: Duration) {
        *self.state.slow.lock().unwrap_or_else(PoisonError::into_inner) = Some((text.to_owned(), delay));
    }

    /// Nothing is slow any more.
    pub fn quick(&self) {
        *self.state.slow.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A server configuration for `localhost`, and the authority that signed it in PEM.
fn certificate() -> Result<(Arc<rustls::ServerConfig>, String), String> {
    let text = |e: rcgen::Error| e.to_string();
    let mut authority = CertificateParams::new(Vec::new()).map_err(text)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Its own name: a leaf whose issuer is called as itself passes for self-signed.
    authority.distinguished_name.push(DnType::CommonName, "bench authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(text)?).map_err(text)?;
    let key = KeyPair::generate().map_err(text)?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names).and_then(|params| params.signed_by(&key, &authority)).map_err(text)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .map_err(|e| e.to_string())?;
    Ok((Arc::new(config), authority.pem()))
}

fn accept<F>(listener: TcpListener, state: &Arc<State>, conversation: F)
where
    F: Fn(TcpStream, &State) -> io::Result<()> + Send + Sync + 'static,
{
    let (state, conversation) = (state.clone(), Arc::new(conversation));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (state, conversation) = (state.clone(), conversation.clone());
            // A client that hangs up is no error of the cloud's.
            thread::spawn(move || drop(conversation(stream, &state)));
        }
    });
}

/// Answers requests until the client is done. The connection is kept open, so that a client which holds it on has it on
/// its own account: an agent that does is woken when it ends.
fn serve(mut stream: impl Read + Write, state: &State) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut bytes)? else { return Ok(()) };
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (status, answer) = state.answer(path, &format!("{path} {body}"));
        let reply = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        stream.write_all(reply.as_bytes())?;
        stream.flush()?;
    }
}

/// The next request's head and body; `None` at the end of the connection.
fn request(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<Option<(String, String)>> {
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(bytes);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse().ok())
                .unwrap_or(0);
            if rest.len() >= length {
                let whole = (head.to_owned(), rest[..length].to_owned());
                bytes.clear(); // nobody here sends a second request before the first is answered
                return Ok(Some(whole));
            }
        }
        let read = stream.read(&mut buffer)?;
        if read == 0 || bytes.len() > MAX_REQUEST {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

impl State {
    fn answer(&self, path: &str, request: &str) -> (&'static str, String) {
        let tokens = match path {
            "/api/v1/identity/token" | "/api/v1/identity/token/refresh" | "/token" => true,
            "/.well-known/openid-configuration" => false,
            _ => return ("404 Not Found", json!({"detail": "Not found."}).to_string()),
        };
        if !tokens {
            return ("200 OK", self.discovery());
        }
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, delay)) = slow.filter(|(text, _)| request.contains(text)) {
            thread::sleep(delay);
        }
        let lifetime = self.lifetime.load(Ordering::SeqCst);
        let access = jwt(number, lifetime, "access");
        let answer = if path == "/token" {
            json!({"access_token": access, "token_type": "Bearer", "expires_in": lifetime, "scope": "openid offline_access"})
        } else {
            // Who it is for travels in the refresh token, so that a refresh can be slow for one account alone.
            let owner = request.rfind("AK-").map_or("", |at| &request[at..]);
            let owner: String = owner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            json!({"access": access, "refresh": format!("{}.{owner}", jwt(number, 86_400, "refresh"))})
        };
        ("200 OK", answer.to_string())
    }

    fn discovery(&self) -> String {
        let issuer = &self.issuer;
        json!({
            "issuer": format!("{issuer}/"),
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "scopes_supported": ["openid", "offline_access"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
        .to_string()
    }
}

/// A token of the size that ecHome issues; nobody checks its signature.
fn jwt(number: u64, lifetime: u64, kind: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(json!({
        "token_type": kind, "exp": now + lifetime, "iat": now, "jti": format!("{number:032x}"), "user_id": "bench",
    }));
    format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 32]))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn post(cloud: &Cloud, path: &str, body: &str) -> String {
        let authority = cloud.http.trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority).expect("it listens");
        let length = body.len();
        let request = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and closes");
        answer
    }

    #[test]
    fn a_refresh_is_slow_for_the_account_that_logged_in_and_every_request_is_counted() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cloud = Cloud::start(&dir.path().join("ca.pem")).expect("loopback");
        let login = post(&cloud, "/api/v1/identity/token", r#"{"username":"AK-slow","password":"x"}"#);
        let body = login.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let grant: serde_json::Value = serde_json::from_str(body).expect("JSON");
        cloud.slow_for("AK-slow", Duration::from_millis(50));
        let begun = Instant::now();
        post(&cloud, "/api/v1/identity/token/refresh", &json!({"refresh": grant["refresh"]}).to_string());
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert_eq!(cloud.asked(), 2);
        assert!(post(&cloud, "/elsewhere", "").starts_with("HTTP/1.1 404 "));
    }
}
