//! Who is measured beside ours: the floor, and agents that people use today.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use cloud_agent_tests::bench::load::{Framing, Plan};
use cloud_agent_tests::bench::process::children;
use cloud_agent_tests::bench::tools::find;
use serde_json::json;

use crate::context::{Context, argv};
use crate::spawn::Client;

/// The name of the floor's client and server in every table.
pub(crate) const FLOOR: &str = "floor (static C)";
/// The name of git's in-memory credential helper.
pub(crate) const GIT: &str = "git credential-cache";
/// The name of OpenSSH's agent.
pub(crate) const SSH: &str = "ssh-agent";
/// The name of the closest peer.
pub(crate) const OIDC: &str = "oidc-agent";

/// A running agent with one credential in it, and who may ask it how.
pub(crate) struct Peer {
    /// Its name in tables.
    pub(crate) name: String,
    /// Its client programs.
    pub(crate) clients: Vec<Client>,
    /// How to ask it without a client program.
    pub(crate) target: Option<Target>,
    /// Processes that it started itself.
    pub(crate) offspring: Vec<u32>,
    child: Child,
}

/// A request on a raw socket, and how to know a good answer.
#[derive(Clone)]
pub(crate) struct Target {
    /// The socket.
    pub(crate) socket: PathBuf,
    /// The request's bytes.
    pub(crate) request: Vec<u8>,
    /// Where an answer ends.
    pub(crate) framing: Framing,
    /// What a good answer has in it.
    pub(crate) expect: Vec<u8>,
    /// End the request by closing that half of the connection.
    pub(crate) half_close: bool,
}

impl Target {
    /// This, asked by `clients` at once.
    pub(crate) fn plan(&self, clients: usize, reconnect: bool) -> Plan {
        Plan {
            socket: self.socket.clone(),
            request: self.request.clone(),
            framing: self.framing,
            expect: self.expect.clone(),
            half_close: self.half_close,
            clients,
            reconnect,
            duration: std::time::Duration::from_secs(1),
            server: Vec::new(),
        }
    }
}

impl Peer {
    /// A peer whose process is `child`.
    pub(crate) fn new(name: &str, child: Child, clients: Vec<Client>, target: Option<Target>) -> Self {
        Self { name: name.to_owned(), clients, target, offspring: Vec::new(), child }
    }

    /// All its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        [&[self.child.id()], self.offspring.as_slice()].concat()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the floor and every peer that is installed; what is missing or does not start is in the second list.
pub(crate) fn start_all(context: &Context) -> (Vec<Peer>, Vec<(String, String)>) {
    let (mut peers, mut missing) = (Vec::new(), Vec::new());
    for (name, start) in [(FLOOR, floor as fn(&Context) -> Result<Peer, String>), (SSH, ssh), (GIT, git), (OIDC, oidc)]
    {
        match start(context) {
            Ok(peer) => peers.push(peer),
            Err(why) => missing.push((name.to_owned(), why)),
        }
    }
    (peers, missing)
}

/// Clients that do nothing: what a process costs.
pub(crate) fn nothing(context: &Context) -> Vec<Client> {
    let mut clients = vec![client("`true`, static C", [&*context.tool("floor-true").to_string_lossy()])];
    clients.extend(find("true").map(|program| client("`true`, dynamic", [&*program.to_string_lossy()])));
    clients
}

fn client<'a>(label: &str, words: impl IntoIterator<Item = &'a str>) -> Client {
    Client { label: label.to_owned(), argv: argv(words), stdin: "/dev/null".into() }
}

fn installed(program: &str) -> Result<String, String> {
    let path = find(program).ok_or_else(|| format!("`{program}` is not installed"))?;
    Ok(path.to_string_lossy().into_owned())
}

fn floor(context: &Context) -> Result<Peer, String> {
    let socket = context.dir("floor")?.join("s");
    let path = socket.to_string_lossy();
    let (server, program) = (context.tool("floor-server"), context.tool("floor-client"));
    let child = context.serve(&argv([&*server.to_string_lossy(), &path]), &[], &socket)?;
    let clients = vec![client(FLOOR, [&*program.to_string_lossy(), &*path])];
    let framing = Framing::Fixed(1024);
    let target =
        Target { request: vec![0; 64], framing, expect: vec![b'x'], half_close: false, socket: socket.clone() };
    Ok(Peer::new(FLOOR, child, clients, Some(target)))
}

