//! Where the restricted socket is: in a directory of our own, displacing nobody, and gone when we are.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use cloud_agent_protocol::{Fault, FaultKind, endpoint};
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

/// The socket, removed when this is dropped.
pub(super) struct Place {
    path: PathBuf,
    listener: UnixListener,
    /// The socket as we made it, to be told from one that somebody put in its stead.
    identity: Option<(u64, u64)>,
}

impl Place {
    /// Makes it. A dead socket of ours is removed first, and nothing else.
    ///
    /// # Errors
    /// `Config` if the directory is not ours alone, or if something is in the way.
    pub(super) fn claim(path: &Path) -> Result<Self, Fault> {
        let cannot = || Fault::new(FaultKind::Config, format!("no socket can be made at `{}`", path.display()));
        let mend = |fault: Fault| fault.hint("name a path in a directory of your own: `mkdir -m 700 ~/.cloud-forward`");
        match endpoint::verify_directory(path) {
            Ok(true) => endpoint::verify_parents(path).map_err(mend)?,
            Ok(false) => return Err(mend(cannot().because("there is no such directory"))),
            Err(fault) => return Err(mend(fault)),
        }
        clear(path).map_err(|why| cannot().because(why).hint("move it, or name another path"))?;
        // There is one thread yet: the mask is everybody's.
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let listener = UnixListener::bind(path);
        umask(before);
        let listener = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        let listener = listener.map_err(|why| cannot().because(why.to_string()))?;
        Ok(Self { path: path.to_owned(), listener, identity: identity(path) })
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the way free; why not, if not.
fn clear(path: &Path) -> Result<(), String> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(why.to_string()),
    };
    if !meta.file_type().is_socket() {
        return Err("something that is no socket is in the way".into());
    }
    if meta.uid() != geteuid().as_raw() {
        return Err(format!("a socket of uid {} is in the way", meta.uid()));
    }
    match UnixStream::connect(path) {
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|why| why.to_string())
        }
        _ => Err("somebody listens there already".into()),
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = dir.path().join("s");
        (dir, path)
    }

    #[test]
    fn it_is_for_its_owner_alone_and_gone_when_it_is_dropped() {
        let (_dir, path) = place();
        let claimed = Place::claim(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let told = Place::claim(&path).err().unwrap();
        assert!(told.to_string().contains("somebody listens there already"), "{told}");
        drop(claimed);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_makes_room_and_nothing_else_does() {
        let (_dir, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        drop(Place::claim(&path).unwrap());
        fs::write(&path, "precious").unwrap();
        let told = Place::claim(&path).err().unwrap();
        assert!(told.to_string().contains("no socket is in the way"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn one_that_somebody_put_in_its_stead_stays() {
        let (_dir, path) = place();
        let claimed = Place::claim(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(claimed);
        assert!(path.exists());
        drop(other);
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_with_what_mends_it() {
        let (dir, path) = place();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let told = Place::claim(&path).err().unwrap();
        assert!(told.hint.unwrap().contains("mkdir -m 700") && !path.exists());
        assert!(Place::claim(Path::new("/nonexistent/s")).err().unwrap().to_string().contains("no such directory"));
    }
}
