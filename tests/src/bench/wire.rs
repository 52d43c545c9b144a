//! The protocol from the caller's side, for requests that are sent as bytes or without a client process.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use cloud_agent_protocol::frame::MAX_RESPONSE;
use cloud_agent_protocol::v1::{Get, Login, NamedSecret, Request, Response, Setting};
use cloud_agent_protocol::{Frame, Secret, hello};

/// The number of the frame that carries a credential.
pub const KIND_CREDENTIAL: u16 = 0x8001;

/// The bytes of a whole conversation's first write: hello and request.
///
/// # Errors
/// If the request is longer than a frame may be.
pub fn bytes(request: &Request) -> Result<Vec<u8>, String> {
    let frame = request.encode().map_err(|e| e.to_string())?;
    Ok(frame.encode_after(&hello::encode(hello::VERSIONS)).to_vec())
}

/// Asks for `account`'s credential.
#[must_use]
pub fn get(account: &str, fresh: bool) -> Request {
    let account = account.to_owned();
    Request::Get(Get { account, min_valid: None, fresh, environment: false, deadline_ms: 30_000 })
}

/// Sets `account` up at the fake ecHome at `url` and logs in.
#[must_use]
pub fn login(account: &str, url: &str) -> Request {
    Request::Login(Login {
        account: account.to_owned(),
        cloud: Some("echome".to_owned()),
        method: None,
        origins: vec![Setting { name: String::new(), value: url.to_owned() }],
        settings: vec![Setting { name: "access-id".to_owned(), value: format!("AK-{account}") }],
        secrets: vec![NamedSecret { name: "secret".to_owned(), value: Secret::from("bench-secret") }],
        remember: false,
        ephemeral: true, // a thousand rewrites of accounts.toml are not what is measured
        interactive: false,
        deadline_ms: 30_000,
    })
}

/// One request on a connection of its own.
///
/// # Errors
/// What went wrong, in words; a fault that the agent answers is an answer.
pub fn ask(socket: &Path, request: &Request) -> Result<Response, String> {
    let mut stream = UnixStream::connect(socket).map_err(|e| format!("connect: {e}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(40))).map_err(|e| e.to_string())?;
    stream.write_all(&bytes(request)?).map_err(|e| format!("write: {e}"))?;
    let frame = Frame::read(&mut stream, MAX_RESPONSE).map_err(|e| e.to_string())?;
    Response::decode(&frame).map_err(|e| e.to_string())
}
