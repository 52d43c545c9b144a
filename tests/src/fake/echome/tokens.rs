//! Which tokens were issued, and which are still good.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Options, State, User, Version};
use crate::fake::{Journal, jwt};

/// What the server remembers about tokens. Without blacklist and revocation that is nothing: a JWT speaks for itself.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Kind, id, whose.
    issued: Vec<(String, String, String)>,
    revoked: HashSet<String>,
    rotated: HashMap<String, Instant>,
}

impl Ledger {
    pub(super) fn revoke(&mut self, kind: &str) {
        let of_kind = self.issued.iter().filter(|(k, ..)| k == kind).map(|(_, jti, _)| jti.clone());
        self.revoked.extend(of_kind);
    }

    /// Ends whatever was issued to whoever `jti` was issued to.
    pub(super) fn revoke_family(&mut self, jti: &str) {
        let Some((_, _, user)) = self.issued.iter().find(|(_, known, _)| known == jti).cloned() else { return };
        let family = self.issued.iter().filter(|(.., of)| *of == user).map(|(_, jti, _)| jti.clone());
        self.revoked.extend(family);
    }

    pub(super) fn rotate(&mut self, jti: &str) {
        // A retry within the grace must not prolong it.
        self.rotated.entry(jti.into()).or_insert_with(Instant::now);
    }

    pub(super) fn blacklisted(&self, jti: &str, options: &Options) -> bool {
        options.blacklist && self.rotated.get(jti).is_some_and(|at| at.elapsed() >= options.grace)
    }
}

/// Why a token is no good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    Invalid,
    Expired,
    WrongType,
    /// It was replaced; its id.
    Blacklisted(String),
}

impl Bad {
    pub(super) fn words(&self, version: Version) -> &'static str {
        match (self, version) {
            (Self::WrongType, _) => "Token has wrong type",
            (Self::Blacklisted(_), _) => "Token is blacklisted",
            (_, Version::V5_0) => "Token is invalid or expired",
            (Self::Invalid, Version::V5_5) => "Token is invalid",
            (Self::Expired, Version::V5_5) => "Token is expired",
        }
    }
}

/// A good token's claims.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) jti: String,
    pub(super) user: String,
    pub(super) kind: String,
}

impl State {
    pub(super) fn issue(&self, ledger: &mut Ledger, user: &User, kind: &str, journal: &Journal) -> String {
        let life = if kind == "access" { self.options.access } else { self.options.refresh };
        let now = since_epoch();
        // Django adds the lifetime to the exact moment and then cuts to seconds.
        let (exp, iat, jti) = ((now + life).as_secs(), now.as_secs(), jwt::unique());
        let id = &user.id;
        let payload = format!(r#"{{"token_type":"{kind}","exp":{exp},"iat":{iat},"jti":"{jti}","user_id":"{id}"}}"#);
        ledger.issued.push((kind.into(), jti, id.clone()));
        let token = jwt::sign(&payload, &self.key);
        journal.secret(&token);
        token
    }

    /// Judges a token of kind `kind`, or of any.
    pub(super) fn claims(&self, ledger: &Ledger, token: &str, kind: Option<&str>) -> Result<Claims, Bad> {
        let claims = jwt::verify(token, &self.key).ok_or(Bad::Invalid)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let exp = claims.get("exp").and_then(Value::as_u64).ok_or(Bad::Invalid)?;
        if Duration::from_secs(exp) <= since_epoch() {
            return Err(Bad::Expired);
        }
        let found = Claims { jti: text("jti"), user: text("user_id"), kind: text("token_type") };
        if kind.is_some_and(|kind| kind != found.kind) {
            return Err(Bad::WrongType);
        }
        if ledger.revoked.contains(&found.jti) {
            return Err(Bad::Invalid);
        }
        if ledger.blacklisted(&found.jti, &self.options) {
            return Err(Bad::Blacklisted(found.jti));
        }
        Ok(found)
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
