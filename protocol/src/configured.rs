//! Files of configuration, our own and other programs', which may be anything: a pipe that nobody writes to, a device without an end,
//! a log that was linked there by mistake. Whoever reads one must not hang, nor run out of memory.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// The most that a file of configuration may have, in bytes. Those of people who keep everything in one have a hundredth of it.
const MOST: u64 = 4 * 1024 * 1024;

/// What is in the file at `path`.
///
/// # Errors
/// `InvalidInput` if it is no regular file, or longer than any configuration; else what the system says.
#[cold]
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let not = |what: &str| io::Error::new(ErrorKind::InvalidInput, what);
    let file = open(path)?;
    // Of what was opened, which nobody can exchange any more.
    if !file.metadata()?.is_file() {
        return Err(not("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(not("it is longer than 4 MiB"));
    }
    Ok(bytes)
}

/// The text in it.
///
/// # Errors
/// As [`read`], and `InvalidData` if it is no text.
#[cold]
pub fn text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not text (UTF-8)"))
}

/// Opens it, and waits for nobody: a pipe is there at once, with or without somebody at its other end.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;

        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    options.open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_read_and_what_is_none_or_has_no_end_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        File::create(path("huge")).unwrap().set_len(1 << 40).unwrap();
        fs::write(path("latin"), [0xe4]).unwrap();
        assert_eq!(text(&path("link")).unwrap(), "text");
        for (name, why) in [("zero", "regular"), ("pipe", "regular"), ("huge", "4 MiB"), ("latin", "UTF-8")] {
            assert!(text(&path(name)).unwrap_err().to_string().contains(why), "{name}");
        }
        assert_eq!(read(&path("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
