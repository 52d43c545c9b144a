//! JSON web tokens as `PyJWT` writes them: HS256, seconds, a random `jti`.

use std::collections::hash_map::RandomState;
use std::fmt::Write;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The block of SHA-256, to which HMAC pads its key (RFC 2104).
const BLOCK: usize = 64;

/// A token with this payload, signed with `key`. The payload is text, because the order of its members is part of the token.
#[must_use]
pub fn sign(payload: &str, key: &[u8]) -> String {
    let signed = format!("{}.{}", BASE64.encode(r#"{"typ":"JWT","alg":"HS256"}"#), BASE64.encode(payload));
    let signature = BASE64.encode(hmac(key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// The payload of a token that was signed with `key`.
#[must_use]
pub fn verify(token: &str, key: &[u8]) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let good = BASE64.encode(hmac(key, signed.as_bytes())) == signature;
    payload(token).filter(|_| good)
}

/// The payload of a token, whoever signed it.
#[must_use]
pub fn payload(token: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64.decode(token.split('.').nth(1)?).ok()?).ok()
}

/// 32 hexadecimal digits that nobody had before.
#[must_use]
pub fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // The standard library seeds every hasher from the system's randomness.
    let seed = RandomState::new().hash_one(COUNTER.fetch_add(1, Ordering::Relaxed));
    let digest = Sha256::digest([seed.to_le_bytes(), RandomState::new().hash_one(0).to_le_bytes()].concat());
    digest[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        let mac = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(BASE64.encode(mac), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
    }

    #[test]
    fn a_token_verifies_with_its_key_alone() {
        let token = sign(r#"{"exp":1}"#, b"key");
        assert!(verify(&token, b"key").is_some());
        assert!(verify(&token, b"other").is_none());
        assert!(verify("garbage", b"key").is_none());
    }

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(unique(), unique());
    }
}
