//! Setting an account up: what is missing is asked for, then the cloud, then everything is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::v1::{Login, Question, Request, Setting};
use cloud_agent_protocol::{AccountName, Fault, FaultKind};
use sha2::{Digest as _, Sha256};

use super::Broker;
use super::bounds::Bounds;
use super::entry::Entry;
use super::given::{Askable, Given, Missing};
use super::lock::WhileOpen;
use super::together::Everybody;
use crate::accounts::{LIMITS, Stored, parse_span};
use crate::cloud::{AskSpec, Cloud, Method, Origin, Target};
use crate::hardening;
use crate::provider::{Ask, Held};

/// How often somebody is asked for an address, if what they say is none.
const ATTEMPTS: u8 = 3;

/// Settings of the account itself, whatever its cloud; given by `--set` like the others.
pub(super) const ACCOUNT_SETTINGS: &[&str] =
    &["allow-plaintext", "ca-file", "hold-for", "hold-idle", "lifetime", "serves"];

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
            let name = request.account.clone();
            let account = name.to_ascii_lowercase();
            let done = broker.log_in(request, &WhileOpen { ask: &*ask, lock: &broker.lock }).await;
            let entry = broker.entries().get(&*account).cloned();
            entry.inspect(|entry| broker.save_later(entry));
            // What was compared and digested lies below; the next task to be made would take it along, and stay.
            hardening::wipe_stack();
            drop(tracked);
            done.map_err(|fault| fault.of_account(&name))
        });
        task.await.unwrap_or_else(|e| {
            Err(Fault::new(FaultKind::Internal, "the login ended without a result").because(e.to_string()))
        })
    }

    async fn log_in(&self, request: Login, ask: &dyn Ask) -> Result<Vec<String>, Fault> {
        let name = AccountName::parse(&request.account)?;
        let _attended = self.notices.attend(&name.key());
        if let Some(ended) = self.join_login(&name, &request, ask).await {
            return ended;
        }
        self.read_configuration_again();
        let known = match self.accounts.find(&name) {
            Ok(stored) => Some(stored),
            Err(fault) if fault.kind == FaultKind::UnknownAccount => None,
            Err(fault) => return Err(fault),
        };
        let logins = self.held(name.as_str()).map_or(0, |entry| entry.state().logins);
        let cloud = self.choose_cloud(&request, known.as_ref(), ask).await?;
        let known = known.filter(|stored| stored.cloud.eq_ignore_ascii_case(&cloud.name));
        let method = choose_method(&request, known.as_ref(), &cloud)?;
        let mut stored = Stored {
            method: method.name.clone(),
            allow_plaintext: known.as_ref().is_some_and(|k| k.allow_plaintext),
            ca_file: known.as_ref().and_then(|k| k.ca_file.clone()),
            lifetime: known.as_ref().and_then(|k| k.lifetime),
            limits: known.as_ref().map(|k| k.limits).unwrap_or_default(),
            serves: known.as_ref().and_then(|k| k.serves.clone()),
            ..Stored::new(name.clone(), &cloud)
        };
        let askable = Askable {
            what: format!("method `{}`", method.name),
            asks: &method.asks,
            settings: ACCOUNT_SETTINGS,
            secrets: method.enrolled().collect(),
        };
        let Given { mut settings, mut secrets } = askable.sort(&request.settings, &request.secrets)?;
        settle_account(&method.asks, &mut settings, &mut stored)?;
        if !request.ephemeral {
            // Before anybody is asked for anything: what came of it could not be kept.
            self.vault.ready()?;
        }
        self.choose_origins(&request, known.as_ref(), &cloud, &mut stored, ask).await?;
        let entry = self.entry_for_login(&name);

        let same_place = known.as_ref().is_some_and(|k| k.url == stored.url && k.urls == stored.urls);
        // What was given for another address is not even looked at.
        let remembered = match self.held_of(&entry, &self.resolve(&stored)?).await {
            Ok(Some(hold)) if same_place => hold.held,
            _ => Held::default(),
        };
        let missing = Missing { request: &request, known: known.as_ref(), remembered: &remembered };
        missing.fill(method, settings, &mut stored, &mut secrets, ask).await?;

        if same_place && known.as_ref().is_some_and(|known| known.set == stored.set) {
            for name in method.enrolled() {
                if let Some(secret) = remembered.0.get(name).filter(|_| !secrets.0.contains_key(name)) {
                    secrets.0.insert(name.to_owned(), secret.clone());
                }
            }
        }

        let account = self.resolve(&stored)?;
        let _turn = self.turn(&entry).await?;
        if let Some(note) = self.done_by_another(&request, &stored, &entry, logins) {
            return Ok(vec![note]);
        }
        let up = self.clock.uptime();
        let everybody = Everybody { ask, together: &self.together, key: name.key(), login: fingerprint(&request) };
        let grant = self.provider.login(&account, &secrets, request.remember, &everybody).await?;
        let holds: Vec<String> = grant.held.0.keys().cloned().collect();
        entry.set_ephemeral(request.ephemeral);
        let bounds = self.bounds(&stored, Some(&entry));
        entry.state().begin_term(bounds, &*self.clock);
        let cached = self.keep(&entry, &account, grant, up, None).await?;
        entry.put(cached.clone());
        self.reschedule(&entry);
        tracing::info!(account = %name, cloud = cloud.name, fingerprint = cached.fingerprint().as_deref(), "logged in");

        let mut notes = vec![format!("logged in: `{name}` at {}", account.origins.get("").map_or("", String::as_str))];
        if let Err(fault) = self.accounts.put(stored.clone(), request.ephemeral) {
            tracing::error!(account = %name, "the account's settings could not be written: {fault}");
            notes.push(format!("its settings could not be written and are kept only until the agent ends: {fault}"));
            self.accounts.put(stored, true)?;
        } else {
            // The very first one has made the directory.
            self.configured.notify_one();
        }
        if let Some(left) = cached.remaining(&*self.clock) {
            notes.push(format!("the token is good for {}", crate::words::duration(left)));
        }
        if !holds.is_empty() {
            notes.push(format!("held by the agent: {}", holds.join(", ")));
            notes.extend(bounds.iter().flat_map(Bounds::notes));
        }
        {
            let mut state = entry.state();
            state.forced = false;
            state.logins = state.logins.wrapping_add(1);
            state.login = Some(fingerprint(&request));
        }
        self.mended(&name.key());
        Ok(notes)
    }

    /// What to say if another login of the same account has succeeded since `logins` were counted, and this one would do
    /// no more than that one did: the cloud would only send another text message, and perhaps end the first session.
    fn done_by_another(&self, request: &Login, stored: &Stored, entry: &Entry, logins: u32) -> Option<String> {
        let same = {
            let state = entry.state();
            state.logins != logins && (brings_nothing(request) || state.login == Some(fingerprint(request)))
        };
        let lives = entry.state().living(&*self.clock).is_some() && !entry.is_retired();
        let as_stored = self.accounts.find(&stored.name).is_ok_and(|other| other == *stored);
        (same && lives && as_stored)
            .then(|| format!("logged in: `{}`, by another login that has just succeeded", stored.name))
    }

    /// The account's entry; made even though the account is not set up yet, so that logins of one name take turns.
    fn entry_for_login(&self, name: &AccountName) -> Arc<Entry> {
        self.entries().entry(name.key().into()).or_insert_with(|| Entry::new(name.clone())).clone()
    }

    pub(super) async fn choose_cloud(
        &self,
        request: &Login,
        known: Option<&Stored>,
        ask: &dyn Ask,
    ) -> Result<Arc<Cloud>, Fault> {
        if let Some(name) = request.cloud.as_deref().or(known.map(|k| k.cloud.as_str())) {
            return self.clouds.get(name);
        }
        let stem = AccountName::stem(&request.account);
        match self.clouds.get(&request.account).or_else(|_| self.clouds.get(stem)) {
            Ok(cloud) => return Ok(cloud),
            // Its file is there and broken: to ask which cloud it is would lead nobody to that.
            Err(fault) if fault.kind == FaultKind::Config => return Err(fault),
            Err(_) => {}
        }
        let choices: Vec<String> = self.clouds.list().iter().map(|cloud| cloud.name.clone()).collect();
        let near = nearest(stem, choices.iter().map(String::as_str)).map(str::to_owned);
        // Whoever mistyped an account does not want another one.
        let unknown = AccountName::parse(&request.account).ok().and_then(|name| self.accounts.find(&name).err());
        let meant = unknown.filter(|fault| fault.kind == FaultKind::UnknownAccount).and_then(|fault| fault.hint);
        let question = Question {
            name: "cloud".into(),
            prompt: format!("Which cloud is `{}` at?", request.account),
            detail: meant.clone(),
            secret: false,
            optional: false,
            choices,
        };
        let said = ask.ask(question).await.map_err(|fault| {
            let cloud = near.map(|near| format!("did you mean `--cloud {near}`?"));
            let near = meant.or(cloud).map(|near| near + " ").unwrap_or_default();
            let login = format!("`cloud-token login {} --cloud CLOUD`", request.account);
            fault.hint(format!("{near}{login}; `cloud-token clouds` lists them"))
        })?;
        self.clouds.get(said.expose().trim())
    }

    pub(super) async fn choose_origins(
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
                Some(url) => origin.address(&url, stored.allow_plaintext)?,
                None if origin.default.is_some() => continue,
                None => ask_address(request, origin, stored.allow_plaintext, ask).await?,
            };
            if origin.name.is_empty() {
                stored.url = Some(url);
            } else {
                stored.urls.insert(origin.name.clone(), url);
            }
        }
        Ok(())
    }
}

