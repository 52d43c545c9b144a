//! The accounts that are set up: `accounts.toml`, read and written, and those that live only as long as the agent.

#[cfg(target_os = "linux")]
mod estate;
pub(crate) mod file;
mod limits;
pub(crate) mod place;
mod settings;
mod span;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

pub use file::Stored;
use file::{Contents, Shelf, Stamp};
pub(crate) use limits::LIMITS;
pub use limits::Limits;
pub use settings::Settings;
pub(crate) use span::{parse_span, span_text};

/// All accounts, by key.
#[derive(Debug)]
pub struct Accounts {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What the file said when it could last be used.
    stored: Shelf,
    /// The same, for all accounts.
    limits: Limits,
    /// How the human is told that they are needed, as the file says.
    notify: Option<String>,
    /// Why it cannot be used now.
    broken: Option<Fault>,
    /// Which state of the file that was.
    stamp: Option<Stamp>,
    /// Accounts that no file knows.
    ephemeral: Shelf,
    /// The keys of those that somebody has edited, other than where they answer and for how long they are held.
    edited: BTreeSet<String>,
    /// Somebody has edited for how long.
    limited: bool,
}

impl Accounts {
    /// Those in the file at `path`, which need not exist.
    #[must_use]
    pub fn open(path: PathBuf) -> Self {
        let stamp = file::stamp(&path);
        let (Contents { accounts: stored, limits, notify }, broken) = match file::read(&path) {
            Ok(contents) => (contents, None),
            Err(fault) => (Contents::default(), Some(fault)),
        };
        let (ephemeral, edited) = (Shelf::new(), BTreeSet::new());
        let limited = false;
        Self { path, inner: Mutex::new(Inner { stored, limits, notify, broken, stamp, ephemeral, edited, limited }) }
    }

    /// For how long what is held of any account may be held, as the file says.
    pub fn limits(&self) -> Limits {
        self.fresh().limits
    }

    /// How the human is told that they are needed, if the file says so.
    pub fn notify(&self) -> Option<String> {
        self.fresh().notify.clone()
    }

    /// The account of that key.
    ///
    /// # Errors
    /// `UnknownAccount` with the nearest name; `Config` if it may be in the file, which cannot be used.
    pub fn find(&self, name: &AccountName) -> Result<Stored, Fault> {
        let inner = self.fresh();
        let key = name.key();
        if let Some(account) = inner.ephemeral.get(&key) {
            return Ok(Stored::clone(account));
        }
        let stored = &inner.stored;
        if let Some(account) = stored.get(&key) {
            return Ok(Stored::clone(account));
        }
        Err(inner.broken.clone().unwrap_or_else(|| {
            let fault = Fault::new(FaultKind::UnknownAccount, format!("no account `{name}`"));
            match nearest(&key, stored.keys().chain(inner.ephemeral.keys()).map(String::as_str)) {
                Some(near) => {
                    let near = stored.get(near).or_else(|| inner.ephemeral.get(near)).map_or(near, |a| a.name.as_str());
                    fault.hint(format!("did you mean `{near}`?"))
                }
                None => fault,
            }
        }))
    }

    /// All accounts, in the order of their keys, and what is wrong with the file if it cannot be used.
    pub fn list(&self) -> (Vec<Stored>, Option<Fault>) {
        let inner = self.fresh();
        let mut all = inner.stored.clone();
        all.extend(inner.ephemeral.iter().map(|(key, account)| (key.clone(), account.clone())));
        (all.into_values().map(|account| *account).collect(), inner.broken.clone())
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
        inner.whole()?;
        file::write(&self.path, &account)?;
        inner.stored.insert(key.clone(), Box::new(account));
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
        inner.whole()?;
        if let Some(account) = inner.stored.get(&key) {
            file::erase(&self.path, &account.name)?;
            inner.stored.remove(&key);
            inner.stamp = file::stamp(&self.path);
        }
        Ok(())
    }

    /// Reads the file again if somebody has edited it. The keys of the accounts whose tokens may not be what they were.
    pub fn refresh(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.fresh().edited)
    }

    /// Whether somebody has edited for how long accounts are held, since this was last asked.
    pub fn was_limited(&self) -> bool {
        std::mem::take(&mut self.fresh().limited)
    }

    /// The accounts, read again if somebody has edited the file since. Never called while a cached token is handed out.
    fn fresh(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = file::stamp(&self.path);
        if stamp != inner.stamp {
            inner.stamp = stamp;
            match file::read(&self.path) {
                Ok(contents) => inner.adopt(contents),
                Err(fault) => {
                    tracing::warn!("{fault}; the accounts are used as they were");
                    inner.broken = Some(fault);
                }
            }
        }
        inner
    }
}

