//! A provider and a vault that follow a script, and a broker around them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud_agent_protocol::v1::{Login, NamedSecret, Question, Setting, Show};
use cloud_agent_protocol::{Credential, ExpirySource, Fault, FaultKind, Header, Secret};
use tokio::sync::Semaphore;

use crate::accounts::Accounts;
use crate::broker::{Broker, Need};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::cloud::Clouds;
use crate::provider::{Account, Acted, Ask, Boxed, Grant, Held, Keep, Provider, Revocation};
use crate::vault::{Memory, Record, Saved, Vault};

pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

const ACME: &str = r#"
title = "Acme"
docs = "https://acme.example/docs"
[[origin]]
prompt = "Address of your Acme"
[[method]]
name = "password"
title = "user name and password"
hold = ["refresh"]
headers = ["Authorization: Bearer {access}"]
token = "access"
[[method.ask]]
name = "user"
prompt = "User name"
[[method.ask]]
name = "password"
prompt = "Password"
secret = true
[[method.login]]
request = "POST /login"
json = { user = "{user}", password = "{password}" }
take = { access = "/access", refresh = "/refresh" }
[[method.refresh]]
request = "POST /refresh"
json = { refresh = "{refresh}" }
take = { access = "/access", refresh = "/refresh" }
[[action]]
name = "register"
title = "make a login"
ask = [{ name = "mail", prompt = "Mail" }, { name = "password", prompt = "Password", secret = true }]
[[action.step]]
request = "POST /register"
json = { mail = "{mail}", password = "{password}" }
[[action]]
name = "enrol"
title = "second factor on"
hold = ["seed"]
[[action.step]]
request = "POST /2fa"
present = true
take = { seed = "/seed" }
[[action]]
name = "drop"
title = "second factor off"
forget = ["seed"]
[[action.step]]
request = "DELETE /2fa"
present = true
"#;

/// What the cloud does next; when the script is over it goes on granting.
pub(super) enum Act {
    Fail(Fault),
    Panic,
    /// Rotates, keeps what came of it, and fails then.
    Rotate,
    /// Loses the reply: nobody knows whether it has rotated.
    Lose,
    /// Somebody else saves this as the refresh token before the request is sent.
    Outrun(&'static str),
}

pub(super) struct Cloud {
    clock: Arc<ManualClock>,
    pub(super) life: Mutex<Option<Duration>>,
    pub(super) idle_life: Mutex<Option<Duration>>,
    pub(super) source: Mutex<ExpirySource>,
    script: Mutex<VecDeque<Act>>,
    pub(super) calls: AtomicUsize,
    pub(super) revoked: AtomicUsize,
    /// A permit lets one call through; `None` lets all through.
    gates: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    /// What `check` says, and what actions come to.
    pub(super) checks: Mutex<VecDeque<Result<(), Fault>>>,
    /// What actions came with: their name, address, what was given and held, and the credential's token.
    pub(super) acted: Mutex<Vec<String>>,
    /// The refresh tokens that were sent, and what the vault held when they were.
    pub(super) spent: Mutex<Vec<String>>,
    /// Where to look for that, and where somebody else saves.
    vault: Arc<Shelf>,
    /// The origins and secrets that logins came with.
    pub(super) seen: Mutex<Vec<(String, Held)>>,
}

impl Cloud {
    pub(super) fn then(&self, act: Act) {
        self.script.lock().unwrap().push_back(act);
    }

    /// Forgets the next act, if there is one.
    pub(super) fn forgets_one(&self) -> bool {
        self.script.lock().unwrap().pop_front().is_some()
    }

    /// From now on calls for `account` wait until they are let through.
    pub(super) fn gate(&self, account: &str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.gates.lock().unwrap().insert(account.to_owned(), gate.clone());
        gate
    }

