//! Hands out credentials: from the cache, else by one renewal per account that all who ask wait for.
//!
//! The broker knows accounts, a cache, a vault and a provider. It does not know that there is a socket, nor any cloud's
//! name. Renewal ahead of time, on demand and after a rejection are all `Broker::join`: there is no second path.

mod act;
mod ahead;
mod bounds;
mod custody;
mod describe;
mod entry;
#[cfg(target_os = "linux")]
mod estate;
mod examine;
mod forget;
mod given;
mod hold;
mod holding;
mod human;
mod idle;
mod intent;
mod lifetime;
mod lock;
mod locking;
mod login;
mod logout;
mod measure;
mod memo;
mod notices;
mod place;
mod recover;
mod reject;
mod reload;
mod renew;
mod repeat;
mod serve;
mod spare;
mod still;
mod term;
mod together;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::account::MAX_ACCOUNT_NAME;
use cloud_agent_protocol::{AccountName, Fault, FaultKind};
use tokio::sync::{Notify, watch};

use crate::accounts::{Accounts, Limits};
use crate::cache::Cached;
use crate::clock::Clock;
use crate::cloud::Clouds;
use crate::metrics::Metrics;
use crate::notice::Herald;
use crate::provider::Provider;
use crate::tracker::Tracker;
use crate::vault::{Memory, Vault};
use ahead::Schedule;
use entry::{Entry, Outcome};
use lock::Lock;
use notices::Notices;
use repeat::Repeats;
use together::Together;

pub use describe::Surroundings;
#[cfg(target_os = "linux")]
pub(crate) use estate::vault_of;
pub use repeat::Caller;
pub(crate) use spare::Spare;

/// What a caller wants of a credential.
#[derive(Debug, Clone, Copy, Default)]
pub struct Need {
    /// How long it must live on; `None` for the default.
    pub min_valid: Option<Duration>,
    /// Renew even if a cached one serves.
    pub fresh: bool,
}

/// See the module.
pub struct Broker {
    clock: Arc<dyn Clock>,
    accounts: Accounts,
    clouds: Clouds,
    provider: Arc<dyn Provider>,
    vault: Arc<dyn Vault>,
    /// For logins that are not to outlive the agent.
    scratch: Memory,
    entries: Mutex<HashMap<Box<str>, Arc<Entry>>>,
    /// Who asked by address lately.
    repeats: Mutex<Repeats>,
    /// Renewals and logins under way, which a shutdown waits for: one of them may hold the only copy of a rotated secret.
    under_way: Tracker,
    schedule: Schedule,
    lock: Lock,
    /// No account is held for longer than this.
    at_most: OnceLock<Limits>,
    /// Rung when this agent has written its configuration.
    configured: Notify,
    /// Nothing is begun without a caller: another agent is about to take over.
    still: AtomicBool,
    metrics: Metrics,
    /// Who tells the human that they are needed.
    herald: OnceLock<Arc<dyn Herald>>,
    notices: Notices,
    /// Rung when somebody may have mended what callers wait for.
    mends: watch::Sender<()>,
    /// The questions of logins that are open.
    together: Together,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broker({} accounts asked for)", self.entries().len())
    }
}