impl Inner {
    /// Whether what is known is what is in the file.
    fn whole(&self) -> Result<(), Fault> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Takes what the file says now.
    fn adopt(&mut self, Contents { accounts: stored, limits, notify }: Contents) {
        let same = |old: Option<&Box<Stored>>, new: Option<&Box<Stored>>| match (old, new) {
            (Some(old), Some(new)) => old.is_as(new),
            (old, new) => old.is_none() && new.is_none(),
        };
        let keys: BTreeSet<&String> = self.stored.keys().chain(stored.keys()).collect();
        let edited = keys.into_iter().filter(|key| !same(self.stored.get(*key), stored.get(*key))).cloned();
        let edited: Vec<String> = edited.collect();
        tracing::info!(edited = edited.len(), "the accounts were read again");
        self.edited.extend(edited);
        let other = |key: &String, new: &Stored| self.stored.get(key).is_some_and(|old| old.limits != new.limits);
        self.limited |= self.limits != limits || stored.iter().any(|(key, new)| other(key, new));
        self.stored = stored;
        self.limits = limits;
        self.notify = notify;
        self.broken = None;
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

    #[cfg(target_os = "linux")]
    #[test]
    fn an_account_that_no_file_knows_is_handed_on_as_text() {
        let (_dir, accounts) = accounts(None);
        accounts.put(account("Work.1"), true).unwrap();
        let handed_on = accounts.ephemeral();
        let [(name, text)] = handed_on.as_slice() else { panic!("one") };
        assert_eq!(Stored::from_text(name, text), Some(account("Work.1")));
        assert_eq!(Stored::from_text(name, "cloud = 1"), None);
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
    fn a_limit_for_all_accounts_is_read_kept_by_a_login_and_not_ignored_if_it_is_misspelt() {
        let (dir, accounts) = accounts(Some("hold-for = \"12h\" # at most\n"));
        let most = Limits::new(Some(std::time::Duration::from_hours(12)), None);
        assert_eq!(accounts.limits(), most);
        accounts.put(account("work"), false).unwrap();
        assert_eq!(Accounts::open(dir.path().join("config/accounts.toml")).limits(), most);
        for wrong in ["# x\nhold_for = \"12h\"\n", "# x\nholdfor = \"12h\"\n", "# x\nhold-for = 12\n"] {
            std::fs::write(dir.path().join("config/accounts.toml"), wrong).unwrap();
            let fault = accounts.find(&name("nobody")).unwrap_err();
            assert!(fault.to_string().contains("accounts.toml:2"), "{fault}");
            assert_eq!(accounts.limits(), most, "what it said before stands");
        }
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
    fn a_bad_edit_keeps_what_was_there_and_a_good_one_tells_whose_tokens_are_in_doubt() {
        let account =
            |name: &str, rest: &str| format!("[account.{name}]\ncloud = \"acme\"\nmethod = \"password\"\n{rest}");
        let (dir, accounts) = accounts(Some(&(account("a", "") + &account("b", "") + &account("c", ""))));
        let path = dir.path().join("config/accounts.toml");
        std::fs::write(&path, account("a", "metod = 1\n")).unwrap();
        for known in ["a", "b", "c"] {
            assert_eq!(accounts.find(&name(known)).unwrap().cloud, "acme");
        }
        let unknown = accounts.find(&name("d")).unwrap_err();
        assert!(unknown.kind == FaultKind::Config && unknown.to_string().contains("accounts.toml:4"), "{unknown}");
        assert!(accounts.list().1.is_some() && accounts.refresh().is_empty());
        let serves = "serves = [\"https://git.acme.example\"]\n";
        let edited = account("a", serves) + &account("b", "url = \"https://other.example\"\n") + &account("d", "");
        std::fs::write(&path, edited).unwrap();
        let edited: Vec<_> = accounts.refresh().into_iter().collect();
        assert_eq!(edited, ["b", "c", "d"], "where an account answers makes its token no other");
        assert!(accounts.list().1.is_none() && accounts.refresh().is_empty());
    }

    #[test]
    fn an_unknown_account_names_its_nearest() {
        let (_dir, accounts) = accounts(None);
        accounts.put(account("Greenhouse"), false).unwrap();
        let fault = accounts.find(&name("grenhouse")).unwrap_err();
        assert_eq!(
            (fault.kind, fault.hint.as_deref()),
            (FaultKind::UnknownAccount, Some("did you mean `Greenhouse`?"))
        );
        assert_eq!(accounts.find(&name("home")).unwrap_err().hint, None);
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
