//! Webitel's login, logout and whoami, as engine v3 answers them: its own modules were run and their answers recorded.
//!
//! What its documentation says otherwise: `expires` is no time to live but a moment, in milliseconds, and so is the `exp` of
//! the token; an unknown user is a 401, not a 404; and `root` with a second factor is told so by a 301 that leads nowhere.

mod api;
mod state;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::totp::{self, Verifier};
use super::{Certificate, Cloud, Journal, Reply, Request, Server, jwt};
use state::{Factor, State, User};

/// Where a login goes.
pub const LOGIN: &str = "/login";
/// Where a logout goes.
pub const LOGOUT: &str = "/logout";
/// Who one is.
pub const WHOAMI: &str = "/api/v2/whoami";
/// The account that may have a second factor.
pub const ROOT: &str = "root";

/// How a number tells a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds since the Unix epoch: what engine v3 does.
    Milliseconds,
    /// Seconds since the Unix epoch: what one would expect.
    Seconds,
}

/// How a Webitel is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a token lives.
    pub life: Duration,
    /// How long it lives by its own `exp`, if that is to be something else than `expires` says.
    pub jwt_life: Option<Duration>,
    /// How `expires` and `exp` are told.
    pub unit: Unit,
    /// Plain HTTP if `None`.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        let life = Duration::from_hours(100 * 24);
        Self { life, jwt_life: None, unit: Unit::Milliseconds, tls: None }
    }
}

/// A running Webitel. What it saw, and how to break it, is the [`Server`] it derefs to.
pub struct Webitel {
    server: Server,
    state: Arc<State>,
}

impl Webitel {
    /// One as engine v3 is set up by default.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// One set up otherwise.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let builder = options.tls.map_or_else(Server::builder, |certificate| Server::builder().tls(certificate));
        let state = Arc::new(State::new(options));
        Self { server: builder.start(Site(Arc::clone(&state))), state }
    }

    /// Adds a user and returns the password.
    #[must_use]
    pub fn add_user(&self, name: &str) -> String {
        let password = format!("s3cr3t-{}", jwt::unique());
        self.server.journal().secret(&password);
        self.state.lock().users.push(User { name: name.into(), password: password.clone(), factor: Factor::Off });
        password
    }

    /// Replaces a password: the old one is refused from now on.
    #[must_use]
    pub fn change_password(&self, name: &str) -> String {
        let password = format!("s3cr3t-{}", jwt::unique());
        self.server.journal().secret(&password);
        self.with_user(name, |user| user.password.clone_from(&password));
        password
    }

    /// Switches the second factor of [`ROOT`] on and returns the seed.
    #[must_use]
    pub fn enrol_root(&self) -> String {
        let seed = totp::seed();
        // speakeasy does not remember which codes it has seen.
        self.with_user(ROOT, |user| user.factor = Factor::Seed(Verifier::new(&seed, true)));
        seed
    }

    /// Makes [`ROOT`] want this code, whatever time it is.
    pub fn fix_code(&self, code: &str) {
        self.with_user(ROOT, |user| user.factor = Factor::Fixed(code.to_owned()));
    }

    /// Issues a static domain token.
    #[must_use]
    pub fn domain_token(&self, domain: &str) -> String {
        let token = self.state.issue_domain(domain);
        self.server.journal().secret(&token);
        token
    }

    /// Takes the telephony console away, in which users are looked up, or brings it back.
    pub fn set_console(&self, there: bool) {
        self.state.lock().console_gone = !there;
    }

    /// Makes the API refuse every token issued so far by a login.
    pub fn revoke_tokens(&self) {
        self.state.lock().issued.clear();
    }

    /// How many tokens there are that a login issued and nobody ended.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.state.lock().issued.len()
    }

    /// Whether the API takes these headers.
    ///
    /// # Panics
    /// If this server cannot be asked in plain HTTP.
    #[must_use]
    pub fn accepts(&self, headers: &[(&str, &str)]) -> bool {
        let url = format!("{}{WHOAMI}", self.url());
        crate::http::request("GET", &url, headers, b"").expect("the fake answers").status == 200
    }

    fn with_user<T>(&self, name: &str, look: impl FnOnce(&mut User) -> T) -> T {
        let mut inner = self.state.lock();
        look(inner.users.iter_mut().find(|user| user.name == name).expect("there is such a user"))
    }
}

impl Deref for Webitel {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
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
