//! kubectl: a user `cloud-token` in the kubeconfig, for any number of contexts. kubectl itself writes it, into a copy.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::{Fault, FaultKind};

use super::{Edit, Plan, mask};
use crate::json::Value;
use crate::places::{home, own_program, unusable};
use crate::report::Failure;

/// The user's name there.
const USER: &str = "cloud-token";
/// What it is written for.
const API_VERSION: &str = "client.authentication.k8s.io/v1";

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let path = path()?;
    let mut edit = Edit::of(&path, 0o600, mask::yaml).map_err(|e| unusable(&path, &e))?;
    let text = if edit.text().is_empty() && remove { Some(String::new()) } else { changed(&edit, remove)? };
    match text {
        Some(text) => edit.set(text),
        None => edit.drop_file(),
    }
    let mut notes = Vec::new();
    if !remove {
        notes.push(format!("let a context use it: {}", let_a_context_use(USER, has_context(edit.text()))));
        notes.push(
            "an account answers for the clusters in its `serves`: `cloud-token login ACCOUNT --set serves=https://k8s.example:6443`"
                .to_owned(),
        );
    }
    if edit.changes() && edit.text().contains('#') {
        notes.push("kubectl writes the whole file anew, and keeps no comments; its entries stay".to_owned());
    }
    Ok(Plan { edits: vec![edit], notes })
}

/// What has a context of kubectl use `user`: the current one, if there is one.
pub(crate) fn let_a_context_use(user: &str, has_context: bool) -> String {
    let user = quoted(user);
    if has_context {
        format!("`kubectl config set-context --current --user={user}`")
    } else {
        format!("`kubectl config set-context NAME --cluster=CLUSTER --user={user} && kubectl config use-context NAME`")
    }
}

/// Whether a kubeconfig, as kubectl writes it, has a current context.
fn has_context(text: &str) -> bool {
    let mut named = text.lines().filter_map(|line| line.strip_prefix("current-context:"));
    named.any(|name| !["", "\"\""].contains(&name.trim()))
}

/// The first file of `$KUBECONFIG`, which is the one that kubectl writes to, or the usual one.
fn path() -> Result<PathBuf, Failure> {
    let given =
        env::var_os("KUBECONFIG").and_then(|list| env::split_paths(&list).find(|path| !path.as_os_str().is_empty()));
    match given {
        Some(path) => Ok(path),
        None => Ok(home()?.join(".kube/config")),
    }
}

/// What is to be there; `None` if nothing is left that is worth a file.
#[cold]
fn changed(edit: &Edit, remove: bool) -> Result<Option<String>, Failure> {
    // Beside the file, because what it names may be relative to it.
    let directory = edit.path().parent().unwrap_or(Path::new("/"));
    let copy = Copy(directory.join(format!(".cloud-token.{}", std::process::id())));
    let kept = |e: io::Error| unusable(&copy.0, &e);
    fs::create_dir_all(directory).map_err(kept)?;
    copy.write(edit.text()).map_err(kept)?;
    let there = user(&copy)?;
    let program = own_program()?.display().to_string();
    if let Some(user) = &there
        && !is_ours(user)
    {
        let message = format!("the kubeconfig has a user `{USER}` that this did not write");
        return Err(Fault::new(FaultKind::Config, message)
            .hint(format!("rename it in `{}`", edit.path().display()))
            .into());
    }
    match (remove, there) {
        (true, None) => return Ok(Some(edit.text().to_owned())),
        (true, Some(_)) => {
            kubectl(&copy, &["delete-user", USER])?;
            let left = fs::read_to_string(&copy.0).map_err(kept)?;
            return Ok((!is_bare(&copy)?).then_some(left));
        }
        // kubectl would write it all anew.
        (false, Some(user)) if is_complete(&user, &program) => return Ok(Some(edit.text().to_owned())),
        (false, _) => {}
    }
    kubectl(
        &copy,
        &[
            "set-credentials",
            USER,
            &format!("--exec-api-version={API_VERSION}"),
            &format!("--exec-command={program}"),
            "--exec-arg=helper",
            "--exec-arg=kubectl",
        ],
    )?;
    // Only the newest kubectl has options for these two.
    let text = fs::read_to_string(&copy.0).map_err(kept)?;
    copy.write(&told_of_the_cluster(&text)).map_err(kept)?;
    if !user(&copy)?.is_some_and(|user| is_complete(&user, &program)) {
        return Err(Fault::new(FaultKind::Config, "kubectl wrote something other than it was asked for")
            .hint("docs/consumers.md shows the lines to write by hand")
            .into());
    }
    fs::read_to_string(&copy.0).map(Some).map_err(kept)
}

