//! Request in, reply out, in the words of Django REST framework.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::tokens::Bad;
use super::{Kind, MACHINES, REFRESH, State, TOKEN, User, VERIFY, Version};
use crate::fake::{Journal, Reply, Request};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    match (request.path.as_str(), request.method.as_str()) {
        (TOKEN, "POST") => login(state, request, journal),
        (REFRESH, "POST") => refresh(state, request, journal),
        (VERIFY, "POST") => verify(state, request),
        (MACHINES, _) => machines(state, request),
        (TOKEN | REFRESH | VERIFY, _) => not_allowed(request, "POST, OPTIONS"),
        // With a slash at the end, too.
        _ => Reply::html(404, "Not Found", "The requested resource was not found on this server."),
    }
}

/// What an agent must never send. More than the server itself minds: it takes what is sloppy.
pub(super) fn judge(request: &Request) -> Result<(), String> {
    let mut names = HashSet::new();
    if let Some((name, _)) = request.headers.iter().find(|(name, _)| !names.insert(name.to_ascii_lowercase())) {
        return Err(format!("the header `{name}` comes twice"));
    }
    if !request.query.is_empty() {
        return Err("there is a query, and servers log those".into());
    }
    match request.path.as_str() {
        VERIFY => return Err("this endpoint does not work".into()),
        MACHINES => return if request.method == "GET" { Ok(()) } else { Err("not a GET".into()) },
        TOKEN | REFRESH => {}
        _ => return Err("there is no such path".into()),
    }
    if request.method != "POST" {
        return Err("not a POST".into());
    }
    if ![FORM, JSON].contains(&request.content_type().as_str()) {
        return Err(format!("the content type is `{}`", request.content_type()));
    }
    let wanted: &[&str] = if request.path == TOKEN { &["username", "password"] } else { &["refresh"] };
    for name in wanted {
        match request.field(name) {
            Some(Value::String(text)) if !text.is_empty() => {}
            other => return Err(format!("`{name}` is {}", other.map_or("missing", |_| "no text"))),
        }
    }
    Ok(())
}

