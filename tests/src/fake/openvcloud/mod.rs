//! `OpenvCloud`: a portal (G8), and itsyou.online, which issues the tokens that the portal takes. Two servers, two origins.
//!
//! itsyou.online is written from its server's source; the portal from the source of the one that it grew out of, and from
//! what clients do with it. The words of the portal's pages, and of its upgrade, are made up; their statuses are not.

mod iam;
mod portal;
mod tokens;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Cloud, Journal, Reply, Request, Server, jwt};

/// Where itsyou.online mints.
pub const ACCESS_TOKEN: &str = "/v1/oauth/access_token";
/// Where it makes a new JWT of an old one.
pub const REFRESH: &str = "/v1/oauth/jwt/refresh";
/// Where it makes a narrower JWT of a living one.
pub const CHILD: &str = "/v1/oauth/jwt";
/// Where the portal takes a password.
pub const AUTHENTICATE: &str = "/restmachine/cloudapi/users/authenticate";
/// Where the portal says who one is.
pub const WHOAMI: &str = "/restmachine/system/usermanager/whoami";
/// A call of the API proper.
pub const CLOUDSPACES: &str = "/restmachine/cloudapi/cloudspaces/list";

/// For how long a refreshable JWT may lie unused.
pub const IDLE: Duration = Duration::from_hours(30 * 24);

/// How a JWT comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As `Accept` asks for it: what the source does.
    #[default]
    ByAccept,
    /// The JWT and nothing else.
    Bare,
    /// The JWT and a line's end.
    Line,
    /// In a JSON object.
    Json,
}

/// A running itsyou.online, and a portal that believes it.
pub struct OpenvCloud {
    /// itsyou.online.
    pub iam: Server,
    /// The portal.
    pub portal: Server,
    state: Arc<State>,
}

impl OpenvCloud {
    /// Both of them.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(State { key: jwt::unique().into_bytes(), inner: Mutex::default() });
        Self { iam: Server::start(Iam(Arc::clone(&state))), portal: Server::start(Portal(Arc::clone(&state))), state }
    }

    /// Adds an API key of a user's and returns its secret.
    #[must_use]
    pub fn add_key(&self, client_id: &str, owner: &str) -> String {
        self.add(client_id, Owner::User(owner.into()))
    }

    /// Adds an API key of an organisation's and returns its secret.
    #[must_use]
    pub fn add_organisation_key(&self, client_id: &str) -> String {
        self.add(client_id, Owner::Organisation(client_id.into()))
    }

    fn add(&self, client_id: &str, owner: Owner) -> String {
        let secret = format!("iyo-{}", jwt::unique());
        self.iam.journal().secret(&secret);
        self.state.lock().keys.insert(client_id.into(), Key { secret: secret.clone(), owner });
        secret
    }

    /// Adds a user of the portal's and returns the password.
    #[must_use]
    pub fn add_user(&self, name: &str) -> String {
        let password = format!("p4ssw0rd-{}", jwt::unique());
        self.portal.journal().secret(&password);
        self.state.lock().users.insert(name.into(), password.clone());
        password
    }

    /// A JWT as one mints for oneself with `offline_access`: it can be refreshed, so it is as good as a password.
    /// It ended `ago`.
    #[must_use]
    pub fn refreshable(&self, owner: &str, scopes: &[&str], ago: Duration) -> String {
        self.own(&Owner::User(owner.into()), scopes, ago, true)
    }

    /// The same of an organisation's.
    #[must_use]
    pub fn refreshable_of_organisation(&self, name: &str, scopes: &[&str]) -> String {
        self.own(&Owner::Organisation(name.into()), scopes, Duration::ZERO, true)
    }

    /// A JWT for oneself without `offline_access`, good for an hour.
    #[must_use]
    pub fn plain(&self, owner: &str) -> String {
        self.own(&Owner::User(owner.into()), &[], Duration::ZERO, false)
    }

    fn own(&self, owner: &Owner, scopes: &[&str], ago: Duration, refreshable: bool) -> String {
        let exp = if ago.is_zero() { SystemTime::now() + Duration::from_hours(1) } else { SystemTime::now() - ago };
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let refresh = refreshable.then(|| {
            let refresh = jwt::unique();
            let held = scopes.iter().cloned().collect();
            self.iam.journal().secret(&refresh);
            self.state.lock().refresh.insert(refresh.clone(), Refresh { unused: Duration::ZERO, scopes: held });
            refresh
        });
        let token = self.state.sign(&tokens::claims("own-client", owner, &scopes, exp, refresh.as_deref()));
        self.iam.journal().secret(&token);
        token
    }

    /// Lets refreshable JWTs lie unused for so long.
    pub fn lie_idle(&self, time: Duration) {
        self.state.lock().refresh.values_mut().for_each(|refresh| refresh.unused += time);
    }

    /// How JWTs come back from now on.
    pub fn answer_in(&self, form: Form) {
        self.state.lock().form = form;
    }

    /// Whether session ids come in JSON quotes; as `Accept` asks for it if never said.
    pub fn quote_sessions(&self, quoted: bool) {
        self.state.lock().quoted = Some(quoted);
    }

    /// Ends every session of the portal's, as time does.
    pub fn end_sessions(&self) {
        self.state.lock().sessions.clear();
    }

    /// Whether the portal is being upgraded, and answers nothing else than that.
    pub fn set_upgrading(&self, upgrading: bool) {
        self.state.lock().upgrading = upgrading;
    }

    /// Whether the portal's API takes this JWT.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        self.state.verify(token).is_some_and(|claims| tokens::is_unexpired(&claims))
    }

    /// Whether the portal knows this session.
    #[must_use]
    pub fn knows(&self, session: &str) -> bool {
        self.state.lock().sessions.contains_key(session)
    }

    /// Every breach of either server's rules so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        [self.iam.violations(), self.portal.violations()].concat()
    }

    /// Every secret that either server issued or received so far.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<String> {
        self.iam.secrets().into_iter().chain(self.portal.secrets()).collect()
    }
}

#[derive(Debug)]
struct State {
    key: Vec<u8>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: HashMap<String, Key>,
    refresh: HashMap<String, Refresh>,
    users: HashMap<String, String>,
    sessions: HashMap<String, String>,
    form: Form,
    quoted: Option<bool>,
    upgrading: bool,
}

#[derive(Debug)]
struct Key {
    secret: String,
    owner: Owner,
}

#[derive(Debug, Clone)]
enum Owner {
    User(String),
    Organisation(String),
}

/// What itsyou.online keeps of a refreshable JWT.
#[derive(Debug)]
struct Refresh {
    unused: Duration,
    scopes: BTreeSet<String>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self, claims: &Value) -> String {
        tokens::sign(claims, &self.key)
    }

    fn verify(&self, token: &str) -> Option<Value> {
        tokens::verify(token, &self.key)
    }
}

struct Iam(Arc<State>);

impl Cloud for Iam {
    fn answer(&self, request: &Request, journal: &Journal) -> Reply {
        iam::answer(&self.0, request, journal)
    }

    fn judge(&self, request: &Request) -> Result<(), String> {
        iam::judge(request)
    }
}

struct Portal(Arc<State>);

impl Cloud for Portal {
    fn answer(&self, request: &Request, journal: &Journal) -> Reply {
        portal::answer(&self.0, request, journal)
    }

    fn judge(&self, request: &Request) -> Result<(), String> {
        portal::judge(request)
    }
}