    pub(super) fn called(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn act(&self, account: &Account, remembered: Option<&Secret>) -> Result<Grant, Fault> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let obtained_at = self.clock.now();
        let gate = self.gates.lock().unwrap().get(account.name.as_str()).cloned();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let act = self.script.lock().unwrap().pop_front();
        match act {
            Some(Act::Fail(fault)) => return Err(fault),
            Some(Act::Panic | Act::Rotate | Act::Lose | Act::Outrun(_)) => panic!("the script says so"),
            None => {}
        }
        let life = *self.life.lock().unwrap();
        let expires_at = life.map(|life| obtained_at.after(life));
        let token = Secret::new(format!("token-{number}"));
        let mut held = Held(BTreeMap::from([("refresh".to_owned(), Secret::new(format!("refresh-{number}")))]));
        held.0.extend(remembered.map(|secret| ("password".to_owned(), secret.clone())));
        Ok(Grant {
            credential: Credential {
                account: account.name.as_str().into(),
                cloud: account.cloud.name.clone(),
                headers: vec![Header { name: "Authorization".into(), value: format!("Bearer token-{number}").into() }],
                token: Some(token),
                environment: Vec::new(),
                expires_at: expires_at.map(Timestamp::seconds),
                expiry_source: *self.source.lock().unwrap(),
            },
            obtained_at,
            expires_at,
            held,
            idle_life: *self.idle_life.lock().unwrap(),
        })
    }
}

impl Provider for Cloud {
    fn login<'a>(
        &'a self,
        account: &'a Account,
        secrets: &'a Held,
        remember: bool,
        _: &'a dyn Ask,
    ) -> Boxed<'a, Grant> {
        self.seen.lock().unwrap().push((account.origins[""].clone(), secrets.clone()));
        Box::pin(self.act(account, secrets.0.get("password").filter(|_| remember)))
    }

    fn renew<'a>(&'a self, account: &'a Account, held: &'a Held, keep: &'a dyn Keep) -> Boxed<'a, Grant> {
        Box::pin(async move {
            let rotates = matches!(self.script.lock().unwrap().front(), Some(Act::Rotate));
            if rotates {
                self.script.lock().unwrap().pop_front();
                let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
                let next = Secret::new(format!("rotated-{number}"));
                keep.keep(Held(BTreeMap::from([("refresh".to_owned(), next)]))).await?;
                return Err(unreachable());
            }
            let key = account.name.key();
            let next = {
                let mut script = self.script.lock().unwrap();
                let ours = matches!(script.front(), Some(Act::Lose | Act::Outrun(_)));
                ours.then(|| script.pop_front()).flatten()
            };
            if let Some(Act::Outrun(refresh)) = next {
                self.vault.put(&key, refresh).await;
            }
            keep.spend().await?;
            let there = self.vault.is_intended(&key).await;
            let sent = held.0.get("refresh").map_or("", Secret::expose);
            self.spent.lock().unwrap().push(format!("{sent}{}", if there { " intended" } else { "" }));
            if let Some(Act::Lose) = next {
                self.calls.fetch_add(1, Ordering::SeqCst);
                let gate = self.gates.lock().unwrap().get(account.name.as_str()).cloned();
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                keep.lost();
                return Err(unreachable());
            }
            self.act(account, held.0.get("password")).await
        })
    }

    fn check<'a>(&'a self, _: &'a Account, _: &'a Held, _: &'a Credential) -> Boxed<'a, ()> {
        let said = self.checks.lock().unwrap().pop_front().unwrap_or(Ok(()));
        Box::pin(async { said })
    }

    fn act<'a>(&'a self, account: &'a Account, act: crate::provider::Act<'a>, ask: &'a dyn Ask) -> Boxed<'a, Acted> {
        let token = act.credential.and_then(|credential| credential.token.as_ref()).map_or("none", Secret::expose);
        let (secrets, held) = (listed(act.secrets), listed(act.held));
        let settings = act.settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
        let line = format!("{} {} [{settings}] [{secrets}] [{held}] {token}", act.action.name, account.origins[""]);
        self.acted.lock().unwrap().push(line);
        let holds = act.action.holds.iter().map(|hold| (hold.name.clone(), Secret::from("held"))).collect();
        let forgets = act.action.forgets.clone();
        let fault = self.script.lock().unwrap().pop_front();
        Box::pin(async move {
            if let Some(Act::Fail(fault)) = fault {
                return Err(fault);
            }
            if act.action.name == "enrol" {
                ask.show(Show { title: "a seed".into(), text: "otpauth".into() }).await?;
            }
            Ok(Acted { notes: vec!["done".into()], rows: vec![], holds: Held(holds), forgets })
        })
    }

    fn revoke<'a>(&'a self, _: &'a Account, _: &'a Held, _: Option<&'a Credential>) -> Boxed<'a, Revocation> {
        self.revoked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Revocation::Revoked) })
    }
}

/// Names and values in one line.
fn listed(held: &Held) -> String {
    held.0.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect::<Vec<_>>().join(",")
}

/// A memory vault that can be made to fail, or to wait.
pub(super) struct Shelf {
    inner: Memory,
    pub(super) broken: AtomicBool,
    /// How often something was saved.
    pub(super) saves: AtomicUsize,
    /// A permit lets one save through; `None` lets all through.
    pub(super) gate: Mutex<Option<Arc<Semaphore>>>,
    /// The same for loads.
    pub(super) door: Mutex<Option<Arc<Semaphore>>>,
    pub(super) unreadable: AtomicBool,
    /// Which of the machines that share it this is.
    pub(super) writer: Mutex<String>,
}

