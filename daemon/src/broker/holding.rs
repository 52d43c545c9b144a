//! Forgetting what was held for as long as it may be: in memory, and in the vault.
//!
//! The cloud is not told: it may be out of reach at that moment, and another machine may share the session. `logout` tells
//! it. No end depends on a timer alone. From that moment on whoever asks is refused, and whoever reads a vault looks at what
//! is written there: the machine may have slept, or no agent may have run.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::Fault;
use cloud_agent_protocol::v1::Holding;

use super::Broker;
use super::bounds::{Bounds, By, End};
use super::entry::Entry;
use super::hold::Hold;
use super::term::{Marks, Term};
use crate::accounts::{Limits, Stored};
use crate::clock::Timestamp;
use crate::hardening;
use crate::provider::Held;
use crate::vault::Vault as _;

/// What could not be erased is tried again after this. Nothing of it is used meanwhile.
const PAUSE: Duration = Duration::from_mins(1);

/// How long a vault is given at the agent's end to be told who was asked for last, for all accounts together.
const LAST_MARKS: Duration = Duration::from_secs(2);

impl Broker {
    /// From now on no account is held for longer than this, whatever it says itself. The first word counts.
    pub fn hold_at_most(&self, limits: Limits) {
        let _ = self.at_most.set(limits);
    }

    /// What the agent was started with.
    fn at_most(&self) -> Limits {
        self.at_most.get().copied().unwrap_or_default()
    }

    /// What limits an account.
    pub(super) fn bounds(&self, stored: &Stored, entry: Option<&Entry>) -> Option<Bounds> {
        let by = if entry.is_some_and(Entry::is_ephemeral) { By::Login } else { By::File };
        Bounds::shortest(&[(stored.limits, by), (self.accounts.limits(), By::File), (self.at_most(), By::Agent)])
    }

    /// What limits every account.
    pub(super) fn bounds_of_all(&self) -> Option<Bounds> {
        Bounds::shortest(&[(self.accounts.limits(), By::File), (self.at_most(), By::Agent)])
    }

    /// Sets the limits that the file says by now.
    pub(super) fn limit_again(&self) {
        for entry in self.every_entry() {
            if let Ok(stored) = self.accounts.find(&entry.name) {
                let bounds = self.bounds(&stored, Some(&entry));
                let mut state = entry.state();
                // Of what was never held, there is nothing to forget.
                if state.logged_in.is_some() || state.term.is_some() {
                    state.limit(bounds, &*self.clock);
                }
            }
        }
        self.look_again();
    }

    /// Takes over what is written beside what is held, and sets the limits that the account has by now: its file may have been
    /// edited.
    ///
    /// # Errors
    /// `NeedsHuman` if one is reached: what is held is not used any more.
    pub(super) fn refuse_ended(&self, entry: &Entry, marks: Marks) -> Result<(), Fault> {
        let bounds = self.accounts.find(&entry.name).map(|stored| self.bounds(&stored, Some(entry)));
        let mut state = entry.state();
        // An account that cannot be found says nothing: what it said before stands.
        if let Ok(bounds) = bounds {
            state.limit(bounds, &*self.clock);
        }
        state.adopt_marks(marks, &*self.clock);
        let Some(term) = &state.term else { return Ok(()) };
        let ended = term.ended(&*self.clock);
        if ended.is_some() || term.wants_mark() {
            self.look_again();
        }
        ended.map_or(Ok(()), |end| Err(end.fault(&entry.name)))
    }

    /// For how long an account is held, and since when, as far as this agent or the vault's record knows.
    pub(super) fn term_of(
        &self,
        stored: &Stored,
        entry: Option<&Entry>,
        held: Option<&Held>,
    ) -> (Option<Timestamp>, Option<Term>) {
        let marks = held.map(Marks::of).unwrap_or_default();
        let bounds = self.bounds(stored, entry);
        let Some(entry) = entry else {
            return (marks.since(), bounds.map(|bounds| Term::written(bounds, marks, &*self.clock)));
        };
        let mut state = entry.state();
        let before = state.term.clone();
        state.limit(bounds.filter(|_| held.is_some() || before.is_some()), &*self.clock);
        state.adopt_marks(marks, &*self.clock);
        if state.term != before {
            // The file was edited, or another agent knows more.
            self.look_again();
        }
        let since = state.logged_in.map(|since| Timestamp::from_seconds(since.get()));
        (since, state.term.as_deref().cloned())
    }

