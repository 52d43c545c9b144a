//! Request in, reply out, in the engine's two shapes of an error.

use std::collections::HashSet;

use serde_json::Value;

use super::state::{Factor, Judged, Row, State};
use super::{LOGIN, LOGOUT, ROOT, WHOAMI};
use crate::fake::{Journal, Reply, Request, jwt};

const JSON: &str = "application/json; charset=utf-8";

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    match (request.path.as_str(), request.method.as_str()) {
        (LOGIN, "POST") => login(state, request, journal),
        (LOGOUT, "POST") => logout(state, request),
        (WHOAMI, "GET") => whoami(state, request),
        _ => Reply::html(404, "Error", "Cannot find that"),
    }
}

/// What an agent must never send. More than the engine minds: it also takes tokens from queries and bodies.
pub(super) fn judge(request: &Request) -> Result<(), String> {
    let mut names = HashSet::new();
    if let Some((name, _)) = request.headers.iter().find(|(name, _)| !names.insert(name.to_ascii_lowercase())) {
        return Err(format!("the header `{name}` comes twice"));
    }
    if request.header("authorization").is_some() {
        return Err("there is an `Authorization`, which nothing here reads".into());
    }
    let presented = ["x-access-token", "x-key"].map(|name| request.header(name).is_some());
    match (request.path.as_str(), request.method.as_str()) {
        (LOGIN, "POST") => judge_login(request, presented),
        (LOGOUT, "POST") if presented != [true, true] => Err("a logout takes both headers".into()),
        (WHOAMI, "GET") if !presented[0] => Err("there is no token".into()),
        (LOGOUT, "POST") | (WHOAMI, "GET") if !request.query.is_empty() => Err("there is a query".into()),
        (LOGOUT, "POST") | (WHOAMI, "GET") if !request.body.is_empty() => Err("there is a body".into()),
        (LOGOUT, "POST") | (WHOAMI, "GET") => Ok(()),
        _ => Err("there is no such request".into()),
    }
}

fn judge_login(request: &Request, presented: [bool; 2]) -> Result<(), String> {
    if presented != [false, false] {
        return Err("a login presents nothing".into());
    }
    if request.content_type() != "application/json" {
        return Err(format!("the content type is `{}`", request.content_type()));
    }
    // A code is the one thing that stands in a query, because the engine reads it nowhere else.
    if !request.query.is_empty() && !code_of(request).is_some_and(|code| code.len() == 6 && is_digits(&code)) {
        return Err("the query is something else than a code of six digits".into());
    }
    let body = request.json().ok_or("the body is no JSON")?;
    let mut members: Vec<_> = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    members.sort_unstable();
    if members != ["password", "username"] {
        return Err(format!("the body has {members:?}"));
    }
    let texts = body.as_object().is_some_and(|body| body.values().all(|v| v.as_str().is_some_and(|t| !t.is_empty())));
    if texts { Ok(()) } else { Err("`username` or `password` is no text".into()) }
}

fn login(state: &State, request: &Request, journal: &Journal) -> Reply {
    // Only JSON is parsed; of anything else the body stays empty.
    let body = match request.content_type().as_str() {
        "application/json" => match serde_json::from_slice(&request.body) {
            Ok(body) => body,
            Err(_) => return error(400, "Unexpected end of JSON input"),
        },
        _ => Value::Null,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (username, password) = (text("username"), text("password"));
    if username.is_empty() {
        return message("Invalid credentials");
    }
    journal.secret(&password);
    let mut inner = state.lock();
    // `root` is no user of the telephony server: the engine knows it by itself, console or not.
    if inner.console_gone && username != ROOT {
        return error(401, "-ERR: Console connect error");
    }
    let Some(user) = inner.users.iter_mut().find(|user| user.name == username) else {
        return error(401, "-ERR no such user");
    };
    let code = code_of(request);
    let right = match (&mut user.factor, &code) {
        (Factor::Off, _) => true,
        (_, None) => return error(301, "Set security code"),
        (Factor::Fixed(wanted), Some(code)) => wanted == code,
        (Factor::Seed(verifier), Some(code)) => verifier.takes(code),
    };
    if !right {
        return error(401, "code incorrect");
    }
    if user.password != password {
        return error(401, "secret incorrect");
    }
    let row = state.issue(&mut inner, &username);
    journal.secret(&row.token);
    journal.secret(&row.key);
    granted(&row)
}

fn granted(row: &Row) -> Reply {
    let Row { key, token, username, expires, .. } = row;
    let domain = username.split_once('@').map_or_else(String::new, |(_, domain)| format!(r#""domain":"{domain}","#));
    let role = if username == ROOT { r#""role":2,"roleName":"root""# } else { r#""role":1,"roleName":"user""# };
    let rest =
        r#""acl":{"account":["r"],"cdr":["*"],"cdr/files":["*"]},"cdr":{"host":"http://cdr:10023","useProxy":true}"#;
    let body = format!(
        r#"{{"key":"{key}",{domain}"username":"{username}","expires":{expires},"token":"{token}",{role},{rest}}}"#
    );
    Reply::typed(200, JSON, body)
}

fn logout(state: &State, request: &Request) -> Reply {
    let (Some(token), Some(key)) = (request.header("x-access-token"), request.header("x-key")) else {
        return message("Invalid credentials");
    };
    let mut inner = state.lock();
    let at = inner.issued.iter().position(|row| row.key == key && row.token == token);
    let Some(at) = at else { return error(401, "Invalid credentials.") };
    inner.issued.remove(at);
    // The engine sweeps what has ended on this occasion.
    inner.issued.retain(|row| !row.is_over());
    Reply::typed(200, JSON, r#"{"status":"OK","info":"Successful logout."}"#)
}

fn whoami(state: &State, request: &Request) -> Reply {
    let Some(token) = request.header("x-access-token") else { return message("Invalid token") };
    match state.judge(token) {
        Judged::Garbage => message("Invalid token"),
        Judged::Expired => message("Token Expired"),
        Judged::Domain => Reply::typed(200, JSON, r#"{"id":"domain","role":1,"roleName":"admin"}"#),
        Judged::User => {
            let Some(key) = request.header("x-key") else { return message("Invalid Token or Key") };
            let inner = state.lock();
            match inner.issued.iter().find(|row| row.key == key && row.token == token) {
                None => message("Invalid User"),
                Some(row) => {
                    let (name, expires) = (&row.username, row.expires);
                    Reply::typed(200, JSON, format!(r#"{{"id":"{name}","roleName":"user","expires":{expires}}}"#))
                }
            }
        }
    }
}

/// The code in the query, if that is all there is.
fn code_of(request: &Request) -> Option<String> {
    request.query.strip_prefix("code=").filter(|code| !code.is_empty() && !code.contains('&')).map(str::to_owned)
}

fn is_digits(code: &str) -> bool {
    code.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn uuid() -> String {
    let hex = jwt::unique();
    format!("{}-{}-4{}-9{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// The shape of the engine's own errors.
fn error(status: u16, info: &str) -> Reply {
    Reply::typed(status, JSON, format!(r#"{{"status":"error","info":"{info}"}}"#))
}

/// The shape of what guards the API.
fn message(text: &str) -> Reply {
    Reply::typed(401, JSON, format!(r#"{{"status":401,"message":"{text}"}}"#))
}
