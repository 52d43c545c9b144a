//! ecHome's identity API, as its source and the packages it runs on answer it: Django REST framework with simplejwt.
//!
//! The default is simplejwt 5.0.0, which ecHome locks, with rotation on and the blacklist app not installed, so that an old
//! refresh token stays good. `tests/lab` runs the real packages, and a test holds this fake against them.

mod api;
mod tokens;

#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Certificate, Cloud, Journal, Reply, Request, Server, jwt};
use tokens::Ledger;

/// Where a login goes.
pub const TOKEN: &str = "/api/v1/identity/token";
/// Where a refresh goes.
pub const REFRESH: &str = "/api/v1/identity/token/refresh";
/// Where a token could be verified, if that worked.
pub const VERIFY: &str = "/api/v1/identity/token/verify";
/// An endpoint of the API proper.
pub const MACHINES: &str = "/api/v1/vm/vm/describe/all";

/// Whose wording and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// simplejwt 5.0.0: what ecHome locks.
    V5_0,
    /// simplejwt 5.5.1: what one installs today.
    V5_5,
}

/// What may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access key of a user's: may.
    AccessKey,
    /// A service: may.
    Service,
    /// A person's own password: may not, although it is right.
    Person,
}

/// How an ecHome is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose wording and rules.
    pub version: Version,
    /// An old refresh token is refused, as with the blacklist app installed.
    pub blacklist: bool,
    /// With `blacklist`: for how long after a rotation the old one is still taken, for a client that never got the reply.
    pub grace: Duration,
    /// With `blacklist`: an old one that comes after that is taken for theft, and ends every session of its user, as
    /// RFC 9700 would have it. simplejwt does not; others do.
    pub reuse_is_theft: bool,
    /// How long an access token lives.
    pub access: Duration,
    /// How long a refresh token lives.
    pub refresh: Duration,
    /// Plain HTTP if `None`.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::V5_0,
            blacklist: false,
            grace: Duration::ZERO,
            reuse_is_theft: false,
            access: Duration::from_hours(1),
            refresh: Duration::from_hours(24),
            tls: None,
        }
    }
}

/// A running ecHome. What it saw, and how to break it, is the [`Server`] it derefs to.
pub struct EcHome {
    server: Server,
    state: Arc<State>,
}

impl EcHome {
    /// One as ecHome's own lock file sets it up.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// One set up otherwise.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let tls = options.tls;
        let state = Arc::new(State { options, key: jwt::unique().into_bytes(), inner: Mutex::default() });
        let builder = tls.map_or_else(Server::builder, |certificate| Server::builder().tls(certificate));
        Self { server: builder.start(Site(Arc::clone(&state))), state }
    }

    /// Adds an access key and returns its secret.
    #[must_use]
    pub fn add_key(&self, access_id: &str) -> String {
        let secret = format!("s3cr3t-{}", jwt::unique());
        self.add(access_id, &secret, Kind::AccessKey);
        secret
    }

    /// Adds somebody.
    pub fn add(&self, name: &str, secret: &str, kind: Kind) {
        self.server.journal().secret(secret);
        let mut inner = self.state.lock();
        let id = format!("user-{:08x}", 0xf000_0001_u32 + u32::try_from(inner.users.len()).unwrap_or_default());
        inner.users.push(User { id, name: name.into(), secret: secret.into(), kind, active: true });
    }

    /// Switches a key off or on again.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn set_active(&self, name: &str, active: bool) {
        let mut inner = self.state.lock();
        inner.users.iter_mut().find(|user| user.name == name).expect("there is such a user").active = active;
    }

    /// Replaces a key's secret: the old one is refused from now on.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn change_secret(&self, name: &str) -> String {
        let secret = format!("s3cr3t-{}", jwt::unique());
        self.server.journal().secret(&secret);
        let mut inner = self.state.lock();
        inner.users.iter_mut().find(|user| user.name == name).expect("there is such a user").secret.clone_from(&secret);
        secret
    }

    /// Makes the API refuse every access token issued so far, whatever it says about its own end.
    pub fn revoke_access_tokens(&self) {
        self.state.lock().ledger.revoke("access");
    }

    /// Makes every refresh token issued so far invalid.
    pub fn revoke_refresh_tokens(&self) {
        self.state.lock().ledger.revoke("refresh");
    }

    /// Whether the API takes this access token.
    ///
    /// # Panics
    /// If this server cannot be asked in plain HTTP.
    #[must_use]
    pub fn accepts(&self, access: &str) -> bool {
        let url = format!("{}{MACHINES}", self.url());
        crate::http::get(&url, Some(&format!("Bearer {access}"))).expect("the fake answers").status == 200
    }

    /// How many logins were asked for.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.count(TOKEN)
    }

    /// How many refreshes were asked for.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.count(REFRESH)
    }
}

impl Deref for EcHome {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

#[derive(Debug)]
struct State {
    options: Options,
    key: Vec<u8>,
    inner: Mutex<Inner>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Inner {
    users: Vec<User>,
    ledger: Ledger,
}

#[derive(Debug, Clone)]
struct User {
    id: String,
    name: String,
    secret: String,
    kind: Kind,
    active: bool,
}

struct Site(Arc<State>);

impl Cloud for Site {
    fn answer(&self, request: &Request, journal: &Journal) -> Reply {
        api::answer(&self.0, request, journal)
    }

    fn judge(&self, request: &Request) -> Result<(), String> {
        api::judge(request)
    }
}
