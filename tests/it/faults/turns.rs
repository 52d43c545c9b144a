//! Not everybody at once: deadlines that are five seconds long mean something only to an agent that gets to run.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many pairs do something at a time; any number may wait beside them.
const AT_A_TIME: u64 = 4;

/// Hands out turns in the order in which they are asked for.
#[derive(Debug, Default)]
pub(super) struct Turns {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    asked: u64,
    over: u64,
}

impl Turns {
    /// Waits for a turn, which is over when it is dropped.
    pub(super) fn take(&self) -> Turn<'_> {
        let mut counts = self.lock();
        let number = counts.asked;
        counts.asked += 1;
        let waits = |counts: &mut Counts| number >= counts.over + AT_A_TIME;
        drop(self.changed.wait_while(counts, waits).unwrap_or_else(PoisonError::into_inner));
        Turn(self)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().over += 1;
        self.0.changed.notify_all();
    }
}
