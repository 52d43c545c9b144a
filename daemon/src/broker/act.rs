//! What is no login: a cloud's own actions, and asking it whether a token is alive.

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::v1::{self, ActionInfo, Actions, Do, Login};
use cloud_agent_protocol::{AccountName, Credential, Fault, FaultKind};

use super::describe::ask_info;
use super::given::{Askable, Given};
use super::lock::WhileOpen;
use super::login::{ACCOUNT_SETTINGS, settle_account};
use super::renew::refuse_retired;
use super::{Broker, Need};
use crate::accounts::Stored;
use crate::cloud::{Action, Cloud};
use crate::provider::{Account, Act, Acted, Ask, Held};

impl Broker {
    /// What can be done at the account's cloud.
    ///
    /// # Errors
    /// `UnknownCloud`, `Config`; `NeedsHuman` if it is not known which cloud.
    pub async fn actions(&self, request: &Do, ask: &dyn Ask) -> Result<Actions, Fault> {
        let (_, _, cloud) = self.subject(request, ask).await?;
        let info = |action: &Action| ActionInfo {
            name: action.name.clone(),
            title: action.title.clone(),
            needs_login: needs_login(action),
            asks: action.asks.iter().map(ask_info).collect(),
        };
        Ok(Actions { cloud: cloud.name.clone(), actions: cloud.actions.iter().map(info).collect() })
    }

    /// Does what the account's cloud names. Runs to its end, whether or not the caller is still there: what the cloud has
    /// changed must be known here. If it is refused, and the cloud calls the token dead, that is forgotten.
    ///
    /// # Errors
    /// `Usage` for what makes no sense, `UnknownAccount` if the action needs a login and there is no account, `NeedsHuman` if
    /// something is missing and nobody is there to be asked; `Refused`, `Unreachable`, `MalformedReply` from the cloud.
    pub async fn act(self: &Arc<Self>, request: Do, ask: Arc<dyn Ask>) -> Result<v1::Acted, Fault> {
        let (broker, tracked) = (self.clone(), self.under_way.track());
        let task = tokio::spawn(async move {
            let done = broker.act_out(request, &WhileOpen { ask: &*ask, lock: &broker.lock }).await;
            drop(tracked);
            done
        });
        task.await.unwrap_or_else(|e| {
            Err(Fault::new(FaultKind::Internal, "the action ended without a result").because(e.to_string()))
        })
    }

    async fn act_out(self: &Arc<Self>, request: Do, ask: &dyn Ask) -> Result<v1::Acted, Fault> {
        let (name, known, cloud) = self.subject(&request, ask).await?;
        let action = choose_action(&request, &cloud)?;
        let askable = Askable {
            what: format!("action `{}`", action.name),
            asks: &action.asks,
            settings: if known.is_some() { &[] } else { ACCOUNT_SETTINGS },
            secrets: Vec::new(),
        };
        let Given { mut settings, secrets } = askable.sort(&request.settings, &request.secrets)?;
        let stored = match known.clone() {
            Some(_) if request.cloud.is_some() || !request.origins.is_empty() => {
                return Err(Fault::new(
                    FaultKind::Usage,
                    format!("`{name}` is set up already: it has its cloud and address"),
                )
                .hint(format!("`cloud-token login {name}` changes them")));
            }
            Some(stored) => stored,
            None if needs_login(action) => {
                return Err(Fault::new(FaultKind::UnknownAccount, format!("no account `{name}`"))
                    .because(format!("`{}` needs one that is logged in", action.name))
                    .hint(format!("set it up: `cloud-token login {name}`")));
            }
            // Only for this once: what an account is comes from `login`, and a typo here must not make one.
            None => {
                let mut stored = Stored::new(name.clone(), &cloud);
                settle_account(&action.asks, &mut settings, &mut stored)?;
                self.choose_origins(&as_login(&request), None, &cloud, &mut stored, ask).await?;
                stored
            }
        };
        let account = self.resolve(&stored)?;
        let cached = if action.presents() {
            let patience = Duration::from_millis(request.deadline_ms.into());
            Some(self.get(name.as_str(), Need::default(), patience).await?)
        } else {
            None
        };
        let held = match &known {
            Some(_) => self.held_of(&*self.entry(&name)?, &account).await?.map(|hold| hold.held).unwrap_or_default(),
            None => Held::default(),
        };
        let credential = cached.as_ref().map(|cached| cached.credential());
        let act = Act { action, settings: &settings, secrets: &secrets, held: &held, credential: credential.as_ref() };
        let acted = match self.provider.act(&account, act, ask).await {
            Err(fault) if fault.kind == FaultKind::Refused => {
                if let Some(credential) = &credential {
                    // A wrong code is refused as well: only the cloud itself can say that it was the token.
                    let _ = self.ask_whether_alive(&account, &held, credential).await;
                }
                return Err(fault);
            }
            other => other?,
        };
        tracing::info!(account = %name, action = action.name, "done");
        self.adopt(&account, &acted).await?;
        Ok(v1::Acted { notes: acted.notes, rows: acted.rows })
    }

