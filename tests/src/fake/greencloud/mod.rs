//! Green Cloud's authentication API, as its documentation shows it; nobody outside has seen its server.
//!
//! | what the documentation says | what this does |
//! |---|---|
//! | an access token is good for 90 days | `expiresIn` is 3590, the JWT's `exp` 3600 s after its `iat`: so say the samples |
//! | `Authorization: valid access token` | the token alone; [`Scheme::Bearer`] for the day they mean that |
//! | nothing about errors | 400, 401 and 403 with `{"error":"UPPER_CASE"}`, the only spelling that was ever seen |
//! | nothing about a code that comes twice | refused, as RFC 6238 wants it |

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
pub const LOGIN: &str = "/v1/auth/login";
/// Where a refresh goes.
pub const REFRESH: &str = "/v1/auth/refresh";
/// Where an API key is exchanged.
pub const API_KEY: &str = "/v1/auth/apiKey";
/// Where a seed is asked for, and the second factor is switched off.
pub const TWO_FACTOR: &str = "/v1/auth/2FA";
/// Where the second factor is switched on.
pub const VERIFY: &str = "/v1/auth/verify2FA";
/// Where an account is made.
pub const REGISTER: &str = "/v1/auth/register";
/// Where it is activated.
pub const ACTIVATE: &str = "/v1/auth/activate";
/// Where a node is authorised.
pub const NODE: &str = "/v1/auth/node";
/// Who one is; the answer holds the API key.
pub const USER: &str = "/v1/user";

/// How an access token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The token alone.
    Raw,
    /// `Bearer` and the token.
    Bearer,
}

/// How a Green Cloud is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How an access token is presented.
    pub scheme: Scheme,
    /// What `expiresIn` says.
    pub expires_in: Duration,
    /// From `iat` to `exp` of an access token: how long the API really takes it.
    pub access: Duration,
    /// Who issues: misspelt, as in every sample.
    pub issuer: &'static str,
    /// Plain HTTP if `None`.
    pub tls: Option<Certificate>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scheme: Scheme::Raw,
            expires_in: Duration::from_secs(3590),
            access: Duration::from_hours(1),
            issuer: "greenclound.dev",
            tls: None,
        }
    }
}

/// A running Green Cloud. What it saw, and how to break it, is the [`Server`] it derefs to.
pub struct GreenCloud {
    server: Server,
    state: Arc<State>,
}

impl GreenCloud {
    /// One as its documentation shows it.
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

    /// Adds an activated account and returns its password.
    #[must_use]
    pub fn add_user(&self, email: &str) -> String {
        let password = format!("Hello!-{}", jwt::unique());
        self.server.journal().secret(&password);
        let user = User { active: true, ..User::new(email, &password) };
        self.server.journal().secret(&user.api_key);
        self.state.lock().users.push(user);
        password
    }

    /// The API key of an account.
    #[must_use]
    pub fn api_key(&self, email: &str) -> String {
        self.with_user(email, |user| user.api_key.clone())
    }

    /// Replaces the API key of an account: the old one is refused from now on.
    #[must_use]
    pub fn change_api_key(&self, email: &str) -> String {
        let key = state::uuid();
        self.server.journal().secret(&key);
        self.with_user(email, |user| user.api_key.clone_from(&key));
        key
    }

    /// The code in the mail that a registration sent; `None` if there was none.
    #[must_use]
    pub fn mail(&self, email: &str) -> Option<String> {
        self.state.lock().users.iter().find(|user| user.email == email).map(|user| user.activation.clone())
    }

    /// Whether an account is activated.
    #[must_use]
    pub fn is_active(&self, email: &str) -> bool {
        self.with_user(email, |user| user.active)
    }

    /// Switches the second factor on, as if the user had done so, and returns the seed.
    #[must_use]
    pub fn enrol(&self, email: &str) -> String {
        let seed = totp::seed();
        self.server.journal().secret(&seed);
        self.with_user(email, |user| user.factor = Factor::Seed(Verifier::new(&seed, false)));
        seed
    }

    /// Makes the account want this code, whatever time it is, as often as it comes.
    pub fn fix_code(&self, email: &str, code: &str) {
        self.with_user(email, |user| user.factor = Factor::Fixed(code.to_owned()));
    }

    /// Whether a login of this account takes a code.
    #[must_use]
    pub fn is_enrolled(&self, email: &str) -> bool {
        self.with_user(email, |user| !matches!(user.factor, Factor::Off))
    }

    /// The seed that was handed out and not confirmed yet.
    #[must_use]
    pub fn pending_seed(&self, email: &str) -> Option<String> {
        self.with_user(email, |user| user.pending.clone())
    }

    /// The nodes of an account.
    #[must_use]
    pub fn nodes(&self, email: &str) -> Vec<String> {
        self.with_user(email, |user| user.nodes.clone())
    }

    /// Whether every request for an access token is told that the client is too old.
    pub fn demand_upgrade(&self, demand: bool) {
        self.state.lock().needs_upgrade = demand;
    }

    /// Makes the API refuse every access token issued so far, whatever it says about its own end.
    pub fn revoke_access_tokens(&self) {
        self.state.lock().access.clear();
    }

    /// Makes every refresh token issued so far invalid.
    pub fn revoke_refresh_tokens(&self) {
        self.state.lock().refresh.clear();
    }

    /// Whether the API takes this access token.
    ///
    /// # Panics
    /// If this server cannot be asked in plain HTTP.
    #[must_use]
    pub fn accepts(&self, access: &str) -> bool {
        let value = match self.state.options.scheme {
            Scheme::Raw => access.to_owned(),
            Scheme::Bearer => format!("Bearer {access}"),
        };
        let url = format!("{}{USER}", self.url());
        crate::http::get(&url, Some(&value)).expect("the fake answers").status == 200
    }

    fn with_user<T>(&self, email: &str, look: impl FnOnce(&mut User) -> T) -> T {
        let mut inner = self.state.lock();
        look(inner.users.iter_mut().find(|user| user.email == email).expect("there is such a user"))
    }
}

impl Deref for GreenCloud {
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
        api::judge(request, self.0.options.scheme)
    }
}
