//! `accounts.toml`: read strictly, written without losing a comment.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::{AccountName, Fault, FaultKind, configured};
use serde::Deserialize;
use toml_edit::{DocumentMut, Item, Table, value};

use super::place::{replace, trusted};
use super::span::{parse_span, span_text};
use super::{Limits, Settings};
use crate::cloud::{Cloud, Target};

/// Accounts by key. Boxed, because a node of a tree has room for eleven and is half empty as a rule.
pub(super) type Shelf = BTreeMap<String, Box<Stored>>;

/// An account as the file holds it. Nothing in it is a secret.
#[derive(Debug, Clone)]
pub struct Stored {
    /// As the user spelt it.
    pub name: AccountName,
    /// Its cloud's name.
    pub cloud: String,
    /// Its method's name.
    pub method: String,
    /// The main origin, if it is not the cloud's default.
    pub url: Option<String>,
    /// Further origins, by name.
    pub urls: BTreeMap<String, String>,
    /// What the method asked that is no secret.
    pub set: Settings,
    /// `http://` beyond loopback is allowed.
    pub allow_plaintext: bool,
    /// Certificate authorities to trust besides the system's: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// How long a token lives whose end nobody tells.
    pub lifetime: Option<Duration>,
    /// For how long what is held of it may be held.
    pub limits: Limits,
    /// The addresses that it answers for; `None` for its own and those of its cloud.
    pub serves: Option<Vec<String>>,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.name.key() == other.name.key() && self.written() == other.written()
    }
}

impl Stored {
    /// A new account at `cloud`, with the cloud's defaults.
    ///
    /// # Panics
    /// Never: a cloud without a method is not read.
    #[must_use]
    pub fn new(name: AccountName, cloud: &Cloud) -> Self {
        let method = cloud.methods.first().expect("every cloud has a method");
        Self {
            name,
            cloud: cloud.name.clone(),
            method: method.name.clone(),
            url: None,
            urls: BTreeMap::new(),
            set: Settings::default(),
            allow_plaintext: false,
            ca_file: None,
            lifetime: None,
            limits: Limits::default(),
            serves: None,
        }
    }

    /// Whether a token of this account is one of that one, too: where it answers does not matter, nor for how long it is held.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let bare = |stored: &Self| Self { serves: None, limits: Limits::default(), ..stored.clone() };
        bare(self) == bare(other)
    }

    /// All of it but the name, as TOML.
    pub(super) fn written(&self) -> String {
        let mut table = Table::new();
        fill(&mut table, self);
        table.to_string()
    }
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The accounts, by key.
    pub(super) accounts: Shelf,
    /// For how long what is held of any of them may be held.
    pub(super) limits: Limits,
    /// How the human is told that they are needed.
    pub(super) notify: Option<String>,
}

/// What is said for all accounts.
const HEAD: [&str; 3] = ["hold-for", "hold-idle", "notify"];

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    hold_for: Option<toml::Spanned<String>>,
    hold_idle: Option<toml::Spanned<String>>,
    notify: Option<toml::Spanned<String>>,
    #[serde(default)]
    account: BTreeMap<String, toml::Spanned<Entry>>,
    // Tables of other names are another version's.
    #[serde(flatten)]
    further: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    cloud: String,
    method: String,
    url: Option<String>,
    #[serde(default)]
    urls: BTreeMap<String, String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    allow_plaintext: bool,
    ca_file: Option<PathBuf>,
    lifetime: Option<toml::Spanned<String>>,
    hold_for: Option<toml::Spanned<String>>,
    hold_idle: Option<toml::Spanned<String>>,
    serves: Option<Vec<toml::Spanned<String>>>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Option<SystemTime>, u64, u64);

/// The state of the file at `path`; `None` if there is none.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp(meta.modified().ok(), meta.len(), inode))
}

/// What the file at `path` says; nothing if there is no file.
///
/// # Errors
/// `Config`, naming file and line.
pub(super) fn read(path: &Path) -> Result<Contents, Fault> {
    let text = match configured::text(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        Err(e) => return Err(unusable(path, None).because(e.to_string())),
    };
    trusted(path)?;
    parse(path, &text)
}

/// What `text` says, which `path` is to blame for.
pub(super) fn parse(path: &Path, text: &str) -> Result<Contents, Fault> {
    let file: File = toml::from_str(text).map_err(|e| syntax(path, text, &e))?;
    refuse_stray(path, text, &file.further)?;
    let most = Limits::new(span_in(path, text, file.hold_for.as_ref())?, span_in(path, text, file.hold_idle.as_ref())?);
    if let Some(notify) = file.notify.as_ref().filter(|notify| notify.get_ref().trim().is_empty()) {
        let line = line_of(text, notify.span().start);
        return Err(unusable(path, Some(line)).because("`notify` is a command, `desktop` or `none`"));
    }
    let mut accounts = Shelf::new();
    for (name, entry) in file.account {
        let line = line_of(text, entry.span().start);
        let name = AccountName::parse(&name).map_err(|f| unusable(path, Some(line)).because(f.to_string()))?;
        let entry = entry.into_inner();
        let Entry { cloud, method, url, urls, set, allow_plaintext, ca_file, lifetime, hold_for, hold_idle, serves } =
            entry;
        let lifetime = span_in(path, text, lifetime.as_ref())?;
        let limits = Limits::new(span_in(path, text, hold_for.as_ref())?, span_in(path, text, hold_idle.as_ref())?);
        let serves = serves.map(|list| list.iter().map(|place| place_in(path, text, place)).collect()).transpose()?;
        let key = name.key();
        let set = set.into_iter().collect();
        let account =
            Stored { name, cloud, method, url, urls, set, allow_plaintext, ca_file, lifetime, limits, serves };
        if let Some(twin) = accounts.insert(key, Box::new(account)) {
            return Err(
                unusable(path, Some(line)).because(format!("two accounts differ only in case: `{}`", twin.name))
            );
        }
    }
    Ok(Contents { accounts, limits: most, notify: file.notify.map(toml::Spanned::into_inner) })
}

