//! When something is due without anybody asking: renewal ahead of time, refresh tokens that die of idleness, and the end of
//! what is not to be held for longer.
//!
//! Nothing is renewed here. What is due is joined, as any caller does it. At most one timer is armed, for whatever is due
//! first, and none where nothing is: an agent that nobody asks sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::Broker;
use super::entry::{Entry, State};
use crate::clock::{Clock, Reading, Wait};

/// Renewals of one account that nobody waits for are at least this far apart, however short its tokens live.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// A cloud's refusal this soon after the machine woke up may be the network's doing, or the clock's: it is asked once more
/// before the human is bothered.
const JUST_AWAKE: Duration = Duration::from_secs(10);

/// For this long after the machine woke up, what was in use and ended in its sleep is renewed though nobody asks yet: whoever
/// opens the lid will, and the network may take some seconds to come back.
const CATCHING_UP: Duration = Duration::from_mins(2);

/// When to look again, and the bell for when that changes.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The uptime in milliseconds for which the timer is armed; [`NEVER`] if it is not.
    armed: AtomicU64,
    bell: Notify,
    /// The uptime in milliseconds at which the machine last woke up; [`NEVER`] if it has not slept.
    awoke: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Default for Schedule {
    fn default() -> Self {
        Self { armed: NEVER.into(), bell: Notify::new(), awoke: NEVER.into() }
    }
}

impl Schedule {
    /// Something is due at `up`, perhaps before all that was known of.
    fn bring_forward(&self, up: Duration) {
        if millis(up) < self.armed.load(Ordering::Relaxed) {
            self.bell.notify_one();
        }
    }
}

impl Broker {
    /// Renews what is due and forgets what is over, for ever.
    pub async fn keep_fresh(self: Arc<Self>) {
        // On the side: a vault may take its time.
        tokio::spawn({
            let broker = self.clone();
            async move { broker.look_for_idle().await }
        });
        let mut before = Reading::of(&*self.clock);
        loop {
            // Armed before the clocks are read: a jump in between is seen now, or ends the wait below.
            let jump = self.clock.jump();
            let now = Reading::of(&*self.clock);
            self.judge_clocks(&before, &now);
            before = now;
            self.look_for_ends();
            self.renew_due();
            let next = self.next_due();
            self.schedule.armed.store(next.map_or(NEVER, millis), Ordering::Relaxed);
            let alarm: Wait<'_> =
                next.map_or_else(|| Box::pin(std::future::pending()) as Wait<'_>, |up| self.clock.alarm(up));
            tokio::select! {
                () = alarm => {}
                () = jump => {}
                () = self.schedule.bell.notified() => {}
            }
        }
    }

    /// The cached credential was handed out.
    pub(super) fn use_up(&self, state: &mut State) {
        state.handed_out += 1;
        if !state.used {
            state.used = true;
            if let Some(up) = self.due_up(state) {
                self.schedule.bring_forward(up);
            }
        }
    }

    /// Somebody asks for an account.
    pub(super) fn asked(&self, state: &mut State) {
        if state.touch(&*self.clock) {
            self.look_again();
        }
    }

    /// Something about an account has changed that may bring a renewal forward, or its end.
    pub(super) fn reschedule(&self, entry: &Entry) {
        let state = entry.state();
        let end = state.term.as_ref().and_then(|term| term.up(&*self.clock));
        if let Some(up) = self.due_up(&state).into_iter().chain(end).min() {
            self.schedule.bring_forward(up);
        }
    }

    /// The uptime from which an account is to be renewed without anybody asking; `None` if it is to be left alone.
    pub(super) fn due_up(&self, state: &State) -> Option<Duration> {
        state.due_up(&*self.clock, self.awake_for().is_some_and(|awake| awake < CATCHING_UP))
    }

    /// If the machine has just woken up, for how long that still counts.
    pub(super) fn just_awake(&self) -> Option<Duration> {
        JUST_AWAKE.checked_sub(self.awake_for()?).filter(|left| !left.is_zero())
    }

    /// How long ago the machine woke up.
    pub(super) fn awake_for(&self) -> Option<Duration> {
        let awoke = Some(self.schedule.awoke.load(Ordering::Relaxed)).filter(|awoke| *awoke != NEVER)?;
        Some(self.clock.uptime().saturating_sub(Duration::from_millis(awoke)))
    }

    fn judge_clocks(&self, before: &Reading, now: &Reading) {
        let (woke, set) = (before.slept_until(now), before.set_until(now));
        if woke {
            tracing::info!("the machine has woken up");
            self.schedule.awoke.store(millis(self.clock.uptime()), Ordering::Relaxed);
        }
        if set {
            tracing::info!("the clock was set");
        }
        if !woke && !set {
            return;
        }
        for entry in self.every_entry() {
            let mut state = entry.state();
            state.forgive();
            if let Some(told) = state.cached.as_ref().and_then(|cached| cached.rejudged(&*self.clock)) {
                state.cached = Some(Arc::new(told));
            }
        }
    }

    fn renew_due(self: &Arc<Self>) {
        if self.lock.is_shut() || self.is_still() {
            return;
        }
        let now = self.clock.uptime();
        let due = |entry: Arc<Entry>| {
            let up = self.due_up(&entry.state())?;
            (up <= now).then_some((up, entry))
        };
        let mut due: Vec<_> = self.every_entry().into_iter().filter_map(due).collect();
        // Those that end first come first: after a long sleep, everything is due at once.
        due.sort_by_key(|(up, _)| *up);
        for (_, entry) in due {
            self.join(&entry);
        }
    }

    /// Looks for what is due, because that may have changed for every account.
    pub(super) fn look_again(&self) {
        self.schedule.bell.notify_one();
    }

    /// The uptime for which the timer is to be armed.
    pub(super) fn next_due(&self) -> Option<Duration> {
        if self.lock.is_shut() || self.is_still() {
            // Whoever opens it, or lets it move again, looks again.
            return None;
        }
        let renewal = self.every_entry().iter().filter_map(|entry| self.due_up(&entry.state())).min();
        renewal.into_iter().chain(self.next_end()).min()
    }

    pub(super) fn every_entry(&self) -> Vec<Arc<Entry>> {
        self.entries().values().cloned().collect()
    }
}

impl State {
    /// See [`Broker::due_up`]. `catching_up`: what has ended unseen counts as well.
    fn due_up(&self, clock: &dyn Clock, catching_up: bool) -> Option<Duration> {
        if self.flight.is_some() {
            // Whoever lands it looks again.
            return None;
        }
        let free = match &self.memo {
            None => Duration::ZERO,
            // What only the human can change is not tried again.
            Some(memo) => memo.unasked()?,
        };
        let cached = self.cached.as_ref().filter(|cached| self.used && (catching_up || !cached.is_expired(clock)));
        let ahead = cached.and_then(|cached| {
            let least = clock.uptime().saturating_sub(cached.age(clock)) + LEAST_GAP;
            Some(cached.due_up(clock)?.max(least))
        });
        let due = match (ahead, self.keep_alive_up) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other)?,
        };
        Some(due.max(free))
    }
}

fn millis(up: Duration) -> u64 {
    u64::try_from(up.as_millis()).unwrap_or(NEVER - 1)
}
