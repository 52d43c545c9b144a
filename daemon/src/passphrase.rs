//! Passphrases, as a person is asked for them: never kept by this, and the same whatever they open.

use cloud_agent_protocol::v1::Question;
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use crate::provider::Ask;

/// Asks for one.
///
/// # Errors
/// `NeedsHuman` if nobody is there, or they gave up.
pub(crate) async fn once(ask: &dyn Ask, prompt: &str) -> Result<Secret, Fault> {
    let question = Question {
        name: "passphrase".into(),
        prompt: prompt.into(),
        detail: None,
        secret: true,
        optional: false,
        choices: Vec::new(),
    };
    ask.ask(question).await
}

/// Asks for a new one, twice: a slip in it would lock out whoever made it. `command` is what to type to begin anew.
///
/// # Errors
/// As [`once`]; `Refused` if the two differ.
pub(crate) async fn twice(ask: &dyn Ask, prompt: &str, command: &str) -> Result<Secret, Fault> {
    let first = once(ask, prompt).await?;
    if first == once(ask, "The same again").await? {
        return Ok(first);
    }
    Err(Fault::new(FaultKind::Refused, "the two passphrases differ").hint(command))
}
