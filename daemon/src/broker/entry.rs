//! What the broker knows of one account.

use std::num::{NonZeroI64, NonZeroU32};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::{AccountName, Fault, FaultKind};
use tokio::sync::watch;

use super::hold::Unsaved;
use super::memo::{Memo, jitter};
use super::term::Term;
use crate::cache::Cached;
use crate::clock::Clock;

/// How a renewal ended; every waiter gets the same.
pub(super) type Outcome = Result<Arc<Cached>, Fault>;

/// A renewal under way, seen by those who wait for it.
pub(super) type Flight = watch::Receiver<Option<Outcome>>;

/// One account's place in the broker.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name, as it was first asked for.
    pub(super) name: AccountName,
    state: Mutex<State>,
    /// Held by whoever talks to the cloud for this account: a renewal, a login, a logout. Never two at once, because two
    /// refreshes with one single-use token revoke each other.
    pub(super) turn: tokio::sync::Mutex<()>,
    retired: AtomicBool,
    /// What is held of it is not to outlive the agent.
    ephemeral: AtomicBool,
    /// Somebody is trying to save what the vault would not take.
    pub(super) is_saving: AtomicBool,
}

/// The part that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) cached: Option<Arc<Cached>>,
    pub(super) flight: Option<Flight>,
    /// Boxed, because nearly always there is none.
    pub(super) memo: Option<Box<Memo>>,
    /// Failures in a row.
    pub(super) streak: u32,
    /// Counts credentials put here, so that a waiter can tell whether one came while it waited for its turn.
    pub(super) generation: u32,
    /// What a vault would not take; kept here until it does.
    pub(super) unsaved: Option<Box<Unsaved>>,
    /// The last renewal was held back because nothing could be saved and the token lived.
    pub(super) held_back: bool,
    /// Logins that succeeded.
    pub(super) logins: u32,
    /// What the last of them asked for, as a fingerprint.
    pub(super) login: Option<[u8; 16]>,
    /// The cached credential was handed out since it was obtained: there is somebody to renew it ahead of time for.
    pub(super) used: bool,
    /// How often a credential was handed out.
    pub(super) handed_out: u64,
    /// Renewals that succeeded, and that did not.
    pub(super) renewals: (u32, u32),
    /// The API refused the last token, and no other was obtained since.
    pub(super) rejected: bool,
    /// The cached credential was obtained because the API had refused the one before.
    pub(super) forced: bool,
    /// The age in seconds at which the API was seen to refuse a token whose end nobody tells.
    pub(super) learned: Option<NonZeroU32>,
    /// The uptime from which what is held has to be renewed so that it does not die of idleness.
    pub(super) keep_alive_up: Option<Duration>,
    /// When it was logged in, in seconds since the Unix epoch, if that is known.
    pub(super) logged_in: Option<NonZeroI64>,
    /// For how long it is held. Boxed, because most accounts have no limit.
    pub(super) term: Option<Box<Term>>,
}

impl Entry {
    pub(super) fn new(name: AccountName) -> Arc<Self> {
        Arc::new(Self {
            name,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            retired: AtomicBool::new(false),
            ephemeral: AtomicBool::new(false),
            is_saving: AtomicBool::new(false),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Changes are single assignments; a panic between two of them leaves a state that the next renewal puts right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing that is under way for this entry may be kept: the account was logged out.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        let mut state = self.state();
        state.cached = None;
        state.unsaved = None;
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Keeps what is held of it in memory only, or not.
    pub(super) fn set_ephemeral(&self, ephemeral: bool) {
        self.ephemeral.store(ephemeral, Ordering::Release);
    }

    pub(super) fn is_ephemeral(&self) -> bool {
        self.ephemeral.load(Ordering::Acquire)
    }

    /// Publishes a new credential and forgets past failures.
    pub(super) fn put(&self, cached: Arc<Cached>) {
        let mut state = self.state();
        state.cached = Some(cached);
        state.memo = None;
        state.streak = 0;
        state.held_back = false;
        state.generation = state.generation.wrapping_add(1);
        state.used = false;
        state.forced = std::mem::take(&mut state.rejected);
    }

    /// Remembers a failure; returns it with the time of the next try. That there is no such account is looked up each time: it may be
    /// set up at any moment, and no time makes it one.
    pub(super) fn fail(&self, fault: Fault, clock: &dyn Clock) -> Fault {
        if fault.kind == FaultKind::UnknownAccount {
            return fault;
        }
        let mut state = self.state();
        state.streak = state.streak.saturating_add(1);
        let memo = Memo::new(fault, state.streak, jitter(), clock);
        let fault = memo.fault().clone();
        state.memo = Some(Box::new(memo));
        fault
    }
}

impl State {
    /// A token that has not run out, however little is left of it.
    pub(super) fn living(&self, clock: &dyn Clock) -> Option<Arc<Cached>> {
        self.cached.clone().filter(|cached| !cached.is_expired(clock))
    }

    /// The remembered failure, while it stands. A renewal that was only held back is due once the token has run out.
    pub(super) fn standing(&self, clock: &dyn Clock) -> Option<&Fault> {
        if self.held_back && self.living(clock).is_none() {
            return None;
        }
        self.memo.as_ref()?.standing(clock)
    }

    /// Forgets what is held and cached here, because it may be held no longer.
    pub(super) fn let_go(&mut self) {
        self.cached = None;
        self.unsaved = None;
        self.keep_alive_up = None;
        // Something to try passphrases at, if a password was short.
        self.login = None;
    }

    /// Forgets a failure that may pass by itself: the network may be another one now.
    pub(super) fn forgive(&mut self) {
        if self.memo.as_ref().is_some_and(|memo| memo.unasked().is_some()) {
            self.memo = None;
            self.streak = 0;
        }
    }
}
