//! docker: us as the helper of the registries that accounts answer for, and of no others: what is stored elsewhere stays.

use std::env;
use std::path::{Path, PathBuf};

use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};

use super::{Edit, Plan, directory, home, own_program, unusable};
use crate::client::{Client, unexpected};
use crate::deadline::DEFAULT_TIMEOUT;
use crate::json::Value;
use crate::report::Failure;

/// Where docker looks for a helper of a registry.
const HELPERS: &str = "credHelpers";
/// What it calls ours; the program's name is `docker-credential-` and this.
const OURS: &str = "cloud-token";
const PROGRAM: &str = "docker-credential-cloud-token";

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let path =
        directory("DOCKER_CONFIG").map_or_else(|| home().map(|home| home.join(".docker")), Ok)?.join("config.json");
    let mut edit = Edit::of(&path, 0o600).map_err(|e| unusable(&path, &e))?;
    let mut notes = Vec::new();
    let hosts = if remove { Vec::new() } else { hosts()? };
    if !remove && hosts.is_empty() {
        return Err(Fault::new(FaultKind::Config, "no account answers for a registry")
            .hint("`cloud-token login ACCOUNT --set serves=https://registry.example`")
            .into());
    }
    let text = changed(edit.text(), &hosts, &mut notes)
        .map_err(|why| Fault::new(FaultKind::Config, format!("`{}` cannot be used", path.display())).because(why))?;
    if remove && edit.text().is_empty() {
        edit.set(String::new());
    } else {
        edit.set(text);
    }
    let mut edits = vec![edit];
    match link(remove)? {
        Ok(link) => edits.extend(link),
        Err(note) => notes.push(note),
    }
    Ok(Plan { edits, notes })
}

/// The hosts that accounts answer for, as docker writes them.
#[cold]
fn hosts() -> Result<Vec<String>, Failure> {
    let served = match Client::new(DEFAULT_TIMEOUT)?.ask(&Request::ListServed)? {
        Response::Served(served) => served,
        other => return Err(unexpected(&other)),
    };
    let host = |url: &str| url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest).to_owned());
    let mut hosts: Vec<String> = served.places.iter().filter_map(|place| host(&place.url)).collect();
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}

/// docker's configuration with us for `hosts` and for nothing else.
#[cold]
fn changed(text: &str, hosts: &[String], notes: &mut Vec<String>) -> Result<String, &'static str> {
    let mut config = if text.trim().is_empty() { Value::Object(Vec::new()) } else { Value::parse(text)? };
    let before = config.clone();
    let Value::Object(members) = &mut config else { return Err("it is no JSON object") };
    let at = members.iter().position(|(name, _)| name == HELPERS);
    let mut helpers = match at.map(|at| std::mem::replace(&mut members[at].1, Value::Null)) {
        None => Vec::new(),
        Some(Value::Object(helpers)) => helpers,
        Some(_) => return Err("its `credHelpers` are no JSON object"),
    };
    let had = !helpers.is_empty();
    let ours = |value: &Value| value.text() == Some(OURS);
    helpers.retain(|(host, helper)| !ours(helper) || hosts.contains(host));
    for host in hosts {
        match helpers.iter().find(|(known, _)| known == host) {
            Some((_, helper)) if !ours(helper) => {
                notes.push(format!("`{host}` has the helper `{}`, which stays", helper.text().unwrap_or("?")));
            }
            Some(_) => {}
            None => helpers.push((host.clone(), Value::String(OURS.to_owned()))),
        }
    }
    match (at, helpers.is_empty() && had) {
        (Some(at), true) => drop(members.remove(at)),
        (Some(at), false) => members[at].1 = Value::Object(helpers),
        (None, _) if helpers.is_empty() => {}
        (None, _) => members.push((HELPERS.to_owned(), Value::Object(helpers))),
    }
    // What means the same stays written as it is.
    if config == before {
        return Ok(text.to_owned());
    }
    let end = if text.ends_with('\n') { "\n" } else { "" };
    Ok(config.pretty(indent(text)) + end)
}

/// What the file is indented by: docker's own tab, if it does not say.
fn indent(text: &str) -> &str {
    let Some((_, rest)) = text.split_once('\n') else { return "\t" };
    let space = &rest[..rest.len() - rest.trim_start_matches([' ', '\t']).len()];
    if space.is_empty() { "\t" } else { space }
}

/// The program under the name that docker looks for; made beside ours, if it is not found.
#[cold]
fn link(remove: bool) -> Result<Result<Option<Edit>, String>, Failure> {
    let program = own_program()?;
    let beside = program.with_file_name(PROGRAM);
    let leads = beside.read_link().ok().map(|to| to.display().to_string());
    let to = program.display().to_string();
    if remove {
        let ours = leads.as_ref() == Some(&to);
        return Ok(Ok(ours.then(|| Edit::link(beside, leads, None))));
    }
    if found_on_path() || leads.as_ref() == Some(&to) {
        return Ok(Ok(None));
    }
    if beside.symlink_metadata().is_ok() || !is_writable(&program) {
        return Ok(Err(format!("docker looks for it on PATH: `ln -s {to} DIRECTORY/{PROGRAM}`")));
    }
    Ok(Ok(Some(Edit::link(beside, None, Some(to)))))
}

fn found_on_path() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|dir| dir.join(PROGRAM)).any(|path: PathBuf| path.is_file())
}

/// Whether something can be put beside `program`.
fn is_writable(program: &Path) -> bool {
    #[cfg(unix)]
    {
        let directory = program.parent().unwrap_or(Path::new("/"));
        rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
    }
    #[cfg(not(unix))]
    {
        let _ = program;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "{\n\t\"auths\": {\n\t\t\"x\": {}\n\t},\n\t\"credsStore\": \"desktop\"\n}";

    fn with(text: &str, hosts: &[&str]) -> (String, Vec<String>) {
        let mut notes = Vec::new();
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        (changed(text, &hosts, &mut notes).unwrap(), notes)
    }

    #[test]
    fn hosts_are_added_and_come_out_again_without_a_trace() {
        for text in [THEIRS, "{}", "{\n    \"a\": 1.50\n}\n"] {
            let once = with(text, &["r.example", "s.example:5000"]).0;
            assert!(once.contains("\"r.example\": \"cloud-token\""), "{once}");
            assert_eq!(with(&once, &["r.example", "s.example:5000"]).0, once, "twice is once");
            assert_eq!(with(&once, &[]).0, text);
        }
        assert!(with("", &["r.example"]).0.starts_with("{\n\t\"credHelpers\""));
    }

    #[test]
    fn the_helper_of_somebody_else_stays() {
        let theirs = "{\n\t\"credHelpers\": {\n\t\t\"r.example\": \"gcloud\"\n\t}\n}";
        let (text, notes) = with(theirs, &["r.example", "s.example"]);
        assert!(text.contains("\"r.example\": \"gcloud\"") && text.contains("\"s.example\": \"cloud-token\""));
        assert!(notes[0].contains("`gcloud`"), "{notes:?}");
        assert_eq!(with(&text, &[]).0, theirs);
        assert!(changed("[]", &[], &mut Vec::new()).is_err() && changed("{", &[], &mut Vec::new()).is_err());
    }
}
