//! Clouds as data: one file describes one cloud.
//!
//! A file is read once, into [`Cloud`], and everything that can be wrong with it is found then: the engine that acts on it
//! never meets a step that is not there or a name that nothing takes. No conditions but equality, no loops, no expressions:
//! a step leads only to a later step, so that every login ends.
//!
//! | module | what it is |
//! |---|---|
//! | `file` | the file as it is written: serde types |
//! | `parse` | from the file to a [`Cloud`], with the line of whatever is wrong |
//! | `template` | `{name}` and `{name:int}` |
//! | `step` | what a step sends, takes, and makes of the reply |
//! | `registry` | the clouds built in, and the user's own |
//! | [`origin`] | which addresses are allowed |
//! | `target` | which addresses an account answers for |

mod example;
mod file;
pub mod origin;
mod parse;
mod registry;
mod step;
mod target;
mod template;

pub use example::{Example, Exchange, Expected, ExpectedDone, ExpectedGrant, Phase, SentBody};
#[cfg(test)]
pub(crate) use registry::BUILT_IN;
pub use registry::Clouds;
pub(crate) use registry::{MAX_FILE, ours};
pub use step::{
    Condition, Enrol, Expiry, FaultRule, HeaderTemplate, JsonTemplate, List, Outcome, Reply, Source, Step, StepBody,
    Subject, Take, Verdict,
};
pub use target::Target;
pub use template::Template;
pub(crate) use template::{integer, percent_encode};

/// A cloud, as its file describes it.
#[derive(Debug)]
pub struct Cloud {
    /// The file's name without `.toml`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Where its API is documented.
    pub docs: String,
    /// Built in, or a file of the user's.
    pub built_in: bool,
    /// Where its API lives; the main origin first, with an empty name.
    pub origins: Vec<Origin>,
    /// Where else its tokens are taken: addresses that its accounts answer for, besides their origins.
    pub serves: Vec<String>,
    /// Ways in; the default first.
    pub methods: Vec<Method>,
    /// Where in a bad reply the server says why; the first that is there.
    pub messages: Vec<Source>,
    /// Where the default judgement of a bad reply is wrong.
    pub faults: Vec<FaultRule>,
    /// Named things to do that are no login.
    pub actions: Vec<Action>,
    /// Recorded requests and replies, which run as tests.
    pub examples: Vec<Example>,
}

impl Cloud {
    /// Reads a cloud from the text of its file. `file` is what errors call it.
    ///
    /// # Errors
    /// `Config` with file, line and key of the first thing that is wrong.
    pub fn parse(name: &str, file: &str, text: &str, built_in: bool) -> Result<Self, cloud_agent_protocol::Fault> {
        parse::cloud(name, file, text, built_in)
    }

    /// The action of that name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// The method of that name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }
}

/// Where (a part of) a cloud's API lives.
#[derive(Debug)]
pub struct Origin {
    /// Empty for the main one.
    pub name: String,
    /// The default; `None` if the user must say.
    pub default: Option<String>,
    /// What to ask.
    pub prompt: String,
    /// An ending that people give along although the paths of the steps begin with it; it is dropped.
    pub without: Option<String>,
}

impl Origin {
    /// The address that a user gave for this origin, in the one form that is stored and compared.
    ///
    /// # Errors
    /// As [`origin::normalise`].
    pub fn address(&self, given: &str, allow_plaintext: bool) -> Result<String, cloud_agent_protocol::Fault> {
        let address = origin::normalise(given, allow_plaintext)?;
        let rest = self.without.as_deref().and_then(|ending| address.strip_suffix(ending));
        // A host of that name is no ending: `https:/` would be left.
        Ok(match rest.filter(|rest| !rest.ends_with('/')) {
            Some(rest) => rest.to_owned(),
            None => address,
        })
    }
}

/// One way into a cloud.
#[derive(Debug)]
pub struct Method {
    /// Its name in `--method`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it asks.
    pub asks: Vec<AskSpec>,
    /// What the agent holds after a grant.
    pub holds: Vec<Hold>,
    /// The headers that a caller presents.
    pub headers: Vec<HeaderTemplate>,
    /// The value that alone is of use, if there is one.
    pub token: Option<String>,
    /// Environment variables for programs, in order; one whose value is absent is left out.
    pub environment: Vec<HeaderTemplate>,
    /// Where the expiry is learnt from; the earliest wins.
    pub expiry: Vec<Expiry>,
    /// Where it is learnt from when what is held dies if nobody refreshes with it; the earliest wins. Empty if it does not.
    pub idle: Vec<Expiry>,
    /// Logging in; empty if what was asked is the credential already.
    pub login: Vec<Step>,
    /// Refreshing; empty if only a login renews.
    pub refresh: Vec<Step>,
    /// Telling the cloud to forget; empty if it cannot be told.
    pub revoke: Vec<Step>,
    /// Asking the cloud whether the credential is alive.
    pub check: Option<Step>,
    /// What a credential's JWTs must not claim; no grant whose do.
    pub never_claims: Vec<String>,
    /// What mends that; only `{account}` may stand in it.
    pub never_claims_hint: Option<Template>,
}

impl Method {
    /// The held values that no login asks for, because an action or the human put them there once; they outlive logins.
    pub fn enrolled(&self) -> impl Iterator<Item = &str> {
        self.holds.iter().filter(|hold| hold.enrolled).map(|hold| hold.name.as_str())
    }
}

/// A value that is held.
#[derive(Debug)]
pub struct Hold {
    /// Its name.
    pub name: String,
    /// Held if it is there.
    pub optional: bool,
    /// Of no login: an action holds it, or it is the seed of a `totp`.
    pub enrolled: bool,
}

/// One thing a method asks.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file that stands for itself")]
pub struct AskSpec {
    /// Its name in `--set` or `--secret`.
    pub name: String,
    /// What to ask.
    pub prompt: String,
    /// More about it: where the value is found.
    pub detail: Option<String>,
    /// Given by `--secret`, not by `--set`.
    pub secret: bool,
    /// May be left out.
    pub optional: bool,
    /// Asked in the middle of a login, such as a code.
    pub at_login: bool,
    /// Has to be digits; white space and hyphens in an answer are dropped.
    pub digits: bool,
    /// Only ever given: nobody is asked for it, not even at a terminal.
    pub unasked: bool,
    /// The held seed whose TOTP code the agent answers with by itself.
    pub totp: Option<String>,
}

/// A named thing to do at a cloud that is no login.
#[derive(Debug)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it asks.
    pub asks: Vec<AskSpec>,
    /// What it does.
    pub steps: Vec<Step>,
    /// What to say when it is done; templates over what was asked and taken.
    pub say: Vec<Template>,
    /// What the agent holds from then on.
    pub holds: Vec<Hold>,
    /// What it holds no longer.
    pub forgets: Vec<String>,
}

impl Action {
    /// Whether the account's credential is sent.
    #[must_use]
    pub fn presents(&self) -> bool {
        self.steps.iter().any(|step| step.present)
    }
}
