//! The three streams, without std's locks and buffers: one write each, and a reader that went away is no error.

use std::io;
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use crate::deadline::Deadline;
use crate::report::Failure;

/// The most that is read from a pipe or file as one secret. No request could carry more.
pub(crate) const MAX_INPUT: usize = 24 * 1024;

/// What is read at once where much may come.
const CHUNK: usize = 64 * 1024;

/// Writes data to stdout. A reader that has gone away is its own business, not an error of ours.
pub(crate) fn stdout(bytes: &[u8]) -> Result<(), Failure> {
    stdout_parts([bytes, b""])
}

/// The same for two parts, in one write.
pub(crate) fn stdout_parts(parts: [&[u8]; 2]) -> Result<(), Failure> {
    match platform::stdout(parts) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(FaultKind::Other(0), "cannot write to stdout").because(e.to_string()).into())
        }
        _ => Ok(()),
    }
}

/// Writes words to stderr. There is nowhere to tell that this failed.
pub(crate) fn stderr(text: &str) {
    platform::stderr(text.as_bytes());
}

/// All of stdin, less one line end, but not beyond the deadline: a pipe that nobody closes must not hang us.
pub(crate) fn stdin(deadline: &Deadline) -> Result<Secret, Failure> {
    let failed = |e: io::Error| Failure::from(Fault::new(FaultKind::Usage, "cannot read stdin").because(e.to_string()));
    let mut all = Zeroizing::new(Vec::with_capacity(MAX_INPUT + 1));
    let mut chunk = Zeroizing::new([0_u8; 4096]);
    loop {
        let n = platform::read_stdin(&mut chunk[..], deadline.left()).map_err(failed)?;
        if n == 0 {
            return one_secret(&all).map_err(|why| Failure::usage(format!("what stdin holds {why}")));
        }
        if all.len() + n > MAX_INPUT {
            return Err(Failure::usage(format!("stdin holds more than {MAX_INPUT} bytes")));
        }
        all.extend_from_slice(&chunk[..n]);
    }
}

/// All of stdin, up to `most` bytes, within `patience`; a terminal's input ends at an empty line, too.
pub(crate) fn input(most: usize, patience: Duration) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |e: io::Error| Failure::from(Fault::new(FaultKind::Usage, "cannot read stdin").because(e.to_string()));
    let deadline = Deadline::after(patience);
    // Room for nearly everything at once: what grows leaves copies behind.
    let mut all = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
    let mut chunk = Zeroizing::new(vec![0_u8; CHUNK]);
    loop {
        let n = platform::read_stdin(&mut chunk, deadline.left()).map_err(failed)?;
        all.extend_from_slice(&chunk[..n]);
        if n == 0 || (all.ends_with(b"\n\n") && stdin_is_tty()) {
            return Ok(all);
        }
        if all.len() > most {
            return Err(Failure::usage(format!("stdin holds more than {most} bytes")));
        }
    }
}

/// `bytes` as a secret, less the one line end that editors and `echo` add.
///
/// # Errors
/// What is wrong with them, to follow their name in a sentence; never the bytes themselves.
pub(crate) fn one_secret(bytes: &[u8]) -> Result<Secret, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not text (UTF-8)")?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Secret::from(text))
}

pub(crate) use platform::{stderr_is_tty, stdin_is_tty, stdout_is_tty};

#[cfg(unix)]
mod platform {
    use std::io::IoSlice;

    use super::{Duration, io};
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fd::BorrowedFd;
    use rustix::io::{Errno, read, retry_on_intr, writev};
    use rustix::stdio;
    use rustix::termios::isatty;
    use rustix::time::Timespec;

    fn write_all(fd: BorrowedFd<'_>, [mut first, mut second]: [&[u8]; 2]) -> io::Result<()> {
        while !(first.is_empty() && second.is_empty()) {
            match writev(fd, &[IoSlice::new(first), IoSlice::new(second)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    let of_first = n.min(first.len());
                    (first, second) = (&first[of_first..], &second[n - of_first..]);
                }
                Err(Errno::INTR) => {}
                // A descriptor that somebody else made non-blocking: wait, as a blocking one would.
                Err(Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None)?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    pub(crate) fn stdout(parts: [&[u8]; 2]) -> io::Result<()> {
        write_all(stdio::stdout(), parts)
    }

    pub(crate) fn stderr(bytes: &[u8]) {
        let _ = write_all(stdio::stderr(), [bytes, b""]);
    }

    pub(crate) fn read_stdin(into: &mut [u8], left: Duration) -> io::Result<usize> {
        let stdin = stdio::stdin();
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let ready = retry_on_intr(|| poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)))?;
        if ready == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody closed it in time"));
        }
        Ok(retry_on_intr(|| read(stdin, &mut *into))?)
    }

    pub(crate) fn stdout_is_tty() -> bool {
        isatty(stdio::stdout())
    }

    pub(crate) fn stderr_is_tty() -> bool {
        isatty(stdio::stderr())
    }

    pub(crate) fn stdin_is_tty() -> bool {
        isatty(stdio::stdin())
    }
}

#[cfg(windows)]
#[path = "stdio/windows.rs"]
mod platform;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_loses_one_line_end_and_nothing_else() {
        for (bytes, secret) in [("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), (" x ", " x "), ("", ""), ("\n", "")] {
            assert_eq!(one_secret(bytes.as_bytes()).unwrap().expose(), secret, "{bytes:?}");
        }
        assert!(one_secret(b"\xff").is_err());
    }
}