impl Shelf {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Memory::new("test"),
            broken: AtomicBool::new(false),
            saves: AtomicUsize::new(0),
            gate: Mutex::default(),
            door: Mutex::default(),
            unreadable: AtomicBool::new(false),
            writer: Mutex::default(),
        })
    }

    /// From now on nothing is loaded until somebody is let in.
    pub(super) fn shut(&self) -> Arc<Semaphore> {
        let door = Arc::new(Semaphore::new(0));
        *self.door.lock().unwrap() = Some(door.clone());
        door
    }

    /// Whether it has given away what it had of `account`.
    pub(super) async fn load_locked(&self, account: &str) -> bool {
        Vault::load(&self.inner, account).await.is_err_and(|fault| fault.kind == FaultKind::NeedsHuman)
    }

    /// Somebody else saves another refresh token, with nothing else changed.
    pub(super) async fn put(&self, account: &str, refresh: &str) {
        let mut held = Vault::load(&self.inner, account).await.unwrap().unwrap().held;
        held.0.insert("refresh".into(), refresh.into());
        held.0.remove("@pending");
        Vault::save(&self.inner, account, &held, None).await.unwrap();
    }

    /// Somebody writes down, `at` this time, that they are about to spend what is held.
    pub(super) async fn intend(&self, account: &str, at: i64, writer: &str) {
        let mut held = Vault::load(&self.inner, account).await.unwrap().unwrap().held;
        held.0.insert("@pending".into(), Secret::new(format!("{at} {writer}")));
        Vault::save(&self.inner, account, &held, None).await.unwrap();
    }

    /// What lies beside what is held under this name was never written.
    pub(super) async fn forget_beside(&self, account: &str, name: &str) {
        let mut held = Vault::load(&self.inner, account).await.unwrap().unwrap().held;
        assert!(held.0.remove(name).is_some(), "{name}");
        Vault::save(&self.inner, account, &held, None).await.unwrap();
    }

    /// Whether somebody has written that down.
    pub(super) async fn is_intended(&self, account: &str) -> bool {
        let there = Vault::load(&self.inner, account).await.unwrap();
        there.is_some_and(|record| record.held.0.contains_key("@pending"))
    }
}

impl Vault for Shelf {
    fn kind(&self) -> &'static str {
        "shelf"
    }

    fn reason(&self) -> String {
        "the test says so".into()
    }

    fn load<'a>(&'a self, account: &'a str) -> Boxed<'a, Option<Record>> {
        Box::pin(async move {
            let door = self.door.lock().unwrap().clone();
            if let Some(door) = door {
                door.acquire().await.unwrap().forget();
            }
            if self.unreadable.load(Ordering::SeqCst) {
                return Err(Fault::new(FaultKind::Config, "the shelf cannot be read"));
            }
            Vault::load(&self.inner, account).await
        })
    }

    fn save<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        Box::pin(async move {
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            if self.broken.load(Ordering::SeqCst) {
                return Err(Fault::new(FaultKind::Config, "no space left on device"));
            }
            self.saves.fetch_add(1, Ordering::SeqCst);
            Vault::save(&self.inner, account, held, follows).await
        })
    }

    fn reserve<'a>(&'a self, account: &'a str, held: &'a Held, follows: Option<u64>) -> Boxed<'a, Saved> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(Fault::new(FaultKind::Config, "no space left on device"));
            }
            Vault::save(&self.inner, account, held, follows).await
        })
    }

    fn writer(&self) -> String {
        self.writer.lock().unwrap().clone()
    }

    fn erase<'a>(&'a self, account: &'a str) -> Boxed<'a, bool> {
        Vault::erase(&self.inner, account)
    }

    fn accounts(&self) -> Boxed<'_, Vec<String>> {
        Vault::accounts(&self.inner)
    }

    fn surrender(&self) -> Vec<(String, Secret)> {
        self.inner.surrender()
    }

    fn restore(&self, given_away: Vec<(String, Secret)>) -> bool {
        self.inner.restore(given_away)
    }
}

/// Answers questions from a list; a question that is not in it finds nobody.
#[derive(Default)]
pub(super) struct Human {
    pub(super) answers: BTreeMap<&'static str, &'static str>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Ask for Human {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        self.asked.lock().unwrap().push(question.name.clone());
        let answer = self.answers.get(question.name.as_str()).map(|said| Secret::from(*said));
        Box::pin(async move {
            answer.ok_or_else(|| Fault::new(FaultKind::NeedsHuman, format!("`{}` is needed", question.name)))
        })
    }

