//! kubectl: the users in its configuration that run us, as it shows them itself, without anybody's keys.

use std::path::Path;
use std::process::Command;

use cloud_agent_protocol::v1::{Finding, Level};

use super::{Facts, bad, found, knows, ready, stranger};
use crate::commands::doctor::probe::{self, Asked, PATIENCE};
use crate::commands::setup;
use crate::json::Value;

const SETUP: &str = "`cloud-token setup kubectl`";

#[cold]
pub(super) fn look(facts: &Facts) -> Vec<Finding> {
    let config = |what: &str, why: String| {
        let mend = "`kubectl config view` says the same; edit the file that it names";
        vec![bad("kubectl.config", Level::Warning, what, why, mend)]
    };
    // Without `--raw`, keys and tokens are left out.
    let said = match probe::ask(Command::new("kubectl").args(["config", "view", "--output=json"]), PATIENCE) {
        Asked::Missing => return Vec::new(),
        Asked::Hung => {
            return config(
                "kubectl does not say how it is configured",
                format!("nothing for {} s", PATIENCE.as_secs()),
            );
        }
        Asked::Failed(why) => return config("kubectl cannot be run", why),
        Asked::Said(said) if said.code != Some(0) => {
            return config("kubectl cannot read its configuration", said.complaint);
        }
        Asked::Said(said) => said.stdout,
    };
    match Value::parse(&said) {
        Ok(config) => users(&config, facts),
        Err(why) => config("kubectl shows its configuration as no JSON", why.to_owned()),
    }
}

fn users(config: &Value, facts: &Facts) -> Vec<Finding> {
    let list = |name: &str| match config.member(name) {
        Some(Value::Array(items)) => items.as_slice(),
        _ => &[],
    };
    let text = |of: &Value, names: [&str; 2]| {
        of.member(names[0]).and_then(|inner| inner.member(names[1])).and_then(Value::text).map(str::to_owned)
    };
    let used: Vec<String> = list("contexts").iter().filter_map(|context| text(context, ["context", "user"])).collect();
    let has_context = config.member("current-context").and_then(Value::text).is_some_and(|name| !name.is_empty());
    list("users")
        .iter()
        .filter_map(|user| {
            let name = user.member("name").and_then(Value::text)?;
            let exec = user.member("user")?.member("exec")?;
            let is_used = used.iter().any(|used| used == name);
            judged(name, exec, (!is_used).then(|| setup::let_a_context_use(name, has_context)), facts)
        })
        .collect()
}

/// A user's plug-in; nothing if it is not ours. `unused` is what has a context use it, if none does.
fn judged(user: &str, exec: &Value, unused: Option<String>, facts: &Facts) -> Option<Finding> {
    let text = |name: &str| exec.member(name).and_then(Value::text).unwrap_or_default();
    let arguments: Vec<&str> = match exec.member("args") {
        Some(Value::Array(arguments)) => arguments.iter().filter_map(Value::text).collect(),
        _ => Vec::new(),
    };
    let command = text("command");
    let account = match arguments.as_slice() {
        ["helper", "kubectl", account, ..] if !account.starts_with('-') => Some(*account),
        ["helper", "kubectl", ..] => None,
        _ => return None,
    };
    let (api, mode) = (text("apiVersion"), text("interactiveMode"));
    let evidence = format!("user `{user}`: `{command} {}`", arguments.join(" "));
    let wrong =
        |id: &str, what: String, mend: String| Some(bad(id, Level::Error, what, evidence.clone(), mend).about(user));
    // One that is relative is below the file that names it, which is not shown here.
    if (Path::new(command).is_absolute() || !command.contains('/')) && found(command).is_none() {
        return wrong("kubectl.program", format!("kubectl runs `{command}`, which is not there"), SETUP.to_owned());
    }
    let known = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"].contains(&api);
    if !known || (mode.is_empty() && api.ends_with("/v1")) {
        let what =
            format!("kubectl does not run the plug-in of `{user}`: `apiVersion` or `interactiveMode` is not right");
        return wrong("kubectl.api", what, SETUP.to_owned());
    }
    match account {
        None if exec.member("provideClusterInfo") != Some(&Value::Bool(true)) => {
            let what = "kubectl does not say which cluster it wants a token for";
            wrong("kubectl.cluster-info", what.to_owned(), SETUP.to_owned())
        }
        Some(account) if !knows(facts, account) => {
            Some(stranger("kubectl.account", "kubectl asks", account, &evidence).about(user))
        }
        _ => Some(match unused {
            None => ready("kubectl", evidence),
            Some(mend) => {
                let what = format!("no context of kubectl uses `{user}`");
                Finding::new("kubectl.unused", Level::Note, what).about(user).seen(evidence).mend(mend)
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(exec: &str, is_used: bool) -> Option<String> {
        let facts = Facts { accounts: Some(vec!["Work".into()]), served: None };
        judged("u", &Value::parse(exec).unwrap(), (!is_used).then(String::new), &facts).map(|found| found.id)
    }

    // It names programs as Unix has them.
    #[cfg(unix)]
    #[test]
    fn a_plug_in_that_kubectl_would_not_run_or_that_could_not_answer_is_found() {
        // `sh` stands for a program that is there.
        let exec = |command: &str, args: &str, rest: &str| {
            format!(r#"{{"command":"{command}","args":{args},"apiVersion":"client.authentication.k8s.io/v1"{rest}}}"#)
        };
        let (ours, full) = (r#"["helper","kubectl"]"#, r#","interactiveMode":"IfAvailable","provideClusterInfo":true"#);
        let work = r#"["helper","kubectl","work"]"#;
        let mode = r#","interactiveMode":"IfAvailable""#;
        for (command, args, rest, expected) in [
            ("gke", r#"["get-token"]"#, full, None),
            ("/gone/cloud-token", ours, full, Some("kubectl.program")),
            ("sh", ours, "", Some("kubectl.api")),
            ("sh", ours, mode, Some("kubectl.cluster-info")),
            ("sh", work, mode, Some("kubectl.ready")),
            ("sh", r#"["helper","kubectl","nobody"]"#, mode, Some("kubectl.account")),
            ("sh", ours, full, Some("kubectl.ready")),
        ] {
            assert_eq!(id(&exec(command, args, rest), true).as_deref(), expected, "{command} {args} {rest}");
        }
        assert_eq!(id(&exec("sh", ours, full), false).as_deref(), Some("kubectl.unused"));
    }
}
