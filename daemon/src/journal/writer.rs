//! Appends to the journal, so that the chain stays whole whatever happens in between.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use super::entry::Entry;
use super::place::{FULL, Head, Place, lines};

/// Writes entries, and remembers the last so that nobody can take it back unseen.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) place: Place,
    /// The last entry that this agent wrote, and its hash.
    last: Option<(u64, String)>,
}

impl Writer {
    pub(super) fn new(place: Place) -> Self {
        Self { place, last: None }
    }

    /// The last entry that this agent wrote, and its hash.
    pub(super) fn last(&self) -> Option<(u64, String)> {
        self.last.clone()
    }

    /// Appends `entries`, numbering and chaining them; the hash of each. If it fails the files are as they were.
    pub(super) fn append(&mut self, entries: &mut [Entry]) -> io::Result<Vec<String>> {
        let _lock = self.place.lock()?;
        let mut file = self.place.append()?;
        let mut head = self.head(&mut file)?;
        if head.size >= FULL {
            self.place.rotate()?;
            file = self.place.append()?;
            head.size = 0;
            (head.base, head.base_hash) = self.base(&head)?;
        }
        let (mut text, mut hashes) = (String::new(), Vec::with_capacity(entries.len()));
        for entry in entries {
            entry.n = head.n + 1;
            entry.prev.clone_from(&head.hash);
            let (line, hash) = entry.seal();
            text.push_str(&line);
            text.push('\n');
            head.n = entry.n;
            head.hash.clone_from(&hash);
            hashes.push(hash);
        }
        if let Err(why) = file.write_all(text.as_bytes()) {
            // A disk that is full may have taken a half.
            let _ = file.set_len(head.size);
            return Err(why);
        }
        head.size += text.len() as u64;
        // The entries are what counts: a head that lags behind is made up for by the next writer.
        if let Err(why) = self.place.set_head(&head) {
            tracing::debug!("the head of the journal could not be written: {why}");
        }
        self.last = Some((head.n, head.hash));
        Ok(hashes)
    }

    /// Where the chain goes on. What was appended after the head was written is taken in; what a crash left of a line is cut.
    fn head(&self, file: &mut File) -> io::Result<Head> {
        let found = self.place.head()?;
        let is_new = found.is_none();
        let mut head = found.unwrap_or_default();
        let length = file.metadata()?.len();
        let mut tail = String::new();
        if length > head.size {
            let mut reader = std::fs::File::open(self.place.current())?;
            reader.seek(SeekFrom::Start(head.size))?;
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            tail = String::from_utf8_lossy(&bytes).into_owned();
        }
        let mut sound = head.size.min(length);
        for line in tail.split_inclusive('\n') {
            let Some(whole) = line.strip_suffix('\n') else {
                file.set_len(sound)?;
                break;
            };
            sound += line.len() as u64;
            // One that does not fit stays, and is named by whoever verifies.
            if let Ok((entry, hash)) = Entry::open(whole)
                && (is_new || entry.prev == head.hash)
            {
                (head.n, head.hash) = (entry.n, hash);
            }
        }
        head.size = sound;
        // Somebody put an older head back, or cut the files: the gap that this leaves is what names it.
        if let Some((n, hash)) = self.last.clone().filter(|(n, _)| *n > head.n) {
            (head.n, head.hash) = (n, hash);
        }
        Ok(head)
    }

    /// What stands before the first entry that is kept.
    fn base(&self, head: &Head) -> io::Result<(u64, String)> {
        let Some(oldest) = self.place.files().into_iter().next() else { return Ok((head.n, head.hash.clone())) };
        let first = lines(&oldest)?.next().transpose()?.and_then(|line| Entry::open(&line).ok());
        Ok(first.map_or_else(|| (head.base, head.base_hash.clone()), |(entry, _)| (entry.n - 1, entry.prev)))
    }
}
