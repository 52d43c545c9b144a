//! What a caller reports back: the API refused the token that it was given.

use std::time::Duration;

use cloud_agent_protocol::{AccountName, Credential, Fault, FaultKind, Secret};

use super::Broker;
use super::entry::State;
use super::lifetime::Age;
use crate::clock::Clock;

/// A token refused this soon after a rejection had it renewed is refused for good: renewing again would go on for ever.
/// It is thus also the least time between two renewals that rejections force.
const REJECTED_AGAIN: Duration = Duration::from_secs(10);

impl Broker {
    /// The API refused this account's token: forget it, so that the next caller gets a new one.
    ///
    /// A `token` that is not the cached one is an old one, and changes nothing. A token that is refused right after a
    /// rejection had it renewed is refused for good, until the human acts. The age of one whose end nobody tells teaches how
    /// long the next lives.
    ///
    /// # Errors
    /// `UnknownAccount`, `Config`.
    pub fn reject(&self, account: &str, token: Option<&Secret>) -> Result<String, Fault> {
        let name = AccountName::parse(account)?;
        let entry = self.entry(&name)?;
        let mut state = entry.state();
        let Some(cached) = state.cached.clone() else {
            return Ok(format!("`{name}` has no cached token; the next use renews it"));
        };
        let credential = cached.credential();
        if token.is_some_and(|token| !presents(&credential, token)) {
            return Ok(format!("that is not the current token of `{name}`; nothing was changed"));
        }
        let age = cached.age(&*self.clock);
        let again = state.would_end_by_rejection(&*self.clock);
        state.cached = None;
        state.rejected = true;
        if !state.forced
            && let Some(age) = Age::taught_by(age, credential.expiry_source)
        {
            tracing::info!(account = %name, "a token was refused at the age of {age}; the next is renewed before that");
            age.learn(&mut state.learned);
        }
        drop(state);
        if again {
            entry.fail(
                Fault::new(FaultKind::NeedsHuman, format!("the cloud refuses the tokens that it issues to `{name}`"))
                    .because("a token was refused, renewed, and refused again")
                    .hint(format!("check that the login is still allowed there, then `cloud-token login {name}`")),
                &*self.clock,
            );
            return Ok(format!("the new token of `{name}` is refused too; it is not renewed again until you log in"));
        }
        Ok(format!("the token of `{name}` is forgotten; the next use renews it"))
    }
}

impl State {
    /// Whether the cached token is so new an answer to a rejection that another one would be final.
    pub(super) fn would_end_by_rejection(&self, clock: &dyn Clock) -> bool {
        self.forced && self.cached.as_ref().is_some_and(|cached| cached.age(clock) < REJECTED_AGAIN)
    }
}

/// Whether `token` is what a caller who was given `credential` presents: the token itself, or a header's value.
fn presents(credential: &Credential, token: &Secret) -> bool {
    credential.token.as_ref() == Some(token) || credential.headers.iter().any(|header| header.value == *token)
}
