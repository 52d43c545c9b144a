//! Held secrets belong to the addresses they were given for.
//!
//! `accounts.toml` is the user's to edit, and whoever can write it could point an account somewhere else. A refresh token
//! must not follow: what is held carries the addresses of its login, and is of no use at any other.

use cloud_agent_protocol::{Fault, FaultKind, Secret};

use crate::provider::{Account, Held};

/// The name under which the addresses lie beside what is held. No cloud file can name it: names begin with a letter.
const PLACE: &str = "@place";

/// What is held, with the addresses of `account`.
pub(super) fn bind(mut held: Held, account: &Account) -> Held {
    held.0.insert(PLACE.to_owned(), place(account));
    held
}

/// What is held for the addresses of `account`.
///
/// # Errors
/// `NeedsHuman` if they are not those that it was given for.
pub(super) fn unbind(mut held: Held, account: &Account) -> Result<Held, Fault> {
    match held.0.remove(PLACE) {
        Some(given) if given == place(account) => Ok(held),
        _ => Err(Fault::new(
            FaultKind::NeedsHuman,
            format!("the address of `{}` has changed since its login", account.name),
        )
        .because("what is held was given for another address, and is not sent to this one")
        .hint(format!("`cloud-token login {}`, or set the address back", account.name))),
    }
}

/// The names of what is held for the cloud, without what lies beside it for ourselves.
pub(super) fn names(held: &Held) -> Vec<String> {
    held.0.keys().filter(|name| !name.starts_with('@')).cloned().collect()
}

fn place(account: &Account) -> Secret {
    let lines: Vec<String> = account.origins.iter().map(|(name, url)| format!("{name}={url}")).collect();
    lines.join("\n").into()
}
