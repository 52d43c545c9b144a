//! Setting an account up: what is missing is asked for, then the cloud, then everything is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud_agent_protocol::v1::{Login, NamedSecret, Question, Setting};
use cloud_agent_protocol::{AccountName, Fault, FaultKind, Secret};

use super::Broker;
use super::entry::Entry;
use crate::accounts::{Stored, parse_lifetime};
use crate::cloud::{AskSpec, Cloud, Method};
use crate::provider::{Ask, Held};
use crate::suggest::nearest;

/// Settings of the account itself, whatever its cloud; given by `--set` like the others.
const ACCOUNT_SETTINGS: &[&str] = &["allow-plaintext", "ca-file", "lifetime"];

impl Broker {
    /// Logs an account in and keeps its settings and secrets. Returns what was done, in words.
    ///
    /// Runs to its end once the cloud has been asked, whether or not the caller is still there.
    /// A login that fails changes nothing.
    ///
    /// # Errors
    /// `Usage` for what makes no sense, `UnknownCloud`, `Config`, `NeedsHuman` if something is missing and nobody is there
    /// to be asked; `Refused`, `Unreachable` and `MalformedReply` from the cloud.
    pub async fn login(self: &Arc<Self>, request: Login, ask: Arc<dyn Ask>) -> Result<Vec<String>, Fault> {
        let (broker, tracked) = (self.clone(), self.under_way.track());
        let task = tokio::spawn(async move {
            let done = broker.log_in(request, &*ask).await;
            drop(tracked);
            done
        });
        task.await.unwrap_or_else(|e| {
            Err(Fault::new(FaultKind::Internal, "the login ended without a result").because(e.to_string()))
        })
    }

    async fn log_in(&self, request: Login, ask: &dyn Ask) -> Result<Vec<String>, Fault> {
        let name = AccountName::parse(&request.account)?;
        let known = match self.accounts.find(&name) {
            Ok(stored) => Some(stored),
            Err(fault) if fault.kind == FaultKind::UnknownAccount => None,
            Err(fault) => return Err(fault),
        };
        let cloud = self.choose_cloud(&request, known.as_ref(), ask).await?;
        let known = known.filter(|stored| stored.cloud.eq_ignore_ascii_case(&cloud.name));
        let method = choose_method(&request, known.as_ref(), &cloud)?;
        let mut stored = Stored {
            name: name.clone(),
            cloud: cloud.name.clone(),
            method: method.name.clone(),
            url: None,
            urls: BTreeMap::new(),
            set: BTreeMap::new(),
            allow_plaintext: known.as_ref().is_some_and(|k| k.allow_plaintext),
            ca_file: known.as_ref().and_then(|k| k.ca_file.clone()),
            lifetime: known.as_ref().and_then(|k| k.lifetime),
        };
        let (given, mut secrets) = sort_given(&request, method, &mut stored)?;
        self.choose_origins(&request, known.as_ref(), &cloud, &mut stored, ask).await?;

        let entry = self.entry_for_login(&stored);
        // Held secrets belong to the place that they were given for: a new address must not be sent the old one's.
        let same_place = known.as_ref().is_some_and(|k| k.url == stored.url && k.urls == stored.urls);
        let remembered =
            if same_place { self.vault.load(&name.key()).await?.unwrap_or_default() } else { Held::default() };
        let missing = Missing { request: &request, known: known.as_ref(), remembered: &remembered };
        missing.fill(method, given, &mut stored, &mut secrets, ask).await?;

        let account = self.resolve(&stored)?;
        let _turn = entry.turn.lock().await;
        let up = self.clock.uptime();
        let grant = self.provider.login(&account, &secrets, request.remember, ask).await?;
        let holds: Vec<String> = grant.held.0.keys().cloned().collect();
        let cached = self.keep(&entry, grant, up).await?;
        entry.state().rejected_up = None;
        tracing::info!(account = %name, cloud = cloud.name, fingerprint = cached.fingerprint(), "logged in");

        let mut notes = vec![format!("logged in: `{name}` at {}", account.origins.get("").map_or("", String::as_str))];
        if let Err(fault) = self.accounts.put(stored.clone(), request.ephemeral) {
            tracing::error!(account = %name, "the account's settings could not be written: {fault}");
            notes.push(format!("its settings could not be written and are kept only until the agent ends: {fault}"));
            self.accounts.put(stored, true)?;
        }
        if let Some(left) = cached.remaining(&*self.clock) {
            notes.push(format!("the token is good for {}", crate::words::duration(left)));
        }
        if !holds.is_empty() {
            notes.push(format!("held by the agent: {}", holds.join(", ")));
        }
        Ok(notes)
    }

    /// The account's entry; made even though the account is not set up yet, so that logins of one name take turns.
    fn entry_for_login(&self, stored: &Stored) -> Arc<Entry> {
        self.entries().entry(stored.name.key()).or_insert_with(|| Entry::new(stored.name.clone())).clone()
    }

