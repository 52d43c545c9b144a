//! `unlock`: opens what is locked, with a passphrase or with whatever else it takes.

use std::ffi::OsString;
use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Unlock};
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::source::Source;
use crate::client::Client;
use crate::deadline::Deadline;
use crate::dialogue;
use crate::report::{Failure, printable};
use crate::tty::{Human, Tty};

/// How often whoever mistypes it is asked; ssh and sudo ask as often.
const ATTEMPTS: u8 = 3;

/// Opens it.
#[cold]
pub(crate) fn run(source: Option<&str>, no_input: bool, timeout: Duration) -> Result<(), Failure> {
    let (passphrase, withheld) = passphrase(source, timeout)?;
    if passphrase.is_none()
        && !no_input
        && let Ok(mut tty) = Tty::open()
    {
        return by(&mut tty, timeout);
    }
    let client = Client::new(timeout)?.withhold(withheld);
    open(passphrase, None, client)
}

/// Opens what is locked, asking this human; again, if they are wrong.
#[cold]
pub(crate) fn by(human: &mut dyn Human, timeout: Duration) -> Result<(), Failure> {
    for _ in 1..ATTEMPTS {
        match open(None, Some(human), Client::new(timeout)?) {
            Err(failure) if failure.fault.kind == FaultKind::Refused => {
                let told = human.tell(&printable(&format!("not accepted: {}; ^D gives up", failure.fault.message)));
                told.map_err(|e| dialogue::cannot_ask(&e))?;
            }
            done => return done,
        }
    }
    open(None, Some(human), Client::new(timeout)?)
}

fn open(passphrase: Option<Secret>, human: Option<&mut dyn Human>, client: Client) -> Result<(), Failure> {
    let deadline_ms = client.deadline.for_agent();
    let unlock = Unlock { passphrase, interactive: human.is_some(), deadline_ms };
    super::done(dialogue::converse(Request::Unlock(unlock), human, client, dialogue::AGENT)?)
}

/// The passphrase that `source` names, and the environment variable that a new agent must not inherit.
pub(super) fn passphrase(source: Option<&str>, timeout: Duration) -> Result<(Option<Secret>, Vec<OsString>), Failure> {
    let Some(source) = source else { return Ok((None, Vec::new())) };
    let source = Source::parse_place(source).ok_or_else(|| {
        // It is not repeated: it may be the passphrase itself.
        Fault::new(FaultKind::Usage, "`--passphrase` does not take the passphrase itself")
            .because("a secret in the arguments is shown to everybody by `ps`, and kept in the shell's history")
            .hint("`--passphrase env:VARIABLE`, `file:PATH`, `stdin` or `cmd:COMMAND`; or leave it out and be asked")
    })?;
    let secret = source.read("passphrase", &Deadline::after(timeout))?;
    let withheld = match source {
        Source::Env(variable) => vec![OsString::from(variable)],
        _ => Vec::new(),
    };
    Ok((Some(secret), withheld))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_on_the_command_line_is_refused_and_not_repeated() {
        for given in ["hunter2", "", "env:", "hunter2:x"] {
            let failure = passphrase(Some(given), Duration::from_secs(1)).unwrap_err();
            assert!(failure.code() == 2 && !format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
    }
}
