//! Restricted sockets: what comes by one can have the credentials of some accounts, for some time, and nothing else.
//!
//! The socket is its owner's, a client that passes connections on and says of each that it comes by the socket. What that means is
//! decided here, whatever the client lets through: for the rest of its life such a connection is restricted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cloud_agent_protocol::v1::Request;
use cloud_agent_protocol::{AccountName, Fault, FaultKind, Secret};

/// So many are open at once: each keeps a connection for as long as it likes, and others need some, too.
const MOST: usize = 32;
/// No more of a name is kept for the journal.
const LONGEST_NAME: usize = 200;

/// What a restricted socket may.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) accounts: Vec<AccountName>,
    /// What the journal calls it.
    pub(crate) origin: Arc<str>,
    pub(crate) confirm: bool,
    /// The uptime at which it is over.
    pub(crate) ends: Option<Duration>,
}

/// Those that are open, by id. A grant ends when nobody holds it any more: its owner's connection does.
#[derive(Debug, Default)]
pub(crate) struct Grants(Mutex<HashMap<String, Weak<Grant>>>);

impl Grants {
    /// Opens one; its id.
    ///
    /// # Errors
    /// `Busy` if too many are open, `Internal` if the system has no randomness.
    pub(crate) fn open(&self, grant: &Arc<Grant>) -> Result<Secret, Fault> {
        use std::fmt::Write as _;

        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|why| {
            Fault::new(FaultKind::Internal, "the system gives no randomness").because(why.to_string())
        })?;
        let id = bytes.iter().fold(String::with_capacity(32), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, grant| grant.strong_count() > 0);
        if open.len() >= MOST {
            return Err(Fault::new(FaultKind::Busy, format!("{MOST} forwarded sockets are open"))
                .hint("end a `cloud-token forward` that is not needed"));
        }
        open.insert(id.clone(), Arc::downgrade(grant));
        Ok(Secret::new(id))
    }

    /// The grant of that id.
    ///
    /// # Errors
    /// `Refused` if there is none, or none any more.
    pub(crate) fn find(&self, id: &Secret) -> Result<Arc<Grant>, Fault> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(id.expose()).and_then(Weak::upgrade).ok_or_else(over)
    }
}

impl Grant {
    /// One for `accounts`, called `name`, until the uptime `ends`.
    pub(crate) fn new(accounts: Vec<AccountName>, name: &str, confirm: bool, ends: Option<Duration>) -> Self {
        let origin: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        Self { accounts, origin: origin.into(), confirm, ends }
    }

    /// Whether `request` may come by it at the uptime `up`.
    ///
    /// # Errors
    /// `Refused` for other accounts and when it is over, `Unsupported` for everything else, saying what may.
    pub(crate) fn permits(&self, request: &Request, up: Duration) -> Result<(), Fault> {
        if self.ends.is_some_and(|ends| up >= ends) {
            return Err(over());
        }
        match request {
            Request::Get(get) if get.fresh => Err(self
                .refusal(FaultKind::Refused, "a token is not renewed by force through it")
                .hint("ask without `--fresh`: a token that still lives is handed out")),
            Request::Get(get) => self.permits_account(&get.account),
            Request::AwaitHuman(wait) => self.permits_account(&wait.account),
            Request::GetFor(get) => get.account.as_deref().map_or(Ok(()), |account| self.permits_account(account)),
            // Not the kind of a token that the cloud refuses, which `check` is answered with.
            _ => Err(self.refusal(FaultKind::Unsupported, "everything else has to be asked where the agent runs")),
        }
    }

    fn permits_account(&self, account: &str) -> Result<(), Fault> {
        let is_ours = self.accounts.iter().any(|name| name.as_str().eq_ignore_ascii_case(account));
        // Whether there is such an account is not told.
        if is_ours { Ok(()) } else { Err(self.refusal(FaultKind::Refused, "it was opened for nothing else")) }
    }

    fn refusal(&self, kind: FaultKind, why: &str) -> Fault {
        let names = self.accounts.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        Fault::new(kind, format!("this is a forwarded socket, which hands out tokens of {names}")).because(why)
    }