    /// Changes what is held as an action says.
    async fn adopt(self: &Arc<Self>, account: &Account, acted: &Acted) -> Result<(), Fault> {
        if acted.holds.0.is_empty() && acted.forgets.is_empty() {
            return Ok(());
        }
        let entry = self.entry(&account.name)?;
        // Read and written in one turn: a renewal in between would be undone, and its rotated secret lost.
        let _turn = self.turn(&entry).await?;
        refuse_retired(&entry)?;
        let there = self.held_of(&entry, account).await?;
        let (mut held, follows) = there.map_or_else(Default::default, |hold| (hold.held, hold.generation));
        held.0.retain(|name, _| !acted.forgets.contains(name));
        held.0.extend(acted.holds.0.iter().map(|(name, secret)| (name.clone(), secret.clone())));
        self.save(&entry, account, held, follows).await;
        self.save_later(&entry);
        Ok(())
    }

    /// Asks the cloud itself whether the account's token is alive. A dead one is forgotten, as if its API had refused it.
    ///
    /// # Errors
    /// As [`Broker::get`]; `Refused` if it is dead, `Unsupported` if the cloud cannot be asked.
    pub async fn check(self: &Arc<Self>, account: &str, deadline: Duration) -> Result<String, Fault> {
        let end = tokio::time::Instant::now() + deadline;
        let name = AccountName::parse(account)?;
        // Before a token is asked for: whoever only looks at an account wants none set up.
        let stored = self.accounts.find(&name)?;
        let cached = self.get(account, Need::default(), deadline).await?;
        let resolved = self.resolve(&stored)?;
        let held = self.held_of(&*self.entry(&name)?, &resolved).await?.map(|hold| hold.held).unwrap_or_default();
        let credential = cached.credential();
        let checked = tokio::time::timeout_at(end, self.ask_whether_alive(&resolved, &held, &credential)).await;
        checked.unwrap_or_else(|_| Err(Fault::new(FaultKind::Unreachable, "the cloud has not answered in time")))?;
        Ok(format!("the token of `{}` is alive", stored.name))
    }

    /// Asks the cloud; what it calls dead is forgotten.
    async fn ask_whether_alive(&self, account: &Account, held: &Held, credential: &Credential) -> Result<(), Fault> {
        let checked = self.provider.check(account, held, credential).await;
        if checked.as_ref().is_err_and(|fault| fault.kind == FaultKind::Refused) {
            let token = credential.token.as_ref().or(credential.headers.first().map(|header| &header.value));
            self.reject(account.name.as_str(), token)?;
        }
        checked
    }

    /// Whom a request is about, and at which cloud.
    async fn subject(&self, request: &Do, ask: &dyn Ask) -> Result<(AccountName, Option<Stored>, Arc<Cloud>), Fault> {
        let name = AccountName::parse(&request.account)?;
        self.read_configuration_again();
        let known = match self.accounts.find(&name) {
            Ok(stored) => Some(stored),
            Err(fault) if fault.kind == FaultKind::UnknownAccount => None,
            Err(fault) => return Err(fault),
        };
        let cloud = match &known {
            Some(stored) => self.clouds.get(&stored.cloud)?,
            None => self.choose_cloud(&as_login(request), None, ask).await?,
        };
        Ok((name, known, cloud))
    }
}

/// Whether an action is of no use without an account that is logged in.
fn needs_login(action: &Action) -> bool {
    action.presents() || !action.holds.is_empty() || !action.forgets.is_empty()
}

fn choose_action<'a>(request: &Do, cloud: &'a Cloud) -> Result<&'a Action, Fault> {
    let wanted = request.action.as_deref().unwrap_or_default();
    cloud.action(wanted).ok_or_else(|| {
        let names: Vec<&str> = cloud.actions.iter().map(|action| action.name.as_str()).collect();
        let fault = Fault::new(FaultKind::Usage, format!("`{}` has no action `{wanted}`", cloud.name));
        match nearest(wanted, names.iter().copied()) {
            Some(near) => fault.hint(format!("did you mean `cloud-token do {} {near}`?", request.account)),
            None if names.is_empty() => {
                fault.hint(format!("it offers nothing but logins; `cloud-token clouds {}` shows which", cloud.name))
            }
            None => fault.hint(format!("it has: {}", names.join(", "))),
        }
    })
}

/// The part of a request that says where an account is, in the form that logins have.
fn as_login(request: &Do) -> Login {
    Login {
        account: request.account.clone(),
        cloud: request.cloud.clone(),
        method: None,
        origins: request.origins.clone(),
        settings: Vec::new(),
        secrets: Vec::new(),
        remember: false,
        ephemeral: true,
        interactive: request.interactive,
        deadline_ms: request.deadline_ms,
    }
}