fn ssh(context: &Context) -> Result<Peer, String> {
    let (agent, add, keygen) = (installed("ssh-agent")?, installed("ssh-add")?, installed("ssh-keygen")?);
    let dir = context.dir("ssh")?;
    let (socket, key) = (dir.join("s"), dir.join("key").to_string_lossy().into_owned());
    let child = context.serve(&argv([&*agent, "-D", "-a", &socket.to_string_lossy()]), &[], &socket)?;
    let clients = vec![client("ssh-add -l", [&*add, "-l"])];
    // REQUEST_IDENTITIES: a length of one, then the message's number.
    let request = vec![0, 0, 0, 1, 11];
    let expect = b"ssh-ed25519".to_vec();
    let target = Target { socket, request, framing: Framing::Big, expect, half_close: false };
    let peer = Peer::new(SSH, child, clients, Some(target));
    context.run(&argv([&*keygen, "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", &key]), &[])?;
    context.run(&argv([&*add, "-q", &key]), &[])?;
    Ok(peer)
}

fn git(context: &Context) -> Result<Peer, String> {
    let program = installed("git")?;
    let dir = context.dir("git")?;
    let socket = dir.join("s");
    let path = socket.to_string_lossy().into_owned();
    let child = context.serve(&argv([&*program, "credential-cache--daemon", &path]), &[], &socket)?;
    let ask = dir.join("ask");
    fs::write(&ask, "protocol=https\nhost=bench.example\n").map_err(|e| e.to_string())?;
    let mut get = client("git credential-cache get", [&*program, "credential-cache", "--socket", &path, "get"]);
    get.stdin = ask;
    let target = Target {
        socket: socket.clone(),
        request: b"action=get\ntimeout=900\nprotocol=https\nhost=bench.example\n".to_vec(),
        framing: Framing::Close,
        expect: b"password=".to_vec(),
        half_close: true,
    };
    let peer = Peer::new(GIT, child, vec![get], Some(target));
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).map_err(|e| e.to_string())?;
    // As long as the token that the others hand out.
    let password = "t".repeat(250);
    let store = format!(
        "action=store\ntimeout=86400\nprotocol=https\nhost=bench.example\nusername=bench\npassword={password}\n"
    );
    std::io::Write::write_all(&mut stream, store.as_bytes()).map_err(|e| e.to_string())?;
    stream.shutdown(std::net::Shutdown::Write).map_err(|e| e.to_string())?;
    std::io::Read::read_to_end(&mut stream, &mut Vec::new()).map_err(|e| e.to_string())?;
    Ok(peer)
}

/// oidc-agent with two accounts, `bench0` and `bench1`, at the fake cloud.
pub(crate) fn oidc(context: &Context) -> Result<Peer, String> {
    let (agent, token, generate) = (installed("oidc-agent")?, installed("oidc-token")?, installed("oidc-gen")?);
    let socket = context.dir("oidc")?.join("s");
    let at = format!("--socket-path={}", socket.display());
    let child = context.serve(&argv([&*agent, "--console", &at, "--no-autoreauthenticate"]), &[], &socket)?;
    let clients = vec![client("oidc-token", [&*token, "bench0"])];
    let target = oidc_target(socket, "bench0");
    let mut peer = Peer::new(OIDC, child, clients, Some(target));
    let (issuer, authority) = (format!("--iss={}", context.cloud.https), context.file("ca.pem"));
    for account in ["bench0", "bench1"] {
        let refresh = format!("--rt=refresh.AK-{account}");
        let authority = format!("--cp={}", authority.display());
        #[rustfmt::skip]
        let words = [&*generate, account, "--manual", &issuer, "--client-id=bench", "--client-secret=bench", &refresh,
            "--scope=openid offline_access", &authority, "--no-save", "--confirm-default", "--prompt=none"];
        context.run(&argv(words), &[])?;
        context.run(&argv([&*token, account]), &[])?;
    }
    peer.offspring = children(peer.child.id());
    Ok(peer)
}

/// The plain JSON request that oidc-agent answers once a connection; no client of its own uses it any more.
pub(crate) fn oidc_target(socket: PathBuf, account: &str) -> Target {
    let request = json!({
        "request": "access_token", "account": account, "min_valid_period": 60, "application_hint": "bench",
    });
    let request = request.to_string().into_bytes();
    Target { socket, request, framing: Framing::Close, expect: b"success".to_vec(), half_close: false }
}
