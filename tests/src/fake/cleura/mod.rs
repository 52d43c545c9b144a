//! Cleura's REST API, as its documentation, its own clients and their histories tell: two generations of the login side by
//! side, a second factor by text message, tokens that say nothing about their end.
//!
//! | what nobody outside knows | what this does |
//! |---|---|
//! | how v1 answers to a wrong password | as [`Options::refusal`] says |
//! | what v1 says of a second factor before its method is named | `twofactor_required` with nothing to verify with |
//! | the status of a wrong code, or of a body that lacks something | 400, as v2 has it for a wrong password |
//! | the words of errors, but `Invalid token` and `No access: …` | made up; that they stand in `error.message` is not |
//! | how long a `verification` lives, and what locks a user out | as [`Options`] says |
//! | whether a login ends older tokens | as [`Options::single`] says |

mod api;
mod login;
mod shape;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Certificate, Cloud, Journal, Reply, Request, Server, jwt};

/// Where a v1 login goes, and a v1 token to be forgotten.
pub const TOKENS: &str = "/auth/v1/tokens";
/// Where v1 sends a text message.
pub const REQUEST_CODE: &str = "/auth/v1/tokens/request2facode";
/// Where v1 takes the code.
pub const VERIFY: &str = "/auth/v1/tokens/verify2fa";
/// Where v1 says whether a token is alive.
pub const VALIDATE: &str = "/auth/v1/tokens/validate";
/// Where a v2 login goes, and a v2 token to be forgotten.
pub const TOKENS_V2: &str = "/auth/v2/tokens";
/// Where v2 sends a text message.
pub const REQUEST_CODE_V2: &str = "/auth/v2/request-sms-code";
/// Where v2 takes the code.
pub const VERIFY_V2: &str = "/auth/v2/tokens-by-sms-code";
/// Where v2 says whether a token is alive.
pub const VALIDATE_V2: &str = "/auth/v2/tokens/validate";
/// The call of the API proper that the documentation tries a token with.
pub const DOMAINS: &str = "/accesscontrol/v1/openstack/domains";

/// What a user has to show besides the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// Nothing.
    None,
    /// A code from a text message.
    Sms,
    /// A security key, which no API call can use.
    WebAuthn,
    /// Either of them.
    Both,
}

/// How a Cleura is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// What v1 answers to a wrong password. Its documentation does not say; v2's is 400.
    pub refusal: u16,
    /// How long the `verification` of a first step lives. Nobody says.
    pub verification: Duration,
    /// How many wrong codes end a verification.
    pub wrong_codes: u32,
    /// How many wrong passwords in a row lock a user out.
    pub wrong_passwords: u32,
    /// A new token ends the user's older ones: whether it does is not known even to the vendor's own client.
    pub single: bool,
    /// Plain HTTP if `None`.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            refusal: 403,
            verification: Duration::from_mins(10),
            wrong_codes: 5,
            wrong_passwords: 5,
            single: false,
            tls: None,
        }
    }
}

/// A running Cleura. What it saw, and how to break it, is the [`Server`] it derefs to.
pub struct Cleura {
    server: Server,
    state: Arc<State>,
}

