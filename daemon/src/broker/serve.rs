//! Credentials for addresses: consumers such as git know where they go, and not whose credential that takes.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::v1::{GetFor, Place, RejectFor, Served};
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::entry::Entry;
use super::repeat::Caller;
use super::{Broker, Need};
use crate::accounts::Stored;
use crate::cache::Cached;
use crate::cloud::Target;

impl Broker {
    /// The account that answers for what is asked.
    ///
    /// # Errors
    /// `UnknownAccount` if none does, `NeedsHuman` if several do, `Config` if it cannot be known.
    pub fn whose(&self, request: &GetFor) -> Result<AccountName, Fault> {
        self.account_for(&request.url, request.account.as_deref())
    }

    /// Why a caller has nothing to wait for, if no account answers for `url`: that a locked agent may say, because it is true
    /// of it as well when it is open. It names no account, not even one that the caller has guessed.
    #[must_use]
    pub fn disowned(&self, url: &str) -> Option<Fault> {
        match self.accounts_for(url, None) {
            Ok(_) => None,
            Err(fault) if fault.kind == FaultKind::UnknownAccount => Some(fault),
            Err(_) => Some(
                Fault::new(FaultKind::Config, "it cannot be known whose that address is")
                    .because("the agent is locked, and `accounts.toml` cannot be read as it is")
                    .hint("`cloud-token unlock`, then `cloud-token status`"),
            ),
        }
    }

    /// The credential of the account `name`, which answers for what is asked, renewed if need be, within `deadline`. `caller`
    /// is who asks, as far as is known.
    ///
    /// # Errors
    /// As [`Broker::get`].
    pub async fn get_for(
        self: &Arc<Self>,
        name: &AccountName,
        request: &GetFor,
        caller: Option<Caller>,
        deadline: Duration,
    ) -> Result<Arc<Cached>, Fault> {
        tracing::debug!(account = %name, consumer = request.consumer.escape_debug().to_string(), "asked by address");
        let entry = self.entry(name).map_err(|fault| self.or_set_up(name, fault))?;
        let place = place_of(request);
        let caller = caller.filter(|_| request.repeat_rejects);
        if let Some(caller) = &caller {
            self.suspect(&entry, caller, place);
        }
        let min_valid = request.min_valid.map(|seconds| Duration::from_secs(seconds.into()));
        let cached = self.get(name.as_str(), Need { min_valid, fresh: false }, deadline).await?;
        if let (Some(caller), Some(token)) = (caller, cached.fingerprint()) {
            self.repeats().remember(caller, &name.key(), place, token);
        }
        Ok(cached)
    }

    /// The API at an address refused a token. Accounts with another token are not touched.
    ///
    /// # Errors
    /// As [`Broker::whose`], but several accounts are no fault: the token tells which.
    pub fn reject_for(&self, request: &RejectFor) -> Result<Vec<String>, Fault> {
        let names = self.accounts_for(&request.url, request.account.as_deref())?;
        names.iter().map(|name| self.reject(name.as_str(), Some(&request.token))).collect()
    }

    /// Which addresses the accounts answer for.
    #[must_use]
    pub fn served(&self) -> Served {
        let mut places = Vec::new();
        for stored in self.accounts.list().0 {
            let account = stored.name.as_str();
            places.extend(self.places(&stored).into_iter().map(|url| Place { account: account.to_owned(), url }));
        }
        Served { places }
    }

    /// Whether there is an account of that name, as far as the accounts can be read.
    pub(crate) fn exists(&self, name: &str) -> bool {
        let known = AccountName::parse(name).and_then(|name| self.accounts.find(&name));
        known.err().is_none_or(|fault| fault.kind != FaultKind::UnknownAccount)
    }

    /// The account of that name, as it was set up.
    ///
    /// # Errors
    /// `UnknownAccount`, `Config`.
    pub(crate) fn known(&self, name: &AccountName) -> Result<AccountName, Fault> {
        self.accounts.find(name).map(|stored| stored.name)
    }

