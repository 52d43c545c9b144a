//! Readers of argument lists, environments and logs.

use std::fs;

use cloud_agent_protocol::v1::{Answer, Forward, Get, GetFor, ListClouds, Logout, ReadLog, Reject, RejectFor, Request};
use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{REFRESH, TOKEN as LOGIN};
use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::{Run, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::json;

use super::{Scene, contains, found};

/// T40: the same user may have an access token for the asking, and never what renews it.
#[test]
fn no_answer_of_the_agent_ever_holds_what_the_agent_holds() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().args(["--remember"]).finish().code(), 0);
    let access = scene.get().ok().to_owned();
    let held: Vec<String> = scene.cloud.secrets().into_iter().filter(|secret| *secret != access).collect();
    assert_eq!(held.len(), 2, "the refresh token and the secret");
    let get =
        |environment| Get { account: "ecHome".into(), min_valid: None, fresh: false, environment, deadline_ms: 5000 };
    let get_for = GetFor {
        url: scene.cloud.url(),
        account: None,
        consumer: "git".into(),
        min_valid: None,
        repeat_rejects: true,
        environment: false,
        deadline_ms: 5000,
    };
    let requests = [
        Request::Get(get(false)),
        Request::Get(get(true)),
        Request::Status,
        Request::Clouds(ListClouds { name: None }),
        Request::Clouds(ListClouds { name: Some("ecHome".into()) }),
        Request::Answer(Answer { value: None }),
        Request::GetFor(get_for.clone()),
        Request::GetFor(GetFor { url: String::new(), account: Some("ecHome".into()), environment: true, ..get_for }),
        Request::RejectFor(RejectFor { url: scene.cloud.url(), account: None, token: "another".into() }),
        Request::ListServed,
        Request::ReadLog(ReadLog { after: 0, token: None }),
        Request::VerifyLog,
        Request::Forward(Forward {
            accounts: vec!["ecHome".into()],
            lifetime: Some(1),
            confirm: false,
            name: "/tmp/forwarded".into(),
        }),
        Request::Reject(Reject { account: "ecHome".into(), token: Some("another".into()) }),
        Request::Logout(Logout { accounts: vec!["ecHome".into()], all: false, forget: true }),
        Request::Stop,
    ];
    for request in requests {
        let mut raw = scene.sandbox.raw();
        raw.ask(&request).unwrap();
        let frame = raw.frame().unwrap();
        assert_eq!(found([(format!("the answer to {request:?}"), frame.body.as_slice())], &held), None);
    }
}

/// T21: every program that is started on the way, with its whole environment.
#[test]
fn no_argument_list_and_no_environment_ever_holds_a_secret() {
    let what = "looking at every argument list";
    // The arguments of what a hardened program starts are root's to see only.
    if !skip::unless_root(what) || skip::unless_tool(what, "strace").is_none() {
        return;
    }
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    fs::write(sandbox.path("home/secret"), &scene.secret).unwrap();
    let script = format!(
        "set -e; PATH='{bin}':$PATH\n\
         login() {{ cloud-token login ecHome --no-input --url {url} --set access-id=AKIA1 --secret \"$1\"; }}\n\
         login secret=file:$HOME/secret\n\
         login secret=stdin < $HOME/secret\n\
         login 'secret=cmd:cat $HOME/secret'\n\
         cloud-token ecHome > /dev/null\n\
         cloud-token ecHome -o env > /dev/null\n\
         cloud-token ecHome | cloud-token reject ecHome\n\
         cloud-token ecHome --fresh | cat > /dev/null\n\
         cloud-token status; cloud-token logout ecHome; cloud-token stop",
        bin = sandbox.path("bin").display(),
        url = scene.cloud.url(),
    );
    let trace = sandbox.path("home/trace");
    let run = sandbox.command("strace").args(["-f", "-v", "-s", "100000", "-e", "trace=execve,execveat", "-o"]);
    let outcome = run.arg(&trace).args(["sh", "-c", &script]).finish();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let text = fs::read_to_string(&trace).unwrap();
    assert!(
        text.contains("cloud-agent\", \"--socket") && text.contains("XDG_RUNTIME_DIR"),
        "the agent was seen to start"
    );
    let secrets: Vec<String> = scene.cloud.secrets().into_iter().collect();
    assert!(secrets.len() > 5);
    assert_eq!(found([("an execve".to_owned(), text.as_bytes())], &secrets), None);
}

/// T21: the variable is the login's, and ends with it.
#[test]
fn an_agent_that_a_login_starts_does_not_inherit_the_variable_of_the_secret() {
    if !skip::unless_root("reading the agent's environment") {
        return;
    }
    let scene = Scene::new();
    assert_eq!(scene.login().finish().code(), 0);
    let agents = scene.sandbox.agents();
    assert_eq!(agents.len(), 1);
    let environment = process::environment(agents[0]);
    assert!(environment.iter().any(|variable| variable.starts_with("XDG_RUNTIME_DIR=")));
    assert!(
        !environment.iter().any(|variable| variable.contains(&scene.secret) || variable.starts_with("ECHOME_SECRET"))
    );
}

