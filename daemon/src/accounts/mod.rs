//! The accounts that are set up: `accounts.toml`, read and written, and those that live only as long as the agent.

mod file;
mod limits;
mod settings;
mod span;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::{AccountName, Fault, FaultKind};

pub use file::Stored;
use file::{Shelf, Stamp};
pub(crate) use limits::LIMITS;
pub use limits::Limits;
pub use settings::Settings;
pub(crate) use span::{parse_span, span_text};

use crate::suggest::nearest;

/// All accounts, by key.
#[derive(Debug)]
pub struct Accounts {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What the file says, or why it cannot be used.
    stored: Result<Shelf, Fault>,
    /// Which state of the file that was.
    stamp: Option<Stamp>,
    /// Accounts that no file knows.
    ephemeral: Shelf,
}

impl Accounts {
    /// Those in the file at `path`, which need not exist.
    #[must_use]
    pub fn open(path: PathBuf) -> Self {
        let stamp = file::stamp(&path);
        let stored = file::read(&path);
        Self { path, inner: Mutex::new(Inner { stored, stamp, ephemeral: Shelf::new() }) }
    }

    /// The account of that key.
    ///
    /// # Errors
    /// `UnknownAccount` with the nearest name; `Config` if the file cannot be used.
    pub fn find(&self, name: &AccountName) -> Result<Stored, Fault> {
        let inner = self.fresh();
        let key = name.key();
        if let Some(account) = inner.ephemeral.get(&key) {
            return Ok(Stored::clone(account));
        }
        let stored = inner.stored.as_ref().map_err(Clone::clone)?;
        stored.get(&key).map(|account| Stored::clone(account)).ok_or_else(|| {
            let fault = Fault::new(FaultKind::UnknownAccount, format!("no account `{name}`"));
            match nearest(&key, stored.keys().chain(inner.ephemeral.keys()).map(String::as_str)) {
                Some(near) => {
                    let near = stored.get(near).or_else(|| inner.ephemeral.get(near)).map_or(near, |a| a.name.as_str());
                    fault.hint(format!("did you mean `{near}`? else set it up: `cloud-token login {name}`"))
                }
                None => fault.hint(format!("set it up: `cloud-token login {name}`")),
            }
        })
    }

    /// All accounts, in the order of their keys, and what is wrong with the file if it cannot be used.
    pub fn list(&self) -> (Vec<Stored>, Option<Fault>) {
        let inner = self.fresh();
        let mut all = inner.stored.as_ref().cloned().unwrap_or_default();
        all.extend(inner.ephemeral.iter().map(|(key, account)| (key.clone(), account.clone())));
        (all.into_values().map(|account| *account).collect(), inner.stored.as_ref().err().cloned())
    }

    /// Adds or replaces an account, in the file unless it is `ephemeral`.
    ///
    /// # Errors
    /// `Config` if the file cannot be used or written; it is then as it was.
    pub fn put(&self, account: Stored, ephemeral: bool) -> Result<(), Fault> {
        let mut inner = self.fresh();
        let key = account.name.key();
        if ephemeral {
            inner.ephemeral.insert(key, Box::new(account));
            return Ok(());
        }
        let stored = inner.stored.as_mut().map_err(|fault| fault.clone())?;
        file::write(&self.path, &account)?;
        stored.insert(key.clone(), Box::new(account));
        inner.ephemeral.remove(&key);
        inner.stamp = file::stamp(&self.path);
        Ok(())
    }

    /// Forgets an account's settings. Nothing happens if there is none.
    ///
    /// # Errors
    /// As [`Accounts::put`].
    pub fn remove(&self, name: &AccountName) -> Result<(), Fault> {
        let mut inner = self.fresh();
        let key = name.key();
        inner.ephemeral.remove(&key);
        let stored = inner.stored.as_mut().map_err(|fault| fault.clone())?;
        if let Some(account) = stored.get(&key) {
            file::erase(&self.path, &account.name)?;
            stored.remove(&key);
            inner.stamp = file::stamp(&self.path);
        }
        Ok(())
    }

