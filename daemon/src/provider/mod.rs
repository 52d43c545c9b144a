//! How a cloud is logged in to: the one seam between the agent and the clouds.
//!
//! Nothing above this trait knows a cloud's name; nothing below it knows that there is a socket or a cache.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cloud_agent_protocol::v1::{Question, Show};
use cloud_agent_protocol::{AccountName, Credential, Fault, FaultKind, Secret};

use crate::clock::Timestamp;
use crate::cloud::{Action, Cloud};

mod recipe;

pub use recipe::Recipe;

/// How the cause of a fault ends that wants an answer which only the human has, such as a code.
pub(crate) const ONLY_HUMAN: &str = "can only be answered by you";

/// A future of a trait object's method.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// A named login at a cloud, complete: what was left out is filled in from the cloud's defaults.
#[derive(Debug, Clone)]
pub struct Account {
    /// As the user spelt it.
    pub name: AccountName,
    /// Its cloud.
    pub cloud: Arc<Cloud>,
    /// The name of one of the cloud's methods.
    pub method: String,
    /// Scheme, host, port and perhaps a path prefix, by the origin's name; the main one's name is empty.
    pub origins: BTreeMap<String, String>,
    /// What the method asked that is no secret.
    pub settings: BTreeMap<String, String>,
    /// `http://` beyond loopback is allowed.
    pub allow_plaintext: bool,
    /// Certificate authorities to trust besides the system's: a PEM file.
    pub ca_file: Option<std::path::PathBuf>,
    /// How long a token lives whose end nobody tells; instead of what the cloud's description assumes.
    pub lifetime: Option<std::time::Duration>,
}

/// The secrets that the agent keeps of an account, by the names that the cloud's description gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held(pub BTreeMap<String, Secret>);

/// What a login or renewal at the cloud returned.
#[derive(Debug, Clone)]
pub struct Grant {
    /// What callers get. Its environment is filled.
    pub credential: Credential,
    /// When the request that returned it was sent: the moment from which relative lifetimes count.
    pub obtained_at: Timestamp,
    /// When it ends, in milliseconds where the cloud says so; `None` if nobody knows.
    pub expires_at: Option<Timestamp>,
    /// All that is held from now on; replaces what was held before.
    pub held: Held,
    /// How long what is held lives on if nobody uses it; `None` if nobody knows, or it does not matter.
    pub idle_life: Option<std::time::Duration>,
}

/// What became of a token at the cloud when it was logged out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The cloud has forgotten it.
    Revoked,
    /// The cloud said that it was dead already.
    AlreadyDead,
    /// The cloud offers no way to.
    NotOffered,
    /// Nothing is there any more that could be named to the cloud.
    NothingLeft,
}

/// An action, and what there is for it.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// One of the account's cloud.
    pub action: &'a Action,
    /// What was given that is no secret.
    pub settings: &'a BTreeMap<String, String>,
    /// What was given that is one.
    pub secrets: &'a Held,
    /// What the agent holds of the account.
    pub held: &'a Held,
    /// What to present.
    pub credential: Option<&'a Credential>,
}

/// What an action came to.
#[derive(Debug)]
pub struct Acted {
    /// What was done, in words.
    pub notes: Vec<String>,
    /// What was listed.
    pub rows: Vec<Vec<String>>,
    /// What is held from now on, besides what is held already.
    pub holds: Held,
    /// What is held no longer.
    pub forgets: Vec<String>,
}

/// Someone who can answer what only a human knows, or who says at once that nobody is there.
pub trait Ask: Send + Sync {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`NeedsHuman`](cloud_agent_protocol::FaultKind::NeedsHuman) if nobody is there, or they gave up.
    fn ask(&self, question: Question) -> Boxed<'_, Secret>;

    /// Whether there is any use in asking.
    fn is_anyone_there(&self) -> bool;

    /// Shows something secret once, and waits until it was shown.
    ///
    /// # Errors
    /// As [`Self::ask`].
    fn show(&self, show: Show) -> Boxed<'_, ()>;
}

/// Someone who makes held secrets durable in the middle of a renewal.
pub trait Keep: Send + Sync {
    /// Replaces what is held; when it returns, a crash does not lose it as far as the vault can help it.
    ///
    /// # Errors
    /// If the account is no longer there, so that nothing more may be sent for it.
    fn keep(&self, held: Held) -> Boxed<'_, ()>;

    /// Right before a request that may spend a held secret which works only once, because its reply replaces it.
    ///
    /// # Errors
    /// If the request must not be sent: what it would bring could not be kept.
    fn spend(&self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// After that request: its reply was lost, and nobody knows whether the cloud has acted on it.
    fn lost(&self) {}
}

/// One way of talking to clouds.
///
/// Every method may return `Refused`, `Unreachable`, `MalformedReply` and `Config`; the others are named where they occur.
pub trait Provider: Send + Sync + 'static {
    /// Logs in with `secrets` (all that the method asks before it starts) and the account's settings.
    /// With `remember`, the grant's held secrets include those that a further login needs.
    ///
    /// # Errors
    /// `NeedsHuman` if a question was asked in vain.
    fn login<'a>(
        &'a self,
        account: &'a Account,
        secrets: &'a Held,
        remember: bool,
        ask: &'a dyn Ask,
    ) -> Boxed<'a, Grant>;

    /// Gets a new credential with what is held: by refreshing, else by logging in again if all that takes is held.
    /// What is rotated on the way goes to `keep` before the next request.
    ///
    /// # Errors
    /// `NeedsHuman` if neither is possible, or the refresh was refused and nothing else is held.
    fn renew<'a>(&'a self, account: &'a Account, held: &'a Held, keep: &'a dyn Keep) -> Boxed<'a, Grant>;

    /// Tells the cloud to forget what it issued, as far as it can be told.
    fn revoke<'a>(
        &'a self,
        account: &'a Account,
        held: &'a Held,
        credential: Option<&'a Credential>,
    ) -> Boxed<'a, Revocation>;

    /// Asks the cloud whether `credential` is alive.
    ///
    /// # Errors
    /// `Refused` if it is not, `Unsupported` if the cloud cannot be asked.
    fn check<'a>(&'a self, account: &'a Account, held: &'a Held, credential: &'a Credential) -> Boxed<'a, ()> {
        let _ = (held, credential);
        let message = format!("`{}` offers no way to ask whether a token is alive", account.cloud.title);
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::Unsupported, message))))
    }

    /// Does what a cloud names that is no login. Changes nothing of what is held: that is the caller's, once it is done.
    ///
    /// # Errors
    /// `NeedsHuman` if a question was asked in vain, or there is no credential where one is presented.
    fn act<'a>(&'a self, account: &'a Account, act: Act<'a>, ask: &'a dyn Ask) -> Boxed<'a, Acted> {
        let _ = (act, ask);
        let message = format!("`{}` offers nothing but logins", account.cloud.title);
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::Unsupported, message))))
    }

    /// What was noticed about the account's cloud that the human should know, in words.
    fn remarks(&self, account: &Account) -> Vec<String> {
        let _ = account;
        Vec::new()
    }
}