    /// The one of its accounts that answers for an address, as `answers` says of each.
    ///
    /// # Errors
    /// `UnknownAccount` if none does, `NeedsHuman` if several do.
    pub(crate) fn account_for(
        &self,
        only: Option<&str>,
        answers: impl Fn(&AccountName) -> Result<AccountName, Fault>,
    ) -> Result<AccountName, Fault> {
        let asked = |name: &&AccountName| only.is_none_or(|only| name.as_str().eq_ignore_ascii_case(only));
        let mut found: Vec<AccountName> =
            self.accounts.iter().filter(asked).filter_map(|name| answers(name).ok()).collect();
        match (found.pop(), found.is_empty()) {
            (Some(name), true) => Ok(name),
            (Some(_), false) => Err(Fault::new(FaultKind::NeedsHuman, "several accounts answer for that address")
                .because("more than one of those that this forwarded socket hands out")
                .hint("name the account: `cloud-token helper CONSUMER ACCOUNT`")),
            (None, _) => Err(Fault::new(FaultKind::UnknownAccount, "no account answers for that address")
                .because("none of those that this forwarded socket hands out")),
        }
    }
}

fn over() -> Fault {
    Fault::new(FaultKind::Refused, "this forwarded socket is closed")
        .because("its lifetime is over, or `cloud-token forward` has ended")
        .hint("`cloud-token forward` opens another one, where the agent runs")
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::{Get, GetFor};

    use super::*;

    fn grant(ends: Option<Duration>) -> Arc<Grant> {
        let names = ["Work", "home"].map(|name| AccountName::parse(name).unwrap());
        Arc::new(Grant::new(names.into(), "/s\n", false, ends))
    }

    fn get(account: &str, fresh: bool) -> Request {
        Request::Get(Get { account: account.into(), min_valid: None, fresh, environment: true, deadline_ms: 1 })
    }

    fn get_for(account: Option<&str>) -> Request {
        Request::GetFor(GetFor {
            url: "https://a.example".into(),
            account: account.map(str::to_owned),
            consumer: "git".into(),
            min_valid: None,
            repeat_rejects: true,
            environment: false,
            deadline_ms: 1,
        })
    }

    #[test]
    fn only_credentials_of_its_accounts_come_by_it_and_only_in_its_time() {
        let grant = grant(Some(Duration::from_secs(10)));
        let permits = |request: &Request, up: u64| grant.permits(request, Duration::from_secs(up)).is_ok();
        assert!(permits(&get("work", false), 9) && permits(&get_for(None), 0) && permits(&get_for(Some("HOME")), 0));
        for request in [get("other", false), get("work", true), get_for(Some("other")), Request::Status, Request::Stop]
        {
            assert!(!permits(&request, 0), "{request:?}");
        }
        assert!(!permits(&get("work", false), 10));
        let fault = grant.permits(&get("other", false), Duration::ZERO).unwrap_err();
        assert!(fault.message.contains("`Work`, `home`") && !fault.to_string().contains("other"), "{fault}");
    }

    #[test]
    fn it_is_found_by_its_id_until_its_owner_lets_go() {
        let (grants, grant) = (Grants::default(), grant(None));
        let id = grants.open(&grant).unwrap();
        assert_eq!(&*grants.find(&id).unwrap().origin, "/s");
        assert!(grants.find(&"00000000000000000000000000000000".into()).is_err());
        drop(grant);
        assert_eq!(grants.find(&id).unwrap_err().kind, FaultKind::Refused);
    }

    #[test]
    fn there_is_room_for_some_and_again_when_one_is_closed() {
        let grants = Grants::default();
        let mut open: Vec<_> = (0..MOST).map(|_| grant(None)).collect();
        assert!(open.iter().all(|grant| grants.open(grant).is_ok()));
        let one_more = grant(None);
        assert_eq!(grants.open(&one_more).unwrap_err().kind, FaultKind::Busy);
        open.pop();
        assert!(grants.open(&one_more).is_ok());
    }

    #[test]
    fn an_address_is_answered_by_one_of_its_accounts_or_by_none() {
        let grant = grant(None);
        let of = |known: &'static [&'static str]| {
            move |name: &AccountName| {
                known
                    .contains(&name.as_str())
                    .then(|| name.clone())
                    .ok_or_else(|| Fault::new(FaultKind::UnknownAccount, ""))
            }
        };
        let kind = |known, only| grant.account_for(only, of(known)).map(|n| n.as_str().to_owned()).map_err(|f| f.kind);
        assert_eq!(kind(&["home"], None), Ok("home".into()));
        assert_eq!(kind(&["home", "Work"], None), Err(FaultKind::NeedsHuman));
        assert_eq!(kind(&["home", "Work"], Some("work")), Ok("Work".into()));
        assert_eq!(kind(&[], None), Err(FaultKind::UnknownAccount));
    }
}