impl Broker {
    /// A broker with nothing cached.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        accounts: Accounts,
        clouds: Clouds,
        provider: Arc<dyn Provider>,
        vault: Arc<dyn Vault>,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            accounts,
            clouds,
            provider,
            vault,
            scratch: Memory::default(),
            entries: Mutex::default(),
            repeats: Mutex::default(),
            under_way: Tracker::default(),
            schedule: Schedule::default(),
            lock: Lock::default(),
            at_most: OnceLock::new(),
            configured: Notify::new(),
            still: AtomicBool::new(false),
            metrics: Metrics::default(),
            herald: OnceLock::new(),
            notices: Notices::default(),
            mends: watch::Sender::new(()),
            together: Together::default(),
        })
    }

    /// The cached credential, if it serves and nothing needs doing: the warm path. No await, no disk, no network.
    #[must_use]
    pub fn warm(&self, account: &str, need: Need) -> Option<Arc<Cached>> {
        if need.fresh {
            return None;
        }
        let entry = self.held(account)?;
        let mut state = entry.state();
        let cached = state.cached.clone()?;
        if !cached.is_warm(need.min_valid, &*self.clock) {
            return None;
        }
        // Before any timer has noticed: the machine may have slept.
        if state.ended(&*self.clock).is_some() {
            return None;
        }
        self.asked(&mut state);
        self.metrics.lookup(true);
        self.use_up(&mut state);
        Some(cached)
    }

    /// The account's credential, renewed if need be, within `deadline`.
    ///
    /// A caller that goes away cancels nothing. A token that still lives is handed out through any failure to renew it,
    /// unless the caller insists on a fresh one.
    ///
    /// # Errors
    /// `UnknownAccount`, `UnknownCloud` and `Config`; `NeedsHuman` if only a login helps; `Refused`, `Unreachable` and
    /// `MalformedReply` from the cloud; `Unreachable` if it took too long.
    pub async fn get(self: &Arc<Self>, account: &str, need: Need, deadline: Duration) -> Result<Arc<Cached>, Fault> {
        let name = AccountName::parse(account)?;
        let cached = self.obtain(&name, need, deadline).await;
        if let Err(fault) = &cached {
            self.call_human(&name.key(), fault);
        }
        cached
    }

    async fn obtain(
        self: &Arc<Self>,
        name: &AccountName,
        need: Need,
        deadline: Duration,
    ) -> Result<Arc<Cached>, Fault> {
        self.lock.refuse()?;
        let entry = self.entry(name).map_err(|fault| self.or_set_up(name, fault))?;
        {
            let mut state = entry.state();
            if let Some(end) = state.ended(&*self.clock) {
                self.look_again();
                return Err(end.fault(&entry.name));
            }
            self.asked(&mut state);
            let serving = state.cached.clone().filter(|c| !need.fresh && c.serves(need.min_valid, &*self.clock));
            self.metrics.lookup(serving.is_some());
            if let Some(cached) = serving {
                self.use_up(&mut state);
                let renew_ahead = cached.is_due(&*self.clock) && state.standing(&*self.clock).is_none();
                drop(state);
                if renew_ahead {
                    self.join(&entry);
                }
                return Ok(cached);
            }
            if let Some(fault) = state.standing(&*self.clock).cloned() {
                let living = state.living(&*self.clock).filter(|_| !need.fresh).ok_or(fault)?;
                state.handed_out += 1;
                return Ok(living);
            }
        }
        let outcome = self.landing(&entry, deadline).await;
        // It may have been locked while this waited.
        self.lock.refuse()?;
        let mut state = entry.state();
        if let Some(end) = state.ended(&*self.clock) {
            return Err(end.fault(&entry.name));
        }
        let cached = outcome.or_else(|fault| state.living(&*self.clock).filter(|_| !need.fresh).ok_or(fault))?;
        self.use_up(&mut state);
        Ok(cached)
    }

    /// What the account's renewal comes to, which is started if there is none, within `deadline`.
    async fn landing(self: &Arc<Self>, entry: &Arc<Entry>, deadline: Duration) -> Outcome {
        let mut flight = self.join(entry);
        match tokio::time::timeout(deadline, flight.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(lost(&entry.name))),
            Ok(Err(_)) => Err(lost(&entry.name)),
            Err(_) => Err(Fault::new(FaultKind::Unreachable, format!("`{}` could not be renewed in time", entry.name))
                .because(format!("the cloud has not answered within {} s; the renewal goes on", deadline.as_secs_f32()))
                .hint("try again in a moment, or with a longer `--timeout`")),
        }
    }

    /// Waits until nothing is under way at any cloud, at most `patience`, and all that is held is saved. Whether it came
    /// to that.
    pub async fn settle(&self, patience: Duration) -> bool {
        let idle = tokio::time::timeout(patience, self.under_way.idle()).await.is_ok();
        self.write_marks().await;
        self.save_all().await && idle
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held of the account that is called `account`, in whatever case. Every hand-out comes by here, so nothing is
    /// allocated for it.
    fn held(&self, account: &str) -> Option<Arc<Entry>> {
        let mut key = [0; MAX_ACCOUNT_NAME];
        let key = key.get_mut(..account.len())?;
        key.copy_from_slice(account.as_bytes());
        key.make_ascii_lowercase();
        self.entries().get(std::str::from_utf8(key).ok()?).cloned()
    }

    /// The account's entry, made if the account exists.
    fn entry(&self, name: &AccountName) -> Result<Arc<Entry>, Fault> {
        if let Some(entry) = self.held(name.as_str()) {
            return Ok(entry);
        }
        let stored = self.accounts.find(name)?;
        Ok(self.entries().entry(name.key().into()).or_insert_with(|| Entry::new(stored.name)).clone())
    }
}

fn lost(name: &AccountName) -> Fault {
    Fault::new(FaultKind::Internal, format!("the renewal of `{name}` ended without a result"))
        .hint("this is a defect: the agent's log says more; `cloud-token restart` starts it anew")
}

#[cfg(test)]
mod tests;
