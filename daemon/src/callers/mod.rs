//! Who asks: processes as the kernel shows them, and what started them.
//!
//! All of it is a label. The kernel's word binds a connection to a process id; which program that process runs may change
//! in the next moment, and whoever runs as the user can make any program say anything. So it serves to tell the human what
//! happened and to ask about it, and never to authenticate.
//!
//! Nothing here knows accounts, tokens or sockets.

mod process;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use process::Process;
pub(crate) use process::stat;

/// What was seen of a process holds for this long. Ids are given out in turn, so none comes again within it; a program that
/// is replaced by another within it is still told by its former name, which is why nothing is decided by this.
const HOLDS: Duration = Duration::from_secs(1);
/// So many of a chain may end right after the answer: the client, a shell, what a shell was started by.
const SHORT_LIVED: usize = 3;
/// So many are remembered: more than ask within that time on one desk.
const REMEMBERED: usize = 512;

/// The processes that asked lately. One that asks a thousand times in a second is looked at once.
#[derive(Debug, Default)]
pub struct Callers {
    seen: Mutex<HashMap<Role, (Arc<Process>, Duration)>>,
}

/// A process that was looked at as a parent may have become another program before it asks: `sh -c 'a; exec b'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Asking(u32),
    Above(u32),
}

impl Callers {
    /// The process `pid`, which asks on a connection that was there at the uptime `since`, and the next above it. `up` is the
    /// uptime now.
    ///
    /// A client, and the shell that it was the last line of, end within microseconds of the answer, and show no file any more.
    /// So these are looked at before it.
    pub fn asking(&self, pid: u32, since: Duration, up: Duration) -> Arc<Process> {
        let known = self.known(Role::Asking(pid), up).filter(|process| !process.is_younger_than(since));
        known.unwrap_or_else(|| {
            // Who passes its connection on and ends leaves its id to be used again.
            let found = Process::look(pid).filter(|process| !process.is_younger_than(since));
            let process = Arc::new(found.unwrap_or_else(|| Process::gone(pid)));
            self.remember(Role::Asking(pid), &process, up);
            self.climb(&process, up, SHORT_LIVED);
            process
        })
    }

    /// Looks at the rest of what started `process`, as far as can be seen, and at its unit: that need not hold an answer up.
    /// `up` is the uptime now, for whom there is something left to look at.
    pub fn trace(&self, process: &Arc<Process>, up: impl FnOnce() -> Duration) {
        process.trace_once(|| {
            self.climb(process, up(), process::LONGEST_CHAIN);
            // One that was too short-lived to be looked at again was in the unit of what started it.
            process.line().take(SHORT_LIVED).find(|process| process.find_unit().is_some());
        });
    }

    fn climb(&self, process: &Arc<Process>, up: Duration, height: usize) {
        let mut below = process.clone();
        for _ in 1..height {
            match below.above(|pid| self.above(pid, up)) {
                Some(parent) => below = parent,
                None => break,
            }
        }
    }

    fn above(&self, pid: u32, up: Duration) -> Option<Arc<Process>> {
        self.known(Role::Above(pid), up).or_else(|| {
            let process = Arc::new(Process::look(pid)?);
            self.remember(Role::Above(pid), &process, up);
            Some(process)
        })
    }

    fn known(&self, role: Role, up: Duration) -> Option<Arc<Process>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&role).filter(|(_, at)| up.saturating_sub(*at) < HOLDS).map(|(process, _)| process.clone())
    }

    fn remember(&self, role: Role, process: &Arc<Process>, up: Duration) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.retain(|_, (_, at)| up.saturating_sub(*at) < HOLDS);
        }
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(role, (process.clone(), up));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Later than anything has started.
    const EVER: Duration = Duration::from_hours(1 << 20);

    #[test]
    fn a_process_is_looked_at_once_in_a_while_and_its_chain_ends_at_the_first() {
        let callers = Callers::default();
        let first = callers.asking(std::process::id(), EVER, Duration::ZERO);
        assert!(Arc::ptr_eq(&first, &callers.asking(std::process::id(), EVER, HOLDS / 2)));
        let later = callers.asking(std::process::id(), EVER, HOLDS);
        assert!(!Arc::ptr_eq(&first, &later));
        assert!(first.chain().len() <= SHORT_LIVED, "nobody has looked further");
        callers.trace(&first, || Duration::ZERO);
        let chain = first.chain();
        assert_eq!(chain[1].pid, std::os::unix::process::parent_id());
        assert!(chain.iter().all(|process| process.pid != 0));
    }

    #[test]
    fn a_process_that_has_gone_is_a_label_all_the_same() {
        let callers = Callers::default();
        let gone = callers.asking(u32::MAX, EVER, Duration::ZERO);
        callers.trace(&gone, || Duration::ZERO);
        assert_eq!((gone.pid, gone.started, gone.name.as_str(), gone.chain().len()), (u32::MAX, 0, "exited", 1));
    }

    #[test]
    fn whoever_started_after_the_connection_was_made_did_not_make_it() {
        let callers = Callers::default();
        let other = callers.asking(std::process::id(), Duration::ZERO, Duration::ZERO);
        assert_eq!((other.name.as_str(), other.program.as_deref()), ("exited", None));
    }

    #[test]
    fn memory_is_bounded() {
        let callers = Callers::default();
        for pid in 0..5000 {
            callers.asking(u32::MAX - pid, EVER, Duration::ZERO);
        }
        assert!(callers.seen.lock().unwrap().len() <= REMEMBERED);
    }
}
