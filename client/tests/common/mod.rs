//! A sandbox for the client, and an agent that says what a test wants it to.
#![allow(dead_code, unreachable_pub, reason = "every test binary takes what it needs")]

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cloud_agent_protocol::frame::MAX_REQUEST;
use cloud_agent_protocol::hello::{self, Parsed};
use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Credential, ExpirySource, Frame, Header, Secret};

/// How long a test waits for what must happen, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A private directory with a socket's place in it.
pub struct Sandbox {
    pub dir: tempfile::TempDir,
    pub socket: PathBuf,
}

impl Sandbox {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let socket = dir.path().join("agent.sock");
        Self { dir, socket }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The client, that never starts an agent unless a test allows it.
    pub fn client(&self, args: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_cloud-token")), args)
    }

    pub fn program(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("CLOUD_AGENT_SOCK", &self.socket)
            .env("CLOUD_AGENT_NO_AUTOSTART", "1")
            .stdin(Stdio::null());
        command
    }

    /// Puts a program there, made by `make` of a shell, whose `$0` is its path and whose `$1` is `with`.
    ///
    /// This process must never have it open for writing: another test's child, forked meanwhile, would hold that
    /// descriptor until its own `exec`, and until then the program is "text file busy".
    pub fn put_program(path: &Path, make: &str, with: &str) {
        let make = format!("{make} && chmod 755 \"$0\"");
        let status = Command::new("/bin/sh").args(["-c", &make]).arg(path).arg(with).status().unwrap();
        assert!(status.success(), "{status}");
    }

    /// A copy of the client there.
    pub fn put_client(path: &Path) {
        Self::put_program(path, r#"cp "$1" "$0""#, env!("CARGO_BIN_EXE_cloud-token"));
    }

    /// A script there.
    pub fn put_script(path: &Path, script: &str) {
        Self::put_program(path, r#"printf '%s' "$1" >"$0""#, script);
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        outcome(self.client(args).output().unwrap())
    }

    /// Serves every connection with `agent`, one thread each.
    pub fn serve(&self, agent: impl Fn(&mut Conversation) + Send + Sync + 'static) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        let agent = Arc::new(agent);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let agent = Arc::clone(&agent);
                thread::spawn(move || agent(&mut Conversation::new(stream.unwrap())));
            }
        });
    }

    /// Answers every request with what `answer` makes of it, and keeps the requests.
    pub fn answer(&self, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Requests {
        let requests = Requests::default();
        let seen = requests.clone();
        self.serve(move |conversation| {
            while let Some(request) = conversation.request() {
                seen.0.lock().unwrap().push(request.clone());
                conversation.respond(&answer(&request));
            }
        });
        requests
    }
}

/// What an agent was asked.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<Request>>>);

impl Requests {
    pub fn add(&self, request: Request) {
        self.0.lock().unwrap().push(request);
    }

    pub fn all(&self) -> Vec<Request> {
        self.0.lock().unwrap().clone()
    }
}

/// One connection, seen from the agent.
pub struct Conversation {
    pub stream: UnixStream,
    pub hellos: usize,
}

impl Conversation {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, hellos: 0 }
    }

    /// The next request, with or without a hello before it; `None` when the client is gone.
    pub fn request(&mut self) -> Option<Request> {
        let mut start = [0_u8; 4];
        self.stream.read_exact(&mut start).ok()?;
        if start == hello::MAGIC {
            let mut count = [0];
            self.stream.read_exact(&mut count).ok()?;
            let mut versions = vec![0; 2 * usize::from(count[0])];
            self.stream.read_exact(&mut versions).ok()?;
            let whole = [&start[..], &count, &versions].concat();
            assert!(matches!(hello::parse(&whole), Parsed::Hello { .. }));
            self.hellos += 1;
            self.stream.read_exact(&mut start).ok()?;
        }
        let mut rest = vec![0; u32::from_le_bytes(start) as usize];
        self.stream.read_exact(&mut rest).ok()?;
        let bytes = [&start[..], &rest].concat();
        Some(Request::decode(&Frame::read(&mut bytes.as_slice(), MAX_REQUEST).unwrap()).unwrap())
    }

    pub fn respond(&mut self, response: &Response) {
        // A client that went away is what some tests want.
        let _ = self.stream.write_all(&response.encode().unwrap().encode());
    }
}

/// How the client ended.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn outcome(output: Output) -> Outcome {
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A credential of `work` with this token.
pub fn credential(token: &str) -> Credential {
    Credential {
        account: "work".into(),
        cloud: "acme".into(),
        token: Some(Secret::from(token)),
        headers: vec![Header { name: "Authorization".into(), value: Secret::from(format!("Bearer {token}").as_str()) }],
        environment: vec![Header { name: "ACME_TOKEN".into(), value: Secret::from(token) }],
        expires_at: Some(1_795_319_040),
        expiry_source: ExpirySource::Jwt,
    }
}

/// Waits until `condition` holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
