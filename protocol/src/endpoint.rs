//! Where the socket is, and whether that place can be trusted.

#[cfg(any(windows, test))]
#[cfg_attr(not(windows), allow(dead_code, reason = "its rules are tested on every system"))]
mod windows;

use std::env;
#[cfg(not(windows))]
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Fault, FaultKind};

/// Names the socket; wins over every other source.
pub const ENV_SOCKET: &str = "CLOUD_AGENT_SOCK";

/// The longest path that fits a Unix socket address, in bytes (`sun_path` less its terminating NUL).
pub const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The socket's path: `$CLOUD_AGENT_SOCK`, else `$XDG_RUNTIME_DIR/cloud-agent/agent.sock`, else the same in the user's directory in
/// `/run/user` if there is one, else a directory under the temporary directory that is named by the user's id. On Windows a pipe's,
/// which is named by the user's SID.
///
/// # Errors
/// [`FaultKind::Usage`] if it is longer than [`MAX_SOCKET_PATH`] or not absolute; on Windows if it is no pipe of this
/// machine.
pub fn resolve() -> Result<PathBuf, Fault> {
    #[cfg(windows)]
    let path = windows::resolve_from(|name| env::var_os(name), &own_sid()?);
    #[cfg(not(windows))]
    let path = resolve_from(|name| env::var_os(name), own_uid(), is_private);
    check(path)
}

#[cfg(windows)]
fn own_sid() -> Result<String, Fault> {
    crate::windows::own_sid()
        .map_err(|why| Fault::new(FaultKind::Internal, "the system does not say who you are").because(why.to_string()))
}

/// Where those who would start an agent at `socket` take turns: its directory; on Windows one of the user's profile.
#[must_use]
pub fn lock_directory(socket: &Path) -> PathBuf {
    #[cfg(windows)]
    return windows::lock_directory(socket, |name| env::var_os(name));
    #[cfg(not(windows))]
    socket.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The same for a path that was given on a command line.
///
/// # Errors
/// As [`resolve`].
pub fn check(path: PathBuf) -> Result<PathBuf, Fault> {
    #[cfg(windows)]
    return windows::check(path);
    #[cfg(not(windows))]
    checked(path)
}

#[cfg(not(windows))]
fn checked(path: PathBuf) -> Result<PathBuf, Fault> {
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(Fault::new(FaultKind::Usage, format!("the socket path `{}` is too long", path.display()))
            .because(format!("it has {length} bytes, and a Unix socket address holds {MAX_SOCKET_PATH}"))
            .hint(format!("set {ENV_SOCKET} to a shorter path")));
    }
    if !path.is_absolute() {
        return Err(Fault::new(FaultKind::Usage, format!("the socket path `{}` is not absolute", path.display()))
            .hint(format!("set {ENV_SOCKET} to an absolute path")));
    }
    Ok(path)
}

#[cfg(not(windows))]
fn resolve_from(var: impl Fn(&str) -> Option<OsString>, uid: u32, is_private: impl Fn(&Path) -> bool) -> PathBuf {
    let given = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = given(ENV_SOCKET) {
        return path;
    }
    // The XDG specification: a relative value is invalid and to be ignored.
    if let Some(runtime) = given("XDG_RUNTIME_DIR").filter(|dir| dir.is_absolute()) {
        return runtime.join("cloud-agent/agent.sock");
    }
    // Where every login session has it, for what runs without the session's variables: cron, `env -i`, `su`.
    let session = PathBuf::from(format!("/run/user/{uid}"));
    if is_private(&session) {
        return session.join("cloud-agent/agent.sock");
    }
    let temp = given("TMPDIR").filter(|dir| dir.is_absolute()).unwrap_or_else(|| PathBuf::from("/tmp"));
    temp.join(format!("cloud-agent-{uid}/agent.sock"))
}

/// Whether it is a directory of ours alone.
#[cfg(target_os = "linux")]
fn is_private(directory: &Path) -> bool {
    let Ok(stat) = rustix::fs::lstat(directory) else { return false };
    let is_directory = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    is_directory && stat.st_uid == own_uid() && stat.st_mode & 0o777 == 0o700
}

/// Elsewhere there is no such place.
#[cfg(not(any(target_os = "linux", windows)))]
fn is_private(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(any(unix, windows)))]
fn own_uid() -> u32 {
    0
}

#[cfg(unix)]
pub use unix::{verify_directory, verify_parents};

#[cfg(unix)]
mod unix {
    use std::path::Path;

    use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
    use rustix::io::Errno;
    use rustix::process::geteuid;

    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;

    use crate::{Fault, FaultKind};

