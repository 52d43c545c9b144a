//! The configuration of those that ask us. One that does not name us is none of our business; one that does has to find us.

mod aws;
mod docker;
mod git;
mod kubectl;
mod links;
mod units;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, thread};

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::v1::{Finding, Level};
use cloud_agent_protocol::{FaultKind, configured};

use super::Facts;
use crate::places::{self, out_of_the_way};

/// What looks at one.
type Look = fn(&Facts) -> Vec<Finding>;

/// All of them, by the first word of their findings' ids.
const ALL: [(&str, Look); 10] = [
    ("git", git::look),
    ("kubectl", kubectl::look),
    ("docker", docker::look),
    ("cargo", links::cargo),
    ("terraform", links::terraform),
    ("bazel", links::bazel),
    ("aws", aws::look),
    ("systemd", units::systemd),
    ("launchd", units::launchd),
    ("shell", units::shell),
];

/// Looks at each, all at once: one that hangs delays none.
#[cold]
pub(super) fn look(facts: &Facts) -> Vec<Finding> {
    let looked: Vec<(&str, Vec<Finding>)> = thread::scope(|scope| {
        let looking: Vec<_> = ALL.into_iter().map(|(name, look)| (name, scope.spawn(move || look(facts)))).collect();
        looking.into_iter().map(|(name, looking)| (name, looking.join().unwrap_or_default())).collect()
    });
    let is_of_another_system = |name: &str| match name {
        "systemd" => !cfg!(target_os = "linux"),
        "launchd" => !cfg!(target_os = "macos"),
        _ => false,
    };
    let unused = looked.iter().filter(|(name, found)| found.is_empty() && !is_of_another_system(name));
    let unused: Vec<&str> = unused.map(|(name, _)| *name).collect();
    let mut findings: Vec<Finding> = looked.iter().flat_map(|(_, found)| found.clone()).collect();
    if !unused.is_empty() {
        findings.push(
            Finding::new("setup.unused", Level::Note, format!("not set up: {}", unused.join(", ")))
                .seen("nothing in their configuration names `cloud-token`")
                .mend("`cloud-token setup --help` sets one up, if you want it"),
        );
    }
    findings
}

/// Something is wrong with the configuration of a consumer.
fn bad(
    id: &str,
    level: Level,
    what: impl Into<String>,
    evidence: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding::new(id, level, what).seen(evidence).kind(FaultKind::Config).mend(mend)
}

/// Whether there is such an account, as far as that is known.
fn knows(facts: &Facts, account: &str) -> bool {
    facts.accounts.as_ref().is_none_or(|known| known.iter().any(|name| name.eq_ignore_ascii_case(account)))
}

/// A consumer asks for an account that there is not.
fn stranger(id: &str, asks: &str, account: &str, evidence: &str) -> Finding {
    let what = format!("{asks} for `{account}`, which is no account");
    let mend = format!("`cloud-token login {}`", quoted(account));
    bad(id, Level::Error, what, evidence, mend).kind(FaultKind::UnknownAccount)
}

/// A consumer that asks us, and finds us.
fn ready(consumer: &str, evidence: impl Into<String>) -> Finding {
    Finding::new(&format!("{consumer}.ready"), Level::Ok, format!("{consumer} asks this program")).seen(evidence)
}

/// Where the program is that a consumer starts by this name or path, if it is there.
fn found(program: &str) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    places::on_path(&format!("{program}{}", env::consts::EXE_SUFFIX), |path| path.is_file())
}

/// The words of a command as a shell reads them, as far as quotes go.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (' ' | '\t', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(rest.next()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The text of a consumer's file; empty if it is not there.
///
/// # Errors
/// What is found of one that cannot be read.
fn text(consumer: &str, path: &Path) -> Result<String, Finding> {
    let e = match configured::read(path) {
        // In whatever encoding: what names us is ASCII.
        Ok(bytes) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(String::new()),
        Err(e) => e,
    };
    let what = format!("`{}` cannot be read, and may be about {consumer}", path.display());
    let mend = if e.kind() == ErrorKind::PermissionDenied {
        format!("`chmod u+r {}`", quoted(path.display()))
    } else {
        out_of_the_way(path, "moved")
    };
    let found = bad(&format!("{consumer}.config"), Level::Warning, what, e.to_string(), mend);
    Err(found.about(path.display().to_string()))
}

/// The lines of that file that are no comments.
fn lines(consumer: &str, path: &Path) -> Result<Vec<String>, Finding> {
    let text = text(consumer, path)?;
    Ok(text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).map(str::to_owned).collect())
}
