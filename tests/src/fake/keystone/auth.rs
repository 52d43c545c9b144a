//! Who asks, and what that makes of a token.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::api::miss;
use super::{Inner, State, Token, User};
use crate::fake::{Journal, jwt};

/// Why there is no token.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nothing is said about why: the server tells no reasons to whom it does not know.
    Unauthorized,
    BadRequest(String),
    Forbidden(&'static str),
    NotFound(String),
    /// What was shown is right, and not enough.
    Receipt(Value),
}

impl Inner {
    /// The token of that id, if it is good.
    pub(super) fn alive(&self, id: &str) -> Result<&Token, Refusal> {
        let token = self.tokens.get(id).filter(|token| token.expires > now()).ok_or(Refusal::Unauthorized)?;
        match &token.credential {
            // The server looks for the credential while it looks at the token, and says what it did not find.
            Some(id) if !self.credentials.iter().any(|credential| credential.id == *id) => Err(unknown(id)),
            _ => Ok(token),
        }
    }
}

pub(super) fn authenticate(state: &State, inner: &Inner, body: &Value, journal: &Journal) -> Result<Token, Refusal> {
    let auth = body.get("auth").ok_or_else(|| miss("auth", "request body"))?;
    if !auth.is_object() {
        return Err(Refusal::BadRequest(format!("{auth} is not of type 'object'")));
    }
    let invalid = |why: &str| Refusal::BadRequest(format!("Invalid input for field 'identity{why}"));
    let identity =
        auth.get("identity").ok_or_else(|| Refusal::BadRequest("'identity' is a required property".into()))?;
    let methods = identity.get("methods").ok_or_else(|| invalid("': 'methods' is a required property"))?;
    let methods: Vec<&str> = match methods {
        Value::Array(methods) => methods.iter().filter_map(Value::as_str).collect(),
        other => {
            return Err(invalid(&format!("/methods': '{}' is not of type 'array'", other.as_str().unwrap_or("?"))));
        }
    };
    let scope = scope(auth)?;
    if let Some(absent) = methods.iter().find(|method| identity.get(**method).is_none()) {
        return Err(miss(absent, "identity"));
    }
    let mut who: Option<&User> = None;
    let mut credential = None;
    for method in &methods {
        let shown = &identity[*method];
        let user = match *method {
            "password" => with_password(inner, shown, journal)?,
            "totp" => with_code(inner, shown)?,
            "application_credential" => {
                let (user, id) = with_credential(inner, shown, journal)?;
                credential = Some(id);
                user
            }
            // Of the real methods, an agent of ours has no use for the others.
            _ => return Err(Refusal::Unauthorized),
        };
        if who.is_some_and(|other| other.id != user.id) {
            return Err(Refusal::Unauthorized);
        }
        who = Some(user);
    }
    let user = who.filter(|user| user.enabled).ok_or(Refusal::Unauthorized)?;
    if scope != Scope::None && scope != Scope::Project(&user.project.name) {
        return Err(Refusal::Unauthorized);
    }
    let enough = |rule: &Vec<String>| rule.iter().all(|method| methods.contains(&method.as_str()));
    if !user.rules.is_empty() && !user.rules.iter().any(enough) {
        return Err(receipt(user, &methods));
    }
    let issued = now();
    Ok(Token {
        user: user.id.clone(),
        scoped: scope != Scope::None || credential.is_some(),
        // The server shows them from the last to the first.
        methods: methods.iter().rev().map(|method| (*method).to_owned()).collect(),
        credential,
        audit: jwt::unique()[..22].to_owned(),
        issued,
        expires: issued + state.life.as_secs(),
    })
}

/// What a token is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Scope<'a> {
    None,
    Project(&'a str),
    /// Of another domain, or no project at all.
    Elsewhere,
}

fn scope(auth: &Value) -> Result<Scope<'_>, Refusal> {
    let Some(scope) = auth.get("scope") else { return Ok(Scope::None) };
    let Some(project) = scope.get("project") else { return Ok(Scope::Elsewhere) };
    let domain = project.get("domain").ok_or_else(|| miss("domain", "project"))?;
    let name = project.get("name").and_then(Value::as_str);
    let here = domain["name"] == "Default" || domain["id"] == "default";
    Ok(name.filter(|_| here).map_or(Scope::Elsewhere, Scope::Project))
}

/// The user that `shown` names.
fn named<'a>(inner: &'a Inner, shown: &Value) -> Result<Option<&'a User>, Refusal> {
    let user = shown.get("user").ok_or_else(|| miss("user", "None"))?;
    if let Some(id) = user.get("id") {
        return Ok(inner.users.iter().find(|user| user.id == *id));
    }
    let domain = user.get("domain").ok_or_else(|| miss("domain", "user"))?;
    let here = domain["name"] == "Default" || domain["id"] == "default";
    Ok(inner.users.iter().find(|known| here && user["name"] == known.name.as_str()))
}

fn with_password<'a>(inner: &'a Inner, shown: &Value, journal: &Journal) -> Result<&'a User, Refusal> {
    let password = shown.pointer("/user/password").and_then(Value::as_str).unwrap_or_default();
    journal.secret(password);
    named(inner, shown)?.filter(|user| user.password == password).ok_or(Refusal::Unauthorized)
}

fn with_code<'a>(inner: &'a Inner, shown: &Value) -> Result<&'a User, Refusal> {
    let code = shown.pointer("/user/passcode").and_then(Value::as_str);
    named(inner, shown)?.filter(|user| code.is_some() && user.code.as_deref() == code).ok_or(Refusal::Unauthorized)
}

fn with_credential<'a>(inner: &'a Inner, shown: &Value, journal: &Journal) -> Result<(&'a User, String), Refusal> {
    let id = shown.get("id").and_then(Value::as_str).ok_or_else(|| miss("id", "application_credential"))?;
    let credential = inner.credentials.iter().find(|credential| credential.id == id).ok_or_else(|| unknown(id))?;
    let secret = shown.get("secret").and_then(Value::as_str).unwrap_or_default();
    journal.secret(secret);
    let user = inner.users.iter().find(|user| user.id == credential.user && credential.secret == secret);
    user.map(|user| (user, credential.id.clone())).ok_or(Refusal::Unauthorized)
}

fn receipt(user: &User, methods: &[&str]) -> Refusal {
    // Of the rules, only those are told that what was shown is a part of.
    let begun = |rule: &&Vec<String>| rule.iter().any(|method| methods.contains(&method.as_str()));
    let rules: Vec<_> = user.rules.iter().filter(begun).collect();
    let domain = json!({"id": "default", "name": "Default"});
    let issued = now();
    Refusal::Receipt(json!({
        "receipt": {
            "methods": methods,
            "user": {"id": user.id, "name": user.name, "domain": domain},
            "issued_at": date(issued),
            "expires_at": date(issued + 300),
        },
        "required_auth_methods": rules,
    }))
}

fn unknown(credential: &str) -> Refusal {
    Refusal::NotFound(format!("Could not find Application Credential: {credential}."))
}

/// An id in the shape of a Fernet token.
pub(super) fn id() -> String {
    let text: String = (0..5).map(|_| jwt::unique()).collect();
    format!("gAAAAAB{}", &text[..157])
}

/// Seconds since the epoch: the server drops their parts.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// As the server writes moments.
pub(super) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // From days to a date in the Gregorian calendar, whose year is let begin in March so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z")
}