/// T21: it would be too late, but it must not be told on, too.
#[test]
fn a_secret_in_the_wrong_place_of_the_command_line_is_refused_and_not_repeated() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    let canary = "canary-0123456789";
    let url = scene.cloud.url();
    for arguments in [
        vec!["--set".to_owned(), format!("secret={canary}")],
        vec!["--secret".to_owned(), format!("secret={canary}")],
        vec!["--set".to_owned(), canary.to_owned()],
        vec!["--url".to_owned(), format!("https://user:{canary}@{url}")],
        vec!["--url".to_owned(), format!("https://api.acme.example/?key={canary}")],
    ] {
        let run = scene.sandbox.command(TOKEN).args(["login", "ecHome", "--no-input", "--set", "access-id=AKIA1"]);
        let outcome = run.args(arguments.iter().cloned()).finish();
        let said = outcome.fails(2);
        assert!(!said.contains(canary) && said.contains("error: "), "{arguments:?}: {said}");
    }
    assert!(!scene.sandbox.log().contains(canary));
    assert!(scene.cloud.requests().is_empty());
}

/// T23
#[test]
fn at_the_chattiest_level_no_secret_is_in_any_log_message_or_file() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    for (name, value) in [("CLOUD_AGENT_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")] {
        sandbox.set(name, value);
    }
    let mut said = Vec::new();
    let mut tell = |what: &str, run: Run<'_>, stdout_is_data: bool| {
        let outcome = run.finish();
        let mut text = outcome.stderr.clone();
        if !stdout_is_data {
            text.push_str(&outcome.stdout);
        }
        said.push((what.to_owned(), text));
        outcome.code()
    };
    let token = |arguments: &[&str]| sandbox.command(TOKEN).args(arguments.iter().copied());

    assert_eq!(tell("login by autostart", scene.login(), false), 0);
    assert_eq!(tell("stop", token(&["stop"]), false), 0);
    assert!(until(PATIENCE, || sandbox.agents().is_empty()));
    let agent = sandbox.agent_with(["--vault", "memory", "-vv"]);
    assert_eq!(tell("login", scene.login(), false), 0);
    for format in ["token", "headers", "curl", "json", "env"] {
        assert_eq!(tell(format, token(&["ecHome", "-o", format]), true), 0);
    }
    assert_eq!(tell("reject", token(&["reject", "ecHome"]).stdin(scene.get().stdout), false), 0);
    assert_eq!(tell("renewal", token(&["ecHome"]), true), 0);
    let host = scene.cloud.address().to_string();
    let git = format!("protocol=http\nhost={host}\n\n");
    assert_eq!(tell("helper git", token(&["helper", "git", "get"]).stdin(git), true), 0);
    assert_eq!(tell("helper kubectl", token(&["helper", "kubectl", "ecHome"]), true), 0);
    assert_eq!(tell("helper aws", token(&["helper", "aws", "ecHome"]), false), 1);
    assert_eq!(tell("exec", token(&["exec", "ecHome", "--", "true"]), false), 0);
    assert_eq!(tell("exec of nothing", token(&["exec", "ecHome", "--", "no-such-program"]), false), 127);
    assert_ne!(tell("curl", token(&["curl", "ecHome", "--", "-sv", "http://127.0.0.1:1"]), false), 0);
    assert_eq!(tell("status", token(&["status"]), false), 0);
    assert_eq!(tell("status --json", token(&["status", "--json"]), false), 0);
    assert_eq!(tell("status --metrics", token(&["status", "--metrics"]), false), 0);

    // A cloud that repeats what it was sent, and sends what is broken.
    let wrong = "wrong-secret-canary-0123456789";
    assert_eq!(tell("a wrong secret", scene.login().env("ECHOME_SECRET", wrong), false), 1);
    let echo = |what: &str| Fault::status(401, &json!({"detail": format!("what is {what} to me")}));
    scene.cloud.break_next(1, LOGIN, echo(&scene.secret));
    assert_eq!(tell("a repeated secret", scene.login(), false), 1);
    let before = scene.cloud.secrets();
    assert_eq!(tell("login", scene.login(), false), 0);
    let sent = scene.cloud.secrets();
    for token in sent.difference(&before) {
        scene.cloud.break_always(REFRESH, echo(token));
        let renewal = sandbox.command(TOKEN).args(["ecHome", "--fresh", "--no-input"]);
        assert_ne!(tell("a repeated token", renewal, true), 0);
        scene.cloud.clear();
        assert_eq!(tell("login", scene.login(), false), 0);
    }
    for (name, fault) in Fault::bad_tokens("access") {
        scene.cloud.break_next(1, LOGIN, fault);
        assert_eq!(tell(name, scene.login(), false), 1);
    }
    for fault in
        [Fault::Truncated, Fault::garbage(), Fault::captive_portal(), Fault::bad_gateway(502), Fault::CloseAfter]
    {
        scene.cloud.break_next(1, LOGIN, fault.clone());
        assert_ne!(tell(&format!("{fault:?}"), scene.login(), false), 0);
    }
    assert_eq!(tell("logout", token(&["logout", "ecHome"]), false), 0);
    assert!(agent.stop(PATIENCE).success());

    assert!(sandbox.log().lines().count() > 10, "there is a log to look into");
    let secrets: Vec<String> = scene.cloud.secrets().into_iter().collect();
    assert!(secrets.len() > 10 && secrets.iter().any(|secret| secret == wrong));
    let files = sandbox.files();
    assert!(files.iter().any(|(path, bytes)| path.ends_with("agent.log") && contains(bytes, b"listening")));
    let in_files = files.iter().map(|(path, bytes)| (path.display().to_string(), bytes.as_slice()));
    assert_eq!(found(in_files, &secrets), None);
    assert_eq!(found(said.iter().map(|(what, text)| (what.clone(), text.as_bytes())), &secrets), None);
}
