//! Work on a thread of its own, which is waited for only so long; it may outlive its use, and ends with the program.
//!
//! No channel: those of the standard library keep something for each thread, for which every start of the program, a warm
//! get's too, would pay a system call and a page.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What will have come of it.
pub(super) struct Aside<T>(Arc<(Mutex<Option<T>>, Condvar)>);

impl<T: Send + 'static> Aside<T> {
    /// Begins `work`.
    pub(super) fn begin(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let place = Arc::new((Mutex::new(None), Condvar::new()));
        let there = place.clone();
        thread::spawn(move || {
            let done = work();
            *there.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
            there.1.notify_one();
        });
        Self(place)
    }

    /// What has come of it, if that is known within `patience`.
    pub(super) fn wait(self, patience: Duration) -> Option<T> {
        let (place, told) = &*self.0;
        let place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = told.wait_timeout_while(place, patience, |place| place.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_time_is_had_and_what_hangs_is_not_waited_for() {
        assert_eq!(Aside::begin(|| 7).wait(Duration::from_mins(1)), Some(7));
        let held = Arc::new(Mutex::new(()));
        let guard = held.lock().unwrap();
        let there = held.clone();
        assert_eq!(Aside::begin(move || drop(there.lock())).wait(Duration::from_millis(1)), None);
        drop(guard);
    }
}
