//! JWTs of the shape that itsyou.online issues: ES384 by their head and by the length of their signature. Nobody but this
//! fake looks at the signature, so a hash with a key does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Owner;
use crate::fake::jwt;

/// The claims of a token that ends at `exp`. A refresh token is one of them.
pub(super) fn claims(client: &str, owner: &Owner, scopes: &[String], exp: SystemTime, refresh: Option<&str>) -> Value {
    let exp = exp.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut claims = json!({"azp": client, "exp": exp, "iss": "itsyouonline", "scope": scopes});
    match owner {
        Owner::User(name) => claims["username"] = json!(name),
        Owner::Organisation(name) => claims["globalid"] = json!(name),
    }
    if let Some(refresh) = refresh {
        claims["refresh_token"] = json!(refresh);
    }
    claims
}

pub(super) fn sign(claims: &Value, key: &[u8]) -> String {
    let head = BASE64.encode(r#"{"alg":"ES384","typ":"JWT"}"#);
    let signed = format!("{head}.{}", BASE64.encode(claims.to_string()));
    let signature = signature(&signed, key);
    format!("{signed}.{signature}")
}

/// The claims of a token that was signed with `key`, be it expired or not.
pub(super) fn verify(token: &str, key: &[u8]) -> Option<Value> {
    let (signed, last) = token.rsplit_once('.')?;
    (signature(signed, key) == last).then(|| jwt::payload(token)).flatten()
}

pub(super) fn is_unexpired(claims: &Value) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    claims["exp"].as_u64().is_some_and(|exp| Duration::from_secs(exp) > now)
}

/// 96 bytes, as two numbers of P-384 take.
fn signature(signed: &str, key: &[u8]) -> String {
    let part = |number: u8| Sha256::digest([key, &[number], signed.as_bytes()].concat());
    BASE64.encode([part(0), part(1), part(2)].concat())
}
