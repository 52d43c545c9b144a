//! The packages that ecHome's identity API is made of, really running: what the fake claims can be held against them, and
//! the main job can be done with a server that nobody of us wrote.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::fake::echome::MACHINES;
use crate::{http, skip};

/// How the stack is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// An old refresh token is refused.
    pub blacklist: bool,
    /// How long an access token lives.
    pub access: Duration,
    /// How long a refresh token lives.
    pub refresh: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { blacklist: false, access: Duration::from_hours(1), refresh: Duration::from_hours(24) }
    }
}

/// A running stack, gone when dropped.
#[derive(Debug)]
pub struct EcHome {
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    url: String,
    _dir: tempfile::TempDir,
}

impl EcHome {
    /// Starts it for the test `what`; `None`, with a loud word, where it cannot run.
    ///
    /// # Panics
    /// Where it cannot run and has to, and if it does not come up where it can.
    #[must_use]
    pub fn start(what: &str, options: &Options) -> Option<Self> {
        match environment() {
            Ok(python) => Some(Self::run(python, options).expect("the real identity stack comes up")),
            Err(why) => {
                skip::skip(what, why);
                None
            }
        }
    }

    /// Its origin, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds an access key.
    pub fn add_key(&self, access_id: &str, secret: &str) {
        self.order(&format!("user {access_id} {secret}"));
    }

    /// Switches a key off or on again.
    pub fn set_active(&self, access_id: &str, active: bool) {
        self.order(&format!("{} {access_id}", if active { "enable" } else { "disable" }));
    }

    /// Whether the API takes this access token.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn accepts(&self, access: &str) -> bool {
        let url = format!("{}{MACHINES}", self.url);
        http::get(&url, Some(&format!("Bearer {access}"))).expect("the stack answers").status == 200
    }

    fn run(python: &Path, options: &Options) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(python)
            .arg(source().join("lab.py"))
            .env("LAB_DATABASE", dir.path().join("lab.sqlite"))
            .env("LAB_BLACKLIST", if options.blacklist { "1" } else { "0" })
            .env("LAB_ACCESS_SECONDS", options.access.as_secs_f64().to_string())
            .env("LAB_REFRESH_SECONDS", options.refresh.as_secs_f64().to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().expect("the pipe was asked for");
        let mut stdout = BufReader::new(child.stdout.take().expect("the pipe was asked for"));
        // It prints its port once it listens; if it fails it closes the pipe, and what it said went to our stderr.
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let port: u16 = line.trim().parse().map_err(|_| io::Error::other("it ended before it listened"))?;
        Ok(Self { child, talk: Mutex::new((stdin, stdout)), url: format!("http://127.0.0.1:{port}"), _dir: dir })
    }

    fn order(&self, line: &str) {
        let mut talk = self.talk.lock().expect("no test panics while it gives an order");
        let (stdin, stdout) = &mut *talk;
        writeln!(stdin, "{line}").expect("the stack runs");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("the stack runs");
        assert_eq!(answer.trim(), "done", "the stack did not obey `{line}`");
    }
}

impl Drop for EcHome {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python of the stack's environment, made by the first who asks; or why there is none.
fn environment() -> Result<&'static Path, &'static str> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        if skip::find("python3").is_none() {
            return Err("there is no `python3` on PATH".into());
        }
        let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab/echome-venv");
        let output = Command::new(source().join("setup")).arg(&venv).output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(venv.join("bin/python"));
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("its packages cannot be installed: {}", words.lines().last().unwrap_or("no reason given")))
    });
    made.as_deref().map_err(String::as_str)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/echome")
}
