//! Request in, reply out.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::state::{Factor, Inner, State, User};
use super::{ACTIVATE, API_KEY, LOGIN, NODE, REFRESH, REGISTER, Scheme, TWO_FACTOR, USER, VERIFY};
use crate::fake::totp::{self, Verifier};
use crate::fake::{Journal, Reply, Request};

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    let answered = match (request.path.as_str(), request.method.as_str()) {
        (REGISTER, "POST") => register(state, request, journal),
        (ACTIVATE, "POST") => activate(state, request),
        (LOGIN, "POST") => login(state, request, journal),
        (REFRESH, "POST") => refresh(state, request, journal),
        (API_KEY, "POST") => api_key(state, request, journal),
        (TWO_FACTOR, "POST") => seed(state, request, journal),
        (VERIFY, "POST") => verify(state, request),
        (TWO_FACTOR, "DELETE") => disable(state, request),
        (NODE, "POST") => node(state, request),
        (USER, "GET") => whoami(state, request),
        (REGISTER | ACTIVATE | LOGIN | REFRESH | API_KEY | TWO_FACTOR | VERIFY | NODE | USER, _) => {
            Err(refuse(405, "METHOD_NOT_ALLOWED"))
        }
        _ => Err(refuse(404, "NOT_FOUND")),
    };
    answered.unwrap_or_else(|reply| *reply)
}

/// What an agent must never send, as the documentation of each request has it.
pub(super) fn judge(request: &Request, scheme: Scheme) -> Result<(), String> {
    let mut names = HashSet::new();
    if let Some((name, _)) = request.headers.iter().find(|(name, _)| !names.insert(name.to_ascii_lowercase())) {
        return Err(format!("the header `{name}` comes twice"));
    }
    if !request.query.is_empty() {
        return Err("there is a query, and servers log those".into());
    }
    // Whether a token is wanted (`None`: it may be there), which members the body has, which more it may have.
    let (token, wanted, allowed): (Option<bool>, &[&str], &[&str]) =
        match (request.path.as_str(), request.method.as_str()) {
            (REGISTER, "POST") => (Some(false), &["name", "surname", "email", "password"], &[]),
            (ACTIVATE, "POST") => (Some(false), &["code"], &[]),
            (LOGIN, "POST") => (Some(false), &["email", "password"], &["twofa"]),
            (REFRESH, "POST") => (Some(false), &["refreshToken"], &[]),
            (API_KEY, "POST") => (Some(false), &["key"], &[]),
            (TWO_FACTOR, "POST") | (USER, "GET") => (Some(true), &[], &[]),
            (VERIFY, "POST") | (TWO_FACTOR, "DELETE") => (Some(true), &["code"], &[]),
            // The table of headers has no token, and a node belongs to somebody: both are right.
            (NODE, "POST") => (None, &["id"], &[]),
            _ => return Err("there is no such request".into()),
        };
    match (token, request.header("authorization")) {
        (Some(true), None) => return Err("there is no token".into()),
        (Some(false), Some(_)) => return Err("there is a token where none belongs".into()),
        (_, Some(value)) if bare(value, scheme).is_none() => return Err("the scheme is wrong".into()),
        _ => {}
    }
    if wanted.is_empty() {
        return if request.body.is_empty() { Ok(()) } else { Err("there is a body where none belongs".into()) };
    }
    if request.content_type() != "application/json" {
        return Err(format!("the content type is `{}`", request.content_type()));
    }
    let Some(Value::Object(members)) = request.json() else { return Err("the body is no JSON object".into()) };
    if let Some(name) = wanted.iter().find(|name| !members.contains_key(**name)) {
        return Err(format!("`{name}` is missing"));
    }
    for (name, value) in &members {
        if !wanted.contains(&name.as_str()) && !allowed.contains(&name.as_str()) {
            return Err(format!("`{name}` has no place here"));
        }
        if value.as_str().is_none_or(str::is_empty) {
            return Err(format!("`{name}` is no text"));
        }
        let is_code = name == "twofa" || (name == "code" && request.path != ACTIVATE);
        if is_code && !value.as_str().is_some_and(|code| code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())) {
            return Err(format!("`{name}` is not six digits"));
        }
    }
    Ok(())
}

