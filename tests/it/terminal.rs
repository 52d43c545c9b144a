//! A terminal of the test's own.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use cloud_agent_tests::sandbox::{Run, Sandbox};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A terminal with nobody at it but the test.
pub(crate) struct Terminal {
    keys: File,
    line: File,
    name: String,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let no_controlling = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        let line = OpenOptions::new().read(true).write(true).custom_flags(no_controlling).open(&name).unwrap();
        let keys = File::from(master);
        let (mut screen, shown) = (keys.try_clone().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let filled = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                filled.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { keys, line, name, shown }
    }

    /// Runs a program of ours at it.
    pub(crate) fn run<'a>(&self, sandbox: &'a Sandbox, program: &str, arguments: &[&str]) -> Run<'a> {
        let script = format!("exec setsid -c \"$@\" <>'{0}' >'{0}' 2>&1", self.name);
        let run = sandbox.command("sh").args(["-c", &script, "sh"]).arg(sandbox.program(program));
        run.args(arguments.iter().copied())
    }

    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    #[track_caller]
    pub(crate) fn shows(&self, words: &str) {
        assert!(until(PATIENCE, || self.shown().contains(words)), "no `{words}` in {:?}", self.shown());
    }

    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(crate) fn types(&self, keys: &str) {
        (&self.keys).write_all(keys.as_bytes()).unwrap();
    }
}
