//! The journal of hand-outs: who got which account's token, and when.
//!
//! It is written behind the answers: whoever hands out leaves a note in memory and goes on, and a thread writes what has
//! gathered half a second later. No disk can hold an answer up, and none that is full or cannot be written stops one.
//! What a killed agent had not written yet is lost; everything else that is missing later is named by `verify`.
//!
//! It knows processes and fingerprints. It does not know tokens, and nothing of how they are got.

mod entry;
mod native;
mod place;
mod read;
mod verify;
mod writer;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::Notify;

pub use entry::{Entry, Step};
pub use verify::Verdict;

use crate::cache::Label;
use crate::callers::Process;
use crate::clock::{Clock, Timestamp};
use crate::thread;
use place::Place;
use writer::Writer;

/// So long notes gather before they are written.
const GATHERS: Duration = Duration::from_millis(500);
/// So many notes wait at most. Those beyond are counted, and the next entry says how many there were.
const WAITING: usize = 8192;
/// Among so many of the latest notes the same caller's is looked for.
const LATEST: usize = 8;

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The credential was handed out.
    Given,
    /// It was not, for a reason of this kind.
    Failed(FaultKind),
    /// It was not: the user's policy, or the user who was asked, said no.
    Denied,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Failed(kind) => kind.word(),
            Self::Denied => "denied",
        }
    }
}

/// What somebody did, to be written down.
#[derive(Debug, Clone)]
struct Note {
    at: Timestamp,
    label: Label,
    who: Arc<Process>,
    outcome: Outcome,
    origin: Option<Arc<str>>,
    times: u32,
}

impl Note {
    fn is(&self, label: &Label, who: &Arc<Process>, outcome: Outcome, origin: Option<&Arc<str>>) -> bool {
        let same = Arc::ptr_eq(&self.who, who) && self.label.is(label);
        self.outcome == outcome && same && self.origin.as_ref() == origin
    }
}

#[derive(Debug, Default)]
struct Pending {
    notes: VecDeque<Note>,
    lost: u64,
    /// Whoever writes was told that there is something.
    told: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Journal {
    pending: Mutex<Pending>,
    more: Notify,
    /// Held by whoever writes, so that notes are written in their order.
    writer: tokio::sync::Mutex<Arc<Mutex<Writer>>>,
    place: Place,
    /// Where systemd's journal listens, if it is to be told, too.
    native: Mutex<Option<PathBuf>>,
    /// What is written cannot be written, and that was said.
    failing: Mutex<bool>,
}

impl Journal {
    /// The journal in the state directory `state`. Nothing is read or made until there is something to write.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        let place = Place::new(state);
        Self {
            pending: Mutex::default(),
            more: Notify::new(),
            writer: tokio::sync::Mutex::new(Arc::new(Mutex::new(Writer::new(place.clone())))),
            place,
            native: Mutex::default(),
            failing: Mutex::default(),
        }
    }

