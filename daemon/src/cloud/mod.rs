//! Clouds as data: one file describes one cloud.

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
    /// Ways in; the default first.
    pub methods: Vec<Method>,
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
}

/// One thing a method asks.
#[derive(Debug)]
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
}
