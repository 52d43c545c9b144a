//! Accounts that no file knows, as text for the agent that comes after this one.

use std::path::Path;

use cloud_agent_protocol::AccountName;

use super::file::parse;
use super::{Accounts, Stored};

impl Accounts {
    /// Those that no file knows: their names, and what [`Stored::from_text`] takes.
    pub(crate) fn ephemeral(&self) -> Vec<(String, String)> {
        let inner = self.fresh();
        inner.ephemeral.values().map(|account| (account.name.as_str().to_owned(), account.written())).collect()
    }
}

impl Stored {
    /// From what [`Self::written`] wrote.
    pub(crate) fn from_text(name: &str, text: &str) -> Option<Self> {
        let name = AccountName::parse(name).ok()?;
        let parsed = parse(Path::new("memory"), &format!("[account.\"{name}\"]\n{text}")).ok()?;
        let mut accounts = parsed.accounts;
        accounts.remove(&name.key()).map(|account| *account)
    }
}