/// A limit that is misspelt must not be one that nobody notices.
fn refuse_stray(path: &Path, text: &str, further: &BTreeMap<String, toml::Value>) -> Result<(), Fault> {
    // Tables are others' business, as are those that may come several times.
    let is_table = |value: &toml::Value| {
        value.is_table() || value.as_array().is_some_and(|values| values.iter().all(toml::Value::is_table))
    };
    let Some(key) = further.iter().find(|(_, value)| !is_table(value)).map(|(key, _)| key) else { return Ok(()) };
    let line = text.lines().position(|line| line.trim_start().starts_with(key.as_str())).map(|at| at + 1);
    let fault = unusable(path, line).because(format!("unknown key `{key}`"));
    Err(match nearest(key, HEAD) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint("what is said for all accounts is `hold-for`, `hold-idle` and `notify`"),
    })
}

/// Adds or replaces one account in the file at `path`; everything else in it stays as it is.
///
/// # Errors
/// `Config`; the file is then as it was.
pub(super) fn write(path: &Path, account: &Stored) -> Result<(), Fault> {
    edit(path, |accounts| {
        remove(accounts, &account.name);
        let mut table = Table::new();
        fill(&mut table, account);
        accounts.insert(account.name.as_str(), Item::Table(table));
    })
}

/// Removes one account from the file at `path`.
///
/// # Errors
/// As [`write()`].
pub(super) fn erase(path: &Path, name: &AccountName) -> Result<(), Fault> {
    edit(path, |accounts| remove(accounts, name))
}

fn fill(table: &mut Table, account: &Stored) {
    table["cloud"] = value(&account.cloud);
    table["method"] = value(&account.method);
    if let Some(url) = &account.url {
        table["url"] = value(url);
    }
    let urls: Vec<_> = account.urls.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
    for (key, map) in [("urls", urls), ("set", account.set.iter().collect())] {
        if !map.is_empty() {
            table[key] =
                value(map.into_iter().map(|(k, v)| (k, toml_edit::Value::from(v))).collect::<toml_edit::InlineTable>());
        }
    }
    if account.allow_plaintext {
        table["allow-plaintext"] = value(true);
    }
    if let Some(lifetime) = account.lifetime {
        table["lifetime"] = value(span_text(lifetime));
    }
    for (name, limit) in account.limits.named() {
        if let Some(limit) = limit {
            table[name] = value(span_text(limit));
        }
    }
    if let Some(places) = &account.serves {
        table["serves"] = value(places.iter().collect::<toml_edit::Array>());
    }
    if let Some(file) = &account.ca_file {
        table["ca-file"] = value(file.to_string_lossy().as_ref());
    }
}

/// A span of time in the file.
fn span_in(path: &Path, text: &str, span: Option<&toml::Spanned<String>>) -> Result<Option<Duration>, Fault> {
    span.map(|span| {
        let line = line_of(text, span.span().start);
        parse_span(span.get_ref()).map_err(|f| unusable(path, Some(line)).because(f.to_string()))
    })
    .transpose()
}

/// An address of `serves`, in the one form in which it is compared.
fn place_in(path: &Path, text: &str, place: &toml::Spanned<String>) -> Result<String, Fault> {
    Target::normalise(place.get_ref())
        .map_err(|f| unusable(path, Some(line_of(text, place.span().start))).because(format!("`serves`: {f}")))
}

fn remove(accounts: &mut Table, name: &AccountName) {
    accounts.retain(|known, _| !known.eq_ignore_ascii_case(name.as_str()));
}

fn edit(path: &Path, change: impl FnOnce(&mut Table)) -> Result<(), Fault> {
    let failed = |e: io::Error| unusable(path, None).because(e.to_string());
    let text = match configured::text(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(failed(e)),
    };
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        let line = e.span().map(|span| line_of(&text, span.start));
        unusable(path, line).because(e.message().to_owned())
    })?;
    let accounts = document.entry("account").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let accounts = accounts.as_table_mut().ok_or_else(|| unusable(path, None).because("`account` is not a table"))?;
    change(accounts);
    replace(path, document.to_string().as_bytes()).map_err(failed)
}

pub(crate) fn unusable(path: &Path, line: Option<usize>) -> Fault {
    let place = line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()));
    Fault::new(FaultKind::Config, format!("the accounts file cannot be used: {place}"))
}

pub(crate) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().map(|span| line_of(text, span.start));
    let fault = unusable(path, line).because(error.message().trim().to_owned());
    match unknown_key(error.message()) {
        Some((given, near)) => fault.hint(format!("`{given}` is not known here; did you mean `{near}`?")),
        None => fault.hint(format!("edit `{}`", path.display())),
    }
}

/// From serde's "unknown field `a`, expected one of `b`, `c`": `a`, and the nearest of the others.
fn unknown_key(message: &str) -> Option<(&str, &str)> {
    let mut words = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let given = words.next()?;
    nearest(given, words).map(|near| (given, near))
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}
