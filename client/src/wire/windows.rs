//! A connected pipe.
//!
//! std has no deadline for one, and neither has Windows, unless every call is an overlapped one. So a thread of its own
//! reads and writes, and whoever waits for it goes when the time is over; the thread ends with the process.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsHandle as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use cloud_agent_protocol::windows::{Object, own_sid, owner_of};
use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;
use windows_sys::Win32::Storage::FileSystem::SECURITY_IDENTIFICATION;
use zeroize::Zeroizing;

use crate::deadline::Deadline;

/// Bytes that are to be filled, or written.
enum Job {
    Read(Zeroizing<Vec<u8>>),
    Write(Zeroizing<Vec<u8>>),
}

/// How many of them were, and the bytes.
type Done = io::Result<(usize, Zeroizing<Vec<u8>>)>;

/// See the module. After a wait that was broken off it is of no more use: the job may still be done.
pub(crate) struct Wire {
    jobs: Sender<Job>,
    done: Receiver<Done>,
}

/// Connects, and asks the system whose the pipe is.
///
/// Whoever made the pipe learns who we are and cannot act as us: by default it could. It hears nothing unless it is ours.
///
/// # Errors
/// `PermissionDenied` if it is somebody else's; `WouldBlock` if it has no room right now; else what the system says.
pub(crate) fn connect(socket: &Path, _: &Deadline) -> io::Result<Wire> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).security_qos_flags(SECURITY_IDENTIFICATION);
    let pipe = options.open(socket).map_err(|error| {
        let busy = error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed());
        if busy { ErrorKind::WouldBlock.into() } else { error }
    })?;
    let (owner, own) = (owner_of(pipe.as_handle(), Object::Kernel)?, own_sid()?);
    if owner != own {
        let why = format!("it is owned by {owner}, and you are {own}");
        return Err(io::Error::new(ErrorKind::PermissionDenied, why));
    }
    let (jobs, todo) = channel();
    let (tell, done) = channel();
    thread::Builder::new().spawn(move || work(&pipe, &todo, &tell))?;
    Ok(Wire { jobs, done })
}

fn work(mut pipe: &File, todo: &Receiver<Job>, tell: &Sender<Done>) {
    for job in todo {
        let done = match job {
            Job::Read(mut bytes) => pipe.read(&mut bytes).map(|count| (count, bytes)),
            Job::Write(bytes) => pipe.write(&bytes).map(|count| (count, bytes)),
        };
        if tell.send(done).is_err() {
            return;
        }
    }
}

impl Wire {
    pub(super) fn read(&self, into: &mut [u8], deadline: &Deadline) -> io::Result<usize> {
        let (count, bytes) = self.have_done(Job::Read(Zeroizing::new(vec![0; into.len()])), deadline)?;
        into[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    pub(super) fn write(&self, bytes: &[u8], deadline: &Deadline) -> io::Result<usize> {
        self.have_done(Job::Write(Zeroizing::new(bytes.to_vec())), deadline).map(|(count, _)| count)
    }

    /// A pipe does not tell: the read waits.
    pub(crate) fn is_ready_within(&self, _: Duration) -> bool {
        true
    }

    fn have_done(&self, job: Job, deadline: &Deadline) -> Done {
        let gone = || io::Error::from(ErrorKind::BrokenPipe);
        self.jobs.send(job).map_err(|_| gone())?;
        self.done.recv_timeout(deadline.left()).unwrap_or_else(|why| match why {
            RecvTimeoutError::Timeout => Err(ErrorKind::TimedOut.into()),
            RecvTimeoutError::Disconnected => Err(gone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use interprocess::local_socket::traits::Listener as _;
    use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, ToFsName as _};
    use interprocess::os::windows::local_socket::ListenerOptionsExt as _;
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;

    use super::*;

    /// A pipe with this owner, which everybody may use.
    fn pipe(name: &str, owner: &str) -> (PathBuf, Listener) {
        let path = PathBuf::from(format!(r"\\.\pipe\cloud-token-test-{name}-{}", std::process::id()));
        let sddl = widestring::U16CString::from_str(format!("O:{owner}D:P(A;;GA;;;WD)")).unwrap();
        let options = ListenerOptions::new().name(path.as_path().to_fs_name::<GenericFilePath>().unwrap());
        let listener = options.security_descriptor(SecurityDescriptor::deserialize(&sddl).unwrap()).create_sync();
        (path, listener.unwrap())
    }

    #[test]
    fn somebody_elses_pipe_is_not_spoken_to() {
        // The administrators' here, because there is no other user to be had.
        let (path, _listener) = pipe("theirs", "BA");
        let why = connect(&path, &Deadline::after(Duration::from_secs(10))).err().expect("it is not ours");
        assert_eq!(why.kind(), ErrorKind::PermissionDenied);
        assert!(why.to_string().contains("S-1-5-32-544"), "{why}");
    }

    #[test]
    fn whoever_listens_and_says_nothing_is_left_at_the_deadline() {
        let (path, listener) = pipe("silent", &own_sid().unwrap());
        let deadline = Deadline::after(Duration::from_millis(200));
        let wire = connect(&path, &deadline).unwrap();
        let _served = listener.accept().unwrap();
        assert_eq!(wire.write(b"hello", &deadline).unwrap(), 5);
        assert_eq!(wire.read(&mut [0; 8], &deadline).unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn nobody_there_is_told_from_somebody_who_does_not_answer() {
        let none = connect(Path::new(r"\\.\pipe\cloud-token-test-none"), &Deadline::after(Duration::from_secs(1)));
        assert_eq!(none.err().map(|why| why.kind()), Some(ErrorKind::NotFound));
    }
}