impl Cleura {
    /// One with the defaults.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// One set up otherwise.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let tls = options.tls;
        let state = Arc::new(State { options, inner: Mutex::default() });
        let builder = tls.map_or_else(Server::builder, |certificate| Server::builder().tls(certificate));
        Self { server: builder.start(Site(Arc::clone(&state))), state }
    }

    /// Adds a user and returns the password.
    #[must_use]
    pub fn add(&self, login: &str, second: Second) -> String {
        let password = format!("p4ssw0rd-{}", jwt::unique());
        self.server.journal().secret(&password);
        let user =
            User { password: password.clone(), second, privileged: true, wrong: 0, messages: Vec::new(), coming: None };
        self.state.lock().users.insert(login.into(), user);
        password
    }

    /// A token such as the control panel shows, for users who cannot log in through the API.
    ///
    /// # Panics
    /// If there is no such user.
    #[must_use]
    pub fn panel_token(&self, login: &str) -> String {
        let mut inner = self.state.lock();
        assert!(inner.users.contains_key(login), "there is such a user");
        self.state.issue(&mut inner, login, self.server.journal())
    }

    /// Gives or takes the privilege to see the domains.
    pub fn set_privileged(&self, login: &str, privileged: bool) {
        self.state.with_user(login, |user| user.privileged = privileged);
    }

    /// Makes the next text message to this user carry that code.
    pub fn next_code(&self, login: &str, code: &str) {
        self.state.with_user(login, |user| user.coming = Some(code.into()));
    }

    /// The codes of all text messages that were sent to this user, as they stand there: six digits.
    #[must_use]
    pub fn messages(&self, login: &str) -> Vec<String> {
        self.state.with_user(login, |user| user.messages.clone())
    }

    /// The code of the last text message to this user.
    ///
    /// # Panics
    /// If there was none.
    #[must_use]
    pub fn last_code(&self, login: &str) -> String {
        self.messages(login).pop().expect("a text message was sent")
    }

    /// Ends every token, as a day's passing does.
    pub fn end_tokens(&self) {
        self.state.lock().tokens.values_mut().for_each(|token| token.alive = false);
    }

    /// Ends every login that waits for its code.
    pub fn end_verifications(&self) {
        self.state.lock().challenges.clear();
    }

    /// Whether this token is this user's, and alive.
    #[must_use]
    pub fn accepts(&self, login: &str, token: &str) -> bool {
        self.state.lock().tokens.get(token).is_some_and(|known| known.alive && known.login == login)
    }

    /// How many times a password was sent.
    #[must_use]
    pub fn logins(&self) -> usize {
        let tokens = |path| self.requests_to(path).iter().filter(|request| request.method == "POST").count();
        tokens(TOKENS) + tokens(TOKENS_V2)
    }

    /// Whether anything that was sent here holds `secret`.
    #[must_use]
    pub fn saw(&self, secret: &str) -> bool {
        self.requests().iter().any(|request| {
            request.query.contains(secret)
                || request.headers.iter().any(|(_, value)| value.contains(secret))
                || String::from_utf8_lossy(&request.body).contains(secret)
        })
    }
}

impl Deref for Cleura {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

#[derive(Debug)]
struct State {
    options: Options,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    users: HashMap<String, User>,
    tokens: HashMap<String, Token>,
    challenges: HashMap<String, Challenge>,
}

#[derive(Debug)]
struct User {
    password: String,
    second: Second,
    privileged: bool,
    wrong: u32,
    messages: Vec<String>,
    coming: Option<String>,
}

#[derive(Debug)]
struct Token {
    login: String,
    alive: bool,
}

/// A login whose password was right and whose code is missing.
#[derive(Debug)]
struct Challenge {
    login: String,
    since: Instant,
    code: Option<u64>,
    wrong: u32,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_user<T>(&self, login: &str, act: impl FnOnce(&mut User) -> T) -> T {
        act(self.lock().users.get_mut(login).expect("there is such a user"))
    }

    fn issue(&self, inner: &mut Inner, login: &str, journal: &Journal) -> String {
        if self.options.single {
            inner.tokens.values_mut().filter(|token| token.login == login).for_each(|token| token.alive = false);
        }
        // 32 letters and digits, as in the documentation's samples: opaque, and silent about its end.
        let token = jwt::unique();
        journal.secret(&token);
        inner.tokens.insert(token.clone(), Token { login: login.into(), alive: true });
        token
    }
}

struct Site(Arc<State>);

impl Cloud for Site {
    fn answer(&self, request: &Request, journal: &Journal) -> Reply {
        api::answer(&self.0, request, journal)
    }

    fn judge(&self, request: &Request) -> Result<(), String> {
        shape::judge(request)
    }
}
