//! What no client may send. More than the server itself minds, which takes what is sloppy.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{DOMAINS, REQUEST_CODE, REQUEST_CODE_V2, TOKENS, TOKENS_V2, VALIDATE, VALIDATE_V2, VERIFY, VERIFY_V2};
use crate::fake::Request;

/// The media types that are in real use: the vendor's client says JSON, `curl -d` of the documentation says that it is a
/// form, and a widely used client says nothing at all.
const TYPES: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", ""];

/// Whether the server reads a body of this type.
pub(super) fn is_read(request: &Request) -> bool {
    TYPES.contains(&request.content_type().as_str())
}

/// The members of the body, without v1's wrapping.
pub(super) fn members(request: &Request) -> Option<Map<String, Value>> {
    let body = request.json()?;
    match wrapping(&request.path) {
        Some(name) => body.get(name)?.as_object().cloned(),
        None => body.as_object().cloned(),
    }
}

fn wrapping(path: &str) -> Option<&'static str> {
    match path {
        TOKENS => Some("auth"),
        REQUEST_CODE => Some("request2fa"),
        VERIFY => Some("verify2fa"),
        _ => None,
    }
}

pub(super) fn judge(request: &Request) -> Result<(), String> {
    let mut names = HashSet::new();
    if let Some((name, _)) = request.headers.iter().find(|(name, _)| !names.insert(name.to_ascii_lowercase())) {
        return Err(format!("the header `{name}` comes twice"));
    }
    if !request.query.is_empty() {
        return Err("there is a query, and servers log those".into());
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", TOKENS) => body(request, &["login", "password"], &["twofa_method"]),
        ("POST", TOKENS_V2) => body(request, &["login", "password"], &["two_factor_method"]),
        ("POST", REQUEST_CODE) => body(request, &["login", "verification"], &[]),
        ("POST", REQUEST_CODE_V2) => body(request, &["login", "verification"], &["language_code"]),
        ("POST", VERIFY | VERIFY_V2) => body(request, &["login", "verification", "code"], &[]),
        ("POST", VALIDATE | VALIDATE_V2) | ("DELETE", TOKENS | TOKENS_V2) | ("GET", DOMAINS) => presented(request),
        _ => Err("there is no such call".into()),
    }
}

fn body(request: &Request, needed: &[&str], allowed: &[&str]) -> Result<(), String> {
    if request.header("x-auth-token").is_some() {
        return Err("a token is sent where none is asked for".into());
    }
    if !is_read(request) {
        return Err(format!("the content type is `{}`", request.content_type()));
    }
    let members = members(request).ok_or("the body is not the object that it should be")?;
    if let Some(name) =
        members.keys().find(|name| !needed.contains(&name.as_str()) && !allowed.contains(&name.as_str()))
    {
        return Err(format!("`{name}` is not asked for"));
    }
    for name in needed {
        match members.get(*name) {
            Some(Value::Number(number)) if *name == "code" && number.is_u64() => {}
            Some(Value::String(text)) if *name != "code" && !text.is_empty() => {}
            other => return Err(format!("`{name}` is {}", other.map_or("missing", |_| "of the wrong type, or empty"))),
        }
    }
    Ok(())
}

fn presented(request: &Request) -> Result<(), String> {
    if !request.body.is_empty() {
        return Err("there is a body".into());
    }
    for name in ["X-AUTH-LOGIN", "X-AUTH-TOKEN"] {
        if request.header(name).is_none_or(str::is_empty) {
            return Err(format!("`{name}` is missing"));
        }
    }
    Ok(())
}
