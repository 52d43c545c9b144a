//! The one renewal path, and the single flight around it.

use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind};
use tokio::sync::watch;

use super::entry::{Entry, Flight, Outcome};
use super::hold::Keeper;
use super::memo::jitter;
use super::recover::Trials;
use super::{Broker, lifetime};
use crate::accounts::Stored;
use crate::cache::Cached;
use crate::provider::{Account, Grant};

impl Broker {
    /// Joins the account's renewal, starting it if there is none. It runs in a task of the agent's own, so that nobody
    /// who waits for it can cancel it: between the cloud's answer and the vault it holds the only copy of a rotated secret.
    pub(super) fn join(self: &Arc<Self>, entry: &Arc<Entry>) -> Flight {
        let mut state = entry.state();
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        let (landed, flight) = watch::channel(None);
        state.flight = Some(flight.clone());
        let generation = state.generation;
        drop(state);
        let (broker, entry, tracked) = (self.clone(), entry.clone(), self.under_way.track());
        tokio::spawn(async move {
            // Clears the flight even if the renewal panics; waiters then see the channel close.
            let landing = Landing(entry.clone());
            let up = broker.clock.uptime();
            let used = entry.state().used;
            let outcome = broker.renew(&entry, generation).await;
            broker.count_renewal(&entry, &outcome, up);
            drop(landing);
            broker.save_later(&entry);
            // Whoever used it would find out when the token has ended; of an account that nobody uses nobody needs to hear.
            if let Some(fault) = outcome.as_ref().err().filter(|_| used) {
                broker.call_human(&entry.name.key(), fault);
            }
            let _ = landed.send(Some(outcome));
            broker.reschedule(&entry);
            drop(tracked);
        });
        flight
    }

    async fn renew(&self, entry: &Entry, generation: u32) -> Outcome {
        let _turn = match self.turn(entry).await {
            Ok(turn) => turn,
            Err(fault) => return Err(entry.fail(fault, &*self.clock)),
        };
        {
            // A login may have finished while this waited for its turn.
            let state = entry.state();
            if let Some(cached) = state.cached.clone().filter(|_| state.generation != generation) {
                return Ok(cached);
            }
        }
        match self.renew_now(entry).await {
            Ok(cached) => {
                tracing::info!(account = %entry.name, fingerprint = cached.fingerprint().as_deref(), "renewed");
                Ok(cached)
            }
            Err(fault) => {
                tracing::warn!(account = %entry.name, "not renewed: {fault}");
                entry.state().keep_alive_later(self.clock.uptime());
                Err(entry.fail(self.soften(entry, fault), &*self.clock))
            }
        }
    }

    /// A refusal right after the machine woke up is no refusal yet: what answered may have been a captive portal, or a cloud
    /// that thinks little of our clock.
    fn soften(&self, entry: &Entry, fault: Fault) -> Fault {
        let permanent = matches!(fault.kind, FaultKind::Refused | FaultKind::NeedsHuman);
        // What is held no longer is none of the network's doing.
        let permanent = permanent && entry.state().ended(&*self.clock).is_none();
        let Some(left) = self.just_awake().filter(|_| permanent) else { return fault };
        let mut soft = Fault::new(
            FaultKind::Unreachable,
            format!("`{}` could not be renewed right after the machine woke up", entry.name),
        );
        soft.causes = std::iter::once(fault.message).chain(fault.causes).collect();
        // Once more, and not before it would count.
        soft.retry_at(self.clock.now().after(left).seconds() + 1)
            .hint("it is tried again in a moment; `cloud-token status` says when")
    }

