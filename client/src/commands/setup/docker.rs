//! docker: us as the helper of the registries that accounts answer for, and of no others: what is stored elsewhere stays.

use std::env;
use std::path::{Path, PathBuf};

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::v1::{Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};

use super::{Edit, Plan, graft, mask};
use crate::client::{Client, unexpected};
use crate::deadline::DEFAULT_TIMEOUT;
use crate::json::Value;
use crate::places::{docker_config, own_program, unusable};
use crate::report::Failure;

/// Where docker looks for a helper of a registry.
const HELPERS: &str = "credHelpers";
/// What it calls ours; the program's name is `docker-credential-` and this.
const OURS: &str = "cloud-token";
const PROGRAM: &str = "docker-credential-cloud-token";

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let path = docker_config()?;
    let mut edit = Edit::of(&path, 0o600, mask::json).map_err(|e| unusable(&path, &e))?;
    let mut notes = Vec::new();
    let hosts = if remove { Vec::new() } else { hosts()? };
    if !remove && hosts.is_empty() {
        return Err(Fault::new(FaultKind::Config, "no account answers for a registry")
            .because("docker names a host and no path, so only an address without one can be a registry's")
            .hint("`cloud-token login ACCOUNT --set serves=https://registry.example`")
            .into());
    }
    let text = changed(edit.text(), &hosts, &mut notes)
        .map_err(|why| Fault::new(FaultKind::Config, format!("`{}` cannot be used", path.display())).because(why))?;
    if remove && is_alone(edit.text()) {
        edit.drop_file();
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

/// The hosts that accounts answer for, as docker writes them: those of which they answer for all.
#[cold]
fn hosts() -> Result<Vec<String>, Failure> {
    let served = match Client::new(DEFAULT_TIMEOUT)?.ask(&Request::ListServed)? {
        Response::Served(served) => served,
        other => return Err(unexpected(&other)),
    };
    let host =
        |url: &str| url.split_once("://").filter(|(_, rest)| !rest.contains('/')).map(|(_, rest)| rest.to_owned());
    let mut hosts: Vec<String> = served.places.iter().filter_map(|place| host(&place.url)).collect();
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}

/// docker's configuration with us for `hosts` and for nothing else; everything else in it stays as it is, byte for byte.
#[cold]
fn changed(text: &str, hosts: &[String], notes: &mut Vec<String>) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Ok(if hosts.is_empty() { text.to_owned() } else { alone(hosts) });
    }
    let config = Value::parse(text)?;
    if !matches!(config, Value::Object(_)) {
        return Err("it is no JSON object");
    }
    let helpers = match config.member(HELPERS) {
        None => &[][..],
        Some(Value::Object(helpers)) => helpers,
        Some(_) => return Err("its `credHelpers` are no JSON object"),
    };
    let mut text = text.to_owned();
    let ours = |helper: &Value| helper.text() == Some(OURS);
    for (host, _) in helpers.iter().filter(|(host, helper)| ours(helper) && !hosts.contains(host)) {
        text = graft::without(&text, HELPERS, host);
    }
    for host in hosts {
        match helpers.iter().find(|(known, _)| known == host) {
            Some((_, helper)) if !ours(helper) => {
                notes.push(format!("`{host}` has the helper `{}`, which stays", helper.text().unwrap_or("?")));
            }
            Some(_) => {}
            None if has_login(&config, host) => {
                notes.push(format!(
                    "`{host}` has a login of docker's own, which stays (`docker logout {host}` ends it)"
                ));
            }
            None => text = graft::with(&text, HELPERS, host, OURS),
        }
    }
    Ok(text)
}

/// Whether docker holds, or has had a store hold, a password for `host`: a helper would hide it.
fn has_login(config: &Value, host: &str) -> bool {
    let Some(Value::Object(logins)) = config.member("auths") else { return false };
    logins.iter().any(|(url, _)| {
        let url = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        url.split('/').next() == Some(host)
    })
}

/// The file as it is made where there is none; as long as it is that, it goes with what it was made for.
fn alone(hosts: &[String]) -> String {
    let lines: Vec<String> = hosts.iter().map(|host| format!("\t\t\"{host}\": \"{OURS}\"")).collect();
    format!("{{\n\t\"{HELPERS}\": {{\n{}\n\t}}\n}}\n", lines.join(",\n"))
}

/// Whether this made the file, and nobody has changed it since.
fn is_alone(text: &str) -> bool {
    let Ok(config) = Value::parse(text) else { return false };
    let Some(Value::Object(helpers)) = config.member(HELPERS) else { return false };
    text == alone(&helpers.iter().map(|(host, _)| host.clone()).collect::<Vec<_>>())
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
        return Ok(Err(format!("docker looks for it on PATH: `ln -s {} DIRECTORY/{PROGRAM}`", quoted(&to))));
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
        for text in [
            THEIRS,
            "{}",
            "{ }\n",
            "{\n}\n",
            "{\n    \"a\": 1.50\n}\n",
            "{\"auths\":{\"x\":{\"auth\":\"eA==\"}},\"credsStore\":\"desktop\"}",
            "{\"a\": 1, \"b\": [1,2 , 3], \"c\": \"}\\\"{\"}\n",
            "{\r\n  \"a\": {},\r\n  \"credHelpers\": {\r\n    \"q.example\": \"gcloud\"\r\n  },\r\n  \"z\": null\r\n}",
        ] {
            let once = with(text, &["r.example", "s.example:5000"]).0;
            let helpers = Value::parse(&once).unwrap().member(HELPERS).cloned().unwrap();
            assert_eq!(helpers.member("r.example").and_then(Value::text), Some(OURS), "{once}");
            assert_eq!(with(&once, &["r.example", "s.example:5000"]).0, once, "twice is once");
            assert_eq!(with(&once, &[]).0, text);
        }
        let made = with("", &["r.example", "s.example:5000"]).0;
        assert!(made.starts_with("{\n\t\"credHelpers\"") && is_alone(&made));
        assert_eq!(with(&made, &["r.example", "s.example:5000"]).0, made);
        assert!(!is_alone("{}") && !is_alone(&with("{}", &["r.example"]).0) && !is_alone(THEIRS));
    }

    #[test]
    fn a_login_of_dockers_own_is_not_hidden() {
        for key in ["r.example", "https://r.example", "https://r.example/v1/"] {
            let theirs = format!("{{\"auths\":{{\"{key}\":{{}}}}}}");
            let (text, notes) = with(&theirs, &["r.example", "s.example"]);
            assert!(!text.contains("\"r.example\":\"cloud-token\"") && text.contains("s.example"), "{text}");
            assert!(notes[0].contains("docker logout r.example"), "{notes:?}");
        }
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
