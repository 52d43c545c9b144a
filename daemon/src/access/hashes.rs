//! The SHA-256 of programs, reckoned once for each file as it is.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::thread;

/// So many are remembered.
const REMEMBERED: usize = 64;
/// A larger program is not looked at: it would take longer than a caller waits.
const LARGEST: u64 = 1 << 30;

/// What tells one state of a file from another: device, inode, size, times of its contents and of itself.
type State = (u64, u64, u64, Option<SystemTime>, i64);

/// Hashes by state.
#[derive(Debug, Default)]
pub(super) struct Hashes(Mutex<HashMap<State, String>>);

impl Hashes {
    /// That of the file that process `pid` runs, whatever lies at its path by now; `None` if it cannot be read. Reckoned on a
    /// thread of its own: a program of a hundred megabytes takes its time, and nobody else waits for it.
    pub(super) async fn of(&self, pid: u32) -> Option<String> {
        let file = File::open(format!("/proc/{pid}/exe")).ok()?;
        let state = state(&file)?;
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&state) {
            return Some(known.clone());
        }
        let hash = thread::run("hash", move || hash(file)).await.ok()?.ok()?;
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= REMEMBERED {
            hashes.clear();
        }
        hashes.insert(state, hash.clone());
        Some(hash)
    }
}

fn state(file: &File) -> Option<State> {
    let meta = file.metadata().ok().filter(|meta| meta.len() <= LARGEST)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some((meta.dev(), meta.ino(), meta.len(), meta.modified().ok(), meta.ctime_nsec() ^ (meta.ctime() << 30)))
    }
    #[cfg(not(unix))]
    Some((0, 0, meta.len(), meta.modified().ok(), 0))
}

fn hash(mut file: File) -> io::Result<String> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
