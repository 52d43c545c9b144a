//! Real servers from their own packages: what the fakes claim can be held against them, and the main job can be done with
//! a server that nobody of us wrote.
//!
//! | module | what runs |
//! |---|---|
//! | [`echome`] | the packages that ecHome's identity API is made of |
//! | [`keystone`] | OpenStack Keystone, all of it |
//!
//! `consumers` is an environment without a server: the AWS command line and uv.

pub mod echome;
pub mod keystone;

pub use echome::EcHome;
pub use keystone::Keystone;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::skip;

/// A server's process, gone when dropped. It prints its port, then answers each order with a line.
#[derive(Debug)]
struct Lab {
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    url: String,
    _dir: tempfile::TempDir,
}

impl Lab {
    /// Starts `tests/lab/NAME` for the test `what`; `None`, with a loud word, where it cannot run. `variables` may name the
    /// server's own directory.
    ///
    /// # Panics
    /// Where it cannot run and has to, and if it does not come up where it can.
    fn start(
        what: &str,
        name: &'static str,
        variables: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Option<Self> {
        match environment(name) {
            Ok(python) => Some(Self::run(&python, name, variables).expect("the real server comes up")),
            Err(why) => {
                skip::skip(what, &why);
                None
            }
        }
    }

    fn run(
        python: &Path,
        name: &str,
        variables: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(python)
            .arg(source(name).join("lab.py"))
            .envs(variables(dir.path()))
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

    /// What it answers to an order.
    fn ask(&self, line: &str) -> String {
        let mut talk = self.talk.lock().expect("no test panics while it gives an order");
        let (stdin, stdout) = &mut *talk;
        writeln!(stdin, "{line}").expect("the server runs");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("the server runs");
        assert!(!answer.is_empty(), "the server ended at `{line}`");
        answer.trim().to_owned()
    }

    fn order(&self, line: &str) {
        assert_eq!(self.ask(line), "done", "the server did not obey `{line}`");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of the environment `name`, for the test `what`; `None`, with a loud word, where it cannot be installed.
///
/// # Panics
/// Where it cannot and has to.
#[must_use]
pub fn program(what: &str, name: &'static str, program: &str) -> Option<PathBuf> {
    match environment(name) {
        Ok(python) => Some(python.with_file_name(program)),
        Err(why) => {
            skip::skip(what, &why);
            None
        }
    }
}

/// The Python of a server's environment, made by the first who asks; or why there is none.
fn environment(name: &'static str) -> Result<PathBuf, String> {
    static MADE: Mutex<Option<HashMap<&str, Result<PathBuf, String>>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.get_or_insert_default().entry(name).or_insert_with(|| make(name)).clone()
}

fn make(name: &str) -> Result<PathBuf, String> {
    if skip::find("python3").is_none() {
        return Err("there is no `python3` on PATH".into());
    }
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/lab/{name}-venv"));
    let output = Command::new(source(name).join("setup")).arg(&venv).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(venv.join("bin/python"));
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("its packages cannot be installed: {}", words.lines().last().unwrap_or("no reason given")))
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab").join(name)
}
