//! A home of its own for the two programs: nothing of the user's environment gets in, nothing of the test's is left.
//!
//! The programs lie side by side in one `bin/`, under the names they are installed with, because a client that starts the
//! agent looks for it beside itself.

mod agent;
mod run;

pub use agent::Agent;
pub use run::{Outcome, Run, Running};

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::process;
use crate::raw::Raw;
use crate::wait::{PATIENCE, until};

/// The agent's name in `bin/`.
pub const AGENT: &str = "cloud-agent";
/// The client's name in `bin/`.
pub const TOKEN: &str = "cloud-token";

/// A directory with everything that the two programs see of the world.
pub struct Sandbox {
    // A socket path holds 107 bytes, so not below the (possibly long) temporary directory of the user.
    root: tempfile::TempDir,
    variables: Mutex<Vec<(OsString, OsString)>>,
}

impl Sandbox {
    /// A sandbox with these two programs.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(agent: impl AsRef<Path>, token: impl AsRef<Path>) -> Self {
        let root = tempfile::Builder::new().prefix("ca-").tempdir_in("/tmp").expect("a directory in /tmp can be made");
        // Others may pass: some tests run the programs as another user. What is private is private below.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        let sandbox = Self { root, variables: Mutex::default() };
        for (name, mode) in [("bin", 0o755), ("home", 0o700), ("run", 0o700), ("config", 0o700), ("state", 0o700)] {
            fs::DirBuilder::new().mode(mode).create(sandbox.path(name)).expect("the sandbox is empty");
        }
        place(agent.as_ref(), &sandbox.program(AGENT)).expect("the agent's binary can be read");
        place(token.as_ref(), &sandbox.program(TOKEN)).expect("the client's binary can be read");
        let path = std::env::var_os("PATH").unwrap_or_default();
        sandbox.set("PATH", path);
        sandbox.set("HOME", sandbox.path("home"));
        sandbox.set("XDG_RUNTIME_DIR", sandbox.path("run"));
        sandbox.set("XDG_CONFIG_HOME", sandbox.path("config"));
        sandbox.set("XDG_STATE_HOME", sandbox.path("state"));
        sandbox.set("TMPDIR", sandbox.path("home"));
        sandbox.set("LANG", "C.UTF-8");
        sandbox
    }

    /// Sets a variable for every program from now on.
    pub fn set(&self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        let mut variables = self.lock();
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.into()));
    }

    /// Unsets one.
    pub fn unset(&self, name: impl AsRef<OsStr>) {
        self.lock().retain(|(known, _)| known != name.as_ref());
    }

    /// A path in the sandbox.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Where a program of ours lies.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.path("bin").join(name)
    }

    /// Where the agent listens, if nobody says otherwise.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("run/cloud-agent/agent.sock")
    }

    /// The configuration directory.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("config/cloud-agent")
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path("state/cloud-agent")
    }

    /// Gives everything to another user, who then runs the programs through [`Run::as_user`]. Only root can.
    ///
    /// # Panics
    /// If this is not root.
    pub fn give_to(&self, user: u32) {
        let mut stack = vec![self.root.path().to_path_buf()];
        while let Some(path) = stack.pop() {
            // The binaries may be hard links to those of the build, which stay ours.
            if path == self.path("bin") {
                continue;
            }
            chown(&path, Some(user), Some(user)).expect("only root gives files away");
            if path.is_dir() {
                stack.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            }
        }
    }

    /// A run of any program in this environment; one of ours is found by its name alone.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Run<'_> {
        let program = program.as_ref();
        let own = program.to_str().map(|name| self.path("bin").join(name)).filter(|path| path.is_file());
        Run::new(self, own.unwrap_or_else(|| program.into()), self.lock().clone())
    }

    /// Runs the client to its end.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn token<I: IntoIterator<Item: Into<OsString>>>(&self, arguments: I) -> Outcome {
        self.command(TOKEN).args(arguments).finish()
    }

    /// Starts the agent in the foreground, with the vault that needs nothing, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn agent(&self) -> Agent {
        self.agent_with(["--vault", "memory"])
    }

    /// The same with these arguments instead.
    ///
    /// # Panics
    /// As [`Self::agent`].
    #[track_caller]
    #[must_use]
    pub fn agent_with<I: IntoIterator<Item: Into<OsString>>>(&self, arguments: I) -> Agent {
        self.agent_from(self.command(AGENT).args(arguments))
    }

    /// The same with any environment, and as any user.
    ///
    /// # Panics
    /// As [`Self::agent`].
    #[track_caller]
    #[must_use]
    pub fn agent_from(&self, run: Run<'_>) -> Agent {
        // Whoever runs the tests may have a desktop, which not every system finds by the environment alone.
        self.agent_that_tells(run.args(["--notify-with", "none"]))
    }

    /// The same, which tells the human that they are needed as `run` and the accounts' file say: on the desktop, if they do not.
    ///
    /// # Panics
    /// As [`Self::agent`].
    #[track_caller]
    #[must_use]
    pub fn agent_that_tells(&self, run: Run<'_>) -> Agent {
        let agent = Agent::start(run, &self.path("agent.log"));
        let up = until(PATIENCE, || Raw::connect(&self.socket()).is_ok() || !agent.runs());
        assert!(up && agent.runs(), "the agent did not come up; its log:\n{}", agent.log());
        agent
    }

    /// The agents that run in this sandbox, whoever started them.
    #[must_use]
    pub fn agents(&self) -> Vec<u32> {
        let bin = self.path("bin");
        let is_agent = |pid: &u32| {
            process::program(*pid).or_else(|| process::arguments(*pid).first().map(PathBuf::from))
                == Some(self.program(AGENT))
        };
        process::running_in(&bin).into_iter().filter(is_agent).collect()
    }

    /// A connection to the agent.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn raw(&self) -> Raw {
        Raw::connect(&self.socket()).expect("the agent listens")
    }

    /// Every file below the directory, with its contents: where a test looks for secrets.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut stack = vec![self.root.path().to_path_buf()];
        while let Some(dir) = stack.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() && entry.path() != self.path("bin") {
                    stack.push(entry.path());
                } else if kind.is_file() {
                    found.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
                }
            }
        }
        found
    }

    /// What agents in the foreground have written to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(OsString, OsString)>> {
        self.variables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the agent's log:\n{}---", self.log());
        }
        let bin = self.path("bin");
        // Again and again: a client that is about to start an agent may do so after the first look.
        let _ = until(PATIENCE, || {
            let left = process::running_in(&bin);
            for pid in &left {
                kill(*pid, Signal::KILL);
            }
            left.is_empty()
        });
    }
}

/// Sends a signal.
///
/// # Panics
/// If 0 is given, which would mean a whole group.
pub fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
    let _ = kill_process(pid, signal);
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    // A link to a symbolic link would be one, and might point nowhere from here.
    let from = &from.canonicalize()?;
    // A copy is the fallback for another file system, where a link cannot reach. Made by another process: a child that
    // some other test forks meanwhile would hold our descriptor until its `exec`, and the program would be busy.
    fs::hard_link(from, to).or_else(|_| {
        let copied = Command::new("cp").arg(from).arg(to).status()?.success();
        copied.then_some(()).ok_or_else(|| io::Error::other("cp failed"))
    })
}

#[cfg(test)]
mod tests;
