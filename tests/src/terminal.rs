//! A terminal of the test's own, with nobody at it but the test.
//!
//! Its programs get it as their controlling terminal through `setsid` of util-linux.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::sandbox::{Run, Sandbox};
use crate::wait::{PATIENCE, until};

/// A terminal.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    line: File,
    name: String,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// A new one.
    ///
    /// # Panics
    /// If the system has none to give.
    #[must_use]
    pub fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("a terminal").into_string().expect("a terminal");
        let no_controlling = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).expect("a terminal");
        let line =
            OpenOptions::new().read(true).write(true).custom_flags(no_controlling).open(&name).expect("a terminal");
        let keys = File::from(master);
        let (mut screen, shown) = (keys.try_clone().expect("a terminal"), Arc::new(Mutex::new(Vec::new())));
        let filled = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                filled.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { keys, line, name, shown }
    }

    /// Makes it so many columns wide.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn of_width(self, columns: u16) -> Self {
        let size = rustix::termios::Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.line, size).expect("a terminal");
        self
    }

    /// Runs a program of ours at it.
    pub fn run<'a>(&self, sandbox: &'a Sandbox, program: &str, arguments: &[&str]) -> Run<'a> {
        let run = sandbox.command("sh").args(["-c", &self.script(), "sh"]).arg(sandbox.program(program));
        run.args(arguments.iter().copied())
    }

    /// What a shell runs its arguments by, at it.
    #[must_use]
    pub fn script(&self) -> String {
        format!("exec setsid -c \"$@\" <>'{0}' >'{0}' 2>&1", self.name)
    }

    /// Everything that was written to it so far.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until it shows `words`.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn shows(&self, words: &str) {
        assert!(until(PATIENCE, || self.shown().contains(words)), "no `{words}` in {:?}", self.shown());
    }

    /// Whether what is typed is shown.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.line).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }

    /// How many bytes were typed that its program has not read, as long as it reads them one by one.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn pending(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.line).expect("a terminal")
    }

    /// Types.
    ///
    /// # Panics
    /// If it is gone.
    pub fn types(&self, keys: &str) {
        (&self.keys).write_all(keys.as_bytes()).expect("a terminal");
    }
}