    fn is_anyone_there(&self) -> bool {
        !self.answers.is_empty()
    }

    fn show(&self, show: Show) -> Boxed<'_, ()> {
        self.asked.lock().unwrap().push(format!("shown: {}", show.title));
        Box::pin(async { Ok(()) })
    }
}

pub(super) struct Scene {
    pub(super) clock: Arc<ManualClock>,
    pub(super) cloud: Arc<Cloud>,
    pub(super) vault: Arc<Shelf>,
    pub(super) broker: Arc<Broker>,
    pub(super) dir: Arc<tempfile::TempDir>,
}

impl Scene {
    /// No account yet; tokens live an hour.
    pub(super) fn new() -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(dir.path().join("clouds")).unwrap();
        std::fs::write(dir.path().join("clouds/acme.toml"), ACME).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        let vault = Shelf::new();
        let cloud = Arc::new(Cloud {
            spent: Mutex::default(),
            vault: vault.clone(),
            clock: clock.clone(),
            life: Mutex::new(Some(60 * MINUTE)),
            idle_life: Mutex::default(),
            source: Mutex::new(ExpirySource::Jwt),
            script: Mutex::default(),
            calls: AtomicUsize::new(0),
            revoked: AtomicUsize::new(0),
            gates: Mutex::default(),
            seen: Mutex::default(),
            checks: Mutex::default(),
            acted: Mutex::default(),
        });
        Self::around(clock, cloud, vault, dir)
    }

    fn around(clock: Arc<ManualClock>, cloud: Arc<Cloud>, vault: Arc<Shelf>, dir: Arc<tempfile::TempDir>) -> Self {
        let broker = Broker::new(
            clock.clone(),
            Accounts::open(dir.path().join("accounts.toml")),
            Clouds::load(Some(&dir.path().join("clouds"))),
            cloud.clone(),
            vault.clone(),
        );
        Self { clock, cloud, vault, broker, dir }
    }

    /// Another agent over the same vault and settings, as after a restart.
    pub(super) fn restarted(&self) -> Self {
        Self::around(self.clock.clone(), self.cloud.clone(), self.vault.clone(), self.dir.clone())
    }

    /// The refresh tokens that were sent so far.
    pub(super) fn spent(&self) -> Vec<String> {
        self.cloud.spent.lock().unwrap().clone()
    }

    /// One with `work` logged in.
    pub(super) async fn logged_in() -> Self {
        let scene = Self::new();
        scene.login("work").await.unwrap();
        scene
    }

    pub(super) fn login_request(account: &str) -> Login {
        let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
        Login {
            account: account.into(),
            cloud: Some("acme".into()),
            method: None,
            origins: vec![setting("", "https://acme.example")],
            settings: vec![setting("user", "me")],
            secrets: vec![NamedSecret { name: "password".into(), value: "pw".into() }],
            remember: false,
            ephemeral: false,
            interactive: false,
            deadline_ms: 30_000,
        }
    }

    pub(super) async fn login(&self, account: &str) -> Result<Vec<String>, Fault> {
        self.broker.login(Self::login_request(account), Arc::new(Human::default())).await
    }

    pub(super) async fn get(&self, account: &str) -> Result<String, Fault> {
        self.need(account, Need::default()).await
    }

    pub(super) async fn need(&self, account: &str, need: Need) -> Result<String, Fault> {
        let cached = match self.broker.warm(account, need) {
            Some(cached) => cached,
            None => self.broker.get(account, need, PATIENCE).await?,
        };
        Ok(cached.credential().token.as_ref().unwrap().expose().to_owned())
    }

    /// Starts what an agent has running all the time, as the agent does.
    pub(super) fn keeps_fresh(&self) {
        tokio::spawn(self.broker.clone().keep_fresh());
    }

    /// Lets everything run that can without time passing.
    pub(super) async fn settled(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Time passes, in steps that are short beside a token's life, and everything runs meanwhile.
    pub(super) async fn pass(&self, time: Duration) {
        let end = self.clock.uptime() + time;
        self.settled().await;
        while self.clock.uptime() < end {
            self.clock.advance(Duration::from_secs(30));
            self.settled().await;
        }
    }

    pub(super) async fn held(&self, account: &str) -> Option<Held> {
        let mut held = self.vault.load(account).await.unwrap()?.held;
        assert!(held.0.remove("@place").is_some(), "whatever is held says for which address");
        held.0.retain(|name, _| !name.starts_with('@'));
        Some(held)
    }
}

pub(super) fn unreachable() -> Fault {
    Fault::new(FaultKind::Unreachable, "the cloud is down")
}
