//! What only the human can do: telling them once, and waiting until they have done it.
//!
//! The two have nothing to do with each other. However many callers wait, one notice goes out; whoever waits is answered by whatever
//! mends it, be it somebody who was never told.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::{AccountName, Fault};
use tokio::sync::watch;

use super::Broker;
use super::notices::ALL;
use crate::clock::Reading;
use crate::notice::{Herald, Notice, Reason, Way};

/// So long a notice is held back: a client at a terminal asks its human at once, and what fails may be over by then.
const GRACE: Duration = Duration::from_secs(2);
/// For so long after the machine woke up nobody is told. Longer than a refusal counts for little then, because the network may be
/// another one's.
const QUIET: Duration = Duration::from_secs(15);

impl Broker {
    /// Has the human told by `herald` from now on. Before that, nobody is.
    pub fn tell_by(&self, herald: Arc<dyn Herald>) {
        let _ = self.herald.set(herald);
    }

    /// Whether a human is needed for `fault`, by which somebody did not get what they want of the account `key`. If so, they are
    /// told, unless they know.
    pub(crate) fn call_human(self: &Arc<Self>, key: &str, fault: &Fault) -> bool {
        let Some(reason) = Reason::of(fault) else { return false };
        let key = if reason == Reason::Unlock { ALL } else { key };
        if self.herald.get().is_some() && self.notices.arm(key, self.clock.uptime()) {
            let (broker, key) = (self.clone(), key.to_owned());
            tokio::spawn(async move { broker.tell_human(&key).await });
        }
        true
    }

    /// Ends whenever somebody may have mended something, from the moment on at which this is called.
    pub(crate) fn mends(&self) -> watch::Receiver<()> {
        self.mends.subscribe()
    }

    /// Whether the account has a credential by now, after at most `patience` of its cloud's; hands out none. With an empty name,
    /// whether the agent is open. `Ok(Some(fault))` if a human is still needed for that.
    ///
    /// # Errors
    /// As [`Broker::get`], but for what a human mends.
    pub(crate) async fn ask_again(self: &Arc<Self>, account: &str, patience: Duration) -> Result<Option<Fault>, Fault> {
        let well = match account {
            "" => self.lock.refuse(),
            account => self.is_well(&AccountName::parse(account)?, patience).await,
        };
        match well {
            Ok(()) => Ok(None),
            Err(fault) if self.call_human(&account.to_ascii_lowercase(), &fault) => Ok(Some(fault)),
            Err(fault) => Err(fault),
        }
    }

    async fn is_well(self: &Arc<Self>, name: &AccountName, patience: Duration) -> Result<(), Fault> {
        self.lock.refuse()?;
        let entry = self.entry(name).map_err(|fault| self.or_set_up(name, fault))?;
        {
            let state = entry.state();
            if let Some(end) = state.ended(&*self.clock) {
                return Err(end.fault(&entry.name));
            }
            // A token that lives is not enough for whoever wants a fresh one, and nobody else waits while there is one.
            let lives = state.living(&*self.clock).is_some();
            match state.standing(&*self.clock) {
                Some(fault) if !lives || Reason::of(fault).is_some() => return Err(fault.clone()),
                _ if lives => return Ok(()),
                _ => {}
            }
        }
        self.landing(&entry, patience).await.map(drop)
    }

    /// The account `key` has a credential again, or with [`ALL`] everything was opened.
    pub(super) fn mended(&self, key: &str) {
        self.notices.forget(key);
        self.mends.send_replace(());
    }

    /// Tells the human, when it is time for that, if it is still needed then. One timer, which ends once.
    async fn tell_human(&self, key: &str) {
        let mut up = self.clock.uptime() + GRACE;
        loop {
            let before = Reading::of(&*self.clock);
            self.clock.alarm(up).await;
            // Seen here as well: whoever else looks for it may come later.
            let slept = before.slept_until(&Reading::of(&*self.clock));
            let now = self.clock.uptime();
            let awake = if slept { Some(Duration::ZERO) } else { self.awake_for() };
            match awake.and_then(|awake| QUIET.checked_sub(awake)).filter(|left| !left.is_zero()) {
                Some(left) => up = now + left,
                None => break,
            }
        }
        let notice = self.notice_of(key);
        let tells = self.notices.land(key, notice.is_some(), self.clock.uptime());
        let (Some(notice), Some(herald)) = (notice.filter(|_| tells), self.herald.get()) else { return };
        tracing::info!(account = notice.account, "the human is needed: `{}`", notice.command);
        let way = self.accounts.notify().as_deref().and_then(Way::parse);
        if let Err(why) = herald.tell(notice, way).await {
            tracing::info!("{why}");
        }
    }

    /// What there is to tell of `key` now.
    fn notice_of(&self, key: &str) -> Option<Notice> {
        let locked = self.lock.refuse();
        if key == ALL {
            let shut = locked.and_then(|()| self.vault.ready()).err()?;
            let reason = Reason::of(&shut).filter(|reason| *reason == Reason::Unlock)?;
            return Some(Notice { account: None, cloud: None, reason, command: "cloud-token unlock".into() });
        }
        // A locked agent names no account.
        locked.ok()?;
        let entry = self.entries().get(key).cloned()?;
        let stored = self.accounts.find(&entry.name).ok()?;
        let reason = {
            let state = entry.state();
            let end = state.ended(&*self.clock).map(|end| end.fault(&entry.name));
            let fault = end.or_else(|| state.memo.as_ref().map(|memo| memo.fault().clone()))?;
            Reason::of(&fault)?
        };
        let name = stored.name.as_str().to_owned();
        let command = format!("cloud-token login {name}");
        Some(Notice { account: Some(name), cloud: Some(stored.cloud), reason, command })
    }
}
