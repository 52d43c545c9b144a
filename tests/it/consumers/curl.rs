//! The real curl with an account's headers, and once more where the API refused the token.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cloud_agent_tests::fake::{Reply, Request, Server};
use cloud_agent_tests::sandbox::{Outcome, Run, TOKEN};
use cloud_agent_tests::skip;

use super::{Stage, is_authorised, own, site};
use crate::support::sandbox;

/// An API that takes the account's token, and says what it got.
struct Api {
    stage: Stage,
    server: Server,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn new(what: &str) -> Option<Self> {
        skip::unless_tool(what, "curl")?;
        let stage = Stage::new();
        let (cloud, bodies) = (Arc::clone(&stage.cloud), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&bodies);
        let server = site(false, move |request: &Request| {
            if !is_authorised(&cloud, request) {
                return Reply::typed(401, "text/plain", "who are you\n");
            }
            if request.path == "/elsewhere" {
                return Reply::empty(302).header("Location", "/here");
            }
            kept.lock().unwrap().push(String::from_utf8_lossy(&request.body).into_owned());
            Reply::typed(200, "text/plain", format!("{} {}\n", request.method, request.path))
        });
        stage.serve(&server.url());
        Some(Self { stage, server, bodies })
    }

    fn run(&self, arguments: &[&str]) -> Run<'_> {
        let arguments = arguments.iter().map(|argument| argument.replace("API", &self.server.url()));
        self.stage.sandbox.command(TOKEN).args(["curl", "ecHome", "--"]).args(arguments)
    }

    fn curl(&self, arguments: &[&str]) -> Outcome {
        self.run(arguments).finish()
    }

    /// Makes the API refuse what the agent has.
    fn spoil(&self) {
        self.stage.token();
        self.stage.cloud.revoke_access_tokens();
    }
}

#[test]
fn curl_gets_the_headers_and_keeps_its_stdin_its_output_and_its_exit_code() {
    let Some(it) = Api::new("curl_gets_the_headers_and_keeps_its_stdin_its_output_and_its_exit_code") else { return };
    assert_eq!(it.curl(&["-sS", "API/a"]).ok(), "GET /a");
    let posted = it.run(&["-sS", "-d", "@-", "API/b"]).stdin("from stdin").finish();
    assert_eq!(posted.ok(), "POST /b");
    assert_eq!(it.bodies.lock().unwrap().as_slice(), ["", "from stdin"]);
    it.curl(&["-q", "-sS", "-o", "out", "API/c"]).ok();
    assert_eq!(fs::read_to_string(it.stage.sandbox.path("home/out")).unwrap(), "GET /c\n");
    assert_eq!(it.curl(&["-sSL", "API/elsewhere"]).ok(), "GET /here");
    assert_eq!(it.curl(&["-sS", "http://127.0.0.1:1/"]).code(), 7);
    assert_eq!(it.curl(&["-sSf", "API/d"]).code(), 0);
}

#[test]
fn a_refused_token_is_renewed_and_the_request_is_repeated_once() {
    let Some(it) = Api::new("a_refused_token_is_renewed_and_the_request_is_repeated_once") else { return };
    it.spoil();
    let outcome = it.curl(&["-sS", "API/a"]);
    assert_eq!((outcome.ok(), outcome.stderr.as_str()), ("GET /a", ""), "nothing of the refusal is seen");
    assert_eq!((it.server.requests().len(), it.stage.cloud.refreshes()), (2, 1));
    it.spoil();
    // Ten seconds after a rejection the next one is final; a login takes that back.
    it.stage.serve(&it.server.url());
    it.spoil();
    it.curl(&["-sS", "-X", "PUT", "-d", "x", "-o", "out", "API/b"]).ok();
    assert_eq!(fs::read_to_string(it.stage.sandbox.path("home/out")).unwrap(), "PUT /b\n");
}

#[test]
fn what_may_not_be_repeated_is_not_and_the_next_use_works() {
    let Some(it) = Api::new("what_may_not_be_repeated_is_not_and_the_next_use_works") else { return };
    it.spoil();
    let outcome = it.run(&["-sS", "-d", "@-", "API/a"]).stdin("once").finish();
    assert_eq!(outcome.stdout, "who are you\n", "the refusal is what there is");
    assert!(outcome.stderr.contains("401") && outcome.stderr.contains("not repeated"), "{}", outcome.stderr);
    assert_eq!(it.server.requests().len(), 1);
    assert_eq!(it.run(&["-sS", "-d", "@-", "API/a"]).stdin("twice").finish().ok(), "POST /a");
    assert_eq!(it.bodies.lock().unwrap().as_slice(), ["twice"]);
}

#[test]
fn a_refusal_by_a_stranger_or_of_a_good_token_costs_nothing() {
    let Some(it) = Api::new("a_refusal_by_a_stranger_or_of_a_good_token_costs_nothing") else { return };
    let token = it.stage.token();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let stranger = site(false, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::typed(401, "text/plain", "no\n")
    });
    for _ in 0..3 {
        let outcome = it.curl(&["-sS", &stranger.url()]);
        assert_eq!((outcome.code(), outcome.stdout.as_str()), (0, "no\n"));
        assert!(outcome.stderr.contains("is kept"), "{}", outcome.stderr);
    }
    assert_eq!((asked.load(Ordering::SeqCst), it.stage.token()), (3, token));
    assert_eq!(it.stage.cloud.refreshes(), 0);
}

#[test]
fn the_token_is_in_no_argument_while_curl_runs() {
    let what = "the_token_is_in_no_argument_while_curl_runs";
    let Some(it) = Api::new(what) else { return };
    if skip::unless_tool(what, "strace").is_none() {
        return;
    }
    let trace = it.stage.sandbox.path("home/trace");
    let run = it.stage.sandbox.command("strace").args(["-f", "-v", "-s", "100000", "-e", "trace=execve", "-o"]);
    let run = run.arg(&trace).arg(it.stage.sandbox.program(TOKEN)).args(["curl", "ecHome", "--", "-sS"]);
    run.arg(format!("{}/a", it.server.url())).finish().ok();
    let text = fs::read_to_string(&trace).unwrap();
    assert!(text.contains("\"--config\"") && text.contains("/dev/fd/"), "{text}");
    assert!(!text.contains(&it.stage.token()));
}

#[test]
fn headers_that_a_redirect_would_take_along_stay_here() {
    let what = "headers_that_a_redirect_would_take_along_stay_here";
    if skip::unless_tool(what, "curl").is_none() {
        return;
    }
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), "");
    let api = site(false, |request| {
        let both =
            request.header("x-keyed-id") == Some(own::ID) && request.header("x-keyed-token") == Some(own::SESSION);
        Reply::typed(if both { 200 } else { 401 }, "text/plain", "both\n")
    });
    let url = api.url();
    assert_eq!(stage.sandbox.token(["curl", "keyed", "--", "-sS", &url]).ok(), "both");
    let outcome = stage.sandbox.token(["curl", "keyed", "--", "-sSL", &url]);
    assert!(outcome.fails(2).contains("`X-Keyed-Id`"), "{}", outcome.stderr);
    assert_eq!(api.requests().len(), 1);
    // curl's own configuration says so, too.
    let away = site(false, |_| Reply::empty(204));
    let target = away.url();
    let leads = site(false, move |_| Reply::empty(302).header("Location", &target));
    fs::write(stage.sandbox.path("home/.curlrc"), "location\n").unwrap();
    stage.sandbox.token(["curl", "keyed", "--", "-sS", &leads.url()]).ok();
    assert_eq!((leads.requests().len(), away.requests().len()), (1, 0));
}
