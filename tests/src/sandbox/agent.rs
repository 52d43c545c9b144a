//! An agent in the foreground, with its log in a file.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::{Run, kill};
use crate::process;
use crate::wait::value;

/// An agent that ends with this value.
#[derive(Debug)]
pub struct Agent {
    child: Mutex<Child>,
    pid: u32,
    log: PathBuf,
    // Where this agent's log begins: agents of one sandbox, one after the other, share the file.
    from: usize,
}

impl Agent {
    #[track_caller]
    pub(super) fn start(run: Run<'_>, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("the sandbox can be written");
        let from = fs::metadata(log).map_or(0, |meta| usize::try_from(meta.len()).unwrap_or_default());
        let child = run.start_logging(file);
        Self { pid: child.id(), child: Mutex::new(child), log: log.into(), from }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.ended().is_none()
    }

    /// What it wrote so far, to stdout and stderr.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.from..).unwrap_or_default()).into_owned()
    }

    /// What it waits for, and the end of its log: for the message of a test that waited for it in vain.
    #[must_use]
    pub fn doing(&self) -> String {
        let log = self.log();
        let from = log.len().saturating_sub(1000);
        format!("the agent: {}\n{}", process::doing(self.pid), log.get(from..).unwrap_or(&log))
    }

    /// How much memory it holds, in KiB.
    #[must_use]
    pub fn resident(&self) -> u64 {
        process::resident(self.pid).unwrap_or_default()
    }

    /// How many files it has open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        process::open_files(self.pid).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if self.runs() {
            kill(self.pid, signal);
        }
    }

    /// Asks it to end, as a session manager does, and waits.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn stop(&self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(deadline)
    }

    /// Kills it, as nobody should, and waits.
    ///
    /// # Panics
    /// If the kernel does not.
    #[track_caller]
    pub fn crash(&self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.wait(crate::wait::PATIENCE)
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// If it does not in time.
    #[track_caller]
    pub fn wait(&self, deadline: Duration) -> ExitStatus {
        value(deadline, || self.ended()).unwrap_or_else(|| panic!("the agent still runs after {deadline:?}"))
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.lock().try_wait().expect("our own child")
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let mut child = self.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}