/// Asks where a cloud is. A slip of the pen is asked about again, and costs nobody the rest of what they have typed.
async fn ask_address(request: &Login, origin: &Origin, allow_plaintext: bool, ask: &dyn Ask) -> Result<String, Fault> {
    let (name, flag) = match origin.name.as_str() {
        "" => ("url", "--url URL".to_owned()),
        name => (name, format!("--url {name}=URL")),
    };
    let mut why = None;
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let question = Question {
            name: name.into(),
            prompt: origin.prompt.clone(),
            detail: why.take(),
            secret: false,
            optional: false,
            choices: Vec::new(),
        };
        let said = ask
            .ask(question)
            .await
            .map_err(|fault| fault.hint(format!("`cloud-token login {} {flag}`", request.account)))?;
        match origin.address(said.expose().trim(), allow_plaintext) {
            Err(fault) if left > 0 => {
                let hint = fault.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
                why = Some(format!("not accepted: {}{hint}", fault.message));
            }
            judged => return judged,
        }
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

/// Takes the account's own settings out of those that were given.
pub(super) fn settle_account(
    asks: &[AskSpec],
    settings: &mut BTreeMap<String, String>,
    stored: &mut Stored,
) -> Result<(), Fault> {
    // Whoever asks for one of these names means their own.
    let mut take = |name: &str| {
        if asks.iter().any(|ask| ask.name == name) { None } else { settings.remove(name) }
    };
    if let Some(value) = take("allow-plaintext") {
        stored.allow_plaintext = value.parse().map_err(|_| {
            Fault::new(FaultKind::Usage, format!("`allow-plaintext` is `true` or `false`, not `{value}`"))
        })?;
    }
    if let Some(value) = take("ca-file") {
        stored.ca_file = Some(std::path::absolute(&value).unwrap_or_else(|_| value.into()));
    }
    if let Some(value) = take("lifetime") {
        // Empty takes it back.
        stored.lifetime = if value.is_empty() { None } else { Some(parse_span(&value)?) };
    }
    for name in LIMITS {
        if let Some(value) = take(name) {
            stored.limits.set(name, if value.is_empty() { None } else { Some(parse_span(&value)?) });
        }
    }
    if let Some(value) = take("serves") {
        let places = value.split([',', ' ']).filter(|place| !place.is_empty()).map(Target::normalise);
        stored.serves = match value.trim() {
            // As with the others, empty takes it back.
            "" => None,
            "none" => Some(Vec::new()),
            _ => Some(places.collect::<Result<_, _>>()?),
        };
    }
    Ok(())
}

/// Whether a login does no more than any other of its account.
pub(super) fn brings_nothing(request: &Login) -> bool {
    request.secrets.is_empty() && !request.remember && !request.ephemeral
}

/// What tells two logins that ask for the same from others, without keeping their secrets.
pub(super) fn fingerprint(request: &Login) -> [u8; 16] {
    let plain =
        Login { interactive: false, deadline_ms: 0, account: request.account.to_ascii_lowercase(), ..request.clone() };
    let frame = Request::Login(plain).encode().map(|frame| frame.body).unwrap_or_default();
    *Sha256::digest(zeroize::Zeroizing::new(frame)).first_chunk().expect("a digest is longer")
}