fn login(state: &State, request: &Request, journal: &Journal) -> Reply {
    let [name, secret] = match fields(request, ["username", "password"]) {
        Ok(fields) => fields,
        Err(reply) => return *reply,
    };
    journal.secret(&secret);
    let mut inner = state.lock();
    // Four different reasons, one answer: the server does not tell them apart.
    let user = inner.users.iter().find(|user| user.name == name && user.secret == secret);
    let Some(user) = user.filter(|user| user.active && user.kind != Kind::Person).cloned() else {
        return unauthorized(&[("detail", json!("No active account found with the given credentials"))]);
    };
    let refresh = state.issue(&mut inner.ledger, &user, "refresh", journal);
    let access = state.issue(&mut inner.ledger, &user, "access", journal);
    Reply::typed(200, JSON, format!(r#"{{"refresh":"{refresh}","access":"{access}"}}"#))
}

fn refresh(state: &State, request: &Request, journal: &Journal) -> Reply {
    let [token] = match fields(request, ["refresh"]) {
        Ok(fields) => fields,
        Err(reply) => return *reply,
    };
    journal.secret(&token);
    let version = state.options.version;
    let mut inner = state.lock();
    let claims = match state.claims(&inner.ledger, &token, Some("refresh")) {
        Ok(claims) => claims,
        Err(bad) => {
            if let (Bad::Blacklisted(jti), true) = (&bad, state.options.reuse_is_theft) {
                inner.ledger.revoke_family(jti);
            }
            return token_not_valid(&bad, version);
        }
    };
    let Some(user) = inner.users.iter().find(|user| user.id == claims.user).cloned() else {
        return token_not_valid(&Bad::Invalid, version);
    };
    // 5.0.0 never looks at the user here: a key that was switched off goes on getting tokens which no API takes.
    if version == Version::V5_5 && !user.active {
        return unauthorized(&[("detail", json!("No active account found for the given token."))]);
    }
    inner.ledger.rotate(&claims.jti);
    let access = state.issue(&mut inner.ledger, &user, "access", journal);
    let refresh = state.issue(&mut inner.ledger, &user, "refresh", journal);
    Reply::typed(200, JSON, format!(r#"{{"access":"{access}","refresh":"{refresh}"}}"#))
}

fn verify(state: &State, request: &Request) -> Reply {
    let [token] = match fields(request, ["token"]) {
        Ok(fields) => fields,
        Err(reply) => return *reply,
    };
    let version = state.options.version;
    match state.claims(&state.lock().ledger, &token, None) {
        Err(Bad::Blacklisted(_)) => Reply::json(400, &json!({"non_field_errors": ["Token is blacklisted"]})),
        Err(bad) => token_not_valid(&bad, version),
        // The setting is on and the app is absent, so the model behind it has no manager.
        Ok(_) if version == Version::V5_0 && !state.options.blacklist => Reply::html(500, "Server Error (500)", ""),
        Ok(_) => Reply::json(200, &json!({})),
    }
}

fn machines(state: &State, request: &Request) -> Reply {
    let anonymous = || unauthorized(&[("detail", json!("Authentication credentials were not provided."))]);
    let parts: Vec<&str> = request.header("authorization").unwrap_or_default().split_whitespace().collect();
    let token = match parts.as_slice() {
        // Exactly this case: another scheme is somebody else's header, and is not looked at.
        ["Bearer", token] => token,
        ["Bearer", ..] => {
            let detail = "Authorization header must contain two space-delimited values";
            return unauthorized(&[("detail", json!(detail)), ("code", json!("bad_authorization_header"))]);
        }
        _ => return anonymous(),
    };
    let inner = state.lock();
    let claims = match state.claims(&inner.ledger, token, Some("access")) {
        Ok(claims) => claims,
        Err(bad) => {
            let message = bad.words(state.options.version);
            return unauthorized(&[
                ("detail", json!("Given token not valid for any token type")),
                ("code", json!("token_not_valid")),
                ("messages", json!([{"token_class": "AccessToken", "token_type": "access", "message": message}])),
            ]);
        }
    };
    debug_assert_eq!(claims.kind, "access");
    match inner.users.iter().find(|user| user.id == claims.user) {
        None => unauthorized(&[("detail", json!("User not found")), ("code", json!("user_not_found"))]),
        Some(User { active: false, .. }) => {
            unauthorized(&[("detail", json!("User is inactive")), ("code", json!("user_inactive"))])
        }
        // Who one is comes before what one may do.
        Some(_) if request.method != "GET" => not_allowed(request, "GET, HEAD, OPTIONS"),
        Some(_) => Reply::json(200, &json!({"success": true, "details": "", "results": []})),
    }
}

/// The fields of the body, or the reply that says what is wrong with them.
fn fields<const N: usize>(request: &Request, names: [&str; N]) -> Result<[String; N], Box<Reply>> {
    let refuse = |status: u16, body: &Value| Box::new(Reply::json(status, body));
    let object: Map<String, Value> = match request.content_type().as_str() {
        FORM => request.form().into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
        _ if request.body.is_empty() => Map::new(),
        JSON => match serde_json::from_slice(&request.body) {
            Ok(Value::Object(object)) => object,
            Ok(other) => {
                let text = format!("Invalid data. Expected a dictionary, but got {}.", python_type(&other));
                return Err(refuse(400, &json!({"non_field_errors": [text]})));
            }
            Err(_) => {
                let text = "JSON parse error - Expecting value: line 1 column 1 (char 0)";
                return Err(refuse(400, &json!({"detail": text})));
            }
        },
        other => {
            return Err(refuse(415, &json!({"detail": format!("Unsupported media type \"{other}\" in request.")})));
        }
    };
    let mut errors = Map::new();
    let values = names.map(|name| {
        let problem = match object.get(name) {
            None => "This field is required.",
            Some(Value::Null) => "This field may not be null.",
            Some(Value::String(text)) if text.trim().is_empty() => "This field may not be blank.",
            Some(Value::String(text)) => return text.trim().to_owned(),
            Some(Value::Number(number)) => return number.to_string(),
            Some(_) => "Not a valid string.",
        };
        errors.insert(name.into(), json!([problem]));
        String::new()
    });
    if errors.is_empty() { Ok(values) } else { Err(refuse(400, &Value::Object(errors))) }
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn not_allowed(request: &Request, allow: &str) -> Reply {
    let detail = format!("Method \"{}\" not allowed.", request.method);
    Reply::json(405, &json!({"detail": detail})).header("Allow", allow)
}

fn token_not_valid(bad: &Bad, version: Version) -> Reply {
    unauthorized(&[("detail", json!(bad.words(version))), ("code", json!("token_not_valid"))])
}

/// Members stay in their order, which `json!` would not keep.
fn unauthorized(members: &[(&str, Value)]) -> Reply {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let body = format!("{{{}}}", members.join(","));
    Reply::typed(401, JSON, body).header("WWW-Authenticate", "Bearer realm=\"api\"")
}
