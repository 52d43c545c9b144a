//! itsyou.online: mints, refreshes and narrows JWTs. What goes wrong is told in plain text.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ACCESS_TOKEN, CHILD, Form, IDLE, Key, Owner, REFRESH, State, tokens};
use crate::fake::{Journal, Reply, Request};

/// The default and the longest life; a request may only shorten it.
const DAY: u64 = 24 * 3600;

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    match (request.path.as_str(), request.method.as_str()) {
        (ACCESS_TOKEN, "POST") => mint(state, request, journal),
        (REFRESH, "GET" | "POST") => refresh(state, request, journal),
        (CHILD, "GET" | "POST") => narrow(state, request, journal),
        (ACCESS_TOKEN | REFRESH | CHILD, _) => text(405, "Method Not Allowed"),
        _ => text(404, "404 page not found"),
    }
}

/// What an agent must never send, be it that the server takes it.
pub(super) fn judge(request: &Request) -> Result<(), String> {
    let fields = fields(request);
    let query: Vec<(String, String)> = pairs(&request.query);
    if let Some((name, _)) = query.iter().find(|(name, _)| !["scope", "validity", "aud"].contains(&name.as_str())) {
        return Err(format!("`{name}` is in a query, and servers log those"));
    }
    if fields.get("scope").is_some_and(|scope| scope.split(',').any(|scope| scope == "offline_access")) {
        return Err("a token that can be refreshed is asked for".into());
    }
    let is_short = |life: &String| life.parse::<u64>().is_ok_and(|life| (1..DAY).contains(&life));
    if [ACCESS_TOKEN, REFRESH].contains(&request.path.as_str()) && !fields.get("validity").is_some_and(is_short) {
        return Err("`validity` is missing, so the token lives for a day".into());
    }
    let scheme = request.header("authorization").and_then(|value| value.split(' ').next());
    match (request.path.as_str(), scheme) {
        (ACCESS_TOKEN, Some("bearer" | "Bearer")) => Err("a token is sent where none is asked for".into()),
        (REFRESH | CHILD, Some("bearer" | "Bearer")) | (ACCESS_TOKEN, _) => Ok(()),
        (REFRESH | CHILD, scheme) => Err(format!("the scheme is {scheme:?}")),
        _ => Err("there is no such call".into()),
    }
}

fn mint(state: &State, request: &Request, journal: &Journal) -> Reply {
    let mut fields = fields(request);
    if let Some((id, secret)) = basic(request) {
        fields.entry("client_id".into()).or_insert(id);
        fields.entry("client_secret".into()).or_insert(secret);
    }
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let (id, secret) = (field("client_id"), field("client_secret"));
    journal.secret(secret);
    if field("grant_type") != "client_credentials" || id.is_empty() || secret.is_empty() {
        return text(400, "Bad Request");
    }
    let inner = state.lock();
    let Some(Key { owner, .. }) = inner.keys.get(id).filter(|key| key.secret == secret) else {
        return text(400, "Bad Request");
    };
    let scopes = scopes(field("scope"));
    // What a key of an organisation's may ask for is its own membership; a user's key may ask for what is the user's.
    let held = |scope: &String| scope.starts_with("user:") || *scope == format!("organization:owner:{id}");
    if !scopes.iter().all(held) {
        return text(401, "Unauthorized");
    }
    let life = life(field("validity"));
    let token = state.sign(&tokens::claims(id, owner, &scopes, SystemTime::now() + life, None));
    journal.secret(&token);
    if field("response_type") == "id_token" {
        return reply(inner.form, request, &token);
    }
    let opaque = crate::fake::jwt::unique();
    journal.secret(&opaque);
    // Ten minutes less than it lives.
    let info = match owner {
        Owner::User(name) => json!({"username": name}),
        Owner::Organisation(_) => json!({}),
    };
    let expires_in = life.as_secs().saturating_sub(600);
    let scope = scopes.join(",");
    Reply::json(
        200,
        &json!({"access_token": opaque, "token_type": "bearer", "scope": scope, "expires_in": expires_in, "info": info}),
    )
}

