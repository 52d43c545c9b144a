//! The real git, over HTTPS, with git's own server behind a check of the token.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cloud_agent_tests::fake::{Reply, Request, Server};
use cloud_agent_tests::sandbox::{Outcome, Run};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::PATIENCE;

use super::{Stage, is_authorised, is_silent, site};

/// A stage with a repository `team/repo.git`, and the account that answers for its server.
pub(crate) struct Repository {
    pub(crate) stage: Stage,
    pub(crate) server: Server,
}

impl Repository {
    pub(crate) fn new(what: &str) -> Option<Self> {
        skip::unless_tool(what, "git")?;
        let backend = backend(what)?;
        let stage = Stage::new();
        let root = stage.sandbox.path("repositories");
        let git = |arguments: &[&str]| {
            let run = stage.sandbox.command("git").args(arguments.iter().copied());
            run.env("GIT_AUTHOR_NAME", "a")
                .env("GIT_AUTHOR_EMAIL", "a@a")
                .env("GIT_COMMITTER_NAME", "a")
                .env("GIT_COMMITTER_EMAIL", "a@a")
                .finish()
                .ok();
        };
        let (bare, work) = (root.join("team/repo.git"), stage.sandbox.path("work"));
        let (bare, work) = (bare.to_str().unwrap(), work.to_str().unwrap());
        git(&["init", "--quiet", "--initial-branch=main", work]);
        fs::write(Path::new(work).join("file"), "content\n").unwrap();
        git(&["-C", work, "add", "file"]);
        git(&["-C", work, "commit", "--quiet", "--message=first"]);
        git(&["clone", "--quiet", "--bare", work, bare]);
        git(&["-C", bare, "config", "http.receivepack", "true"]);
        let cloud = Arc::clone(&stage.cloud);
        let server = site(true, move |request| {
            if is_authorised(&cloud, request) {
                return cgi(&backend, &root, request);
            }
            Reply::empty(401).header("WWW-Authenticate", "Bearer realm=\"git\"")
        });
        stage.serve(&server.url());
        Some(Self { stage, server })
    }

    /// git as a user has it, with us as its helper and somebody at the keyboard who must not be asked.
    pub(super) fn git(&self, arguments: &[&str]) -> Run<'_> {
        let askpass = self.stage.sandbox.path("home/askpass");
        if !askpass.exists() {
            let script = format!(
                "#!/bin/sh\necho \"$1\" >> {}/asked\necho nothing\n",
                self.stage.sandbox.path("home").display()
            );
            crate::support::put_script(&askpass, &script);
        }
        let run = self.stage.sandbox.command("git").args(["-c", "credential.helper=cloud-token"]);
        run.args(arguments.iter().copied())
            .env("GIT_SSL_CAINFO", self.server.ca())
            .env("GIT_ASKPASS", askpass)
            .env("GIT_CONFIG_NOSYSTEM", "1")
    }

    fn url(&self) -> String {
        format!("{}/team/repo.git", self.server.url())
    }

    pub(super) fn list(&self) -> Outcome {
        self.git(&["ls-remote", &self.url()]).finish()
    }

    #[track_caller]
    pub(super) fn nobody_was_asked(&self) {
        assert!(!self.stage.sandbox.path("home/asked").exists(), "git asked at the keyboard");
    }
}

fn backend(what: &str) -> Option<PathBuf> {
    let output = Command::new("git").arg("--exec-path").output().ok()?;
    let path = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("git-http-backend");
    if path.is_file() {
        return Some(path);
    }
    skip::skip(what, "there is no git-http-backend");
    None
}

/// Runs git's server as a web server would (RFC 3875).
fn cgi(backend: &Path, root: &Path, request: &Request) -> Reply {
    let mut command = Command::new(backend);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    command.env("REQUEST_METHOD", &request.method).env("PATH_INFO", &request.path).env("QUERY_STRING", &request.query);
    command.env("REMOTE_USER", "somebody").env("CONTENT_LENGTH", request.body.len().to_string());
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "HTTP_GIT_PROTOCOL"),
    ] {
        command.env(variable, request.header(header).unwrap_or_default());
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&request.body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let at = output.windows(4).position(|window| window == b"\r\n\r\n").expect("a CGI program writes a head");
    let mut reply = Reply::empty(200);
    for line in String::from_utf8_lossy(&output[..at]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => reply.status = status[..3].parse().unwrap(),
            Some((name, value)) => reply = reply.header(name, value),
            None => {}
        }
    }
    reply.body = output[at + 4..].to_vec();
    reply
}

