//! How the agent is started where a process has no session to leave.

use std::io::{self, Read};
use std::os::windows::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use windows_sys::Win32::System::Threading::{CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, DETACHED_PROCESS};

use super::{MAX_WORDS, cannot, is_ready, judge, late, reap};
use crate::deadline::Deadline;
use crate::report::Failure;
use crate::windows::keep_streams;

/// Starts `command` without a console, out of reach of the caller's ^C, and with none of our streams.
///
/// # Errors
/// As the system says.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    const APART: u32 = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    keep_streams();
    // Remote logins and build services end all of a job with it; not every job lets go, though.
    match command.creation_flags(APART | CREATE_BREAKAWAY_FROM_JOB).spawn() {
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => command.creation_flags(APART).spawn(),
        done => done,
    }
}

/// A piece of what the agent says; empty at the end.
enum Said {
    ToOut(Vec<u8>),
    ToErr(Vec<u8>),
}

/// Hears the agent until it is ready, gives up, or the time is over. A pipe cannot be waited for with a deadline: each has a
/// thread, which ends with this process.
pub(super) fn wait_until_ready(child: &mut Child, socket: &Path, deadline: &Deadline) -> Result<(), Failure> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(cannot(socket, "it has no pipes"));
    };
    let (tell, heard) = channel();
    let also = tell.clone();
    thread::spawn(move || hear(stdout, Said::ToOut, &tell));
    thread::spawn(move || hear(stderr, Said::ToErr, &also));
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    loop {
        match heard.recv_timeout(deadline.left()) {
            Ok(Said::ToOut(bytes)) => {
                said.extend_from_slice(&bytes[..bytes.len().min(MAX_WORDS.saturating_sub(said.len()))]);
                if is_ready(&said) {
                    return Ok(());
                }
            }
            Ok(Said::ToErr(bytes)) => {
                complaint.extend_from_slice(&bytes[..bytes.len().min(MAX_WORDS.saturating_sub(complaint.len()))]);
            }
            // It is left running: a slow start that was killed would never come to an end.
            Err(RecvTimeoutError::Timeout) => return Err(late(socket, "it is still starting")),
            // Both have ended.
            Err(RecvTimeoutError::Disconnected) => return judge(socket, false, &complaint, reap(child, deadline)),
        }
    }
}

fn hear(mut pipe: impl Read, said: impl Fn(Vec<u8>) -> Said, tell: &Sender<Said>) {
    let mut chunk = [0_u8; 512];
    while let Ok(count) = pipe.read(&mut chunk)
        && count > 0
        && tell.send(said(chunk[..count].to_vec())).is_ok()
    {}
}
