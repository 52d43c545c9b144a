//! The rules as the file says them now.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud_agent_protocol::Fault;

use super::file;
use super::rules::Rules;
use crate::accounts::file::{Stamp, stamp};

/// An edit counts after this time at the latest. Between two looks no cached token costs a call to the file system.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Known {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What the file says. After a slip of the pen, what it said before.
    rules: Result<Arc<Rules>, Fault>,
    /// What is wrong with the file as it is now.
    trouble: Option<Fault>,
    stamp: Option<Stamp>,
    looked: Duration,
}

impl Known {
    /// Those in the file at `path`. `up` is the uptime.
    pub(super) fn open(path: PathBuf, up: Duration) -> Self {
        let (stamp, rules) = (stamp(&path), file::read(&path).map(Arc::new));
        let trouble = rules.as_ref().err().cloned();
        Self { path, inner: Mutex::new(Inner { rules, trouble, stamp, looked: up }) }
    }

    /// The rules, and whether they were read just now.
    ///
    /// # Errors
    /// `Config` if the file was never in order since the agent started: then nobody knows what it forbids.
    pub(super) fn rules(&self, up: Duration) -> Result<(Arc<Rules>, bool), Fault> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        if up.saturating_sub(inner.looked) >= LOOK {
            inner.looked = up;
            let now = stamp(&self.path);
            if now != inner.stamp {
                inner.stamp = now;
                let read = file::read(&self.path);
                inner.trouble = read.as_ref().err().cloned();
                match read {
                    Ok(rules) => {
                        inner.rules = Ok(Arc::new(rules));
                        is_new = true;
                    }
                    Err(fault) => {
                        tracing::warn!("{fault}; the rules from before the edit stay in force");
                        if inner.rules.is_err() {
                            inner.rules = Err(fault);
                        }
                    }
                }
            }
        }
        inner.rules.clone().map(|rules| (rules, is_new))
    }

    /// What is wrong with the file as it is now.
    pub(super) fn trouble(&self) -> Option<Fault> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_edit_counts_within_a_second_and_a_slip_takes_no_rule_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accounts.toml");
        let count = |known: &Known, up: u64| known.rules(Duration::from_secs(up)).map(|(rules, _)| rules.policy.len());
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        };
        let known = Known::open(path.clone(), Duration::ZERO);
        assert_eq!(count(&known, 1), Ok(0));
        write("[[policy]]\naction = \"deny\"\n");
        assert_eq!((count(&known, 1), count(&known, 2)), (Ok(0), Ok(1)));
        write("[[policy]]\naction = \"denied\"\n");
        assert_eq!(count(&known, 3), Ok(1));
        assert!(known.trouble().unwrap().to_string().contains("accounts.toml:2"));
        assert!(
            Known::open(path.clone(), Duration::ZERO).rules(Duration::ZERO).is_err(),
            "an agent that never knew better"
        );
        write("");
        assert_eq!(count(&known, 4), Ok(0));
        assert!(known.trouble().is_none());
    }
}