    /// Tells systemd's journal at `socket` from now on, too; or nobody.
    pub fn tell(&self, socket: Option<PathBuf>) {
        *self.native.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    /// Notes what came of a question for `label`. No system call, and no memory if the same was noted a moment ago.
    /// `at` is the time now, for what is new.
    pub fn note(
        &self,
        label: &Label,
        who: &Arc<Process>,
        outcome: Outcome,
        origin: Option<&Arc<str>>,
        at: impl FnOnce() -> Timestamp,
    ) {
        let mut pending = self.pending();
        let mut latest = pending.notes.iter_mut().rev().take(LATEST);
        if let Some(same) = latest.find(|known| known.is(label, who, outcome, origin)) {
            same.times = same.times.saturating_add(1);
            return;
        }
        if pending.notes.len() >= WAITING {
            pending.lost += 1;
            return;
        }
        let at = at();
        let note = Note { at, label: label.clone(), who: who.clone(), outcome, origin: origin.cloned(), times: 1 };
        pending.notes.push_back(note);
        let told = std::mem::replace(&mut pending.told, true);
        drop(pending);
        if !told {
            self.more.notify_one();
        }
    }

    /// Writes notes as they come, for as long as the agent lives, and says so each time. Nothing is armed while there are none.
    pub async fn keep(self: Arc<Self>, clock: Arc<dyn Clock>, written: impl Fn()) {
        loop {
            self.more.notified().await;
            clock.sleep(GATHERS).await;
            self.flush().await;
            written();
        }
    }

    /// Writes what is noted. What cannot be written stays noted, and is tried again with the next.
    pub async fn flush(&self) {
        let writer = self.writer.lock().await;
        let Pending { notes, lost, .. } = std::mem::take(&mut *self.pending());
        if notes.is_empty() {
            return;
        }
        let native = self.native.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shared = writer.clone();
        let kept = notes.clone();
        let written = thread::run("journal", move || write(&shared, &notes, lost, native.as_deref())).await;
        let failed = match written {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why.to_string()),
            Err(fault) => Some(fault.to_string()),
        };
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            None => *failing = false,
            Some(why) => {
                if !std::mem::replace(&mut *failing, true) {
                    tracing::warn!(
                        "the journal of hand-outs cannot be written; tokens are handed out all the same: {why}"
                    );
                }
                self.put_back(kept, lost);
            }
        }
    }

    /// Writes what is noted, for the last time: what cannot be written now is lost, and that is said.
    pub async fn close(&self) {
        self.flush().await;
        let pending = self.pending();
        let lost = pending.notes.len() as u64 + pending.lost;
        if lost > 0 {
            tracing::warn!("the last {lost} entries of the journal of hand-outs could not be written, and are lost");
        }
    }

    fn put_back(&self, notes: VecDeque<Note>, lost: u64) {
        let mut pending = self.pending();
        let room = WAITING.saturating_sub(pending.notes.len());
        let dropped = notes.len().saturating_sub(room);
        pending.lost += lost + dropped as u64;
        for note in notes.into_iter().skip(dropped).rev() {
            pending.notes.push_front(note);
        }
    }

    /// The entries after number `after`, the oldest first, as many as fit `room` bytes; only those of the token with that
    /// fingerprint, if one is given. Whether there are more.
    ///
    /// # Errors
    /// `Config` if the files cannot be read.
    pub async fn entries(
        &self,
        after: u64,
        fingerprint: Option<String>,
        room: usize,
    ) -> Result<(Vec<Entry>, bool), Fault> {
        self.flush().await;
        let place = self.place.clone();
        let read = thread::run("journal", move || read::entries(&place, after, fingerprint.as_deref(), room)).await?;
        read.map_err(|why| unreadable(&why))
    }

    /// Whether all entries are as they were written, and none is missing.
    ///
    /// # Errors
    /// `Config` if the files cannot be read.
    pub async fn verify(&self) -> Result<Verdict, Fault> {
        self.flush().await;
        let writer = self.writer.lock().await;
        let last = writer.lock().unwrap_or_else(PoisonError::into_inner).last();
        let place = self.place.clone();
        let verdict = thread::run("journal", move || verify::verify(&place, last.as_ref())).await?;
        verdict.map_err(|why| unreadable(&why))
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreadable(why: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Config, "the journal of hand-outs cannot be read").because(why.to_string())
}

fn write(writer: &Mutex<Writer>, notes: &VecDeque<Note>, lost: u64, native: Option<&Path>) -> std::io::Result<()> {
    let mut entries: Vec<Entry> = notes.iter().map(entry).collect();
    if let Some(first) = entries.first_mut() {
        first.lost = lost;
    }
    let hashes = writer.lock().unwrap_or_else(PoisonError::into_inner).append(&mut entries)?;
    if let Some(socket) = native {
        native::tell(socket, &entries, &hashes);
    }
    Ok(())
}

/// `n` and `prev` are the writer's to say.
fn entry(note: &Note) -> Entry {
    let chain = note.who.chain();
    let unit = chain.iter().find_map(|process| process.unit()).map(str::to_owned);
    Entry {
        n: 0,
        at: note.at.millis(),
        account: note.label.account().to_owned(),
        token: (note.outcome == Outcome::Given).then(|| note.label.fingerprint()).flatten(),
        outcome: note.outcome.word().to_owned(),
        times: note.times,
        origin: note.origin.as_deref().map(str::to_owned),
        caller: chain.into_iter().map(Step::of).collect(),
        unit,
        terminal: note.who.terminal.clone(),
        session: note.who.session,
        lost: 0,
        prev: String::new(),
    }
}

#[cfg(test)]
mod tests;