    /// Checks that nobody but us and root can rename or replace the directory of `socket` or one above it.
    ///
    /// Links are resolved first (`/var/run`, macOS's `/tmp`), then each directory up to the root must be owned by us or
    /// root, and not be writable by others unless its sticky bit keeps them from touching what is not theirs.
    ///
    /// # Errors
    /// [`FaultKind::Config`], naming the directory.
    pub fn verify_parents(socket: &Path) -> Result<(), Fault> {
        let dir = socket.parent().unwrap_or(Path::new("/"));
        let fault = |at: &Path, why: String| {
            Fault::new(FaultKind::Config, format!("the socket directory `{}` cannot be trusted", dir.display()))
                .because(format!("`{}` above it {why}", at.display()))
                .hint("set CLOUD_AGENT_SOCK to a path below your own home or runtime directory")
        };
        let real = fs::canonicalize(dir).map_err(|e| fault(dir, e.to_string()))?;
        for above in real.ancestors().skip(1) {
            let meta = fs::symlink_metadata(above).map_err(|e| fault(above, e.to_string()))?;
            if meta.uid() != 0 && meta.uid() != geteuid().as_raw() {
                return Err(fault(above, format!("is owned by uid {}", meta.uid())));
            }
            let (writable, sticky) = (meta.mode() & 0o022 != 0, meta.mode() & 0o1000 != 0);
            if writable && !sticky {
                return Err(fault(
                    above,
                    format!("may be changed by others: its mode is {:04o}", meta.mode() & 0o7777),
                ));
            }
        }
        Ok(())
    }

    /// Opens what is only looked at. Elsewhere it has to be readable, as our own directory is.
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    const LOOK: OFlags = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    const LOOK: OFlags = OFlags::RDONLY;

    /// Everything before the last slash. `Path::parent` knows more, and costs a warm get the page that it lies in.
    fn directory_of(socket: &Path) -> &Path {
        let bytes = socket.as_os_str().as_bytes();
        match bytes.iter().rposition(|byte| *byte == b'/') {
            Some(0) | None => Path::new("/"),
            Some(slash) => Path::new(OsStr::from_bytes(&bytes[..slash])),
        }
    }

    /// Checks that the directory of `socket` is a real directory, ours, and closed to everybody else: in a directory
    /// where others may write, the socket may be somebody else's and would be handed our secrets.
    ///
    /// The checks are made on an open directory, not on its name, so that it cannot be swapped in between.
    /// `Ok(false)` if there is no such directory.
    ///
    /// # Errors
    /// [`FaultKind::Config`], saying what is wrong with it.
    pub fn verify_directory(socket: &Path) -> Result<bool, Fault> {
        let dir = directory_of(socket);
        let fault = |why: String| {
            Fault::new(FaultKind::Config, format!("the socket directory `{}` cannot be trusted", dir.display()))
                .because(why)
                .hint(
                    "set CLOUD_AGENT_SOCK to a path in a directory of your own that nobody else may enter (mode 0700)",
                )
        };
        let flags = LOOK | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let stat = match openat(CWD, dir, flags, Mode::empty()).and_then(fstat) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(fault("it is a symbolic link or not a directory".into())),
            Err(e) => return Err(fault(e.to_string())),
        };
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Err(fault("it is not a directory".into()));
        }
        if stat.st_uid != geteuid().as_raw() {
            return Err(fault(format!("it is owned by uid {}", stat.st_uid)));
        }
        let mode = stat.st_mode & 0o777;
        if mode & 0o077 != 0 {
            let fault = fault(format!("its mode is {mode:04o}, which lets others in"));
            // Of a directory that is meant for everybody, such as /tmp, nobody must be told to close it.
            let shared = stat.st_mode & 0o1002 != 0;
            let hint = format!("`chmod 700 {}`", crate::shell::quoted(dir.display()));
            return Err(if shared { fault } else { fault.hint(hint) });
        }
        Ok(true)
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    fn resolved(vars: &[(&str, &str)]) -> PathBuf {
        resolve_from(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()), 1000, |_| false)
    }

    #[test]
    fn without_the_variable_of_a_session_its_directory_is_where_it_always_is() {
        let vars = [("TMPDIR", "/var/tmp")];
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        let resolved = resolve_from(var, 1000, |directory| directory == Path::new("/run/user/1000"));
        assert_eq!(resolved, PathBuf::from("/run/user/1000/cloud-agent/agent.sock"));
    }

    #[test]
    fn the_environment_wins_then_the_runtime_directory_then_temp() {
        assert_eq!(resolved(&[(ENV_SOCKET, "/a/b"), ("XDG_RUNTIME_DIR", "/run/user/1000")]), PathBuf::from("/a/b"));
        assert_eq!(
            resolved(&[("XDG_RUNTIME_DIR", "/run/user/1000")]),
            PathBuf::from("/run/user/1000/cloud-agent/agent.sock")
        );
        assert_eq!(resolved(&[("XDG_RUNTIME_DIR", "relative")]), PathBuf::from("/tmp/cloud-agent-1000/agent.sock"));
        assert_eq!(
            resolved(&[(ENV_SOCKET, ""), ("TMPDIR", "/var/tmp")]),
            PathBuf::from("/var/tmp/cloud-agent-1000/agent.sock")
        );
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_its_limit() {
        let fault = check(PathBuf::from(format!("/{}", "x".repeat(120)))).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage);
        assert!(fault.to_string().contains(&MAX_SOCKET_PATH.to_string()), "{fault}");
    }

    #[test]
    fn a_relative_path_is_refused() {
        assert_eq!(check(PathBuf::from("agent.sock")).unwrap_err().kind, FaultKind::Usage);
    }
}
