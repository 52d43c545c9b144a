//! The AWS tools: a process in their configuration, and the account that it names.

use std::env;
use std::path::PathBuf;

use cloud_agent_protocol::v1::{Finding, Level};

use super::{Facts, bad, found, knows, lines, ready, stranger, words};
use crate::places;

#[cold]
pub(super) fn look(facts: &Facts) -> Vec<Finding> {
    let given = env::var_os("AWS_CONFIG_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(file) = given.or_else(|| Some(places::home().ok()?.join(".aws/config"))) else { return Vec::new() };
    let shown = file.display().to_string();
    match lines("aws", &file) {
        Ok(lines) => lines.iter().filter_map(|line| judged(line, &shown, facts)).collect(),
        Err(found) => vec![found],
    }
}

/// One line; nothing if it does not run us.
fn judged(line: &str, file: &str, facts: &Facts) -> Option<Finding> {
    let (key, command) = line.split_once('=')?;
    let words = words(command.trim());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (program, account) = match words.as_slice() {
        [program, "helper", "aws", rest @ ..] => (*program, rest.iter().find(|word| !word.starts_with('-'))),
        _ => return None,
    };
    if key.trim() != "credential_process" {
        return None;
    }
    let evidence = format!("`credential_process` in `{file}`");
    if found(program).is_none() {
        let what = format!("the AWS tools run `{program}`, which is not there");
        return Some(bad(
            "aws.program",
            Level::Error,
            what,
            evidence,
            format!("name where `cloud-token` is in `{file}`"),
        ));
    }
    match account {
        Some(account) if !knows(facts, account) => {
            Some(stranger("aws.account", "the AWS tools ask", account, &evidence).about(*account))
        }
        _ => Some(ready("aws", evidence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // It names programs as Unix has them.
    #[cfg(unix)]
    #[test]
    fn a_process_that_is_ours_is_found_and_judged() {
        let facts = Facts { accounts: Some(vec!["work".into()]), served: None };
        let id = |line: &str| judged(line, "f", &facts).map(|found| found.id);
        for (line, expected) in [
            ("region = eu-north-1", None),
            ("credential_process = other-tool", None),
            ("credential_process = sh helper aws work", Some("aws.ready")),
            ("credential_process = sh helper aws nobody", Some("aws.account")),
            ("credential_process = \"/gone/cloud-token\" helper aws work", Some("aws.program")),
            ("credential_process = \"/gone to/cloud-token\" helper aws work", Some("aws.program")),
        ] {
            assert_eq!(id(line).as_deref(), expected, "{line}");
        }
    }
}
