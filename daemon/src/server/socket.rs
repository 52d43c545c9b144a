//! Claims the place where the agent listens: one agent, in a directory of our own, displacing nobody.

#[cfg(target_os = "linux")]
mod adopted;
mod guard;
mod passing;
#[cfg(windows)]
mod windows;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind, endpoint};
use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name, ToFsName as _};
#[cfg(unix)]
use interprocess::{ConnectWaitMode, local_socket::ConnectOptions};

#[cfg(target_os = "linux")]
pub(crate) use adopted::adopt;
pub(crate) use guard::guard;
#[cfg(target_os = "linux")]
pub(crate) use passing::inherit;

/// Elsewhere nobody hands a socket down.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "as where somebody does")]
pub(crate) async fn adopt(_: Vec<()>) -> Result<Option<(PathBuf, Claim)>, Fault> {
    Ok(None)
}

/// How long an agent that is about to end is waited for: it holds the lock until all that it has is saved.
const LEAVING: Duration = Duration::from_mins(1);
/// Between two looks at it, while nobody answers at its socket.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long a socket that is there is given to show that somebody lives behind it.
#[cfg(unix)]
const PROBE: Duration = Duration::from_millis(500);

/// What came of trying to claim the place.
#[derive(Debug)]
#[cfg_attr(windows, expect(clippy::large_enum_variant, reason = "there is one, once"))]
pub enum Claim {
    /// It is ours.
    Taken(Place, Listener),
    /// Another agent has it.
    AlreadyRunning,
}

/// A claimed place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    bound: Mutex<Bound>,
    /// The directory, to be told from one that somebody put in its stead.
    directory: Option<Identity>,
    /// The kernel lets go of it even if we are killed; whoever holds it is the agent of this place.
    lock: File,
}

/// What tells a file from another one of its name.
type Identity = (u64, u64);

/// The socket that is ours.
#[derive(Debug)]
struct Bound {
    /// As it was made, to be told from one that somebody put in its stead.
    identity: Option<Identity>,
    /// Whoever made it removes it.
    ours: bool,
    /// It is another agent's to look after.
    passed_on: bool,
}

/// Claims `path`.
///
/// Only the holder of the lock beside the socket may remove a socket and make one, and only one that refuses connections
/// is removed: never a file of another kind, never one that answers.
///
/// # Errors
/// `Config` if the directory cannot be trusted or made, or if something that is no dead socket is in the way.
pub async fn claim(path: &Path) -> Result<Claim, Fault> {
    let failed = |what: &str, e: &io::Error| {
        Fault::new(FaultKind::Config, format!("cannot listen at `{}`", path.display()))
            .because(format!("{what}: {e}"))
            .hint("`cloud-agent --socket PATH` listens elsewhere; clients look there with CLOUD_AGENT_SOCK")
    };
    let dir = endpoint::lock_directory(path);
    make_private(&dir).map_err(|e| failed("its directory cannot be made", &e))?;
    verify(path)?;
    let lock = open_lock(&lock_path(path)).map_err(|e| failed("its lock file", &e))?;
    if !locked(path, &lock).await.map_err(|e| failed("its lock file", &e))? {
        return Ok(Claim::AlreadyRunning);
    }
    #[cfg(unix)]
    if !clear(path)? {
        return Ok(Claim::AlreadyRunning);
    }
    let listener = bind(path).map_err(|e| failed("binding", &e))?;
    Ok(Claim::Taken(Place::new(path, lock, true), listener))
}

/// Takes the lock, unless an agent has it that can be called. One that is about to end cannot, and one that begins cannot yet.
async fn locked(path: &Path, lock: &File) -> io::Result<bool> {
    let deadline = tokio::time::Instant::now() + LEAVING;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if is_alive(path) || tokio::time::Instant::now() > deadline => {
                return Ok(false);
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}

impl Place {
    /// The place of the socket that is bound to `path` now.
    fn new(path: &Path, lock: File, ours: bool) -> Self {
        let directory = identity(path.parent().unwrap_or(Path::new("/")));
        let bound = Mutex::new(Bound { identity: identity(path), ours, passed_on: false });
        Self { path: path.to_owned(), bound, directory, lock }
    }

    /// Removes the socket, if it is still the one we made: by then another agent may have claimed the place.
    pub(crate) fn give_back(&self) {
        let bound = self.bound();
        if !bound.passed_on && bound.ours && bound.identity.is_some() && identity(&self.path) == bound.identity {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        // Every change is one assignment.
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A socket at `path`, where there is nothing.
fn bind(path: &Path) -> io::Result<Listener> {
    let options = ListenerOptions::new().name(name(path)?).reclaim_name(false);
    // Where the mode of a socket cannot be set before it is bound, that of its directory, which was verified, keeps others out
    // (T38).
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
    let options = {
        use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
        options.mode(0o600)
    };
    #[cfg(windows)]
    let options = windows::closed(options)?;
    options.create_tokio()
}

/// The lock of a socket, in the directory for that.
fn lock_path(socket: &Path) -> PathBuf {
    // The path of a pipe is no file's, and has a directory to itself.
    let mut name = if cfg!(windows) { "agent".into() } else { socket.file_name().unwrap_or_default().to_owned() };
    name.push(".lock");
    endpoint::lock_directory(socket).join(name)
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        options.mode(0o600).custom_flags(i32::try_from(no_follow.bits()).expect("open flags fit an int"));
    }
    options.open(path)
}

/// Makes the way free for a new socket. `false` if somebody answers at the old one.
#[cfg(unix)]
fn clear(path: &Path) -> Result<bool, Fault> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    let in_the_way = |why: String| {
        Fault::new(FaultKind::Config, format!("`{}` is in the way", path.display()))
            .because(why)
            .hint("move it, or set CLOUD_AGENT_SOCK to another path")
    };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(in_the_way(e.to_string())),
    };
    if !meta.file_type().is_socket() {
        return Err(in_the_way("it is not a socket".into()));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(in_the_way(format!("it is owned by uid {}", meta.uid())));
    }
    if is_alive(path) {
        return Ok(false);
    }
    fs::remove_file(path).map_err(|e| in_the_way(e.to_string()))?;
    Ok(true)
}

/// Whether somebody listens there. A full queue is a sign of life, too.
#[cfg(unix)]
fn is_alive(path: &Path) -> bool {
    let Ok(name) = name(path) else { return false };
    match ConnectOptions::new().name(name).wait_mode(ConnectWaitMode::Timeout(PROBE)).connect_sync() {
        // Whoever it is: also where the queue is full, which interprocess takes for a connection under way, and where the
        // kernel cannot name a listener in another process namespace. Nobody there is told as a refusal.
        Ok(_) => true,
        Err(e) => !matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
    }
}

fn name(path: &Path) -> io::Result<Name<'_>> {
    path.to_fs_name::<GenericFilePath>()
}

#[cfg(windows)]
use {crate::rights::make_private, windows::is_alive};

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => builder.recursive(true).create(dir),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

#[cfg(unix)]
fn verify(path: &Path) -> Result<(), Fault> {
    endpoint::verify_directory(path)?;
    endpoint::verify_parents(path)
}

/// A pipe has no directory.
#[cfg(windows)]
#[expect(clippy::unnecessary_wraps, reason = "as where there is something to be wrong")]
fn verify(_: &Path) -> Result<(), Fault> {
    Ok(())
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(_path: &Path) -> Option<Identity> {
    None
}