    /// Where what is held of an account rests, in a word.
    pub(super) fn place_of(&self, entry: &Entry) -> &'static str {
        // What a vault would not take is where ephemeral logins are.
        if entry.state().unsaved.is_some() { self.scratch.kind() } else { self.vault_of(entry).kind() }
    }

    /// The same for `status`, with the moments.
    pub(super) fn holding(&self, place: &str, since: Option<Timestamp>, term: Option<&Term>) -> Holding {
        let end = term.and_then(|term| term.end(&*self.clock));
        Holding {
            place: place.to_owned(),
            since: since.map(Timestamp::seconds),
            until: end.map(|end| self.clock.now().after(end.left).seconds()),
            by: end.map(|end| end.setting.to_owned()).unwrap_or_default(),
        }
    }

    /// The uptime at which the first account ends.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.every_entry().iter().filter_map(|entry| entry.state().term.as_ref()?.up(&*self.clock)).min()
    }

    /// Begins to forget what was held for as long as it may be, and to write down who was asked for.
    pub(super) fn look_for_ends(self: &Arc<Self>) {
        if self.lock.is_shut() || self.is_still() {
            return;
        }
        let now = self.clock.uptime();
        for entry in self.every_entry() {
            let mut state = entry.state();
            let Some(term) = &mut state.term else { continue };
            match term.ended(&*self.clock) {
                Some(end) if !term.ending && term.again_up <= now => {
                    term.ending = true;
                    state.cached = None;
                    drop(state);
                    entry.fail(end.fault(&entry.name), &*self.clock);
                    let (broker, tracked) = (self.clone(), self.under_way.track());
                    tokio::spawn(async move {
                        broker.end(&entry).await;
                        drop(tracked);
                    });
                }
                None if term.wants_mark() => {
                    term.mark();
                    drop(state);
                    let (broker, tracked) = (self.clone(), self.under_way.track());
                    tokio::spawn(async move {
                        broker.write_mark(&entry).await;
                        drop(tracked);
                    });
                }
                _ => {}
            }
        }
    }

    async fn end(&self, entry: &Entry) {
        let again_up = match self.let_go(entry).await {
            Ok(Some(end)) => {
                tracing::info!(account = %entry.name, "forgotten: {}", end.fault(&entry.name));
                return;
            }
            Ok(None) => {
                entry.state().memo = None;
                Duration::ZERO
            }
            // Whoever unlocks it looks again.
            Err(_) if self.lock.is_shut() => Duration::ZERO,
            Err(fault) => {
                tracing::error!(account = %entry.name, "it is held no longer, but could not be erased: {fault}");
                self.clock.uptime() + PAUSE
            }
        };
        if let Some(term) = &mut entry.state().term {
            term.ending = false;
            term.again_up = again_up;
        }
        self.look_again();
    }

    /// Forgets an account whose time is over, in its turn; `None` if it is not, because somebody has logged in or asked
    /// meanwhile, here or at another agent.
    async fn let_go(&self, entry: &Entry) -> Result<Option<End>, Fault> {
        let _turn = self.turn(entry).await?;
        let (key, vault) = (entry.name.key(), self.vault_of(entry));
        if let Some(record) = vault.load(&key).await? {
            entry.state().adopt_marks(Marks::of(&record.held), &*self.clock);
        }
        let end = entry.state().ended(&*self.clock);
        // After a logout, what is there is another login's.
        let Some(end) = end.filter(|_| !entry.is_retired()) else { return Ok(None) };
        entry.state().let_go();
        vault.erase(&key).await?;
        if let Some(term) = &mut entry.state().term {
            term.forget(end);
        }
        hardening::wipe_stack();
        Ok(Some(end))
    }

    /// Writes down when somebody last asked, so that another agent knows it after a crash. What a renewal has left in doubt
    /// stays as it is: the next one writes it.
    async fn write_mark(&self, entry: &Entry) {
        let written = async {
            let _turn = self.turn(entry).await?;
            if entry.is_retired() || entry.state().unsaved.is_some() {
                return Ok(());
            }
            let Some(record) = self.vault_of(entry).load(&entry.name.key()).await? else { return Ok(()) };
            let account = self.resolve(&self.accounts.find(&entry.name)?)?;
            let hold = Hold::from(record);
            if hold.intent.is_none() {
                let hold = hold.unbound(entry, &account, &*self.clock)?;
                entry.state().adopt_marks(hold.marks, &*self.clock);
                self.save(entry, &account, hold.held, hold.generation).await;
            }
            Ok::<_, Fault>(())
        };
        if let Err(fault) = written.await {
            tracing::debug!(account = %entry.name, "that somebody asked for it is not written down: {fault}");
        }
    }

    /// Writes down for every account when somebody last asked, because this agent ends.
    pub(super) async fn write_marks(&self) {
        let unmarked = |entry: &Arc<Entry>| entry.state().term.as_ref().is_some_and(|term| term.is_unmarked());
        let marks = async {
            for entry in self.every_entry().iter().filter(|entry| unmarked(entry)) {
                self.write_mark(entry).await;
            }
        };
        let _ = tokio::time::timeout(LAST_MARKS, marks).await;
    }
}
