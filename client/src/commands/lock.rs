//! `lock`: has the agent seal all that is secret. One that is not there has nothing, so none is started.

use std::time::Duration;

use cloud_agent_protocol::v1::{Lock, Request};

use super::unlock::passphrase;
use crate::client::Client;
use crate::dialogue;
use crate::report::Failure;
use crate::tty::{Human, Tty};

/// Locks it.
#[cold]
pub(crate) fn run(source: Option<&str>, no_input: bool, timeout: Duration) -> Result<(), Failure> {
    let (passphrase, _) = passphrase(source, timeout)?;
    let mut tty = if no_input || passphrase.is_some() { None } else { Tty::open().ok() };
    let client = Client::new(timeout)?.without_autostart();
    let lock = Lock { passphrase, interactive: tty.is_some(), deadline_ms: client.deadline.for_agent() };
    let human = tty.as_mut().map(|tty| tty as &mut dyn Human);
    super::done(dialogue::converse(Request::Lock(lock), human, client, dialogue::AGENT)?)
}
