//! Who may log in, and which pairs of key and token are good.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Options, Unit};
use crate::fake::jwt;
use crate::fake::totp::Verifier;

pub(super) struct State {
    pub(super) options: Options,
    key: Vec<u8>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) users: Vec<User>,
    /// A row for every login; each is ended for itself.
    pub(super) issued: Vec<Row>,
    pub(super) console_gone: bool,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) factor: Factor,
}

/// What a login of `root` takes besides the password.
#[derive(Debug, Clone)]
pub(super) enum Factor {
    Off,
    Fixed(String),
    Seed(Verifier),
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) token: String,
    pub(super) username: String,
    pub(super) expires: u64,
    end: Duration,
}

/// What a token says of itself.
pub(super) enum Judged {
    /// It is none of ours.
    Garbage,
    Expired,
    /// A static token of a domain.
    Domain,
    User,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self { options, key: jwt::unique().into_bytes(), inner: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new row for this user.
    pub(super) fn issue(&self, inner: &mut Inner, username: &str) -> Row {
        let (now, options) = (since_epoch(), &self.options);
        let expires = self.number(now + options.life);
        let exp = self.number(now + options.jwt_life.unwrap_or(options.life));
        // Two logins in one millisecond would get one token; the real ones do.
        let token = jwt::sign(
            &format!(r#"{{"exp":{exp},"acl":{{"cdr":["*"],"cdr/files":["*"],"cdr/media":["*"]}}}}"#),
            &self.key,
        );
        let end = now + options.life.min(options.jwt_life.unwrap_or(options.life));
        let row = Row { key: super::api::uuid(), token, username: username.to_owned(), expires, end };
        inner.issued.push(row.clone());
        row
    }

    pub(super) fn issue_domain(&self, domain: &str) -> String {
        let id = jwt::unique();
        let payload = format!(r#"{{"v":2,"t":"domain","id":"{id}","d":"{domain}"}}"#);
        jwt::sign(&payload, &self.key)
    }

    pub(super) fn judge(&self, token: &str) -> Judged {
        let Some(claims) = jwt::verify(token, &self.key) else { return Judged::Garbage };
        if claims.get("v").and_then(Value::as_u64) == Some(2) && claims.get("t").is_some_and(|t| t == "domain") {
            return Judged::Domain;
        }
        let exp = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
        if exp <= self.number(since_epoch()) { Judged::Expired } else { Judged::User }
    }

    fn number(&self, moment: Duration) -> u64 {
        match self.options.unit {
            Unit::Milliseconds => u64::try_from(moment.as_millis()).unwrap_or(u64::MAX),
            Unit::Seconds => moment.as_secs(),
        }
    }
}

impl Row {
    pub(super) fn is_over(&self) -> bool {
        self.end <= since_epoch()
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
