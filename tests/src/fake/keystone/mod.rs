//! OpenStack Keystone's Identity API v3, as far as a program that only wants tokens sees of it.
//!
//! Written from <https://docs.openstack.org/api-ref/identity/v3/>, and corrected where the real server (Keystone 30.0, which
//! `tests/lab` runs) answers otherwise. A test holds it against that server. It is below `/identity` and at the root.

mod api;
mod auth;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Cloud, Journal, Reply, Request, Server, jwt};
use crate::http;

/// Where tokens are asked for, shown and revoked, below the prefix.
pub const TOKENS: &str = "/v3/auth/tokens";
/// What projects a token is good for: an endpoint of the API proper.
pub const PROJECTS: &str = "/v3/auth/projects";
/// The other place where installations have it.
pub const PREFIX: &str = "/identity";

/// A running Keystone. What it saw, and how to break it, is the [`Server`] it derefs to.
pub struct Keystone {
    server: Server,
    state: Arc<State>,
}

impl Keystone {
    /// One with tokens that live for an hour.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Duration::from_hours(1))
    }

    /// One with tokens that live for `life`.
    #[must_use]
    pub fn with(life: Duration) -> Self {
        let state = Arc::new(State { life, inner: Mutex::default() });
        Self { server: Server::start(Site(Arc::clone(&state))), state }
    }

    /// Its address below the prefix. The server's own `url` has none.
    #[must_use]
    pub fn prefixed(&self) -> String {
        format!("{}{PREFIX}", self.server.url())
    }

    /// Adds a user of the domain `Default`, and a project there of which they are a member.
    pub fn add_user(&self, name: &str, password: &str, project: &str) {
        self.server.journal().secret(password);
        self.state.lock().users.push(User {
            id: jwt::unique(),
            name: name.into(),
            password: password.into(),
            project: Project { id: jwt::unique(), name: project.into() },
            enabled: true,
            rules: Vec::new(),
            code: None,
        });
    }

    /// Adds an application credential for a user's project and returns its id.
    #[must_use]
    pub fn add_credential(&self, user: &str, secret: &str) -> String {
        self.server.journal().secret(secret);
        let mut inner = self.state.lock();
        let user = inner.user(user).id.clone();
        let made = Credential { id: jwt::unique(), name: jwt::unique(), secret: secret.into(), user };
        let id = made.id.clone();
        inner.credentials.push(made);
        id
    }

    /// Deletes an application credential, and with it every token that came of it.
    pub fn delete_credential(&self, id: &str) {
        self.state.lock().credentials.retain(|credential| credential.id != id);
    }

    /// Switches a user off or on again. What was issued before stays dead.
    pub fn set_active(&self, user: &str, active: bool) {
        let mut inner = self.state.lock();
        let user = inner.user(user);
        user.enabled = active;
        let id = user.id.clone();
        if !active {
            inner.tokens.retain(|_, token| token.user != id);
        }
    }

    /// Wants `code` besides the password from now on.
    pub fn want_code(&self, user: &str, code: &str) {
        self.state.lock().user(user).code = Some(code.into());
        self.want_factors(user, "password,totp");
    }

    /// Wants these methods, separated by commas, from a user.
    pub fn want_factors(&self, user: &str, methods: &str) {
        self.state.lock().user(user).rules = vec![methods.split(',').map(str::to_owned).collect()];
    }

    /// Revokes every token issued so far.
    pub fn revoke_tokens(&self) {
        self.state.lock().tokens.clear();
    }

    /// Whether the API takes this token.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        let url = format!("{}{PROJECTS}", self.server.url());
        http::request("GET", &url, &[("X-Auth-Token", token)], b"").expect("the fake answers").status == 200
    }

    /// How many logins were asked for, below the prefix or not.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.count_of("POST")
    }

    /// How many revocations were asked for, below the prefix or not.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.count_of("DELETE")
    }

    fn count_of(&self, method: &str) -> usize {
        let is = |request: &&Request| request.method == method && request.path.ends_with(TOKENS);
        self.server.requests().iter().filter(is).count()
    }
}

impl Deref for Keystone {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

#[derive(Debug)]
struct State {
    life: Duration,
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
    credentials: Vec<Credential>,
    tokens: HashMap<String, Token>,
}

impl Inner {
    fn user(&mut self, name: &str) -> &mut User {
        self.users.iter_mut().find(|user| user.name == name).expect("there is such a user")
    }
}

#[derive(Debug, Clone)]
struct User {
    id: String,
    name: String,
    password: String,
    project: Project,
    enabled: bool,
    /// Sets of methods, one of which has to be complete; none if any method will do.
    rules: Vec<Vec<String>>,
    /// The one-time code of now.
    code: Option<String>,
}

#[derive(Debug, Clone)]
struct Project {
    id: String,
    name: String,
}

#[derive(Debug, Clone)]
struct Credential {
    id: String,
    name: String,
    secret: String,
    user: String,
}

#[derive(Debug, Clone)]
struct Token {
    user: String,
    scoped: bool,
    methods: Vec<String>,
    /// The application credential that it came of.
    credential: Option<String>,
    audit: String,
    issued: u64,
    expires: u64,
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