/// Whether it says all that this would write.
#[cold]
fn is_complete(user: &Value, program: &str) -> bool {
    let Some(exec) = user.member("exec") else { return false };
    let says = |name: &str, value: &str| exec.member(name).and_then(Value::text) == Some(value);
    says("command", program)
        && says("apiVersion", API_VERSION)
        && says("interactiveMode", "IfAvailable")
        && exec.member("provideClusterInfo") == Some(&Value::Bool(true))
}

/// Whether nothing is in it: then it was made for our user alone.
#[cold]
fn is_bare(copy: &Copy) -> Result<bool, Failure> {
    let config = view(copy)?;
    let is_empty = |name: &str| match config.member(name) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(value) => value.text() == Some(""),
    };
    Ok(["clusters", "contexts", "users", "current-context", "preferences", "extensions"].into_iter().all(is_empty))
}

/// The same with `provideClusterInfo: true`, and the mode that it needs, in our user's entry, as kubectl writes YAML.
#[cold]
fn told_of_the_cluster(text: &str) -> String {
    let entry = format!("\n- name: {USER}\n");
    let Some(at) = text.find(&entry) else { return text.to_owned() };
    // It goes on as long as lines are indented.
    let body = at + entry.len();
    let mut end = body;
    for line in text[body..].split_inclusive('\n').take_while(|line| line.starts_with(' ')) {
        end += line.len();
    }
    let (before, ours, behind) = (&text[..body], &text[body..end], &text[end..]);
    let (bare, full) = ("      provideClusterInfo: false\n", "      provideClusterInfo: true\n");
    let mode = "      interactiveMode: IfAvailable\n";
    let full = if ours.contains(mode) { full.to_owned() } else { format!("{mode}{full}") };
    format!("{before}{}{behind}", ours.replacen(bare, &full, 1))
}

/// All of it.
#[cold]
fn view(copy: &Copy) -> Result<Value, Failure> {
    let text = kubectl(copy, &["view", "--raw", "--output=json"])?;
    Value::parse(&text)
        .map_err(|why| Fault::new(FaultKind::Config, "what kubectl prints is not JSON").because(why).into())
}

/// The entry of that name.
#[cold]
fn user(copy: &Copy) -> Result<Option<Value>, Failure> {
    let config = view(copy)?;
    let Some(Value::Array(users)) = config.member("users") else { return Ok(None) };
    let found = users.iter().find(|user| user.member("name").and_then(Value::text) == Some(USER));
    Ok(found.and_then(|user| user.member("user")).cloned())
}

/// Whether it runs us as this would write it, wherever we lay then.
#[cold]
fn is_ours(user: &Value) -> bool {
    let Some(exec) = user.member("exec") else { return false };
    let program = exec.member("command").and_then(Value::text).unwrap_or_default();
    let arguments = match exec.member("args") {
        Some(Value::Array(arguments)) => arguments.iter().filter_map(Value::text).collect(),
        _ => Vec::new(),
    };
    Path::new(program).file_stem().is_some_and(|name| name == "cloud-token") && arguments == ["helper", "kubectl"]
}

#[cold]
fn kubectl(copy: &Copy, arguments: &[&str]) -> Result<String, Failure> {
    let mut run = Command::new("kubectl");
    run.arg("config").args(arguments).arg("--kubeconfig").arg(&copy.0).stdin(Stdio::null());
    let output = run
        .output()
        .map_err(|e| Failure::from(Fault::new(FaultKind::Config, "cannot run `kubectl`").because(e.to_string())))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Fault::new(FaultKind::Config, "kubectl does not take its configuration").because(said).into())
}

/// A copy of the file, gone in any case.
struct Copy(PathBuf);

impl Copy {
    fn write(&self, text: &str) -> io::Result<()> {
        use io::Write as _;

        // Always a file of ours: whatever somebody has put under that name is not written into.
        if let Err(e) = fs::remove_file(&self.0)
            && e.kind() != io::ErrorKind::NotFound
        {
            return Err(e);
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        // There may be keys in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.0)?.write_all(text.as_bytes())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_current_context_one_is_made() {
        assert!(has_context("contexts:\n- name: a\ncurrent-context: a\n"));
        assert!(!has_context("contexts: null\ncurrent-context: \"\"\n") && !has_context(""));
        assert!(let_a_context_use("u", true).contains("set-context --current "));
        assert!(let_a_context_use("u", false).contains("set-context NAME --cluster=CLUSTER "));
    }
}
