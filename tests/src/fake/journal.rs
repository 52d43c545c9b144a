//! What a server saw: every request, every secret, every breach of the cloud's rules.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Fault, Request};

/// Matches every path.
pub(super) const ANY: &str = "*";

/// What a server saw, and how it is to break.
#[derive(Debug, Default)]
pub struct Journal {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    requests: Vec<Request>,
    secrets: BTreeSet<String>,
    violations: Vec<String>,
    connections: u64,
    rules: Vec<Rule>,
    sent: u64,
    epoch: u64,
    stopping: bool,
}

#[derive(Debug)]
struct Rule {
    path: String,
    left: Option<u32>,
    fault: Fault,
}

impl Journal {
    /// Remembers a secret that was issued or received, so that a test can look for it where it must not be.
    pub fn secret(&self, value: &str) {
        // Shorter ones would be found by chance.
        if value.len() >= 6 {
            self.lock().secrets.insert(value.to_owned());
        }
    }

    /// Remembers a breach of the cloud's rules.
    pub fn violation(&self, what: impl Into<String>) {
        self.lock().violations.push(what.into());
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    pub(super) fn secrets(&self) -> BTreeSet<String> {
        self.lock().secrets.clone()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub(super) fn connections(&self) -> u64 {
        self.lock().connections
    }

    pub(super) fn sent(&self) -> u64 {
        self.lock().sent
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        self.lock().sent += bytes as u64;
    }

    pub(super) fn connected(&self) -> u64 {
        let mut inner = self.lock();
        inner.connections += 1;
        let number = inner.connections;
        drop(inner);
        self.changed.notify_all();
        number
    }

    /// Records a request, and says how to break, and since which clearing of the faults that holds.
    pub(super) fn record(&self, request: Request) -> Option<(Fault, u64)> {
        let mut inner = self.lock();
        let at = inner.rules.iter().position(|rule| rule.path == ANY || rule.path == request.path);
        let fault = at.map(|at| (inner.rules[at].fault.clone(), inner.epoch));
        if let Some(at) = at
            && let Some(left) = &mut inner.rules[at].left
        {
            *left -= 1;
            if *left == 0 {
                inner.rules.remove(at);
            }
        }
        inner.requests.push(request);
        drop(inner);
        self.changed.notify_all();
        fault
    }

    pub(super) fn add_rule(&self, path: &str, left: Option<u32>, fault: Fault) {
        if left != Some(0) {
            self.lock().rules.push(Rule { path: path.into(), left, fault });
        }
    }

    /// Forgets all faults, and lets go whoever hangs in one.
    pub(super) fn clear_rules(&self) {
        let mut inner = self.lock();
        inner.rules.clear();
        inner.epoch += 1;
        drop(inner);
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    pub(super) fn stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits, unless the faults were cleared since `epoch`, are cleared now, or the server ends.
    pub(super) fn pause(&self, epoch: u64, duration: Duration) {
        let inner = self.lock();
        let waiting = |inner: &mut Inner| !inner.stopping && inner.epoch == epoch;
        drop(self.changed.wait_timeout_while(inner, duration, waiting));
    }

    #[track_caller]
    pub(super) fn wait_for(&self, deadline: Duration, mut predicate: impl FnMut(&[Request]) -> bool) {
        let end = Instant::now() + deadline;
        let mut inner = self.lock();
        while !predicate(&inner.requests) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {deadline:?}; seen so far:{}", seen(&inner.requests));
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panics within a predicate must not turn every later message into "poisoned".
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen(requests: &[Request]) -> String {
    requests.iter().fold(String::new(), |mut text, request| {
        let _ = write!(text, "\n  {} {} on connection {}", request.method, request.path, request.connection);
        text
    })
}
