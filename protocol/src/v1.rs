//! The messages of version 1, frozen: `tests/golden/v1/*.bin` holds their bytes.
//!
//! A new message is a new number and may be added; an agent that does not know it says so ([`FaultKind::Unsupported`]).
//! A change to a message that is there is version 2, because bincode cannot skip what it does not know.
//!
//! There is no message that returns a refresh token, password or key, nor a held seed: [`Show`] carries one that the human is
//! about to enrol, before anything holds it.
//!
//! [`FaultKind::Unsupported`]: crate::FaultKind::Unsupported

#[macro_use]
mod messages;

mod act;
mod clouds;
mod examine;
mod forward;
mod human;
mod journal;
mod life;
mod metrics;
mod serve;
mod status;
mod vault;

use serde::{Deserialize, Serialize};

pub use act::{Acted, ActionInfo, Actions, Check, Do, Show};
pub use clouds::{AskInfo, CloudInfo, Clouds, MethodInfo, OriginInfo};
pub use examine::{Examine, Examined, Finding, Level};
pub use forward::{Forward, Forwarded, Forwarding};
pub use human::AwaitHuman;
pub use journal::{Log, LogEntry, LogProcess, ReadLog, Verified};
pub use life::Restart;
pub use metrics::Metrics;
pub use serve::{GetFor, Place, RejectFor, Served, Withheld};
pub use status::{AccountStatus, Holding, Overview, Status};
pub use vault::{LOCKED, Lock, UNLOCK, Unlock, Vault, VaultStatus};

use crate::{Credential, Fault, Frame, FrameError, Secret, codec};

/// The number of this version.
pub const VERSION: u16 = 1;

/// Give me an account's credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Get {
    /// The account; compared without case.
    pub account: String,
    /// How many seconds it must at least live on; `None` leaves it to the agent.
    pub min_valid: Option<u32>,
    /// Renew even if a valid one is cached.
    pub fresh: bool,
    /// Fill [`Credential::environment`].
    pub environment: bool,
    /// How long the caller waits, in milliseconds. The agent answers before that, if only with a fault.
    pub deadline_ms: u32,
}

/// A name and a value that is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// As the cloud's description calls it.
    pub name: String,
    /// As the user gave it.
    pub value: String,
}

/// A name and a value that is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSecret {
    /// As the cloud's description calls it.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

/// Set an account up and log in. What is missing is asked for by [`Response::Question`], if `interactive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account; compared without case, kept as spelt.
    pub account: String,
    /// The cloud; `None` for the one it already has, or the one it is named after.
    pub cloud: Option<String>,
    /// The method; `None` for the one it already has, or the cloud's first.
    pub method: Option<String>,
    /// Origins; an empty name is the main one.
    pub origins: Vec<Setting>,
    /// Settings that are no secret.
    pub settings: Vec<Setting>,
    /// Secrets.
    pub secrets: Vec<NamedSecret>,
    /// Hold the secrets that a login needs, so that the agent can log in again by itself.
    pub remember: bool,
    /// Keep nothing beyond the agent's life: neither settings nor secrets.
    pub ephemeral: bool,
    /// Somebody is there to answer questions.
    pub interactive: bool,
    /// How long the caller waits for the cloud, in milliseconds, not counting the time questions take.
    pub deadline_ms: u32,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the human said; `None` if they gave up.
    pub value: Option<Secret>,
}

/// Revoke at the cloud where that can be done, and forget locally in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logout {
    /// Which accounts.
    pub accounts: Vec<String>,
    /// All of them.
    pub all: bool,
    /// Forget the account's settings too.
    pub forget: bool,
}

/// The clouds that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListClouds {
    /// Only this one.
    pub name: Option<String>,
}

/// The API answered 401 to this account's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The account.
    pub account: String,
    /// The token that was refused; `None` for whichever is cached.
    pub token: Option<Secret>,
}

