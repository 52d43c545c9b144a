//! `vault`: which vault holds the secrets, and why; and moving them to another one.

use std::fmt::Write;
use std::time::Duration;

use cloud_agent_protocol::v1::{Request, Response, Vault, VaultStatus};

use super::unlock::passphrase;
use crate::client::{Client, unexpected};
use crate::dialogue;
use crate::report::{self, Failure, printable};
use crate::stdio;
use crate::tty::{Human, Tty};

/// Shows it.
#[cold]
pub(crate) fn show(timeout: Duration) -> Result<(), Failure> {
    let client = Client::new(timeout)?;
    let deadline_ms = client.deadline.for_agent();
    let vault = Vault { move_to: None, passphrase: None, interactive: false, deadline_ms };
    match client.ask(&Request::Vault(vault))? {
        Response::Vault(status) => stdio::stdout(words(&status).as_bytes()),
        other => Err(unexpected(&other)),
    }
}

/// Moves everything to a vault of that kind.
#[cold]
pub(crate) fn move_to(kind: String, source: Option<&str>, no_input: bool, timeout: Duration) -> Result<(), Failure> {
    let (passphrase, withheld) = passphrase(source, timeout)?;
    let mut tty = if no_input || passphrase.is_some() { None } else { Tty::open().ok() };
    let client = Client::new(timeout)?.withhold(withheld);
    let deadline_ms = client.deadline.for_agent();
    let vault = Vault { move_to: Some(kind), passphrase, interactive: tty.is_some(), deadline_ms };
    let human = tty.as_mut().map(|tty| tty as &mut dyn Human);
    match dialogue::converse(Request::Vault(vault), human, client, dialogue::AGENT)? {
        Response::Vault(status) => {
            report::note(&moved(&status));
            Ok(())
        }
        other => Err(unexpected(&other)),
    }
}

fn words(status: &VaultStatus) -> String {
    let state = if status.open { "open" } else { "locked" };
    let mut text = format!("{} ({state}): {}\n", printable(&status.kind), printable(&status.reason));
    if !status.place.is_empty() {
        writeln!(text, "in {}", printable(&status.place)).expect("a string takes every write");
    }
    let accounts = if status.accounts.is_empty() { "nothing".to_owned() } else { status.accounts.join(", ") };
    writeln!(text, "held: {}", printable(&accounts)).expect("a string takes every write");
    for warning in &status.warnings {
        writeln!(text, "warning: {}", printable(warning)).expect("a string takes every write");
    }
    text
}

fn moved(status: &VaultStatus) -> String {
    let accounts = status.accounts.len();
    let what = if accounts == 1 { "1 account".to_owned() } else { format!("{accounts} accounts") };
    format!("what is held of {what} is in `{}` now, and nowhere else", status.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> VaultStatus {
        VaultStatus {
            kind: "passphrase".into(),
            reason: "chosen by\x1b[2J".into(),
            place: "/state/vault".into(),
            open: false,
            accounts: vec!["a".into(), "b".into()],
            warnings: vec!["the vault is locked".into()],
        }
    }

    #[test]
    fn it_says_which_and_why_and_cannot_steer_the_terminal() {
        assert_eq!(
            words(&status()),
            "passphrase (locked): chosen by\u{fffd}[2J\nin /state/vault\nheld: a, b\nwarning: the vault is locked\n"
        );
        let empty = VaultStatus { place: String::new(), open: true, accounts: vec![], warnings: vec![], ..status() };
        assert_eq!(words(&empty), "passphrase (open): chosen by\u{fffd}[2J\nheld: nothing\n");
    }

    #[test]
    fn a_move_is_told_in_one_line() {
        assert_eq!(moved(&status()), "what is held of 2 accounts is in `passphrase` now, and nowhere else");
    }
}
