//! The portal: knows its own users by a session, and itsyou.online's by their JWT.

use serde_json::{Value, json};

use super::{AUTHENTICATE, CLOUDSPACES, State, WHOAMI, tokens};
use crate::fake::{Journal, Reply, Request, jwt, wire};

/// Who asks.
enum Caller {
    Guest,
    Known(String),
    /// The answer that says why not.
    Nobody(Reply),
}

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    if state.lock().upgrading {
        return Reply::typed(503, "text/plain", "The environment is being upgraded");
    }
    match request.path.as_str() {
        AUTHENTICATE => authenticate(state, request, journal),
        WHOAMI => match caller(state, request, journal) {
            Caller::Guest => said(state, request, "guest"),
            Caller::Known(name) => said(state, request, &name),
            Caller::Nobody(reply) => reply,
        },
        CLOUDSPACES => match caller(state, request, journal) {
            Caller::Guest => Reply::typed(401, "text/plain", "Unauthorized"),
            Caller::Known(_) => Reply::json(200, &json!([{"id": 1, "name": "space", "status": "DEPLOYED"}])),
            Caller::Nobody(reply) => reply,
        },
        _ => Reply::html(404, "Not Found", "The requested resource was not found on this server."),
    }
}

/// What an agent must never send.
pub(super) fn judge(request: &Request) -> Result<(), String> {
    if !request.query.is_empty() {
        return Err("there is a query, and servers log those".into());
    }
    if request.method != "POST" {
        return Err("not a POST".into());
    }
    let fields = request.form();
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    if field("authkey") == Some("") {
        return Err("an empty `authkey`: newer portals take it for a session that has ended".into());
    }
    if let Some(token) = request.header("authorization").and_then(|value| value.split(' ').nth(1))
        && jwt::payload(token).is_some_and(|claims| !claims["refresh_token"].is_null())
    {
        return Err("a token that can be refreshed has left".into());
    }
    match request.path.as_str() {
        AUTHENTICATE => {
            let alone = field("authkey").is_none() && request.header("authorization").is_none();
            let whole = ["username", "password"].iter().all(|name| field(name).is_some_and(|value| !value.is_empty()));
            if whole && alone { Ok(()) } else { Err("a login is a user's name and password and nothing else".into()) }
        }
        WHOAMI | CLOUDSPACES => Ok(()),
        _ => Err("there is no such call".into()),
    }
}

fn authenticate(state: &State, request: &Request, journal: &Journal) -> Reply {
    let fields = fields(request);
    let (name, password) = (find(&fields, "username"), find(&fields, "password"));
    journal.secret(&password);
    let mut inner = state.lock();
    if inner.users.get(&name).is_none_or(|known| *known != password) {
        return Reply::typed(401, "text/plain", "Unauthorized");
    }
    let session = jwt::unique();
    journal.secret(&session);
    inner.sessions.insert(session.clone(), name);
    drop(inner);
    said(state, request, &session)
}

fn caller(state: &State, request: &Request, journal: &Journal) -> Caller {
    // The scheme may be spelt as one likes: the portal lowers it.
    let authorization = request.header("authorization").unwrap_or_default();
    if let Some((scheme, token)) = authorization.split_once(' ')
        && scheme.eq_ignore_ascii_case("bearer")
    {
        journal.secret(token);
        let claims = state.verify(token).filter(tokens::is_unexpired);
        return match claims.as_ref().and_then(|claims| claims["username"].as_str().or(claims["globalid"].as_str())) {
            Some(name) => Caller::Known(format!("{name}@itsyouonline")),
            None => Caller::Nobody(Reply::html(401, "Unauthorized", "Invalid JWT")),
        };
    }
    let fields = fields(request);
    let Some((_, session)) = fields.iter().find(|(name, _)| name == "authkey") else { return Caller::Guest };
    journal.secret(session);
    let mut inner = state.lock();
    // An empty one is one that is not known.
    let Some(name) = inner.sessions.get(session).cloned() else {
        return Caller::Nobody(Reply::html(419, "Authentication Timeout", "Your session has ended."));
    };
    if fields.iter().any(|(name, _)| name == "user_logoff_") {
        inner.sessions.remove(session);
        return Caller::Guest;
    }
    Caller::Known(name)
}

/// A text in JSON quotes, if JSON is asked for.
fn said(state: &State, request: &Request, text: &str) -> Reply {
    let asked = request.header("accept").is_some_and(|accept| accept.contains("application/json"));
    if state.lock().quoted.unwrap_or(asked) {
        return Reply::json(200, &Value::String(text.into()));
    }
    Reply::typed(200, "text/plain", text)
}

fn fields(request: &Request) -> Vec<(String, String)> {
    wire::pairs(&request.query).into_iter().chain(request.form()).collect()
}

fn find(fields: &[(String, String)], name: &str) -> String {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).unwrap_or_default()
}
