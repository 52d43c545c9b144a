//! What `status` and `clouds` tell. Nothing here is a secret, and nothing asks the network.

use std::time::Duration;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::v1::{
    AccountStatus, AskInfo, CloudInfo, Clouds, Holding, MethodInfo, OriginInfo, Overview, Setting, Status,
};
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::bounds::Bound;
use super::{Broker, place};
use crate::accounts::Stored;
use crate::clock::Timestamp;
use crate::cloud::{AskSpec, Cloud};
use crate::provider::Held;
use crate::vault::UNLOCK;

/// How long `status` waits for a vault that says nothing, for all accounts together: it is asked when something is wrong.
const VAULT_PATIENCE: Duration = Duration::from_secs(2);

/// What the broker does not know and `status` tells all the same.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// When the agent started.
    pub started_at: Timestamp,
    /// Where it listens.
    pub socket: String,
    /// Its configuration directory.
    pub config: String,
    /// Its state directory.
    pub state: String,
    /// What its environment says about networks.
    pub network: Vec<Setting>,
}

impl Surroundings {
    /// Those of an agent that has no place of its own.
    #[must_use]
    pub fn nowhere(started_at: Timestamp) -> Self {
        Self { started_at, socket: String::new(), config: String::new(), state: String::new(), network: Vec::new() }
    }
}

impl Broker {
    /// How agent and accounts are. A vault that fails or says nothing is a warning: whoever asks wants to know that.
    /// A locked agent tells of no account.
    pub async fn status(&self, surroundings: &Surroundings) -> Status {
        self.overview(surroundings).await.status
    }