    async fn renew_now(&self, entry: &Entry) -> Outcome {
        self.read_configuration_again();
        let stored = self.accounts.find(&entry.name)?;
        let account = self.resolve(&stored)?;
        let mut trials = Trials::default();
        loop {
            let hold = self.undisturbed(entry, &account).await?.ok_or_else(|| not_logged_in(entry))?;
            trials.begin(&hold);
            let up = self.clock.uptime();
            let keeper = Keeper::new(self, entry, &account, &hold);
            let grant = match self.provider.renew(&account, &hold.held, &keeper).await {
                Ok(grant) => grant,
                Err(fault) => {
                    trials.judge(fault, &keeper, up).await?;
                    continue;
                }
            };
            let cached = self.keep(entry, &account, grant, up, keeper.generation()).await?;
            // Only now: what came with it may be the one refresh token that the cloud still takes.
            if cached.is_expired(&*self.clock) {
                return Err(over(&account));
            }
            entry.put(cached.clone());
            self.mended(&entry.name.key());
            return Ok(cached);
        }
    }

    /// Makes a grant durable. Whoever calls this publishes it after: an answer that is out while the rotated secret is not yet
    /// safe is a session lost at the next crash.
    pub(super) async fn keep(
        &self,
        entry: &Entry,
        account: &Account,
        grant: Grant,
        up: std::time::Duration,
        follows: Option<u64>,
    ) -> Outcome {
        refuse_retired(entry)?;
        let mut grant = grant;
        lifetime::apply(entry.state().learned, &mut grant);
        let cached = Arc::new(Cached::new(&entry.name, &grant, up, jitter())?);
        entry.state().lives_idle(grant.idle_life, up);
        self.save(entry, account, grant.held, follows).await;
        Ok(cached)
    }

    /// The account with all that its cloud's description adds.
    pub(super) fn resolve(&self, stored: &Stored) -> Result<Account, Fault> {
        let cloud = self.clouds.get(&stored.cloud)?;
        if !cloud.methods.iter().any(|method| method.name == stored.method) {
            return Err(Fault::new(
                FaultKind::Config,
                format!("account `{}` names a method that `{}` does not have", stored.name, cloud.name),
            )
            .because(format!("`{}`", stored.method))
            .hint(format!("`cloud-token login {}`", stored.name)));
        }
        let mut origins = std::collections::BTreeMap::new();
        for origin in &cloud.origins {
            let given = if origin.name.is_empty() { stored.url.as_ref() } else { stored.urls.get(&origin.name) };
            let url = given.or(origin.default.as_ref()).ok_or_else(|| {
                Fault::new(FaultKind::Config, format!("account `{}` has no address", stored.name))
                    .because(origin.prompt.clone())
                    .hint(format!("`cloud-token login {} --url URL`", stored.name))
            })?;
            // Judged again at every use: the file may have been edited by hand.
            let address = origin.address(url, stored.allow_plaintext);
            origins.insert(origin.name.clone(), address.map_err(|fault| fault.of_account(stored.name.as_str()))?);
        }
        Ok(Account {
            name: stored.name.clone(),
            method: stored.method.clone(),
            origins,
            settings: stored.set.to_map(),
            allow_plaintext: stored.allow_plaintext,
            ca_file: stored.ca_file.clone(),
            lifetime: stored.lifetime,
            cloud,
        })
    }
}

fn not_logged_in(entry: &Entry) -> Fault {
    Fault::new(FaultKind::NeedsHuman, format!("`{}` is not logged in", entry.name))
        .because("the agent holds nothing to get a token with")
        .hint(format!("`cloud-token login {}`", entry.name))
}

/// To hand such a token out would be a lie, and to renew it at every call a flood.
fn over(account: &Account) -> Fault {
    let message = format!("`{}` issued a token for `{}` that had ended already", account.cloud.title, account.name);
    Fault::new(FaultKind::MalformedReply, message).hint("is the clock of this machine right? `date` shows it")
}

/// Nothing is kept of an account that was logged out meanwhile.
pub(super) fn refuse_retired(entry: &Entry) -> Result<(), Fault> {
    if entry.is_retired() {
        return Err(Fault::new(FaultKind::NeedsHuman, format!("`{}` was logged out meanwhile", entry.name))
            .hint(format!("`cloud-token login {}`", entry.name)));
    }
    Ok(())
}

struct Landing(Arc<Entry>);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.state().flight = None;
    }
}