    /// Takes the second question of one caller for a rejection, if the token that it got is still the one it would get.
    /// A guess must never be the end of an account: within the time in which a second rejection would be final, nothing is
    /// done.
    fn suspect(&self, entry: &Entry, caller: &Caller, place: &str) {
        let (token, lately) = {
            let state = entry.state();
            let lately = state.would_end_by_rejection(&*self.clock);
            (state.living(&*self.clock).and_then(|cached| cached.fingerprint()), lately)
        };
        let Some(token) = token else { return };
        if lately || !self.repeats().is_repeated(caller, &entry.name.key(), place, &token) {
            return;
        }
        match self.reject(entry.name.as_str(), None) {
            Ok(note) => tracing::info!(account = %entry.name, "asked twice by one process: {note}"),
            Err(fault) => tracing::debug!(account = %entry.name, "asked twice by one process: {fault}"),
        }
    }

    /// The one account that answers for `url`.
    ///
    /// # Errors
    /// As [`Broker::get_for`].
    pub(crate) fn account_for(&self, url: &str, only: Option<&str>) -> Result<AccountName, Fault> {
        if url.is_empty() {
            let named =
                only.ok_or_else(|| Fault::new(FaultKind::Usage, "neither an address nor an account is named"))?;
            return AccountName::parse(named);
        }
        let mut names = self.accounts_for(url, only)?;
        match (names.pop(), names.as_slice()) {
            (Some(name), []) => Ok(name),
            (last, others) => {
                let all = others.iter().chain(&last).map(|name| format!("`{name}`")).collect::<Vec<_>>();
                Err(Fault::new(FaultKind::NeedsHuman, "several accounts answer for that address")
                    .because(all.join(", "))
                    .hint("name the account: `cloud-token helper CONSUMER ACCOUNT`; or say in `serves` of accounts.toml which address is whose"))
            }
        }
    }

    /// The accounts that answer for `url`, those that name most of its path; never none.
    fn accounts_for(&self, url: &str, only: Option<&str>) -> Result<Vec<AccountName>, Fault> {
        let target = Target::parse(url)?;
        let (stored, broken) = self.accounts.list();
        let mut found: Vec<(usize, AccountName)> = Vec::new();
        for account in stored {
            if only.is_some_and(|only| !only.eq_ignore_ascii_case(account.name.as_str())) {
                continue;
            }
            let places = self.places(&account);
            let parts = places.iter().filter_map(|place| target.within(&Target::parse(place).ok()?));
            found.extend(parts.max().map(|part| (part, account.name)));
        }
        let most = found.iter().map(|(part, _)| *part).max();
        found.retain(|(part, _)| Some(*part) == most);
        match (found.is_empty(), broken) {
            (false, _) => Ok(found.into_iter().map(|(_, name)| name).collect()),
            // An account that answers may be in it.
            (true, Some(fault)) => Err(fault),
            (true, None) => Err(Fault::new(FaultKind::UnknownAccount, "no account answers for that address").hint(
                "`cloud-token login ACCOUNT --set serves=URL` lets one answer; `cloud-token status` lists accounts",
            )),
        }
    }

    /// The addresses that an account answers for: those it is told to, else its own and those of its cloud's file.
    fn places(&self, stored: &Stored) -> Vec<String> {
        if let Some(serves) = &stored.serves {
            return serves.clone();
        }
        // An account that is broken answers for nothing, and does not keep others from answering.
        let Ok(account) = self.resolve(stored) else { return Vec::new() };
        let mut places: Vec<String> = account.origins.values().chain(&account.cloud.serves).cloned().collect();
        places.sort();
        places.dedup();
        places
    }
}

/// Where the credential goes: one process may go to two clusters with one account, and be refused by neither.
fn place_of(request: &GetFor) -> &str {
    if request.url.is_empty() { &request.consumer } else { &request.url }
}