    /// The same, and for how long what is held where.
    pub async fn overview(&self, surroundings: &Surroundings) -> Overview {
        if let Err(fault) = self.refuse_locked() {
            return self.about(surroundings, vec![with_hint(&fault)], Vec::new(), Vec::new());
        }
        self.read_configuration_again();
        let (stored, broken) = self.accounts.list();
        let mut warnings: Vec<String> = broken.iter().chain(&self.clouds.broken()).map(with_hint).collect();
        let (mut accounts, mut holdings) = (Vec::new(), Vec::new());
        let patience = tokio::time::Instant::now() + VAULT_PATIENCE;
        for account in stored {
            let entry = self.held(account.name.as_str());
            let vault = entry.as_ref().map_or(&*self.vault, |entry| self.vault_of(entry));
            // What the vault would not take is newer than what it has, and may be all that there is.
            let unsaved = entry.as_ref().and_then(|entry| entry.state().unsaved.as_ref().map(|it| it.held().clone()));
            let held = if let Some(held) = unsaved {
                Ok(Some(held))
            } else {
                let record = tokio::time::timeout_at(patience, vault.load(&account.name.key())).await;
                record.unwrap_or_else(|_| Err(self.silent())).map(|record| record.map(|record| record.held))
            };
            let trouble = held.as_ref().err().map(with_hint);
            let (since, term) = self.term_of(&account, entry.as_deref(), held.as_ref().ok().and_then(Option::as_ref));
            let ended = term.as_ref().and_then(|term| term.ended(&*self.clock)).map(|end| end.fault(&account.name));
            // What is still to be erased is held no longer.
            let held = if ended.is_some() { held.map(|_| None) } else { held };
            let place = entry.as_ref().map_or(vault.kind(), |entry| self.place_of(entry));
            holdings.push(match &held {
                Ok(Some(_)) => self.holding(place, since, term.as_ref()),
                _ => Holding::default(),
            });
            accounts.push(self.describe(&account, held, ended));
            let remarks = self.resolve(&account).map(|account| self.provider.remarks(&account)).unwrap_or_default();
            for warning in trouble.into_iter().chain(remarks) {
                // Said once, of however many accounts it is true.
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        for warning in self.vault.warnings() {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings.extend(self.unsaved());
        self.about(surroundings, warnings, accounts, holdings)
    }

    fn about(
        &self,
        surroundings: &Surroundings,
        warnings: Vec<String>,
        accounts: Vec<AccountStatus>,
        holdings: Vec<Holding>,
    ) -> Overview {
        let status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started_at: surroundings.started_at.seconds(),
            socket: surroundings.socket.clone(),
            config: surroundings.config.clone(),
            vault: self.vault.kind().into(),
            vault_reason: self.vault.reason(),
            warnings,
            accounts,
        };
        let seconds = |bound: Option<Bound>| bound.and_then(|bound| u32::try_from(bound.span.as_secs()).ok());
        let most = self.bounds_of_all();
        let (hold_for, hold_idle) = most.map_or((None, None), |most| (most.since_login, most.since_asked));
        Overview { status, hold_for: seconds(hold_for), hold_idle: seconds(hold_idle), holdings }
    }

    fn silent(&self) -> Fault {
        Fault::new(FaultKind::Busy, format!("the vault `{}` does not answer", self.vault.kind()))
            .because("what is held is not known; tokens in the cache are handed out all the same")
    }

    pub(super) fn unsaved(&self) -> Vec<String> {
        let entries = self.entries();
        let unsaved = entries.values().filter(|entry| entry.state().unsaved.is_some());
        unsaved
            .map(|entry| format!("what is held of `{}` could not be saved and is in memory only", entry.name))
            .collect()
    }

    fn describe(&self, stored: &Stored, held: Result<Option<Held>, Fault>, ended: Option<Fault>) -> AccountStatus {
        let (held, unread) = held.map_or_else(|fault| (None, Some(fault)), |held| (held, None));
        let entry = self.held(stored.name.as_str());
        let (cached, failed, due_up) = entry.map_or((None, None, None), |entry| {
            let state = entry.state();
            let failed = state.memo.as_ref().map(|memo| memo.fault().clone());
            (state.living(&*self.clock).filter(|_| ended.is_none()), failed, self.due_up(&state))
        });
        let renews_at = due_up.map(|up| self.clock.now().after(up.saturating_sub(self.clock.uptime())));
        let fault = self.resolve(stored).err().or(ended).or(failed).or(unread.filter(|_| cached.is_none()));
        let state = match (&cached, &fault, &held) {
            (Some(_), _, _) => "valid",
            (None, Some(fault), _) if fault.hint.as_deref() == Some(UNLOCK) => "locked",
            (None, Some(fault), _) if fault.kind == FaultKind::NeedsHuman => "needs-login",
            (None, Some(fault), _) if fault.kind == FaultKind::Refused => "refused",
            (None, Some(_), _) => "failing",
            (None, None, Some(_)) => "renewable",
            (None, None, None) => "needs-login",
        };
        let origin = stored.url.clone().or_else(|| {
            let cloud = self.clouds.get(&stored.cloud).ok()?;
            cloud.origins.first()?.default.clone()
        });
        AccountStatus {
            name: stored.name.as_str().into(),
            cloud: stored.cloud.clone(),
            method: stored.method.clone(),
            origin: origin.unwrap_or_default(),
            state: state.into(),
            expires_at: cached.as_ref().and_then(|c| c.expires_at()).map(Timestamp::seconds),
            expiry_source: cached.as_ref().map(|c| c.credential().expiry_source.word().into()).unwrap_or_default(),
            renews_at: renews_at.map(Timestamp::seconds),
            holds: held.as_ref().map(place::names).unwrap_or_default(),
            fingerprint: cached.as_ref().and_then(|c| c.fingerprint()),
            fault,
        }
    }

    /// The clouds that are known, or the one of that name.
    ///
    /// # Errors
    /// `UnknownCloud`; `Config` if that cloud's file is broken.
    pub fn clouds(&self, name: Option<&str>) -> Result<Clouds, Fault> {
        self.read_configuration_again();
        let clouds = match name {
            Some(name) => vec![self.clouds.get(name)?],
            None => self.clouds.list(),
        };
        Ok(Clouds { clouds: clouds.iter().map(|cloud| info(cloud)).collect() })
    }

    /// What says that there is no account of that name, to whoever wants a token of it: how to set it up, unless they meant the
    /// nearest account, or the nearest cloud where no account is near, because most accounts are called like theirs.
    pub(super) fn or_set_up(&self, name: &AccountName, fault: Fault) -> Fault {
        if fault.kind != FaultKind::UnknownAccount {
            return fault;
        }
        let login = format!("set it up: `cloud-token login {name}`");
        if let Some(near) = &fault.hint {
            let hint = format!("{near} else {login}");
            return fault.hint(hint);
        }
        let clouds = self.clouds.list();
        match nearest(&name.key(), clouds.iter().map(|cloud| cloud.name.as_str())) {
            Some(cloud) if cloud != name.key() => fault.hint(format!("did you mean `cloud-token login {cloud}`?")),
            _ => fault.hint(login),
        }
    }
}

fn with_hint(fault: &Fault) -> String {
    fault.hint.as_ref().map_or_else(|| fault.to_string(), |hint| format!("{fault} ({hint})"))
}

fn info(cloud: &Cloud) -> CloudInfo {
    CloudInfo {
        name: cloud.name.clone(),
        title: cloud.title.clone(),
        docs: cloud.docs.clone(),
        built_in: cloud.built_in,
        origins: cloud
            .origins
            .iter()
            .map(|o| OriginInfo { name: o.name.clone(), default: o.default.clone(), prompt: o.prompt.clone() })
            .collect(),
        methods: cloud
            .methods
            .iter()
            .map(|method| MethodInfo {
                name: method.name.clone(),
                title: method.title.clone(),
                asks: method.asks.iter().map(ask_info).collect(),
            })
            .collect(),
    }
}

pub(super) fn ask_info(ask: &AskSpec) -> AskInfo {
    AskInfo {
        name: ask.name.clone(),
        prompt: ask.prompt.clone(),
        secret: ask.secret,
        optional: ask.optional,
        at_login: ask.at_login,
    }
}