type Answered = Result<Reply, Box<Reply>>;

fn register(state: &State, request: &Request, journal: &Journal) -> Answered {
    let [_, _, email, password] = fields(request, ["name", "surname", "email", "password"])?;
    journal.secret(&password);
    let mut inner = state.lock();
    if inner.users.iter().any(|user| user.email == email) {
        return Err(refuse(400, "EMAIL_IN_USE"));
    }
    inner.users.push(User::new(&email, &password));
    Ok(Reply::empty(201))
}

fn activate(state: &State, request: &Request) -> Answered {
    let [code] = fields(request, ["code"])?;
    let mut inner = state.lock();
    let user = inner.users.iter_mut().find(|user| !user.active && user.activation == code);
    user.ok_or_else(|| refuse(400, "INVALID_CODE"))?.active = true;
    Ok(Reply::empty(200))
}

fn login(state: &State, request: &Request, journal: &Journal) -> Answered {
    let [email, password] = fields(request, ["email", "password"])?;
    journal.secret(&password);
    let code = match request.field("twofa") {
        None => None,
        Some(Value::String(code)) => Some(code),
        // A Go server does not read a number into a string.
        Some(_) => return Err(refuse(400, "VALIDATION_ERROR")),
    };
    let mut inner = state.lock();
    check_version(&inner)?;
    let user = inner.users.iter_mut().find(|user| user.email == email && user.password == password);
    let user = user.ok_or_else(|| refuse(401, "INVALID_CREDENTIALS"))?;
    if !user.active {
        return Err(refuse(403, "NOT_ACTIVATED"));
    }
    if !user.factor.takes(code.as_deref()) {
        return Err(refuse(401, if code.is_none() { "TWOFA_REQUIRED" } else { "INVALID_TWOFA" }));
    }
    let user = user.clone();
    Ok(both(state, &mut inner, &user, journal))
}

fn refresh(state: &State, request: &Request, journal: &Journal) -> Answered {
    let [token] = fields(request, ["refreshToken"])?;
    journal.secret(&token);
    let mut inner = state.lock();
    check_version(&inner)?;
    // Spent by this, whether or not the answer arrives.
    let email = inner.refresh.remove(&token).ok_or_else(|| refuse(401, "INVALID_REFRESH_TOKEN"))?;
    let user = owner(&mut inner, &email)?.clone();
    Ok(both(state, &mut inner, &user, journal))
}

