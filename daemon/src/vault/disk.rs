//! How a vault's file is read and replaced: whoever looks, and whatever is left after a crash or a cut of power, is the old
//! file or the new one, whole.
//!
//! A new file is written beside the old one, made durable, renamed over it, and the directory made durable. A *spare* is a
//! file of the right size that is there beforehand: to overwrite it takes no room, so that it can be written to a full disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

#[cfg(windows)]
use crate::rights;

/// The largest file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file of our own.
    File(Vec<u8>),
    /// Something that is not to be used, and why.
    Odd(String),
}

/// What is at `path`. A symbolic link is not followed, and a file of somebody else is not looked at.
pub(super) fn read(path: &Path) -> io::Result<Found> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(why) => return Err(why),
    };
    if !meta.is_file() {
        return Ok(Found::Odd("it is no file".into()));
    }
    let file = match options().read(true).open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(why) => return Err(why),
    };
    // Of what was opened: the path may lead elsewhere by now.
    let meta = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Ok(Found::Odd(format!("it is owned by uid {}", meta.uid())));
        }
        if meta.mode() & 0o077 != 0 {
            tracing::warn!(
                "`{}` was open to others (mode {:03o}); it is closed now",
                path.display(),
                meta.mode() & 0o777
            );
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
    }
    #[cfg(windows)]
    {
        let others = rights::who(&file, rights::READ | rights::WRITE)?;
        if !others.is_empty() {
            tracing::warn!("`{}` was open to others ({}); it is closed now", path.display(), others.join(", "));
            rights::close(path)?;
        }
    }
    if !meta.is_file() || meta.len() > LONGEST {
        return Ok(Found::Odd("it is no file that an agent wrote".into()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(Found::File(bytes))
}

/// Replaces the file at `path`, into the spare if there is one of that size.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let spare = beside(path, "spare");
    let fits = spare_size(path) == Some(bytes.len() as u64);
    let temporary = match fits.then(|| overwrite(&spare, bytes)) {
        Some(Ok(())) => spare,
        _ => anew(path, bytes)?,
    };
    rename(&temporary, path)?;
    sync_directory(path)
}

/// Makes a spare of `size` bytes for `path`. Its contents are random, so that no file system saves the room.
pub(super) fn make_spare(path: &Path, size: usize) -> io::Result<()> {
    if spare_size(path) == Some(size as u64) {
        return Ok(());
    }
    let mut noise = vec![0; size];
    getrandom::fill(&mut noise).map_err(|why| io::Error::other(why.to_string()))?;
    let spare = beside(path, "spare");
    let temporary = anew(path, &noise)?;
    rename(&temporary, &spare)
}

/// How large the spare for `path` is, if there is one.
pub(super) fn spare_size(path: &Path) -> Option<u64> {
    fs::symlink_metadata(beside(path, "spare")).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
}

/// Removes the file at `path` and what lies beside it; whether it was there.
pub(super) fn erase(path: &Path) -> io::Result<bool> {
    for suffix in ["new", "spare"] {
        let _ = fs::remove_file(beside(path, suffix));
    }
    match fs::remove_file(path) {
        Ok(()) => sync_directory(path).map(|()| true),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

/// Moves what is at `path` out of the way, over nothing; where to.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..u32::MAX {
        let to = beside(path, &format!("aside-{number}"));
        if fs::symlink_metadata(&to).is_err() {
            fs::rename(path, &to)?;
            let _ = sync_directory(path);
            return Ok(to);
        }
    }
    Err(io::Error::other("too much was moved aside"))
}

/// Opens the lock at `path`. A file system that cannot be written has it all the same, if it was there.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let made = options().write(true).create(true).truncate(false).open(path);
    made.or_else(|why| options().read(true).open(path).map_err(|_| why))
}

/// Makes the directory, for its owner alone, and looks whether it is that.
#[cfg(windows)]
pub(super) fn make_private(dir: &Path) -> io::Result<()> {
    rights::make_private(dir)
}

/// Makes the directory, for its owner alone, and looks whether it is that.
#[cfg(unix)]
pub(super) fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(why) if !dir.is_dir() => return Err(why),
        _ => {}
    }
    let meta = fs::symlink_metadata(dir)?;
    let denied = |why: String| Err(io::Error::new(ErrorKind::PermissionDenied, why));
    if !meta.is_dir() {
        return denied("it is no directory".into());
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return denied(format!("it is owned by uid {}", meta.uid()));
    }
    if meta.mode() & 0o077 != 0 {
        return denied(format!(
            "it is open to others (mode {:03o}); `chmod 700 {}`",
            meta.mode() & 0o777,
            cloud_agent_protocol::shell::quoted(dir.display())
        ));
    }
    Ok(())
}

/// `NAME.SUFFIX` instead of `NAME.sealed`, say.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_extension(suffix)
}

/// A new file beside `path`, durable and not yet in its place.
fn anew(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let temporary = beside(path, "new");
    // Left by a crash: whoever has the account's turn is the only one who writes here.
    let _ = fs::remove_file(&temporary);
    step();
    let made = options().write(true).create_new(true).open(&temporary);
    // Its directory says the same, if it was made by an agent.
    #[cfg(windows)]
    let made = made.and_then(|file| rights::close(&temporary).map(|()| file));
    let written = made.and_then(|file| fill(file, bytes));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| temporary)
}

fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    step();
    fill(options().write(true).open(path)?, bytes)
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    // In two pieces where a crash in the middle is played.
    let (first, second) = bytes.split_at(if cfg!(test) { bytes.len() / 2 } else { 0 });
    step();
    file.write_all(first)?;
    step();
    file.write_all(second)?;
    step();
    file.sync_all()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step();
    fs::rename(from, to)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    step();
    #[cfg(unix)]
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    // A directory cannot be made durable there. The file can, with the entry that it has by now: the file system writes down
    // what happened in the order in which it did.
    #[cfg(windows)]
    match options().write(true).open(path) {
        Ok(file) => file.sync_all()?,
        Err(why) if why.kind() == ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // NONBLOCK: a pipe in a file's place must not hold the agent up before it is looked at.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(i32::try_from(flags.bits()).expect("open flags fit an int"));
    }
    // A link is not followed (`FILE_FLAG_OPEN_REPARSE_POINT`).
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, 0x0020_0000);
    options
}

/// A place where the agent may die, for the tests that let it die there.
fn step() {
    #[cfg(test)]
    deaths::step();
}

/// Deaths of the thread that writes: whatever is on the disk then is what a killed agent leaves.
#[cfg(test)]
pub(super) mod deaths {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Does `work` on this thread and dies before its `number`th step (from 0); whether it had as many.
    pub(in super::super) fn at(number: u32, work: impl FnOnce()) -> bool {
        STEPS.set(Some(number));
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
        STEPS.set(None);
        died
    }

    pub(super) fn step() {
        match STEPS.get() {
            Some(0) => std::panic::panic_any("the agent dies here"),
            Some(left) => STEPS.set(Some(left - 1)),
            None => {}
        }
    }
}
