//! What an action may print: no place of a reply that holds a secret, by the file's own word or by its name.
//!
//! What `do` prints goes to terminals, files and logs. A file cannot be stopped from printing every secret, for a name may
//! say nothing; but nobody prints one by a slip.

use toml::Spanned;

use super::words;
use crate::cloud::file::{Fields, RawAction, RawMethod, Text};
use crate::cloud::{Source, Take};

/// How names end that say what they name, in lower case and without what joins words.
const SECRET: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "jwt",
    "seed",
    "credential",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
];

/// The places that a file takes what is held, or the token, from.
pub(super) fn places(methods: &[Spanned<RawMethod>], actions: &[Spanned<RawAction>]) -> Vec<String> {
    let mut places = Vec::new();
    for method in methods.iter().map(Spanned::get_ref) {
        let held: Vec<&Text> = method.hold.iter().chain(&method.token).collect();
        for step in method.login.iter().chain(&method.refresh) {
            add(&mut places, &step.get_ref().take, &held);
        }
    }
    for action in actions.iter().map(Spanned::get_ref) {
        let held: Vec<&Text> = action.hold.iter().collect();
        action.step.iter().for_each(|step| add(&mut places, &step.get_ref().take, &held));
    }
    places
}

fn add(places: &mut Vec<String>, takes: &Fields, names: &[&Text]) {
    for (name, source) in takes {
        if names.iter().any(|held| words::optional(held).0.get_ref() == name.get_ref())
            && let Ok(Source::Pointer(pointer) | Source::PointerOrText(pointer)) =
                words::source(&words::optional(source).0)
        {
            places.push(pointer);
        }
    }
}

/// Whether what `pointer` points at may not be printed.
pub(super) fn is_secret(pointer: &str, places: &[String]) -> bool {
    // A dash is every element of what is named before it.
    let name = pointer.rsplit('/').find(|part| *part != "-").unwrap_or_default().to_ascii_lowercase();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.strip_suffix('s').unwrap_or(&name);
    places.iter().any(|place| place == pointer) || SECRET.iter().any(|word| name.ends_with(word))
}

/// Whether what is taken may not be printed.
pub(super) fn is_secret_take(take: &Take, places: &[String]) -> bool {
    match &take.source {
        Source::Pointer(pointer) | Source::PointerOrText(pointer) => is_secret(pointer, places),
        Source::Text => false,
        Source::Header(name) => is_secret(name, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_a_secret_in_every_spelling() {
        for name in [
            "/apiKey",
            "/api_key",
            "/API-KEYS",
            "/user/accessToken",
            "/client_secret",
            "/seed",
            "/a/Passwords",
            "/keys/-/apiKey",
            "/tokens/-",
        ] {
            assert!(is_secret(name, &[]), "{name}");
        }
        for name in ["/name", "/key", "/token/id", "/access_key_id", "/seeded", "/status", "/area/regions/0/region"] {
            assert!(!is_secret(name, &[]), "{name}");
        }
        assert!(is_secret("/key", &["/key".to_owned()]));
    }
}
