//! Who has an account, and which tokens are good.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::Options;
use crate::fake::totp::Verifier;
use crate::fake::{Journal, jwt};

pub(super) struct State {
    pub(super) options: Options,
    key: Vec<u8>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) users: Vec<User>,
    /// The `jti` of every access token that is taken, and whose it is.
    pub(super) access: HashMap<String, String>,
    /// Every refresh token that is taken, and whose it is.
    pub(super) refresh: HashMap<String, String>,
    pub(super) needs_upgrade: bool,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) email: String,
    pub(super) password: String,
    pub(super) api_key: String,
    pub(super) activation: String,
    pub(super) active: bool,
    pub(super) factor: Factor,
    pub(super) pending: Option<String>,
    pub(super) nodes: Vec<String>,
}

/// What a login takes besides the password.
#[derive(Debug, Clone)]
pub(super) enum Factor {
    Off,
    Fixed(String),
    Seed(Verifier),
}

impl Factor {
    /// Whether the code is right; it is spent by that.
    pub(super) fn takes(&mut self, code: Option<&str>) -> bool {
        match (self, code) {
            (Self::Off, _) => true,
            (Self::Fixed(wanted), Some(code)) => wanted == code,
            (Self::Seed(verifier), Some(code)) => verifier.takes(code),
            (_, None) => false,
        }
    }
}

impl User {
    pub(super) fn new(email: &str, password: &str) -> Self {
        Self {
            id: jwt::unique()[..24].to_owned(),
            email: email.into(),
            password: password.into(),
            api_key: uuid(),
            activation: jwt::unique(),
            active: false,
            factor: Factor::Off,
            pending: None,
            nodes: Vec::new(),
        }
    }
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self { options, key: jwt::unique().into_bytes(), inner: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn issue_access(&self, inner: &mut Inner, user: &User, journal: &Journal) -> String {
        let now = since_epoch();
        let (exp, iat, jti) = ((now + self.options.access).as_secs(), now.as_secs(), uuid());
        let (iss, id) = (self.options.issuer, &user.id);
        let token = jwt::sign(
            &format!(r#"{{"exp":{exp},"iat":{iat},"iss":"{iss}","jti":"{jti}","userId":"{id}"}}"#),
            &self.key,
        );
        journal.secret(&token);
        inner.access.insert(jti, user.email.clone());
        token
    }

    pub(super) fn issue_refresh(inner: &mut Inner, user: &User, journal: &Journal) -> String {
        // 512 hexadecimal digits, as in the samples.
        let token: String = std::iter::repeat_with(jwt::unique).take(16).collect();
        journal.secret(&token);
        inner.refresh.insert(token.clone(), user.email.clone());
        token
    }

    /// Whose access token this is, if it is good.
    pub(super) fn owner(&self, inner: &Inner, token: &str) -> Option<String> {
        let claims = jwt::verify(token, &self.key)?;
        let exp = claims.get("exp").and_then(Value::as_u64)?;
        let jti = claims.get("jti").and_then(Value::as_str)?;
        inner.access.get(jti).filter(|_| Duration::from_secs(exp) > since_epoch()).cloned()
    }
}

pub(super) fn uuid() -> String {
    let hex = jwt::unique();
    format!("{}-{}-4{}-9{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
