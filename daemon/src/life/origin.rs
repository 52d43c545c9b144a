//! Under which path this program was started.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The path of this program as whoever started it named it, so that an update which puts another program there, or another
/// link, is found under it. The kernel's answer is where links led at the start, and says `(deleted)` after an update.
///
/// Asked while the working directory is still that of the start. `None` if nothing under that name is this program.
pub(crate) fn origin() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let named = env::args_os().next().and_then(|name| find(&name, &env::var_os("PATH").unwrap_or_default()));
    let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|real| Some(real) == own.canonicalize().ok());
    named.filter(is_own).or(Some(own)).filter(|path| path.is_file())
}

/// What a shell runs for `name`.
fn find(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let named = Path::new(name);
    if named.components().count() > 1 {
        return std::path::absolute(named).ok();
    }
    env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(named)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_on_the_path_and_any_other_is_a_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("program"), "").unwrap();
        let path = env::join_paths([Path::new("relative"), Path::new("/nonexistent"), dir.path()]).unwrap();
        assert_eq!(find(OsStr::new("program"), &path), Some(dir.path().join("program")));
        assert_eq!(find(OsStr::new("other"), &path), None);
        assert_eq!(find(OsStr::new("/bin/x"), &path), Some(PathBuf::from("/bin/x")));
        assert!(find(OsStr::new("./x"), &path).is_some_and(|path| path.is_absolute()));
    }

    #[test]
    fn this_program_knows_where_it_was_started() {
        let origin = origin().unwrap();
        assert_eq!(origin.canonicalize().unwrap(), env::current_exe().unwrap().canonicalize().unwrap());
    }
}