    /// The accounts, read again if somebody has edited the file since. Never called while a cached token is handed out.
    fn fresh(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = file::stamp(&self.path);
        if stamp != inner.stamp {
            inner.stored = file::read(&self.path);
            inner.stamp = stamp;
            if let Err(fault) = &inner.stored {
                tracing::warn!("{fault}");
            }
        }
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> Stored {
        Stored {
            name: AccountName::parse(name).unwrap(),
            cloud: "acme".into(),
            method: "password".into(),
            url: Some("https://acme.example".into()),
            urls: std::collections::BTreeMap::new(),
            set: [("user".to_owned(), "me".to_owned())].into_iter().collect(),
            allow_plaintext: false,
            ca_file: None,
            lifetime: Some(std::time::Duration::from_mins(90)),
            limits: Limits::new(Some(std::time::Duration::from_hours(8)), None),
            serves: Some(vec!["https://git.acme.example/team".into()]),
        }
    }

    fn accounts(text: Option<&str>) -> (tempfile::TempDir, Accounts) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config/accounts.toml");
        if let Some(text) = text {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        (dir, Accounts::open(path))
    }

    fn name(name: &str) -> AccountName {
        AccountName::parse(name).unwrap()
    }

    #[test]
    fn an_account_is_found_again_without_case_by_a_new_agent() {
        let (dir, accounts) = accounts(None);
        accounts.put(account("Work"), false).unwrap();
        let again = Accounts::open(dir.path().join("config/accounts.toml"));
        let found = again.find(&name("WORK")).unwrap();
        assert_eq!(found.name.as_str(), "Work");
        assert_eq!(found, account("Work"));
    }

    #[test]
    fn an_ephemeral_account_is_in_no_file() {
        let (dir, accounts) = accounts(None);
        accounts.put(account("work"), true).unwrap();
        assert!(accounts.find(&name("work")).is_ok());
        assert!(!dir.path().join("config/accounts.toml").exists());
    }

    #[test]
    fn writing_and_erasing_keep_comments_and_other_accounts() {
        let text = "# mine\n[account.other] # keep\ncloud = \"acme\"\nmethod = \"password\"\n\n[future]\nx = 1\n";
        let (dir, accounts) = accounts(Some(text));
        accounts.put(account("work"), false).unwrap();
        accounts.remove(&name("WORK")).unwrap();
        accounts.remove(&name("nobody")).unwrap();
        let left = std::fs::read_to_string(dir.path().join("config/accounts.toml")).unwrap();
        assert_eq!(left.trim_end(), text.trim_end());
    }

    #[test]
    fn a_broken_file_is_a_fault_with_its_line_and_is_never_overwritten() {
        let text = "[account.work]\ncloud = \"acme\"\nmetod = \"password\"\n";
        let (dir, accounts) = accounts(Some(text));
        let fault = accounts.find(&name("work")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Config);
        let words = fault.to_string();
        assert!(words.contains("accounts.toml:3") && words.contains("metod") && words.contains("method"), "{words}");
        assert_eq!(accounts.put(account("new"), false).unwrap_err().kind, FaultKind::Config);
        assert_eq!(std::fs::read_to_string(dir.path().join("config/accounts.toml")).unwrap(), text);
    }

    #[test]
    fn a_limit_that_is_no_span_of_time_is_a_fault_with_its_line() {
        for (limit, line) in [("hold-for = \"soon\"", 4), ("hold-idle = \"0s\"", 4), ("hold_for = \"8h\"", 4)] {
            let (_dir, accounts) =
                accounts(Some(&format!("[account.work]\ncloud = \"acme\"\nmethod = \"password\"\n{limit}\n")));
            let fault = accounts.find(&name("work")).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Config);
            assert!(fault.to_string().contains(&format!("accounts.toml:{line}")), "{fault}");
        }
    }

    #[test]
    fn an_edit_is_seen_and_a_repaired_file_works_again() {
        let (dir, accounts) = accounts(Some("nonsense"));
        assert_eq!(accounts.find(&name("work")).unwrap_err().kind, FaultKind::Config);
        let path = dir.path().join("config/accounts.toml");
        std::fs::write(&path, "[account.work]\ncloud = \"acme\"\nmethod = \"password\"\n").unwrap();
        assert_eq!(accounts.find(&name("work")).unwrap().cloud, "acme");
    }

    #[test]
    fn an_unknown_account_names_its_nearest_and_the_command() {
        let (_dir, accounts) = accounts(None);
        accounts.put(account("Greenhouse"), false).unwrap();
        let fault = accounts.find(&name("grenhouse")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnknownAccount);
        let hint = fault.hint.unwrap();
        assert!(hint.contains("`Greenhouse`") && hint.contains("cloud-token login grenhouse"), "{hint}");
    }

    #[test]
    fn two_spellings_of_one_account_are_refused() {
        let (_dir, accounts) = accounts(Some(
            "[account.work]\ncloud = \"a\"\nmethod = \"m\"\n[account.WORK]\ncloud = \"a\"\nmethod = \"m\"\n",
        ));
        let words = accounts.find(&name("work")).unwrap_err().to_string();
        assert!(words.contains("differ only in case"), "{words}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, _) = accounts(Some(""));
        let path = dir.path().join("config/accounts.toml");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let fault = Accounts::open(path).find(&name("work")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Config);
        assert!(fault.hint.unwrap().contains("chmod"));
    }
}
