//! Request in, reply out, in the words of the API.

use serde_json::{Value, json};

use super::{
    DOMAINS, REQUEST_CODE, REQUEST_CODE_V2, State, TOKENS, TOKENS_V2, VALIDATE, VALIDATE_V2, VERIFY, VERIFY_V2, login,
    shape,
};
use crate::fake::{Journal, Reply, Request};

/// What the documentation shows, slashes escaped as PHP does it; the `status` of a region and numbers as texts included.
const REGIONS: &str = r#"[{"area":{"id":"6","name":"Sweden \/ Stockholm","tag":"SE_STO2","regions":[{"zone_id":"2","name":"Stockholm \/ Sweden","status":"active","region":"Sto2"}]},"id":"79b0cef45b504586ad0bf057dc4cb8b8","status":"provisioned","name":"CCP_Domain_43597","enabled":true},{"area":{"id":"7","name":"Germany \/ Frankfurt","tag":"DE","regions":[{"zone_id":"6","name":"Frankfurt \/ Germany","status":"active","region":"Fra1"}]},"id":"08db589d04f442e19c272f2cd1a02906","status":"provisioned","name":"CCP_Domain_43597","enabled":true},{"area":{"id":"1","name":"Europe","tag":"EU","regions":[{"zone_id":"1","name":"Karlskrona \/ Sweden","status":"active","region":"Kna1"}]},"id":"a018123218f5428ba96d7fb212d90cf2","status":"provisioned","name":"CCP_Domain_43597","enabled":true}]"#;

pub(super) fn answer(state: &State, request: &Request, journal: &Journal) -> Reply {
    let reads_body = request.method == "POST" && ![VALIDATE, VALIDATE_V2].contains(&request.path.as_str());
    if reads_body && !shape::is_read(request) {
        return error(415, "Unsupported media type");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", TOKENS | TOKENS_V2) => login::password(state, request, journal),
        ("POST", REQUEST_CODE | REQUEST_CODE_V2) => login::request_code(state, request, journal),
        ("POST", VERIFY | VERIFY_V2) => login::verify(state, request, journal),
        ("POST", VALIDATE) => owner(state, request, journal).map_or_else(|| dead(403), |_| Reply::empty(204)),
        // The specification says 401; the vendor's own client takes 403 for the same.
        ("POST", VALIDATE_V2) => owner(state, request, journal).map_or_else(|| dead(401), |_| Reply::empty(204)),
        ("DELETE", TOKENS) => forget(state, request, journal, 403),
        ("DELETE", TOKENS_V2) => forget(state, request, journal, 401),
        ("GET", DOMAINS) => domains(state, request, journal),
        _ => error(404, "Not found"),
    }
}

/// Whose token is presented, if it is alive and both headers are of one user.
fn owner(state: &State, request: &Request, journal: &Journal) -> Option<String> {
    let (login, token) = (request.header("x-auth-login")?, request.header("x-auth-token")?);
    journal.secret(token);
    let inner = state.lock();
    inner.tokens.get(token).filter(|known| known.alive && known.login == login).map(|known| known.login.clone())
}

fn forget(state: &State, request: &Request, journal: &Journal, status: u16) -> Reply {
    if owner(state, request, journal).is_none() {
        return dead(status);
    }
    let token = request.header("x-auth-token").unwrap_or_default();
    if let Some(known) = state.lock().tokens.get_mut(token) {
        known.alive = false;
    }
    Reply::empty(204)
}

fn domains(state: &State, request: &Request, journal: &Journal) -> Reply {
    let Some(login) = owner(state, request, journal) else { return dead(403) };
    // The same status as for a dead token: only the words tell them apart.
    if !state.with_user(&login, |user| user.privileged) {
        return error(403, "No access: openstack");
    }
    Reply::typed(200, "application/json", REGIONS)
}

fn dead(status: u16) -> Reply {
    error(status, "Invalid token")
}

/// The shape of every error.
pub(super) fn error(status: u16, message: &str) -> Reply {
    let body: Value = json!({"error": {"code": status, "message": message}});
    Reply::json(status, &body)
}
