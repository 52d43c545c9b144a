//! Where the pipe is. A pipe has no directory: whose it is, its owner tells, and those who would make it take turns in the
//! user's profile.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ENV_SOCKET;
use crate::{Fault, FaultKind};

/// How the path of every pipe of this machine begins. Another machine's name in place of the dot is refused.
const PREFIX: &str = r"\\.\pipe\";

/// The longest path of a pipe, in characters (`CreateNamedPipeW`).
const LONGEST: usize = 256;

/// `$CLOUD_AGENT_SOCK`, else a name that has the user's SID in it, so that nobody's pipe is in the way of another's.
pub(super) fn resolve_from(var: impl Fn(&str) -> Option<OsString>, sid: &str) -> PathBuf {
    let given = var(ENV_SOCKET).filter(|value| !value.is_empty());
    given.map_or_else(|| PathBuf::from(format!("{PREFIX}cloud-agent-{sid}")), PathBuf::from)
}

/// Judges a path that was given.
///
/// # Errors
/// [`FaultKind::Usage`]
pub(super) fn check(path: PathBuf) -> Result<PathBuf, Fault> {
    let fault = |what: &str| {
        Fault::new(FaultKind::Usage, format!("the pipe's path `{}` {what}", path.display()))
            .hint(format!(r"set {ENV_SOCKET} to `{PREFIX}NAME`, of letters, digits, `.`, `_` and `-`"))
    };
    let text = path.to_str().ok_or_else(|| fault("is not text (UTF-8)"))?;
    let name = text.strip_prefix(PREFIX).ok_or_else(|| fault("is no pipe of this machine"))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(fault("has characters that are no good in a file's name"));
    }
    if text.len() > LONGEST {
        return Err(fault("is too long"));
    }
    Ok(path)
}

/// A directory of the user's own for the pipe at `path`.
pub(super) fn lock_directory(path: &Path, var: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let absolute = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let profile = absolute("LOCALAPPDATA").or_else(|| Some(absolute("USERPROFILE")?.join("AppData").join("Local")));
    // Without a profile there is the temporary directory, which is the user's own, too.
    let base = profile.unwrap_or_else(std::env::temp_dir).join("cloud-agent").join("pipes");
    let name = path.to_str().and_then(|text| text.strip_prefix(PREFIX)).unwrap_or("other");
    base.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_and_else_the_name_has_the_users_sid() {
        let resolved = |given: Option<&str>| {
            resolve_from(|name| given.filter(|_| name == ENV_SOCKET).map(Into::into), "S-1-5-21-7")
        };
        assert_eq!(resolved(None), PathBuf::from(r"\\.\pipe\cloud-agent-S-1-5-21-7"));
        assert_eq!(resolved(Some("")), resolved(None));
        assert_eq!(resolved(Some(r"\\.\pipe\mine")), PathBuf::from(r"\\.\pipe\mine"));
    }

    #[test]
    fn only_a_pipe_of_this_machine_whose_name_could_be_a_files_is_taken() {
        assert!(check(PathBuf::from(r"\\.\pipe\cloud-agent-S-1-5-21-7")).is_ok());
        let long = format!(r"\\.\pipe\{}", "x".repeat(300));
        for path in [
            r"\\server\pipe\x",
            r"C:\agent.sock",
            r"\\.\pipe\",
            r"\\.\pipe\a\b",
            r"\\.\pipe\..",
            r"\\.\pipe\a:b",
            &long,
        ] {
            let fault = check(PathBuf::from(path)).unwrap_err();
            assert!(fault.kind == FaultKind::Usage && fault.hint.is_some(), "{path}");
        }
    }

    #[test]
    fn each_pipe_has_a_directory_for_its_locks() {
        // Absolute on the machine that this test runs on.
        let base = std::env::temp_dir();
        let var = |name: &str| (name == "LOCALAPPDATA").then(|| base.clone().into_os_string());
        let of = |path: &str| lock_directory(Path::new(path), var);
        assert_eq!(of(r"\\.\pipe\a"), base.join("cloud-agent").join("pipes").join("a"));
        assert_ne!(of(r"\\.\pipe\a"), of(r"\\.\pipe\b"));
    }
}
