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

/// A host that leads to another one, and that one, which is to hear nothing.
fn astray() -> (Server, Server) {
    let away = site(false, |_| Reply::empty(204));
    let target = away.url();
    (site(false, move |_| Reply::empty(302).header("Location", &target)), away)
}

#[track_caller]
fn got_no_token(away: &Server) {
    for request in away.requests() {
        for name in ["authorization", "x-keyed-id", "x-keyed-token"] {
            assert_eq!(request.header(name), None, "{request:?}");
        }
    }
}

#[test]
fn no_argument_and_no_file_takes_the_token_along_to_another_host() {
    let what = "no_argument_and_no_file_takes_the_token_along_to_another_host";
    let Some(it) = Api::new(what) else { return };
    let (leads, away) = astray();
    let (leads, file) = (leads.url(), it.stage.sandbox.path("home/file"));
    fs::write(&file, "location-trusted\n").unwrap();
    for arguments in
        [&["--location-trusted"][..], &["--location-t"], &["-K", "file"], &["--config", "file"], &["-Kfile"]]
    {
        let outcome = it.curl(&[arguments, &["-sS", &leads]].concat());
        assert!(outcome.fails(2).contains("is not taken"), "{arguments:?}: {}", outcome.stderr);
    }
    assert_eq!(away.requests().len(), 0);
    // What curl reads by itself, and a redirect that is asked for: followed without the token.
    fs::write(it.stage.sandbox.path("home/.curlrc"), "location-trusted\n").unwrap();
    it.curl(&["-sS", &leads]).ok();
    it.curl(&["-sSL", &leads]).ok();
    assert!(!away.requests().is_empty());
    got_no_token(&away);
}

#[test]
fn a_first_argument_that_keeps_curls_own_file_out_still_does() {
    let Some(it) = Api::new("a_first_argument_that_keeps_curls_own_file_out_still_does") else { return };
    fs::write(it.stage.sandbox.path("home/.curlrc"), "output = written\n").unwrap();
    for first in ["-q", "-qsS", "--disable"] {
        assert_eq!(it.curl(&[first, "API/a"]).ok(), "GET /a", "{first}");
    }
    assert!(!it.stage.sandbox.path("home/written").exists());
}

#[test]
fn a_token_is_not_sent_in_clear() {
    let Some(it) = Api::new("a_token_is_not_sent_in_clear") else { return };
    let token = it.stage.token();
    for arguments in
        [&["http://api.acme.example/"][..], &["API/a", "http://api.acme.example/"], &["--url", "HTTP://198.51.100.1/"]]
    {
        let outcome = it.curl(arguments);
        assert!(outcome.fails(2).contains("unencrypted") && !outcome.stderr.contains(&token), "{outcome:?}");
    }
    // Without a scheme it is https, and so nobody hears the token.
    let listener = site(false, |_| Reply::empty(204));
    let outcome = it.curl(&["-sS", &listener.address().to_string()]);
    assert_ne!(outcome.code(), 0);
    assert_eq!(listener.requests().len(), 0, "{:?}", listener.requests());
    // A proxy that everything else takes would read what goes to this machine, too.
    let proxy = site(false, |_| Reply::typed(200, "text/plain", "read\n"));
    assert_eq!(it.run(&["-sS", "API/a"]).env("http_proxy", proxy.url()).finish().ok(), "GET /a");
    assert_eq!(proxy.requests().len(), 0);
    // The account's own address, where its login has allowed that; what is missing then is a login.
    let file = it.stage.sandbox.config().join("accounts.toml");
    let text = fs::read_to_string(&file).unwrap();
    let url = it.stage.cloud.url();
    let plain = text.replace("ecHome", "plain").replace(&url, "http://api.acme.example").replace("serves", "#");
    fs::write(&file, format!("{text}\n{plain}\nallow-plaintext = true\n")).unwrap();
    let to = |address: &str| it.stage.sandbox.token(["curl", "plain", "--", "-sS", address]);
    assert!(to("http://api.acme.example/x").fails(4).contains("not logged in"));
    to("http://api.acme.example:8080/x").fails(2);
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
    let (leads, away) = astray();
    let file = stage.sandbox.path("home/file");
    fs::write(&file, "location\n").unwrap();
    let refused = stage.sandbox.command(TOKEN).args(["curl", "keyed", "--", "-sS", "-K"]).arg(&file).arg(leads.url());
    assert!(refused.finish().fails(2).contains("`--config` is not taken"));
    fs::write(stage.sandbox.path("home/.curlrc"), "location\n").unwrap();
    stage.sandbox.token(["curl", "keyed", "--", "-sS", &leads.url()]).ok();
    assert_eq!((leads.requests().len(), away.requests().len()), (1, 0));
}
