//! Refresh tokens that die of idleness: when the next renewal has to be, kept with what is held, so that an agent that is
//! started anew knows it without anybody asking.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::{AccountName, Secret};

use super::Broker;
use super::entry::State;
use crate::clock::{Clock, Timestamp};
use crate::provider::Held;

/// The name under which the moment lies beside what is held. No cloud file can name it: names begin with a letter.
const RENEW_BY: &str = "@renew-by";

/// A renewal that failed is tried again after this: it has half of an idle life to succeed in.
const PAUSE: Duration = Duration::from_mins(10);

impl State {
    /// What is held lives on for `idle` from the uptime `up` on, if nobody uses it; `None` if it does not matter.
    pub(super) fn lives_idle(&mut self, idle: Option<Duration>, up: Duration) {
        self.keep_alive_up = idle.map(|idle| up + idle / 2);
    }

    /// A renewal has failed at the uptime `now`: if it was to keep something alive, there is time until the next.
    pub(super) fn keep_alive_later(&mut self, now: Duration) {
        if self.keep_alive_up.is_some_and(|up| up <= now) {
            self.keep_alive_up = Some(now + PAUSE);
        }
    }
}

/// Puts the moment beside what is held. By the wall clock, because no other goes on when the machine is off.
pub(super) fn write(state: &State, clock: &dyn Clock, held: &mut Held) {
    if let Some(up) = state.keep_alive_up {
        let moment = clock.now().after(up.saturating_sub(clock.uptime()));
        held.0.insert(RENEW_BY.to_owned(), Secret::new(moment.seconds().to_string()));
    }
}

/// Takes it out again. What this agent knows itself counts more.
pub(super) fn read(state: &mut State, clock: &dyn Clock, held: &mut Held) {
    let Some(moment) = held.0.remove(RENEW_BY).and_then(|moment| moment.expose().parse().ok()) else { return };
    let left = Timestamp::from_seconds(moment).since(clock.now());
    state.keep_alive_up.get_or_insert(clock.uptime() + left);
}

impl Broker {
    /// Looks through the vault for what would die of idleness, unless looking is something that a person notices.
    pub(super) async fn look_for_idle(self: &Arc<Self>) {
        if self.vault.ready().is_err() || !self.vault.is_quiet() {
            return;
        }
        for key in self.vault.accounts().await.unwrap_or_default() {
            // What is held of an account that is not set up (any more) is left alone.
            let Ok(entry) = AccountName::parse(&key).and_then(|name| self.entry(&name)) else { continue };
            let Ok(account) = self.accounts.find(&entry.name).and_then(|stored| self.resolve(&stored)) else {
                continue;
            };
            if let Err(fault) = self.held_of(&entry, &account).await {
                tracing::debug!(account = %entry.name, "not looked at: {fault}");
            }
            self.reschedule(&entry);
        }
    }
}
