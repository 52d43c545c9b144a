//! The way to the clouds: the proxies and certificates that the agent's environment names, held against ours. An agent lives for
//! months, and knows only the environment that it was started in.

use std::collections::BTreeMap;
use std::env;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::{Finding, Level, Setting};

use crate::commands::setup::{self, Standing, Target};

/// What is compared: each by the names that it may have, the first of which wins.
const PROXIES: [[&str; 2]; 3] = [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"], ["NO_PROXY", "no_proxy"]];
const CERTIFICATES: [[&str; 2]; 2] = [["SSL_CERT_FILE"; 2], ["SSL_CERT_DIR"; 2]];

/// What starts an agent with the environment of whoever types it, in which `names` are set or are not.
fn afresh(names: &str, are_set: bool) -> String {
    if matches!(setup::standing(Target::Systemd), Standing::Absent) {
        return "`cloud-token stop`: the next use starts an agent that has it".to_owned();
    }
    // It is systemd that starts the next one, and it knows no shell.
    let verb = if are_set { "import-environment" } else { "unset-environment" };
    format!("`systemctl --user {verb} {names} && cloud-token stop`")
}

/// Values by name.
type Values = BTreeMap<String, String>;

fn values(settings: &[Setting]) -> Values {
    settings.iter().map(|setting| (setting.name.clone(), setting.value.clone())).collect()
}

#[cold]
pub(super) fn look(agents: &[Setting]) -> Vec<Finding> {
    let agents = values(agents);
    let names = PROXIES.iter().chain(&CERTIFICATES).flatten();
    let ours: Values = names.filter_map(|name| Some(((*name).to_owned(), masked(&env::var(name).ok()?)))).collect();
    let mut findings: Vec<Finding> = differing("proxy.differs", &PROXIES, &agents, &ours).into_iter().collect();
    findings.extend(differing("tls.differs", &CERTIFICATES, &agents, &ours));
    findings
}

/// Says how the agent's way is mended where `finding` is of one that leads nowhere: the agent does not know what starts it.
#[cold]
pub(super) fn mend(finding: Finding, agents: &[Setting]) -> Finding {
    let is_bad = finding.id.starts_with("proxy.") && finding.level() > Level::Note;
    let agents = values(agents);
    let proxy = effective(&PROXIES[0], &agents).or_else(|| effective(&PROXIES[1], &agents));
    match proxy.filter(|_| is_bad) {
        Some((name, _)) => {
            let mend = format!("set {name} to the proxy's address, or unset it; then {}", afresh(&name, true));
            finding.mend(mend)
        }
        None => finding,
    }
}

fn differing<const N: usize>(id: &str, names: &[[&str; 2]; N], agents: &Values, ours: &Values) -> Option<Finding> {
    let shown = |found: Option<(String, String)>| found.map_or("not set".to_owned(), |(_, value)| format!("`{value}`"));
    let value = |of: &Option<(String, String)>| of.as_ref().map(|(_, value)| value.clone());
    let differences: Vec<String> = names
        .iter()
        .filter_map(|names| {
            let (theirs, own) = (effective(names, agents), effective(names, ours));
            let differs = value(&theirs) != value(&own);
            differs.then(|| format!("{}: the agent's {}, here {}", names[0], shown(theirs), shown(own)))
        })
        .collect();
    if differences.is_empty() {
        return None;
    }
    let mut set: Vec<&str> = names.iter().flatten().copied().filter(|name| ours.contains_key(*name)).collect();
    set.dedup();
    let mend = if set.is_empty() {
        afresh(&names.map(|names| names[0]).join(" "), false)
    } else {
        afresh(&set.join(" "), true)
    };
    let what =
        if id == "tls.differs" { "trusts other certificates than" } else { "goes another way to the clouds than" };
    let found = Finding::new(id, Level::Warning, format!("the agent {what} this shell says")).kind(FaultKind::Config);
    Some(differences.into_iter().fold(found, Finding::seen).mend(mend))
}

/// What counts of a variable with several names.
fn effective(names: &[&str; 2], values: &Values) -> Option<(String, String)> {
    names
        .iter()
        .find_map(|name| Some(((*name).to_owned(), values.get(*name).filter(|value| !value.is_empty())?.clone())))
}

/// Without user name and password, as the agent tells its own.
fn masked(value: &str) -> String {
    let bare = |authority: &str| authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned();
    match value.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", bare(rest)),
        None => bare(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_has_otherwise_is_told_without_a_password() {
        let values = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), masked(value))).collect()
        };
        let agents = values(&[("https_proxy", "http://u:secret@a.example:1")]);
        assert!(
            differing("proxy.differs", &PROXIES, &agents, &values(&[("HTTPS_PROXY", "http://a.example:1")])).is_none()
        );
        let found = differing("proxy.differs", &PROXIES, &agents, &values(&[("NO_PROXY", "x")])).unwrap();
        assert_eq!(
            found.evidence,
            ["HTTPS_PROXY: the agent's `http://a.example:1`, here not set", "NO_PROXY: the agent's not set, here `x`"]
        );
    }
}