    async fn choose_cloud(&self, request: &Login, known: Option<&Stored>, ask: &dyn Ask) -> Result<Arc<Cloud>, Fault> {
        if let Some(name) = request.cloud.as_deref().or(known.map(|k| k.cloud.as_str())) {
            return self.clouds.get(name);
        }
        // `acme-work` is an account at `acme` unless somebody says otherwise.
        let stem = request.account.split(['-', '.', '_', '@']).next().unwrap_or_default();
        if let Ok(cloud) = self.clouds.get(&request.account).or_else(|_| self.clouds.get(stem)) {
            return Ok(cloud);
        }
        let choices: Vec<String> = self.clouds.list().map(|cloud| cloud.name.clone()).collect();
        let question = Question {
            name: "cloud".into(),
            prompt: format!("Which cloud is `{}` at?", request.account),
            detail: None,
            secret: false,
            optional: false,
            choices,
        };
        let said = ask.ask(question).await.map_err(|fault| {
            fault.hint(format!("`cloud-token login {} --cloud NAME`; `cloud-token clouds` lists them", request.account))
        })?;
        self.clouds.get(said.expose().trim())
    }

    async fn choose_origins(
        &self,
        request: &Login,
        known: Option<&Stored>,
        cloud: &Cloud,
        stored: &mut Stored,
        ask: &dyn Ask,
    ) -> Result<(), Fault> {
        for Setting { name, .. } in &request.origins {
            if !cloud.origins.iter().any(|origin| origin.name == *name) {
                let names: Vec<&str> =
                    cloud.origins.iter().map(|o| o.name.as_str()).filter(|n| !n.is_empty()).collect();
                let fault =
                    Fault::new(FaultKind::Usage, format!("`{}` has no further address named `{name}`", cloud.name));
                return Err(if names.is_empty() { fault } else { fault.hint(format!("it has: {}", names.join(", "))) });
            }
        }
        for origin in &cloud.origins {
            let given = request.origins.iter().find(|given| given.name == origin.name).map(|given| given.value.clone());
            let kept = known
                .and_then(|k| if origin.name.is_empty() { k.url.clone() } else { k.urls.get(&origin.name).cloned() });
            let url = match given.or(kept) {
                Some(url) => url,
                None if origin.default.is_some() => continue,
                None => {
                    let question = Question {
                        name: if origin.name.is_empty() { "url".into() } else { origin.name.clone() },
                        prompt: origin.prompt.clone(),
                        detail: None,
                        secret: false,
                        optional: false,
                        choices: Vec::new(),
                    };
                    let flag =
                        if origin.name.is_empty() { "--url URL".into() } else { format!("--url {}=URL", origin.name) };
                    let said = ask
                        .ask(question)
                        .await
                        .map_err(|fault| fault.hint(format!("`cloud-token login {} {flag}`", request.account)))?;
                    said.expose().trim().to_owned()
                }
            };
            let url = crate::cloud::origin::normalise(&url, stored.allow_plaintext)?;
            if origin.name.is_empty() {
                stored.url = Some(url);
            } else {
                stored.urls.insert(origin.name.clone(), url);
            }
        }
        Ok(())
    }
}

fn choose_method<'a>(request: &Login, known: Option<&Stored>, cloud: &'a Cloud) -> Result<&'a Method, Fault> {
    let wanted = request.method.as_deref().or(known.map(|k| k.method.as_str()));
    let found = match wanted {
        Some(name) => cloud.methods.iter().find(|method| method.name == name),
        None => cloud.methods.first(),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = cloud.methods.iter().map(|m| m.name.as_str()).collect();
        let wanted = wanted.unwrap_or_default();
        let near = nearest(wanted, names.iter().copied());
        Fault::new(FaultKind::Usage, format!("`{}` has no method `{wanted}`", cloud.name)).hint(match near {
            Some(near) => format!("did you mean `--method {near}`?"),
            None => format!("it has: {}", names.join(", ")),
        })
    })
}

