//! docker: the registries that it asks us for, and the name that it looks for us by.

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::v1::{Finding, Level};

use super::{Facts, bad, found, ready, text};
use crate::json::Value;
use crate::places;

/// What docker's configuration calls us, and the program that it means by that.
const OURS: &str = "cloud-token";
const PROGRAM: &str = "docker-credential-cloud-token";

const SETUP: &str = "`cloud-token setup docker`";

#[cold]
pub(super) fn look(facts: &Facts) -> Vec<Finding> {
    let Ok(path) = places::docker_config() else { return Vec::new() };
    let text = match text("docker", &path) {
        Ok(text) if text.is_empty() => return Vec::new(),
        Ok(text) => text,
        Err(found) => return vec![found],
    };
    let shown = path.display().to_string();
    let config = match Value::parse(&text) {
        Ok(config) => config,
        Err(why) => {
            let what = format!("docker cannot read `{shown}`");
            return vec![bad("docker.config", Level::Warning, what, why, format!("edit `{shown}`"))];
        }
    };
    let mut findings = Vec::new();
    if config.member("credsStore").and_then(Value::text) == Some(OURS) {
        let what = "docker would have this program store its passwords, which it does not";
        let evidence = format!("`credsStore` in `{shown}`");
        findings.push(bad(
            "docker.store",
            Level::Warning,
            what,
            evidence,
            format!("take that line out; {SETUP} names registries instead"),
        ));
    }
    let helpers = match config.member("credHelpers") {
        Some(Value::Object(helpers)) => helpers.as_slice(),
        _ => &[],
    };
    let hosts: Vec<&str> =
        helpers.iter().filter(|(_, helper)| helper.text() == Some(OURS)).map(|(host, _)| host.as_str()).collect();
    if hosts.is_empty() {
        return findings;
    }
    let evidence = format!("`credHelpers` in `{shown}`: {}", hosts.join(", "));
    if found(PROGRAM).is_none() {
        let what = format!("docker looks for `{PROGRAM}`, which is in no directory of PATH");
        findings.push(bad("docker.program", Level::Error, what, evidence, SETUP));
        return findings;
    }
    let strangers: Vec<&str> = hosts.iter().copied().filter(|host| !is_served(facts, host)).collect();
    for host in &strangers {
        let what = format!("docker asks for `{host}`, which no account answers for");
        let mend = format!("`cloud-token login ACCOUNT --set {}`", quoted(format_args!("serves=https://{host}")));
        findings.push(bad("docker.host", Level::Warning, what, evidence.clone(), mend).about(*host));
    }
    if strangers.is_empty() {
        findings.push(ready("docker", evidence));
    }
    findings
}

/// Whether an account answers for all of that host, as far as that is known.
fn is_served(facts: &Facts, host: &str) -> bool {
    let is_its = |url: &str| url.split_once("://").is_some_and(|(_, rest)| rest == host);
    facts.served.as_ref().is_none_or(|places| places.iter().any(|place| is_its(&place.url)))
}