fn api_key(state: &State, request: &Request, journal: &Journal) -> Answered {
    let [key] = fields(request, ["key"])?;
    journal.secret(&key);
    let mut inner = state.lock();
    check_version(&inner)?;
    let user = inner.users.iter().find(|user| user.active && user.api_key == key).cloned();
    let user = user.ok_or_else(|| refuse(401, "INVALID_API_KEY"))?;
    let (access, seconds) = (state.issue_access(&mut inner, &user, journal), state.options.expires_in.as_secs());
    let body = format!(r#"{{"expiresIn":{seconds},"accessToken":"{access}"}}"#);
    Ok(Reply::typed(200, "application/json", body))
}

fn both(state: &State, inner: &mut Inner, user: &User, journal: &Journal) -> Reply {
    let access = state.issue_access(inner, user, journal);
    let (refresh, seconds) = (State::issue_refresh(inner, user, journal), state.options.expires_in.as_secs());
    let body = format!(r#"{{"expiresIn":{seconds},"accessToken":"{access}","refreshToken":"{refresh}"}}"#);
    Reply::typed(200, "application/json", body)
}

fn seed(state: &State, request: &Request, journal: &Journal) -> Answered {
    let mut inner = state.lock();
    let email = authorised(state, &inner, request)?;
    let seed = totp::seed();
    journal.secret(&seed);
    let user = owner(&mut inner, &email)?;
    if !matches!(user.factor, Factor::Off) {
        return Err(refuse(400, "TWOFA_ALREADY_ACTIVE"));
    }
    user.pending = Some(seed.clone());
    Ok(Reply::json(200, &json!({"seed": seed})))
}

fn verify(state: &State, request: &Request) -> Answered {
    let mut inner = state.lock();
    let email = authorised(state, &inner, request)?;
    let [code] = fields(request, ["code"])?;
    let user = owner(&mut inner, &email)?;
    let mut verifier = match &user.pending {
        Some(seed) => Verifier::new(seed, false),
        None => return Err(refuse(400, "NO_SEED")),
    };
    if !verifier.takes(&code) {
        return Err(refuse(400, "INVALID_TWOFA"));
    }
    (user.factor, user.pending) = (Factor::Seed(verifier), None);
    Ok(Reply::empty(200))
}

fn disable(state: &State, request: &Request) -> Answered {
    let mut inner = state.lock();
    let email = authorised(state, &inner, request)?;
    let [code] = fields(request, ["code"])?;
    let user = owner(&mut inner, &email)?;
    if matches!(user.factor, Factor::Off) || !user.factor.takes(Some(&code)) {
        return Err(refuse(400, "INVALID_TWOFA"));
    }
    user.factor = Factor::Off;
    Ok(Reply::empty(204))
}

fn node(state: &State, request: &Request) -> Answered {
    let mut inner = state.lock();
    let email = authorised(state, &inner, request)?;
    let [id] = fields(request, ["id"])?;
    owner(&mut inner, &email)?.nodes.push(id);
    Ok(Reply::empty(200))
}

fn whoami(state: &State, request: &Request) -> Answered {
    let mut inner = state.lock();
    let email = authorised(state, &inner, request)?;
    let user = owner(&mut inner, &email)?;
    let (id, key, twofa) = (&user.id, &user.api_key, !matches!(user.factor, Factor::Off));
    Ok(Reply::json(200, &json!({"id": id, "email": email, "twofa": twofa, "apiKey": key})))
}

fn check_version(inner: &Inner) -> Result<(), Box<Reply>> {
    if inner.needs_upgrade { Err(refuse(400, "NEEDS_UPGRADE")) } else { Ok(()) }
}

/// Whose token the request presents.
fn authorised(state: &State, inner: &Inner, request: &Request) -> Result<String, Box<Reply>> {
    let value = request.header("authorization").unwrap_or_default();
    let token = bare(value, state.options.scheme);
    token.and_then(|token| state.owner(inner, token)).ok_or_else(|| refuse(401, "INVALID_TOKEN"))
}

fn owner<'a>(inner: &'a mut Inner, email: &str) -> Result<&'a mut User, Box<Reply>> {
    inner.users.iter_mut().find(|user| user.email == email).ok_or_else(|| refuse(401, "INVALID_TOKEN"))
}

/// The token of an `Authorization` of this scheme.
fn bare(value: &str, scheme: Scheme) -> Option<&str> {
    let token = if scheme == Scheme::Bearer { value.strip_prefix("Bearer ")? } else { value };
    (!token.is_empty() && !token.contains(' ')).then_some(token)
}

fn fields<const N: usize>(request: &Request, names: [&str; N]) -> Result<[String; N], Box<Reply>> {
    let body = request.json().filter(|_| request.content_type() == "application/json");
    let body = body.ok_or_else(|| refuse(400, "VALIDATION_ERROR"))?;
    let texts = names.map(|name| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned());
    if texts.iter().any(String::is_empty) { Err(refuse(400, "VALIDATION_ERROR")) } else { Ok(texts) }
}

#[allow(clippy::unnecessary_box_returns, reason = "it is an error, and those are small")]
fn refuse(status: u16, code: &str) -> Box<Reply> {
    Box::new(Reply::json(status, &json!({"error": code})))
}
