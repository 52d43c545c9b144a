//! Where the journal lies: a directory of its own in the state directory.
//!
//! `handouts` is written to, `handouts.1` … are what was full; `head` names the last entry and the first, so that a cut at
//! either end shows; `lock` is held by whoever writes, because two agents may share a state directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::NOTHING;

/// A file that has grown beyond this is full.
pub(super) const FULL: u64 = 512 * 1024;
/// So many full ones are kept: some ten thousand entries in all.
pub(super) const KEPT: usize = 4;
/// No entry is longer than this.
const LONGEST_LINE: u64 = 256 * 1024;

/// The ends of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The last entry.
    pub(super) n: u64,
    /// Its hash.
    pub(super) hash: String,
    /// How long `handouts` was when that was its last.
    pub(super) size: u64,
    /// The entry before the first that is kept.
    pub(super) base: u64,
    /// Its hash.
    pub(super) base_hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { n: 0, hash: NOTHING.into(), size: 0, base: 0, base_hash: NOTHING.into() }
    }
}

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(state: &Path) -> Self {
        Self(state.join("journal"))
    }

    pub(super) fn current(&self) -> PathBuf {
        self.0.join("handouts")
    }

    /// The `number`th full file, the youngest first.
    pub(super) fn full(&self, number: usize) -> PathBuf {
        self.0.join(format!("handouts.{number}"))
    }

    /// All files that there are, the oldest first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let full = (1..=KEPT).rev().map(|number| self.full(number));
        full.chain([self.current()]).filter(|path| path.exists()).collect()
    }

    /// Keeps other agents out until the file is dropped. The directory is made if need be.
    pub(super) fn lock(&self) -> io::Result<File> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)?;
        let lock = options().write(true).create(true).truncate(false).open(self.0.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// The head; `None` if there is none that can be read.
    pub(super) fn head(&self) -> io::Result<Option<Head>> {
        let text = read(&self.0.join("head"))?;
        Ok(serde_json::from_str(&text).ok())
    }

    /// Replaces the head: a reader sees the old one or the new one.
    pub(super) fn set_head(&self, head: &Head) -> io::Result<()> {
        use io::Write as _;

        let new = self.0.join("head.new");
        let mut file = options().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(serde_json::to_string(head).expect("texts and numbers are JSON").as_bytes())?;
        drop(file);
        fs::rename(&new, self.0.join("head"))
    }

    /// The file that is written to, for appending.
    pub(super) fn append(&self) -> io::Result<File> {
        options().append(true).create(true).open(self.current())
    }

    /// Makes room: the file that is written to becomes the youngest full one, and the oldest goes.
    pub(super) fn rotate(&self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            rename(&self.full(number), &self.full(number + 1))?;
        }
        rename(&self.current(), &self.full(1))
    }
}

/// The text of a file, or of none; what is not UTF-8 in it is replaced.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut file) = open(path)? {
        file.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines of a file, or of none, one at a time: what a look into the journal takes does not grow with it.
///
/// What is not UTF-8 is replaced, and breaks the seal of its line; so does the cut that a line longer than any of ours gets.
pub(super) fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let mut reader = open(path)?.map(BufReader::new);
    Ok(std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        match reader.as_mut()?.take(LONGEST_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => Some(Ok(String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned())),
            Err(why) => {
                reader = None;
                Some(Err(why))
            }
        }
    }))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match options().read(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn options() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // NONBLOCK: a pipe in a file's place must not hold the writer up for ever.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(i32::try_from(flags.bits()).expect("open flags fit an int"));
    }
    options
}
