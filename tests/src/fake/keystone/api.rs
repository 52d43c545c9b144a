//! Request in, reply out, in the words of Keystone 30.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::auth::{self, Refusal};
use super::{Inner, PREFIX, PROJECTS, State, TOKENS, Token};
use crate::fake::{Journal, Reply, Request};

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    let (prefix, path) = match request.path.strip_prefix(PREFIX) {
        Some(path) => (PREFIX, path),
        None => ("", request.path.as_str()),
    };
    let reply = match (path.trim_end_matches('/'), request.method.as_str()) {
        (TOKENS, "POST") => issue(state, request, journal),
        (TOKENS, "GET") => subject(state, request).map(|(id, token, inner)| show(&inner, &id, &token, 200, request)),
        (TOKENS, "DELETE") => subject(state, request).map(|(id, _, mut inner)| {
            inner.tokens.remove(&id);
            Reply::empty(204)
        }),
        (PROJECTS, "GET") => projects(state, request),
        (TOKENS, _) => Ok(not_allowed("OPTIONS, GET, DELETE, HEAD, POST")),
        (PROJECTS, _) => Ok(not_allowed("OPTIONS, HEAD, GET")),
        _ => Ok(not_there()),
    };
    let reply = reply.unwrap_or_else(|refusal| refused(refusal, request, prefix));
    reply.header("Vary", "X-Auth-Token")
}

/// What an agent must never send. More than the server itself minds: it takes what is sloppy.
pub(super) fn judge(request: &Request) -> Result<(), String> {
    let mut names = HashSet::new();
    if let Some((name, _)) = request.headers.iter().find(|(name, _)| !names.insert(name.to_ascii_lowercase())) {
        return Err(format!("the header `{name}` comes twice"));
    }
    if !["", "nocatalog=true"].contains(&request.query.as_str()) {
        return Err("there is a query that says more than `nocatalog`, and servers log those".into());
    }
    let path = request.path.strip_prefix(PREFIX).unwrap_or(&request.path);
    match (request.method.as_str(), path) {
        ("GET", PROJECTS) => {}
        ("GET" | "DELETE", TOKENS) => {
            if request.header("x-auth-token") != request.header("x-subject-token") {
                return Err("a token is shown or revoked by another one".into());
            }
        }
        ("POST", TOKENS) => {
            if request.content_type() != "application/json" {
                return Err(format!("the content type is `{}`", request.content_type()));
            }
            if request.header("x-auth-token").is_some() {
                return Err("a login carries a token, which is none of its business".into());
            }
            let scope = request.json().and_then(|body| body.pointer("/auth/scope").cloned());
            if scope.is_some_and(|scope| scope.pointer("/project/name").is_none_or(|name| !name.is_string())) {
                return Err("there is a scope of nothing".into());
            }
        }
        _ => return Err("there is no such request".into()),
    }
    Ok(())
}

fn issue(state: &State, request: &Request, journal: &Journal) -> Result<Reply, Refusal> {
    let body = match request.content_type().as_str() {
        "application/json" => request.json().filter(Value::is_object).ok_or_else(|| miss("valid JSON", "request body")),
        _ => Err(miss("application/json", "Content-Type header")),
    }?;
    let mut inner = state.lock();
    let token = auth::authenticate(state, &inner, &body, journal)?;
    let id = auth::id();
    journal.secret(&id);
    inner.tokens.insert(id.clone(), token.clone());
    Ok(show(&inner, &id, &token, 201, request))
}

/// The token that the request is about, if it may be about it.
fn subject<'a>(
    state: &'a State,
    request: &Request,
) -> Result<(String, Token, std::sync::MutexGuard<'a, Inner>), Refusal> {
    let inner = state.lock();
    inner.alive(request.header("x-auth-token").unwrap_or_default())?;
    match request.header("x-subject-token") {
        None => Err(Refusal::Forbidden("identity:validate_token")),
        Some(id) => match inner.tokens.get(id) {
            Some(token) => Ok((id.to_owned(), token.clone(), inner)),
            None => Err(Refusal::NotFound("Could not recognize Fernet token".into())),
        },
    }
}

