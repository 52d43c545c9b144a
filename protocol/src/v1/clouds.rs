//! What the clouds are, and what each asks.

use serde::{Deserialize, Serialize};

/// A cloud and what it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudInfo {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Where its API is documented.
    pub docs: String,
    /// Built in, or a file of the user's.
    pub built_in: bool,
    /// Its origins, the main one first.
    pub origins: Vec<OriginInfo>,
    /// Its methods, the default first.
    pub methods: Vec<MethodInfo>,
}

/// Where a cloud's API lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginInfo {
    /// Empty for the main one.
    pub name: String,
    /// The default; `None` if the user must say.
    pub default: Option<String>,
    /// What to ask.
    pub prompt: String,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodInfo {
    /// Its name.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it asks.
    pub asks: Vec<AskInfo>,
}

/// One thing a method asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskInfo {
    /// Its name in `--set` or `--secret`.
    pub name: String,
    /// What to ask.
    pub prompt: String,
    /// Given by `--secret`, not by `--set`.
    pub secret: bool,
    /// May be left out.
    pub optional: bool,
    /// Asked in the middle of a login, such as a code.
    pub at_login: bool,
}

/// The clouds that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clouds {
    /// By name.
    pub clouds: Vec<CloudInfo>,
}