/// What a client may send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// See [`Get`].
    Get(Get),
    /// See [`Login`].
    Login(Login),
    /// See [`Answer`].
    Answer(Answer),
    /// See [`Logout`].
    Logout(Logout),
    /// How are agent and accounts?
    Status,
    /// See [`ListClouds`].
    Clouds(ListClouds),
    /// See [`Reject`].
    Reject(Reject),
    /// End the agent.
    Stop,
    /// See [`Check`].
    Check(Check),
    /// See [`Do`].
    Do(Do),
    /// See [`Vault`].
    Vault(Vault),
    /// See [`Unlock`].
    Unlock(Unlock),
    /// See [`Lock`].
    Lock(Lock),
    /// Forget every cached credential now. What is held is kept, and the next use renews.
    Drop,
    /// See [`GetFor`].
    GetFor(GetFor),
    /// See [`RejectFor`].
    RejectFor(RejectFor),
    /// Which addresses do the accounts answer for?
    ListServed,
    /// See [`Restart`].
    Restart(Restart),
    /// See [`AwaitHuman`].
    AwaitHuman(AwaitHuman),
    /// See [`ReadLog`].
    ReadLog(ReadLog),
    /// Is the journal whole?
    VerifyLog,
    /// See [`Forward`].
    Forward(Forward),
    /// See [`Forwarded`].
    Forwarded(Forwarded),
    /// How are agent and accounts, and for how long is what held where?
    Overview,
    /// What has the agent counted?
    Metrics,
    /// See [`Examine`].
    Examine(Examine),
}

/// Something only the human can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// As the cloud's description calls it; `--set` and `--secret` take the same name.
    pub name: String,
    /// What to show.
    pub prompt: String,
    /// More about it: why it is asked again, where the value is found.
    pub detail: Option<String>,
    /// Do not echo the answer.
    pub secret: bool,
    /// An empty answer is an answer.
    pub optional: bool,
    /// If not empty, the answer is one of these.
    pub choices: Vec<String>,
}

/// It was done. Each line is for the human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, in words.
    pub notes: Vec<String>,
}

/// What an agent may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// To [`Request::Get`] and [`Request::GetFor`].
    Credential(Credential),
    /// To whatever only does something; to [`Request::Check`] if the token is alive, and a dead one is a fault of kind
    /// [`Refused`](crate::FaultKind::Refused).
    Done(Done),
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Clouds`].
    Clouds(Clouds),
    /// In the middle of a login or an action; the client sends [`Request::Answer`] on the same connection.
    Question(Question),
    /// To anything.
    Fault(Fault),
    /// In the middle of an action; the client sends [`Request::Answer`] on the same connection once it is shown.
    Show(Show),
    /// To [`Request::Do`] without an action.
    Actions(Actions),
    /// To [`Request::Do`].
    Acted(Acted),
    /// To [`Request::Vault`].
    Vault(VaultStatus),
    /// To [`Request::ListServed`].
    Served(Served),
    /// To [`Request::GetFor`], once it is clear whose the address is.
    Withheld(Withheld),
    /// To [`Request::ReadLog`].
    Log(Log),
    /// To [`Request::VerifyLog`].
    Verified(Verified),
    /// To [`Request::Forward`]; the connection then stays open for as long as it holds.
    Forwarding(Forwarding),
    /// To [`Request::Metrics`].
    Metrics(Metrics),
    /// To [`Request::Overview`].
    Overview(Overview),
    /// To [`Request::Examine`].
    Examined(Examined),
}

messages! { Request:
    1 Get(Get),
    2 Login(Login),
    3 Answer(Answer),
    4 Logout(Logout),
    5 Status,
    6 Clouds(ListClouds),
    7 Reject(Reject),
    8 Stop,
    9 Check(Check),
    10 Do(Do),
    11 Vault(Vault),
    12 Unlock(Unlock),
    13 Lock(Lock),
    14 Drop,
    15 GetFor(GetFor),
    16 RejectFor(RejectFor),
    17 ListServed,
    18 Restart(Restart),
    19 AwaitHuman(AwaitHuman),
    20 ReadLog(ReadLog),
    21 VerifyLog,
    22 Forward(Forward),
    23 Forwarded(Forwarded),
    24 Metrics,
    26 Overview,
    27 Examine(Examine),
}

messages! { Response:
    0x8001 Credential(Credential),
    0x8002 Done(Done),
    0x8003 Status(Status),
    0x8004 Clouds(Clouds),
    0x8005 Question(Question),
    0x8006 Fault(Fault),
    0x8007 Show(Show),
    0x8008 Actions(Actions),
    0x8009 Acted(Acted),
    0x800A Vault(VaultStatus),
    0x800C Served(Served),
    0x800D Withheld(Withheld),
    0x8011 Log(Log),
    0x8012 Verified(Verified),
    0x8013 Forwarding(Forwarding),
    0x8015 Metrics(Metrics),
    0x8017 Overview(Overview),
    0x8018 Examined(Examined),
}
