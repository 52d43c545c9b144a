//! One run of a program, with a deadline.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Sandbox, kill};
use crate::process;
use crate::wait::{until, value};

/// What a program is given before it counts as hanging: more than the client's own longest default.
const DEADLINE: Duration = Duration::from_secs(45);

/// How long the pipes of a program may stay open after its end before something else must be holding them.
const LINGER: Duration = Duration::from_secs(2);

/// A run that is being prepared.
#[must_use]
pub struct Run<'a> {
    sandbox: &'a Sandbox,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
    user: Option<u32>,
    deadline: Duration,
}

impl<'a> Run<'a> {
    pub(super) fn new(sandbox: &'a Sandbox, program: PathBuf, variables: Vec<(OsString, OsString)>) -> Self {
        Self { sandbox, program, arguments: Vec::new(), variables, stdin: None, user: None, deadline: DEADLINE }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for this run.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// What it reads. Without this, nothing.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Runs as another user, with none of root's rights. Only root can; `setpriv` must be there.
    pub fn as_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// When it counts as hanging.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started or does not end in time.
    #[track_caller]
    pub fn finish(self) -> Outcome {
        self.spawn().finish()
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn spawn(self) -> Running {
        let deadline = self.deadline;
        let input = self.stdin.clone();
        let mut child = self.start(Stdio::piped(), Stdio::piped());
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), input) {
            // A program that does not read its input must not stop the test; one that closes it is no error.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        Running { child, stdout: Some(stdout), stderr: Some(stderr), started: Instant::now(), deadline }
    }

    #[track_caller]
    pub(super) fn start_logging(self, log: File) -> Child {
        let clone = log.try_clone().expect("a file can be shared");
        self.start(Stdio::from(clone), Stdio::from(log))
    }

    #[track_caller]
    fn start(self, stdout: Stdio, stderr: Stdio) -> Child {
        let mut command = match self.user {
            None => Command::new(&self.program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups");
                command.arg("--").arg(&self.program);
                command
            }
        };
        command.args(&self.arguments).env_clear().envs(self.variables).current_dir(self.sandbox.path("home"));
        if self.user.is_some() {
            // The other user may not be able to enter the home.
            command.current_dir("/");
        }
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(stdout).stderr(stderr);
        // A binary that another thread is just copying, or whose writing end a fork of ours still holds, is "busy".
        let busy = |error: &io::Error| error.kind() == io::ErrorKind::ExecutableFileBusy;
        value(Duration::from_secs(5), || match command.spawn() {
            Err(error) if busy(&error) => None,
            other => Some(other),
        })
        .expect("the program is not busy for ever")
        .unwrap_or_else(|error| panic!("`{}` cannot be started: {error}", self.program.display()))
    }
}

/// A run that has not ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    started: Instant,
    deadline: Duration,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// Never: a child of ours can be asked.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// If it does not in time.
    #[track_caller]
    pub fn finish(mut self) -> Outcome {
        let left = self.deadline.saturating_sub(self.started.elapsed());
        let ended = value(left, || self.child.try_wait().expect("our own child"));
        let took = self.started.elapsed();
        let hung = ended.is_none();
        let mut doing = Vec::new();
        if hung {
            // Its agent, too, which lies beside it: one of them waits for the other.
            let beside = process::program(self.pid()).and_then(|program| Some(program.parent()?.to_path_buf()));
            let all = beside.map(|bin| process::running_in(&bin)).unwrap_or_default();
            doing.extend(all.into_iter().map(|pid| format!("{pid}: {}", process::doing(pid))));
            let _ = self.child.kill();
        }
        let status = ended.unwrap_or_else(|| self.child.wait().expect("our own child"));
        // A grandchild that keeps the pipes open is a defect of its own: `out=$(program)` would hang on it.
        let text = |handle: Option<JoinHandle<Vec<u8>>>| {
            let handle = handle.expect("taken once");
            if !until(LINGER, || handle.is_finished()) {
                return None;
            }
            handle.join().ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        assert!(!hung, "it did not end within {:?}; stdout {stdout:?}, stderr {stderr:?}; {doing:?}", self.deadline);
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            panic!("it ended, but something that it started holds its stdout or stderr open");
        };
        Outcome { status, stdout, stderr, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stdout.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a run ended.
#[must_use = "a run whose end nobody looks at proves nothing"]
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its status.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Outcome {
    /// Its exit code, or -1 if a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// What it wrote to stdout, without the line's end.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    #[allow(clippy::must_use_candidate, reason = "looking at the status is what it is for")]
    pub fn ok(&self) -> &str {
        assert!(self.status.success(), "it failed: {self:?}");
        self.stdout.trim_end_matches('\n')
    }

    /// What it wrote to stderr.
    ///
    /// # Panics
    /// If its exit code is not `code`, or if it wrote to stdout, where only data may go.
    #[track_caller]
    #[allow(clippy::must_use_candidate, reason = "looking at the code is what it is for")]
    pub fn fails(&self, code: i32) -> &str {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.stdout, "", "stdout carries data only: {self:?}");
        &self.stderr
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("the pipe was asked for");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