#[test]
fn git_clones_fetches_and_pushes_with_the_accounts_token_and_asks_nobody() {
    let Some(it) = Repository::new("git_clones_fetches_and_pushes_with_the_accounts_token_and_asks_nobody") else {
        return;
    };
    let clone = it.stage.sandbox.path("clone");
    let clone = clone.to_str().unwrap();
    it.git(&["clone", "--quiet", &it.url(), clone]).finish().ok();
    assert_eq!(fs::read_to_string(Path::new(clone).join("file")).unwrap(), "content\n");
    it.git(&["-C", clone, "push", "--quiet", "origin", "main:more"]).finish().ok();
    it.git(&["-C", clone, "fetch", "--quiet"]).finish().ok();
    let bearer = format!("Bearer {}", it.stage.token());
    let sent = it.server.requests();
    assert!(sent.iter().filter_map(|request| request.header("authorization")).all(|value| value == bearer));
    assert!(sent.len() > 6);
    it.nobody_was_asked();
}

#[test]
fn a_token_that_the_server_refuses_is_dropped_and_the_next_fetch_works() {
    let Some(it) = Repository::new("a_token_that_the_server_refuses_is_dropped_and_the_next_fetch_works") else {
        return;
    };
    let before = it.stage.token();
    it.stage.cloud.revoke_access_tokens();
    let refused = it.list();
    assert_eq!(refused.code(), 128, "git has no second try: {refused:?}");
    assert!(it.list().ok().contains("refs/heads/main"));
    assert_ne!(it.stage.token(), before);
    assert_eq!(it.stage.cloud.refreshes(), 1);
}

#[test]
fn git_stops_at_once_and_says_what_to_type_when_the_human_is_needed() {
    let Some(it) = Repository::new("git_stops_at_once_and_says_what_to_type_when_the_human_is_needed") else { return };
    it.stage.log_out();
    let outcome = it.list();
    assert_eq!(outcome.code(), 128, "{outcome:?}");
    let ours: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("cloud-token")).collect();
    assert_eq!(ours.len(), 2, "one line of ours, and git's that names its helper: {}", outcome.stderr);
    assert!(ours[0].contains("`cloud-token login ecHome`"), "{}", ours[0]);
    assert!(outcome.stderr.contains("told us to quit"), "{}", outcome.stderr);
    it.nobody_was_asked();
    assert!(outcome.took < PATIENCE);
}

#[test]
fn foreign_hosts_unknown_verbs_and_store_are_met_with_silence() {
    let stage = Stage::serving("https://git.acme.example");
    let get = |text: &str| stage.helper("git get").stdin(text).finish();
    is_silent(&get("protocol=https\nhost=github.example\n\n"));
    is_silent(&get("protocol=ssh\nhost=git.acme.example\n\n"));
    is_silent(&get("protocol=http\nhost=git.acme.example\n\n"));
    is_silent(&get("protocol=https\nhost=git.acme.example\nusername=somebody\n\n"));
    for verb in ["store", "erase", "frobnicate"] {
        let text = "protocol=https\nhost=github.example\nusername=me\npassword=hunter2\n\n";
        is_silent(&stage.helper(&format!("git {verb}")).stdin(text).finish());
    }
    is_silent(
        &stage.helper("git store").stdin("protocol=https\nhost=git.acme.example\nusername=me\npassword=x\n").finish(),
    );
    let token = stage.token();
    assert!(get("protocol=https\nhost=git.acme.example\n\n").ok().contains(&token), "the account answers at all");
    let capabilities = stage.helper("git capability").finish();
    assert_eq!(capabilities.ok(), "version 0\ncapability authtype");
}

#[test]
fn a_rejection_of_another_token_changes_nothing_and_of_ours_drops_it() {
    let stage = Stage::serving("https://git.acme.example");
    let token = stage.token();
    let erase = |rest: &str| {
        let text = format!("capability[]=authtype\nprotocol=https\nhost=git.acme.example\n{rest}\n");
        is_silent(&stage.helper("git erase").stdin(text).finish());
    };
    erase("authtype=Bearer\ncredential=another\n");
    erase("username=ecHome\n");
    assert_eq!(stage.token(), token);
    erase(&format!("authtype=Bearer\ncredential={token}\nwwwauth[]=Bearer realm=\"x\"\n"));
    let second = stage.token();
    assert_ne!(second, token);
    assert_eq!(stage.cloud.refreshes(), 1);
}

#[test]
fn without_an_agent_git_goes_on_and_the_human_is_told() {
    let stage = Stage::new();
    stage.sandbox.set("CLOUD_AGENT_SOCK", stage.sandbox.path("run/nowhere.sock"));
    stage.sandbox.set("CLOUD_AGENT_NO_AUTOSTART", "1");
    let outcome = stage.helper("git get").stdin("protocol=https\nhost=a.example\n\n").finish();
    let said = outcome.fails(3);
    assert!(said.starts_with("cloud-token: no agent answers") && said.lines().count() == 1, "{said}");
    is_silent(&stage.helper("git erase").stdin("protocol=https\nhost=a.example\npassword=x\n\n").finish());
}
