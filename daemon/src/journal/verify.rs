//! Holds the journal against its own chain, and names what does not fit.

use std::io;

use super::entry::{Broken, Entry};
use super::place::{Head, Place, lines};

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries are sound.
    pub sound: u64,
    /// What is not, in the order of the entries.
    pub faults: Vec<String>,
}

/// After so many faults the rest is of no interest.
const MOST: usize = 100;

/// Goes through all entries. `last` is the last that the running agent wrote.
pub(super) fn verify(place: &Place, last: Option<&(u64, String)>) -> io::Result<Verdict> {
    let head = place.head()?;
    let mut walk = Walk::from(head.clone().unwrap_or_default());
    let files = place.files();
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (line, number) in lines(path)?.zip(1_u64..) {
            walk.line(&line?, &format!("`{name}`, line {number}"));
        }
    }
    if head.is_none() && !files.is_empty() {
        walk.fault(
            "the head of the journal is missing or damaged: whether entries are missing at its end is not known".into(),
        );
    }
    let ends = head.iter().map(|head| (head.n, &head.hash, "its head"));
    for (n, hash, who) in ends.chain(last.map(|(n, hash)| (*n, hash, "the running agent"))) {
        if walk.n < n {
            walk.fault(format!(
                "the journal ends with entry {}, and {who} knows entry {n}: its end was cut off",
                walk.n
            ));
            break;
        }
        if walk.n == n && walk.hash != *hash {
            walk.fault(format!("entry {n} is not the one that {who} knows: the journal was replaced"));
            break;
        }
    }
    let mut verdict = walk.verdict;
    verdict.faults.truncate(MOST);
    Ok(verdict)
}

/// The place in the chain.
struct Walk {
    n: u64,
    hash: String,
    verdict: Verdict,
}

impl Walk {
    fn from(head: Head) -> Self {
        Self { n: head.base, hash: head.base_hash, verdict: Verdict::default() }
    }

    fn fault(&mut self, words: String) {
        self.verdict.faults.push(words);
    }

    fn line(&mut self, line: &str, place: &str) {
        match Entry::open(line) {
            Ok((entry, hash)) => {
                if entry.n > self.n + 1 {
                    self.fault(match entry.n - self.n - 1 {
                        1 => format!("entry {} is missing ({place})", self.n + 1),
                        _ => format!("entries {} to {} are missing ({place})", self.n + 1, entry.n - 1),
                    });
                } else if entry.n <= self.n {
                    self.fault(format!("entry {} comes after entry {} ({place})", entry.n, self.n));
                } else if !self.hash.is_empty() && entry.prev != self.hash {
                    self.fault(format!(
                        "entry {} does not follow entry {}, one of them was replaced ({place})",
                        entry.n, self.n
                    ));
                } else {
                    self.verdict.sound += 1;
                }
                (self.n, self.hash) = (entry.n, hash);
            }
            Err(Broken::Seal(n)) => {
                self.fault(format!("entry {n} was changed ({place})"));
                // The next entry tells what this one was; what it holds now says nothing.
                self.broken();
            }
            Err(Broken::Form) => {
                self.fault(format!("entry {} was damaged ({place})", self.n + 1));
                self.broken();
            }
        }
    }

    /// Goes on behind an entry that cannot be believed: what the next one says of it is not held against it.
    fn broken(&mut self) {
        self.n += 1;
        self.hash.clear();
    }
}
