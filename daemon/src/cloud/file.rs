//! A cloud file as it is written. Nothing is judged here but keys and types; `parse` makes a cloud of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

pub(super) type Text = Spanned<String>;
pub(super) type Fields = BTreeMap<Text, Text>;
pub(super) type When = BTreeMap<Text, Spanned<Value>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) title: Text,
    pub(super) docs: Text,
    #[serde(default)]
    pub(super) message: Vec<Text>,
    #[serde(default)]
    pub(super) serves: Vec<Text>,
    #[serde(default)]
    pub(super) origin: Vec<Spanned<RawOrigin>>,
    #[serde(default)]
    pub(super) fault: Vec<Spanned<RawFault>>,
    #[serde(default)]
    pub(super) method: Vec<Spanned<RawMethod>>,
    #[serde(default)]
    pub(super) action: Vec<Spanned<RawAction>>,
    #[serde(default)]
    pub(super) example: Vec<Spanned<RawExample>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawOrigin {
    pub(super) name: Option<Text>,
    pub(super) default: Option<Text>,
    pub(super) prompt: Option<Text>,
    pub(super) without: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawMethod {
    pub(super) name: Text,
    pub(super) title: Text,
    #[serde(default)]
    pub(super) hold: Vec<Text>,
    pub(super) headers: Vec<Text>,
    pub(super) token: Option<Text>,
    #[serde(default)]
    pub(super) environment: Vec<Text>,
    #[serde(default)]
    pub(super) expiry: Vec<Spanned<RawExpiry>>,
    #[serde(default)]
    pub(super) idle: Vec<Spanned<RawExpiry>>,
    #[serde(default)]
    pub(super) ask: Vec<Spanned<RawAsk>>,
    #[serde(default)]
    pub(super) login: Vec<Spanned<RawStep>>,
    #[serde(default)]
    pub(super) refresh: Vec<Spanned<RawStep>>,
    #[serde(default)]
    pub(super) revoke: Vec<Spanned<RawStep>>,
    pub(super) check: Option<Spanned<RawStep>>,
    #[serde(default)]
    pub(super) never_claims: Vec<Text>,
    pub(super) never_claims_hint: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file that stands for itself")]
pub(super) struct RawAsk {
    pub(super) name: Text,
    pub(super) prompt: Text,
    pub(super) detail: Option<Text>,
    #[serde(default)]
    pub(super) secret: bool,
    #[serde(default)]
    pub(super) optional: bool,
    #[serde(default)]
    pub(super) at_login: bool,
    #[serde(default)]
    pub(super) digits: bool,
    #[serde(default)]
    pub(super) unasked: bool,
    pub(super) totp: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawExpiry {
    pub(super) jwt: Option<Text>,
    pub(super) seconds: Option<Text>,
    pub(super) epoch: Option<Text>,
    pub(super) date: Option<Text>,
    pub(super) assume: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawStep {
    pub(super) name: Option<Text>,
    pub(super) needs: Option<Text>,
    pub(super) request: Text,
    pub(super) origin: Option<Text>,
    #[serde(default)]
    pub(super) query: Fields,
    #[serde(default)]
    pub(super) headers: Vec<Text>,
    pub(super) present: Option<Spanned<bool>>,
    pub(super) json: Option<Spanned<Value>>,
    pub(super) form: Option<Spanned<Fields>>,
    pub(super) status: Option<Spanned<Statuses>>,
    #[serde(default)]
    pub(super) take: Fields,
    #[serde(default)]
    pub(super) reply: Vec<Spanned<RawReply>>,
    #[serde(default)]
    pub(super) fault: Vec<Spanned<RawFault>>,
    pub(super) enrol: Option<Spanned<RawEnrol>>,
    pub(super) list: Option<Spanned<RawList>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawEnrol {
    pub(super) seed: Text,
    pub(super) issuer: Text,
    pub(super) label: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawList {
    pub(super) at: Option<Text>,
    pub(super) show: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Texts {
    One(String),
    Some(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Statuses {
    One(u16),
    Some(Vec<u16>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawReply {
    #[serde(default)]
    pub(super) when: When,
    #[serde(default)]
    pub(super) grant: bool,
    pub(super) next: Option<Text>,
    pub(super) fault: Option<Spanned<RawVerdict>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawVerdict {
    pub(super) kind: Text,
    pub(super) message: Option<Text>,
    pub(super) hint: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFault {
    pub(super) status: Option<Spanned<Statuses>>,
    #[serde(default)]
    pub(super) when: When,
    pub(super) kind: Text,
    pub(super) message: Option<Text>,
    pub(super) hint: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAction {
    pub(super) name: Text,
    pub(super) title: Text,
    #[serde(default)]
    pub(super) ask: Vec<Spanned<RawAsk>>,
    pub(super) step: Vec<Spanned<RawStep>>,
    #[serde(default)]
    pub(super) say: Vec<Text>,
    #[serde(default)]
    pub(super) hold: Vec<Text>,
    #[serde(default)]
    pub(super) forget: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawExample {
    pub(super) title: Text,
    pub(super) method: Option<Text>,
    pub(super) run: Option<Text>,
    pub(super) action: Option<Text>,
    #[serde(default)]
    pub(super) remember: bool,
    #[serde(default)]
    pub(super) given: Fields,
    #[serde(default)]
    pub(super) answers: BTreeMap<String, Texts>,
    pub(super) now: Option<i64>,
    #[serde(default)]
    pub(super) exchange: Vec<Spanned<RawExchange>>,
    pub(super) grant: Option<Spanned<RawGrant>>,
    pub(super) fault: Option<Spanned<RawExpectedFault>>,
    pub(super) result: Option<Text>,
    pub(super) done: Option<Spanned<RawDone>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawDone {
    pub(super) says: Option<Vec<String>>,
    pub(super) rows: Option<Vec<Vec<String>>>,
    pub(super) shows: Option<String>,
    pub(super) hold: Option<Fields>,
    pub(super) forget: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawExchange {
    pub(super) request: Text,
    pub(super) origin: Option<Text>,
    #[serde(default)]
    pub(super) headers: Vec<Text>,
    pub(super) json: Option<Spanned<Value>>,
    pub(super) form: Option<Fields>,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) reply_headers: Vec<Text>,
    #[serde(default)]
    pub(super) reply: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawGrant {
    #[serde(default)]
    pub(super) headers: Vec<Text>,
    pub(super) token: Option<Text>,
    pub(super) held: Option<Fields>,
    pub(super) expires_in: Option<Spanned<Value>>,
    pub(super) expiry: Option<Text>,
    pub(super) idle: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawExpectedFault {
    pub(super) kind: Text,
    pub(super) says: Option<Text>,
}