/// The old JWT may have expired; its signature has to be good. The refresh token within it stays the same.
fn refresh(state: &State, request: &Request, journal: &Journal) -> Reply {
    let Some(mut claims) = bearer(request).and_then(|token| state.verify(token)) else {
        return text(401, "Unauthorized");
    };
    let mut inner = state.lock();
    let form = inner.form;
    let name = claims["refresh_token"].as_str().unwrap_or_default().to_owned();
    let Some(known) = inner.refresh.get_mut(&name).filter(|known| known.unused < IDLE) else {
        return text(401, "Unauthorized");
    };
    known.unused = Duration::ZERO;
    // Scopes that were taken away since are missing from now on, and nobody says so.
    if let Some(scopes) = claims["scope"].as_array_mut() {
        scopes.retain(|scope| scope.as_str().is_some_and(|scope| known.scopes.contains(scope)));
    }
    drop(inner);
    let end = SystemTime::now() + life(fields(request).get("validity").map(String::as_str).unwrap_or_default());
    claims["exp"] = json!(end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs());
    let token = state.sign(&claims);
    journal.secret(&token);
    reply(form, request, &token)
}

/// A token of a living parent's, with the scopes that are named and nothing to refresh it with. It ends with its parent.
fn narrow(state: &State, request: &Request, journal: &Journal) -> Reply {
    let Some(mut claims) = bearer(request).and_then(|token| state.verify(token)).filter(tokens::is_unexpired) else {
        return text(401, "Unauthorized");
    };
    if claims["username"].is_null() {
        // The handler takes the name of the user for granted, and the server's recovery answers for it.
        return Reply::empty(500);
    }
    let wanted = scopes(fields(request).get("scope").map(String::as_str).unwrap_or_default());
    let held: BTreeSet<&str> = claims["scope"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !wanted.iter().all(|scope| held.contains(scope.as_str())) {
        return text(401, "Unauthorized");
    }
    claims["scope"] = json!(wanted);
    if let Some(claims) = claims.as_object_mut() {
        claims.remove("refresh_token");
    }
    let token = state.sign(&claims);
    journal.secret(&token);
    let form = state.lock().form;
    reply(form, request, &token)
}

fn reply(form: Form, request: &Request, token: &str) -> Reply {
    let wants_json = request.header("accept").is_some_and(|accept| accept.contains("application/json"));
    match form {
        Form::Json => Reply::json(200, &json!({"access_token": token})),
        Form::ByAccept if wants_json => Reply::json(200, &json!({"access_token": token})),
        Form::ByAccept | Form::Bare => Reply::typed(200, "application/jwt", token),
        Form::Line => Reply::typed(200, "application/jwt", format!("{token}\n")),
    }
}

/// As Go's `http.Error` writes it.
fn text(status: u16, words: &str) -> Reply {
    Reply::typed(status, "text/plain; charset=utf-8", format!("{words}\n")).header("X-Content-Type-Options", "nosniff")
}

/// The fields of query and body together, as Go's `FormValue` reads them.
fn fields(request: &Request) -> BTreeMap<String, String> {
    let body = if request.content_type() == FORM { request.form() } else { Vec::new() };
    pairs(&request.query).into_iter().chain(body).collect()
}

fn pairs(query: &str) -> Vec<(String, String)> {
    crate::fake::wire::pairs(query)
}

fn scopes(text: &str) -> Vec<String> {
    text.split(',').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

fn life(validity: &str) -> Duration {
    Duration::from_secs(validity.parse().unwrap_or(DAY).clamp(1, DAY))
}

/// Exactly these two spellings.
fn bearer(request: &Request) -> Option<&str> {
    let value = request.header("authorization")?;
    value.strip_prefix("bearer ").or_else(|| value.strip_prefix("Bearer "))
}

fn basic(request: &Request) -> Option<(String, String)> {
    let coded = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(coded).ok()?).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
