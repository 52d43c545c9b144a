//! The login in its two generations: what a password gets, what sends a text message, and what a code gets.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::api::error;
use super::{Challenge, Inner, Second, State, TOKENS, VERIFY, shape};
use crate::fake::{Journal, Reply, Request, jwt};

/// What a right password leads to.
enum Password {
    Token(String),
    /// With the `verification` that a code goes with.
    Required(String),
    /// It has to be said by which method.
    Choose(&'static [&'static str]),
}

pub(super) fn password(state: &State, request: &Request, journal: &Journal) -> Reply {
    let v1 = request.path == TOKENS;
    let Some(members) = shape::members(request) else { return error(400, "Malformed request") };
    let (Some(login), Some(password)) = (text(&members, "login"), text(&members, "password")) else {
        return error(400, "Missing parameter");
    };
    journal.secret(password);
    let method = text(&members, if v1 { "twofa_method" } else { "two_factor_method" });
    let refused = if v1 { state.options.refusal } else { 400 };
    let mut inner = state.lock();
    let Some(user) = inner.users.get_mut(login) else { return error(refused, "Invalid login or password") };
    if user.wrong >= state.options.wrong_passwords {
        return error(refused, "The account is locked");
    }
    if user.password != password {
        user.wrong += 1;
        return error(refused, "Invalid login or password");
    }
    user.wrong = 0;
    let result = match (user.second, method) {
        (Second::None, _) => Password::Token(state.issue(&mut inner, login, journal)),
        (Second::Sms | Second::Both, Some("sms")) => Password::Required(challenge(&mut inner, login, journal)),
        (Second::WebAuthn, Some("sms")) if !v1 => return error(400, "Two-factor method not available"),
        (Second::Sms, _) => Password::Choose(&["sms"]),
        (Second::Both, _) => Password::Choose(&["sms", "webauthn"]),
        (Second::WebAuthn, _) => Password::Choose(&["webauthn"]),
    };
    drop(inner);
    if v1 { said_by_v1(&result) } else { said_by_v2(&result) }
}

fn said_by_v1(result: &Password) -> Reply {
    let body = match result {
        Password::Token(token) => json!({"result": "login_ok", "token": token}),
        Password::Required(verification) => {
            json!({"result": "twofactor_required", "type": "sms", "verification": verification})
        }
        // The documentation only says that one must name the method. That there is nothing to verify with before that,
        // and which type is told, is made up.
        Password::Choose(options) => json!({"result": "twofactor_required", "type": options[options.len() - 1]}),
    };
    Reply::json(200, &body)
}

fn said_by_v2(result: &Password) -> Reply {
    let body = match result {
        Password::Token(token) => json!({"result": "login_ok", "token": token}),
        Password::Required(verification) => {
            json!({"result": "twofactor_required", "type": "sms", "verification": verification})
        }
        Password::Choose(options) => json!({"result": "twofactor_options", "options": options}),
    };
    Reply::json(201, &body)
}

fn challenge(inner: &mut Inner, login: &str, journal: &Journal) -> String {
    let verification = jwt::unique()[..10].to_owned();
    journal.secret(&verification);
    let challenge = Challenge { login: login.into(), since: Instant::now(), code: None, wrong: 0 };
    inner.challenges.insert(verification.clone(), challenge);
    verification
}

/// Sends a text message.
pub(super) fn request_code(state: &State, request: &Request, journal: &Journal) -> Reply {
    let Some((login, verification, _)) = parts(request) else { return error(400, "Missing parameter") };
    let mut inner = state.lock();
    let Inner { users, challenges, .. } = &mut *inner;
    let (Some(user), Some(open)) = (users.get_mut(&login), challenges.get_mut(&verification)) else {
        return error(400, "Invalid verification");
    };
    if !state.is_open(open, &login) {
        return error(400, "Invalid verification");
    }
    let code = user.coming.take().unwrap_or_else(random_code);
    open.code = code.parse().ok();
    journal.secret(&code);
    user.messages.push(code);
    Reply::empty(204)
}

/// Takes the code of a text message.
pub(super) fn verify(state: &State, request: &Request, journal: &Journal) -> Reply {
    let Some((login, verification, Some(code))) = parts(request) else {
        return error(400, "Code must be an integer");
    };
    let mut inner = state.lock();
    let Some(open) = inner.challenges.get_mut(&verification) else { return error(400, "Invalid verification") };
    if !state.is_open(open, &login) {
        return error(400, "Invalid verification");
    }
    if open.code != Some(code) {
        open.wrong += 1;
        return error(400, "Invalid code");
    }
    inner.challenges.remove(&verification);
    let token = state.issue(&mut inner, &login, journal);
    let body =
        if request.path == VERIFY { json!({"result": "login_ok", "token": token}) } else { json!({"token": token}) };
    Reply::json(200, &body)
}

impl State {
    fn is_open(&self, challenge: &Challenge, login: &str) -> bool {
        challenge.login == login
            && challenge.since.elapsed() < self.options.verification
            && challenge.wrong < self.options.wrong_codes
    }
}

/// Login, verification, and the code if it is an integer: a text is none, whatever stands in it.
fn parts(request: &Request) -> Option<(String, String, Option<u64>)> {
    let members = shape::members(request)?;
    let code = members.get("code").and_then(Value::as_u64);
    Some((text(&members, "login")?.into(), text(&members, "verification")?.into(), code))
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str()
}

fn random_code() -> String {
    let seed = u64::from_str_radix(&jwt::unique()[..15], 16).unwrap_or_default();
    format!("{:06}", seed % 1_000_000)
}
