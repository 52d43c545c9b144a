//! The three streams of Windows. A console is written and read as text, by std; anything else as bytes.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::windows::io::AsHandle as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

pub(crate) fn stdout(parts: [&[u8]; 2]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush())
}

pub(crate) fn stderr(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes);
}

/// A pipe has no deadline: a thread reads, which ends with the process if nobody ever writes.
pub(crate) fn read_stdin(into: &mut [u8], left: Duration) -> io::Result<usize> {
    let (tell, heard) = channel();
    let mut room = Zeroizing::new(vec![0_u8; into.len()]);
    thread::Builder::new().spawn(move || {
        let done = if stdin_is_tty() {
            io::stdin().read(&mut room)
        } else {
            // Not through std's buffer, which keeps what it has read.
            io::stdin().as_handle().try_clone_to_owned().and_then(|own| File::from(own).read(&mut room))
        };
        let _ = tell.send(done.map(|count| (count, room)));
    })?;
    match heard.recv_timeout(left) {
        Ok(done) => {
            let (count, bytes) = done?;
            into[..count].copy_from_slice(&bytes[..count]);
            Ok(count)
        }
        Err(RecvTimeoutError::Timeout) => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody closed it in time")),
        Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

pub(crate) fn stdout_is_tty() -> bool {
    io::stdout().is_terminal()
}

pub(crate) fn stderr_is_tty() -> bool {
    io::stderr().is_terminal()
}

pub(crate) fn stdin_is_tty() -> bool {
    io::stdin().is_terminal()
}
