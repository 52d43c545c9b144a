//! Messages about what is no login: a cloud's own actions, and whether a token is alive.

use serde::{Deserialize, Serialize};

use super::{AskInfo, NamedSecret, Setting};
use crate::Secret;

/// Ask the cloud itself whether an account's token is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The account.
    pub account: String,
    /// How long the caller waits, in milliseconds.
    pub deadline_ms: u32,
}

/// Do what a cloud's description names, such as enrolling a second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Do {
    /// The account. One that is not set up will do for an action that needs no login.
    pub account: String,
    /// Which action; `None` lists them.
    pub action: Option<String>,
    /// The cloud of an account that is not set up; `None` for the one it is named after.
    pub cloud: Option<String>,
    /// Origins of an account that is not set up; an empty name is the main one.
    pub origins: Vec<Setting>,
    /// Settings that are no secret.
    pub settings: Vec<Setting>,
    /// Secrets.
    pub secrets: Vec<NamedSecret>,
    /// Somebody is there to answer questions, and to be shown things.
    pub interactive: bool,
    /// How long the caller waits for the cloud, in milliseconds, not counting the time questions take.
    pub deadline_ms: u32,
}

/// Something to show to the human once, on a terminal and nowhere else. The client sends an [`Answer`](super::Answer): an
/// empty value when it has been shown, none if it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Show {
    /// What it is.
    pub title: String,
    /// Lines. Those of half blocks (`▀▄█` and spaces) are a picture, dark where there is a block.
    pub text: Secret,
}

/// What can be done at an account's cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// The cloud's name.
    pub cloud: String,
    /// In the order of its description.
    pub actions: Vec<ActionInfo>,
}

/// One thing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionInfo {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Whether the account has to be logged in.
    pub needs_login: bool,
    /// What it asks; `at_login`: in the middle.
    pub asks: Vec<AskInfo>,
}

/// An action was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// What was done, in words.
    pub notes: Vec<String>,
    /// What was listed: data, a row each.
    pub rows: Vec<Vec<String>>,
}