/// Sorts what was given by the method's asks. Settings end in the first map, secrets in the second.
fn sort_given(
    request: &Login,
    method: &Method,
    stored: &mut Stored,
) -> Result<(BTreeMap<String, String>, Held), Fault> {
    let spec = |name: &str| method.asks.iter().find(|ask| ask.name == name);
    let unknown = |name: &str, flag: &str| {
        let fault = Fault::new(FaultKind::Usage, format!("method `{}` does not ask for `{name}`", method.name));
        let names = method.asks.iter().map(|a| a.name.as_str()).chain(ACCOUNT_SETTINGS.iter().copied());
        if let Some(near) = nearest(name, names) {
            return fault.hint(format!("did you mean `{flag} {near}=…`?"));
        }
        let names: Vec<String> = method.asks.iter().map(|ask| format!("`{}`", ask.name)).collect();
        fault.hint(format!("it asks for: {}", names.join(", ")))
    };
    let mut settings = BTreeMap::new();
    for Setting { name, value } in &request.settings {
        match (name.as_str(), spec(name)) {
            (_, Some(ask)) if ask.secret => {
                return Err(Fault::new(FaultKind::Usage, format!("`{name}` is a secret and cannot be given by `--set`"))
                    .because("what is on a command line can be read by every program on the machine, and stays in the shell's history")
                    .hint(format!("`--secret {name}=env:NAME`, `file:PATH`, `stdin` or `cmd:COMMAND`")));
            }
            (_, Some(_)) => _ = settings.insert(name.clone(), value.clone()),
            ("allow-plaintext", None) => {
                stored.allow_plaintext = value.parse().map_err(|_| {
                    Fault::new(FaultKind::Usage, format!("`allow-plaintext` is `true` or `false`, not `{value}`"))
                })?;
            }
            // Empty takes it back.
            ("lifetime", None) if value.is_empty() => stored.lifetime = None,
            ("lifetime", None) => stored.lifetime = Some(parse_lifetime(value)?),
            ("ca-file", None) => stored.ca_file = Some(std::path::absolute(value).unwrap_or_else(|_| value.into())),
            (_, None) => return Err(unknown(name, "--set")),
        }
    }
    let mut secrets = Held::default();
    for NamedSecret { name, value } in &request.secrets {
        match spec(name) {
            Some(ask) if ask.secret => _ = secrets.0.insert(name.clone(), value.clone()),
            Some(_) => _ = settings.insert(name.clone(), value.expose().to_owned()),
            None => return Err(unknown(name, "--secret")),
        }
    }
    Ok((settings, secrets))
}

/// Where what was not given may come from.
struct Missing<'a> {
    request: &'a Login,
    known: Option<&'a Stored>,
    remembered: &'a Held,
}

impl Missing<'_> {
    async fn fill(
        &self,
        method: &Method,
        mut given: BTreeMap<String, String>,
        stored: &mut Stored,
        secrets: &mut Held,
        ask: &dyn Ask,
    ) -> Result<(), Fault> {
        for spec in method.asks.iter().filter(|spec| !spec.at_login) {
            if spec.secret {
                if !secrets.0.contains_key(&spec.name)
                    && let Some(secret) = self.secret(spec, ask).await?
                {
                    secrets.0.insert(spec.name.clone(), secret);
                }
                continue;
            }
            let kept = || self.known.and_then(|known| known.set.get(&spec.name).cloned());
            let value = match given.remove(&spec.name).or_else(kept) {
                Some(value) => Some(value),
                None if spec.optional && !self.request.interactive => None,
                None => Some(self.ask(spec, ask).await?.expose().trim().to_owned()).filter(|said| !said.is_empty()),
            };
            match value {
                Some(value) => _ = stored.set.insert(spec.name.clone(), value),
                None if spec.optional => {}
                None => return Err(self.empty(spec)),
            }
        }
        // A code that was given up front answers its question when it comes.
        for spec in method.asks.iter().filter(|spec| spec.at_login) {
            if let Some(value) = given.remove(&spec.name) {
                secrets.0.insert(spec.name.clone(), Secret::new(value));
            }
        }
        Ok(())
    }

    async fn secret(&self, spec: &AskSpec, ask: &dyn Ask) -> Result<Option<Secret>, Fault> {
        let remembered = self.remembered.0.get(&spec.name);
        if let Some(remembered) = remembered.filter(|_| !self.request.interactive) {
            return Ok(Some(remembered.clone()));
        }
        if spec.optional && !self.request.interactive {
            return Ok(None);
        }
        let said = self.ask(spec, ask).await?;
        match (said.is_empty(), remembered) {
            (false, _) => Ok(Some(said)),
            (true, Some(remembered)) => Ok(Some(remembered.clone())),
            (true, None) if spec.optional => Ok(None),
            (true, None) => Err(self.empty(spec)),
        }
    }

    async fn ask(&self, spec: &AskSpec, ask: &dyn Ask) -> Result<Secret, Fault> {
        let question = Question {
            name: spec.name.clone(),
            prompt: spec.prompt.clone(),
            detail: spec.detail.clone(),
            secret: spec.secret,
            optional: spec.optional,
            choices: Vec::new(),
        };
        let flag =
            if spec.secret { format!("--secret {}=env:NAME", spec.name) } else { format!("--set {}=VALUE", spec.name) };
        ask.ask(question)
            .await
            .map_err(|fault| fault.hint(format!("`cloud-token login {} {flag}`", self.request.account)))
    }

    fn empty(&self, spec: &AskSpec) -> Fault {
        Fault::new(FaultKind::Usage, format!("`{}` cannot be empty", spec.name))
            .hint(format!("`cloud-token login {}`", self.request.account))
    }
}
