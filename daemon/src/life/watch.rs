//! Notices of the kernel that something in a directory has changed. Nothing is polled: an agent where nothing changes sleeps.

use std::io;
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::net::unix::pipe::Receiver;

/// More notices than this are taken in several reads.
const ROOM: usize = 4096;
/// The bytes of a notice before its name (inotify(7)): the watch, what happened, a cookie, the length of the name.
const HEAD: usize = 16;

/// Directories that are watched.
#[derive(Debug)]
pub(crate) struct Watch(Receiver);

impl Watch {
    /// Of nothing yet.
    ///
    /// # Errors
    /// If the user has as many as the system allows.
    pub(crate) fn new() -> io::Result<Self> {
        let notices = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // As with a timer: the type for a pipe's reading end does what is needed with any descriptor that becomes readable.
        Receiver::from_owned_fd_unchecked(notices).map(Self)
    }

    /// From now on, names that come and go in `directory`, and the directory itself. Twice is once.
    ///
    /// # Errors
    /// If there is no such directory, or no more can be watched.
    pub(crate) fn names_in(&self, directory: &Path) -> io::Result<()> {
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        self.add(directory, names)
    }

    /// From now on, files in `directory` that somebody has written, put there, or changed the permissions of; and directories that
    /// are made there.
    ///
    /// # Errors
    /// As [`Self::names_in`].
    pub(crate) fn files_in(&self, directory: &Path) -> io::Result<()> {
        let names = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        self.add(directory, names | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB)
    }

    fn add(&self, directory: &Path, what: WatchFlags) -> io::Result<()> {
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        add_watch(&self.0, directory, what | itself)?;
        Ok(())
    }

    /// Ends when something has changed since the last time.
    ///
    /// # Errors
    /// If the kernel tells nothing any more.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        self.notice(|_| true).await
    }

    /// The same, but a file that was only made is nothing yet: whoever made it is about to write it.
    ///
    /// # Errors
    /// As [`Self::changed`].
    pub(crate) async fn written(&self) -> io::Result<()> {
        let begun = WatchFlags::CREATE.bits();
        // Directories have this bit besides.
        self.notice(|what| what != begun).await
    }

    async fn notice(&self, counts: impl Fn(u32) -> bool) -> io::Result<()> {
        loop {
            self.0.readable().await?;
            if self.take(&counts)? {
                return Ok(());
            }
        }
    }

    /// Takes all notices that are there; whether one of them counts. Not where it would be part of a future: those are moved as a
    /// whole, with whatever lay on the stack where nothing is written yet, and stay for as long as the agent runs.
    fn take(&self, counts: impl Fn(u32) -> bool) -> io::Result<bool> {
        let mut notices = [0; ROOM];
        let mut any = false;
        loop {
            match self.0.try_read(&mut notices) {
                Ok(count) => any |= kinds(&notices[..count]).any(&counts),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                Err(e) => return Err(e),
            }
        }
    }
}

/// What happened, notice by notice.
fn kinds(mut notices: &[u8]) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let (head, behind) = notices.split_first_chunk::<HEAD>()?;
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        notices = behind.get(word(12) as usize..).unwrap_or_default();
        Some(word(4))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_comes_and_goes_is_noticed_and_what_is_only_read_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("there"), "").unwrap();
        let watch = Watch::new().unwrap();
        watch.names_in(dir.path()).unwrap();
        fs::read(dir.path().join("there")).unwrap();
        fs::write(dir.path().join("there"), "x").unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), watch.changed()).await.is_err());
        for change in [
            &(|| fs::write(dir.path().join("new"), "").unwrap()) as &dyn Fn(),
            &|| fs::rename(dir.path().join("new"), dir.path().join("newer")).unwrap(),
            &|| fs::remove_file(dir.path().join("newer")).unwrap(),
        ] {
            change();
            tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap().unwrap();
        }
        fs::remove_dir_all(dir.path()).unwrap();
        tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_file_is_noticed_once_it_is_written_and_a_directory_once_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new().unwrap();
        watch.files_in(dir.path()).unwrap();
        let file = fs::File::create(dir.path().join("file")).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), watch.written()).await.is_err(), "nothing is in it");
        drop(file);
        tokio::time::timeout(PATIENCE, watch.written()).await.unwrap().unwrap();
        fs::create_dir(dir.path().join("directory")).unwrap();
        tokio::time::timeout(PATIENCE, watch.written()).await.unwrap().unwrap();
    }
}