fn projects(state: &State, request: &Request) -> Result<Reply, Refusal> {
    let inner = state.lock();
    let token = inner.alive(request.header("x-auth-token").unwrap_or_default())?;
    let user = inner.users.iter().find(|user| user.id == token.user).ok_or(Refusal::Unauthorized)?;
    let project = json!({
        "id": user.project.id, "name": user.project.name, "domain_id": "default", "description": "", "enabled": true,
        "parent_id": "default", "is_domain": false, "tags": [], "options": {},
    });
    Ok(Reply::json(200, &json!({"projects": [project], "links": {"next": null, "previous": null}})))
}

fn show(inner: &Inner, id: &str, token: &Token, status: u16, request: &Request) -> Reply {
    let domain = || json!({"id": "default", "name": "Default"});
    let user = inner.users.iter().find(|user| user.id == token.user).expect("users are never deleted");
    let mut shown = json!({
        "methods": token.methods,
        "user": {"id": user.id, "name": user.name, "domain": domain(), "password_expires_at": null},
        "audit_ids": [token.audit],
        "issued_at": auth::date(token.issued),
        "expires_at": auth::date(token.expires),
    });
    if token.scoped {
        let member = json!({"id": "299783b9659044a39e3746bb9872a5d5", "name": "member"});
        let reader = json!({"id": "21933c9c9a9648aaa5b0f3045c4465f1", "name": "reader"});
        // An application credential has the roles that it was made with, and not those that they imply.
        shown["roles"] = if token.credential.is_some() { json!([member]) } else { json!([member, reader]) };
        shown["project"] = json!({"id": user.project.id, "name": user.project.name, "domain": domain()});
        shown["is_domain"] = json!(false);
        if request.query.is_empty() {
            let endpoint = json!({
                "id": "69b46c305b444ff5a1b8e97e6253ea67", "interface": "public", "region": "lab", "region_id": "lab",
                "url": "http://127.0.0.1/identity",
            });
            let id = "e218f71699cc44c4999697feb851061f";
            shown["catalog"] = json!([{"endpoints": [endpoint], "id": id, "type": "identity", "name": "keystone"}]);
        }
    }
    if let Some(credential) = inner.credentials.iter().find(|c| Some(&c.id) == token.credential.as_ref()) {
        shown["application_credential"] = json!({"id": credential.id, "name": credential.name, "restricted": true});
    }
    Reply::json(status, &json!({"token": shown})).header("X-Subject-Token", id)
}

fn refused(refusal: Refusal, request: &Request, prefix: &str) -> Reply {
    let error = |code: u16, title: &str, message: &str| {
        Reply::json(code, &json!({"error": {"code": code, "title": title, "message": message}}))
    };
    match refusal {
        Refusal::Unauthorized => {
            let host = request.header("host").unwrap_or_default();
            error(401, "Unauthorized", "The request you have made requires authentication.")
                .header("WWW-Authenticate", &format!("Keystone uri=\"http://{host}{prefix}/v3\""))
        }
        Refusal::BadRequest(message) => error(400, "Bad Request", &message),
        Refusal::Forbidden(what) => {
            let message = format!("You are not authorized to perform the requested action: {what}.");
            error(403, "Forbidden", &message)
        }
        Refusal::NotFound(message) => error(404, "Not Found", &message),
        Refusal::Receipt(body) => Reply::json(401, &body).header("Openstack-Auth-Receipt", &auth::id()),
    }
}

pub(super) fn miss(what: &str, place: &str) -> Refusal {
    Refusal::BadRequest(format!(
        "Expecting to find {what} in {place}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
    ))
}

fn not_allowed(allow: &str) -> Reply {
    let body = json!({"message": "The method is not allowed for the requested URL."});
    Reply::json(405, &body).header("Allow", allow)
}

fn not_there() -> Reply {
    let page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>\n";
    Reply::typed(404, "text/html; charset=utf-8", page)
}
