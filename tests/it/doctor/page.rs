//! `docs/doctor.md` holds what it promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Wrong, accounts, consumers, directories, inside, pipes, proofs, sockets};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/doctor.md")).expect("the page is there")
}

/// The schema that the page shows.
pub(super) fn promised() -> Value {
    let page = page();
    let text = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page shows one");
    serde_json::from_str(text).expect("it is JSON")
}

/// The ids that the page lists: the first column of its tables.
fn listed() -> BTreeSet<String> {
    let page = page();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let ids = cells.flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>());
    ids.filter(|id| is_id(id)).collect()
}

fn is_id(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    text.split_once('.').is_some_and(|(group, rest)| is_word(group) && is_word(rest))
}

/// The ids in the sources: texts in quotes that look like one.
fn written() -> BTreeSet<String> {
    let directories =
        ["client/src/commands/doctor", "client/src/commands/doctor/consumers", "daemon/src/broker/examine"];
    let files = directories.iter().flat_map(|directory| fs::read_dir(root().join(directory)).unwrap().flatten());
    let mut texts: Vec<String> = files.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    texts.push(fs::read_to_string(root().join("daemon/src/server/examine.rs")).unwrap());
    let own = |text: &String| text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let quoted = texts.iter().map(own).flat_map(|text| text.split('"').map(str::to_owned).collect::<Vec<_>>());
    let is_file = |id: &String| id.split_once('.').is_some_and(|(_, end)| ["toml", "json", "sock"].contains(&end));
    quoted.filter(|text| is_id(text) && !is_file(text)).collect()
}

#[test]
fn the_page_lists_every_finding_that_there_is() {
    let (listed, written) = (listed(), written());
    assert!(written.len() > 50, "{written:?}");
    let missing: Vec<_> = written.difference(&listed).collect();
    assert!(missing.is_empty(), "not in docs/doctor.md: {missing:?}");
}

fn rows() -> Vec<&'static Wrong> {
    let tables = [
        &sockets::TABLE[..],
        &directories::TABLE,
        &inside::TABLE,
        &accounts::TABLE,
        &consumers::TABLE,
        &pipes::TABLE,
        &proofs::TABLE,
    ];
    tables.into_iter().flatten().collect()
}

#[test]
fn every_finding_that_the_page_lists_is_provoked() {
    let mut provoked: BTreeSet<&str> = rows().iter().map(|wrong| wrong.finding).collect();
    provoked.extend(super::WELL.iter().chain(&super::PROVED).chain(&super::WITHOUT_AN_AGENT).chain(&consumers::READY));
    provoked.extend(inside::WELL.iter().map(|(id, _)| id));
    // There is no launchd where these tests run; what it has in common with systemd, systemd's show.
    let missing = listed().into_iter().filter(|id| !provoked.contains(id.as_str()) && !id.starts_with("launchd."));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
}

/// The exit codes of the page's table, in its order.
fn ranked() -> Vec<char> {
    let page = page();
    let table = page.lines().skip_while(|line| !line.starts_with("| exit code |")).skip(2);
    table.map_while(|line| line.strip_prefix("| ")?.chars().next()).collect()
}

#[test]
fn help_and_the_page_rank_the_exit_codes_alike() {
    let help = crate::support::sandbox().token(["doctor", "--help"]);
    let told = help.ok().split_once("The worst finding is the exit code:").expect("it is said").1;
    let told: Vec<char> = told.chars().filter(char::is_ascii_digit).collect();
    assert_eq!((ranked(), told.len()), (told, 6));
}

#[test]
fn it_is_wrong_in_more_than_twenty_ways_each_named_by_a_finding_that_the_page_lists() {
    let rows = rows();
    let names: BTreeSet<_> = rows.iter().map(|wrong| wrong.name).collect();
    let findings: BTreeSet<_> = rows.iter().map(|wrong| wrong.finding).collect();
    assert!(names.len() == rows.len() && findings.len() >= 20, "{} ways, {} findings", names.len(), findings.len());
    let listed = listed();
    for wrong in rows {
        assert!(listed.contains(wrong.finding), "{}", wrong.finding);
    }
}
