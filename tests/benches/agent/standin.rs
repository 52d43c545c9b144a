//! An agent and a client of the bench's own, by which the bench is proven without ours: `--stand-in`.
//!
//! It speaks the real protocol and nothing else of the contract: accounts live in a map, a login or refresh is one plain
//! http request, single flight is a lock per account. Its figures say what tokio and bincode cost, not what we are.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cloud_agent_protocol::frame::{HEADER, MAX_REQUEST};
use cloud_agent_protocol::hello::{self, Parsed};
use cloud_agent_protocol::v1::{Done, Login, Request, Response};
use cloud_agent_protocol::{Credential, ExpirySource, Fault, FaultKind, FrameHeader, Header, Secret};
use cloud_agent_tests::bench::wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// The agent: `--socket PATH`, everything else is ignored.
pub(crate) fn agent(args: &[String]) -> io::Result<()> {
    let socket = args.iter().skip_while(|arg| *arg != "--socket").nth(1).map(PathBuf::from).unwrap_or_default();
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = UnixListener::bind(socket)?;
        let accounts = Arc::new(Accounts::default());
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(converse(stream, accounts.clone()));
        }
    })
}

/// The client: `ACCOUNT [--fresh]` or `login ACCOUNT --url URL`.
pub(crate) fn client(args: &[String]) -> Result<(), String> {
    let socket = PathBuf::from(std::env::var_os("CLOUD_AGENT_SOCK").unwrap_or_default());
    let request = match args {
        [login, account, ..] if login == "login" => {
            let url = args.iter().skip_while(|arg| *arg != "--url").nth(1).ok_or("no --url")?;
            wire::login(account, url)
        }
        [account, rest @ ..] => wire::get(account, rest.iter().any(|arg| arg == "--fresh")),
        [] => return Err("no account".to_owned()),
    };
    match wire::ask(&socket, &request)? {
        Response::Credential(credential) => {
            let token = credential.token.unwrap_or_default();
            io::stdout().write_all(format!("{}\n", token.expose()).as_bytes()).map_err(|e| e.to_string())
        }
        Response::Done(_) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

type Accounts = Mutex<HashMap<String, Arc<tokio::sync::Mutex<Account>>>>;

struct Account {
    authority: String,
    id: String,
    token: String,
    expires_at: u64,
}

async fn converse(mut stream: UnixStream, accounts: Arc<Accounts>) -> Option<()> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 2048]);
    loop {
        if let Some((request, consumed)) = parse(&bytes) {
            bytes.drain(..consumed);
            let answer = respond(&accounts, request?).await.encode().ok()?;
            stream.write_all(&answer.encode()).await.ok()?;
            continue;
        }
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// The first whole request in `bytes` and its length; the request is `None` if it is not one.
fn parse(bytes: &[u8]) -> Option<(Option<Request>, usize)> {
    let start = match hello::parse(bytes) {
        Parsed::Hello { consumed, .. } => consumed,
        Parsed::NotHello => 0,
        Parsed::Partial => return None,
    };
    let head = bytes[start..].first_chunk::<HEADER>()?;
    let Ok(header) = FrameHeader::parse(*head, MAX_REQUEST) else { return Some((None, bytes.len())) };
    let body = bytes.get(start + HEADER..start + HEADER + header.body)?;
    Some((Request::decode_body(header.kind, body).ok(), start + HEADER + header.body))
}

async fn respond(accounts: &Accounts, request: Request) -> Response {
    let result = match request {
        Request::Get(get) => {
            let account = lock(accounts).get(&get.account.to_ascii_lowercase()).cloned();
            match account {
                Some(account) => credential(&get.account, &mut *account.lock().await, get.fresh).await,
                None => Err("no such account".to_owned()),
            }
        }
        Request::Login(login) => add(accounts, login).await,
        _ => Err("the stand-in does not know that".to_owned()),
    };
    result.unwrap_or_else(|why| Response::Fault(Fault::new(FaultKind::Internal, why)))
}

fn lock(accounts: &Accounts) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Account>>>> {
    accounts.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn add(accounts: &Accounts, login: Login) -> Result<Response, String> {
    let first = |settings: Vec<cloud_agent_protocol::v1::Setting>| settings.into_iter().next().map(|s| s.value);
    let url = first(login.origins).unwrap_or_default();
    let authority = url.strip_prefix("http://").ok_or("the stand-in speaks http only")?.to_owned();
    let id = first(login.settings).unwrap_or_default();
    let mut account = Account { authority, id, token: String::new(), expires_at: 0 };
    renew(&mut account).await?;
    lock(accounts).insert(login.account.to_ascii_lowercase(), Arc::new(tokio::sync::Mutex::new(account)));
    Ok(Response::Done(Done { notes: Vec::new() }))
}

async fn credential(name: &str, account: &mut Account, fresh: bool) -> Result<Response, String> {
    if fresh || account.expires_at <= now() {
        renew(account).await?;
    }
    let value = Secret::new(format!("Bearer {}", account.token));
    Ok(Response::Credential(Credential {
        account: name.to_owned(),
        cloud: "echome".to_owned(),
        token: Some(Secret::from(account.token.as_str())),
        headers: vec![Header { name: "Authorization".to_owned(), value }],
        environment: Vec::new(),
        expires_at: i64::try_from(account.expires_at).ok(),
        expiry_source: ExpirySource::Jwt,
    }))
}

async fn renew(account: &mut Account) -> Result<(), String> {
    let body = format!("username={}&password=x", account.id);
    let request = format!(
        "POST /api/v1/identity/token HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        account.authority,
        body.len()
    );
    let mut stream = TcpStream::connect(&account.authority).await.map_err(|e| e.to_string())?;
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    // One small answer, which the fake cloud sends in one write.
    let mut buffer = vec![0; 16 * 1024];
    let read = stream.read(&mut buffer).await.map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let answer: serde_json::Value =
        text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()).ok_or("no JSON")?;
    answer["access"].as_str().ok_or("no token")?.clone_into(&mut account.token);
    account.expires_at = expiry(&account.token).ok_or("no expiry")?;
    Ok(())
}

fn expiry(token: &str) -> Option<u64> {
    use base64::Engine as _;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<serde_json::Value>(&claims).ok()?["exp"].as_u64()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
