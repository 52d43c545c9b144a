//! The tutorial of docs/clouds.md, followed to the letter: its file, against a cloud that does what its manual says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use cloud_agent_tests::fake::{Cloud, Fault, Journal, Reply, Request, Server};
use cloud_agent_tests::http;
use cloud_agent_tests::sandbox::{AGENT, Outcome, Sandbox, TOKEN};
use serde_json::{Value, json};

use crate::support::{sandbox, token};

pub(crate) const PASSWORD: &str = "pw-of-the-lagoon-0123456789";
const SESSION: &str = "s3ss10n-of-the-lagoon";

/// The cloud of the tutorial, from the words of its manual.
#[derive(Default)]
pub(crate) struct Lagoon {
    second_factor: bool,
    open: Mutex<bool>,
}

impl Lagoon {
    fn opened(&self, mut body: Value) -> Reply {
        *self.open.lock().unwrap() = true;
        body["session"] = json!(SESSION);
        body["ttl"] = json!(900);
        Reply::json(200, &body)
    }
}

impl Cloud for Lagoon {
    fn answer(&self, request: &Request, _: &Journal) -> Reply {
        let body = request.json().unwrap_or_default();
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/sessions") if body != json!({"user": "alice", "password": PASSWORD}) => {
                Reply::json(401, &json!({"error": "nobody of that name and password"}))
            }
            ("POST", "/sessions") if self.second_factor => {
                Reply::json(200, &json!({"state": "challenge", "challenge": "ch-1"}))
            }
            ("POST", "/sessions") => self.opened(json!({"state": "open"})),
            ("POST", "/sessions/answer") if body == json!({"challenge": "ch-1", "code": 12345}) => {
                self.opened(json!({}))
            }
            ("POST", "/sessions/answer") => Reply::json(409, &json!({"error": "try the newest message"})),
            (method, "/sessions/me") if request.header("x-session") == Some(SESSION) => {
                let mut open = self.open.lock().unwrap();
                let status = if *open { 204 } else { 401 };
                *open &= method != "DELETE";
                Reply::empty(status)
            }
            _ => Reply::json(401, &json!({"error": "no session"})),
        }
    }
}

/// The first file that is written out below the heading "Tutorial".
fn file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clouds.md");
    let text = fs::read_to_string(path).unwrap();
    let tutorial = text.split_once("\n## Tutorial\n").expect("there is a tutorial").1;
    tutorial.split_once("```toml\n").expect("with a file").1.split_once("```").expect("that ends").0.to_owned()
}

pub(crate) fn given() -> Sandbox {
    let sandbox = sandbox();
    let path = sandbox.config().join("clouds/lagoon.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, file()).unwrap();
    for (place, mode) in [(sandbox.config(), 0o700), (path.parent().unwrap().into(), 0o700), (path, 0o644)] {
        fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
    }
    sandbox
}

fn login(sandbox: &Sandbox, cloud: &Server, password: &str, code: Option<&str>) -> Outcome {
    let arguments = ["login", "lagoon", "--url", &cloud.url(), "--set", "user=alice", "--no-input"];
    let run = sandbox.command(TOKEN).args(arguments).args(["--secret", "password=env:IT_PASSWORD"]);
    let run = run.env("IT_PASSWORD", password);
    match code {
        Some(code) => run.args(["--secret", "code=env:IT_CODE"]).env("IT_CODE", code).finish(),
        None => run.finish(),
    }
}

#[test]
fn the_file_of_the_tutorial_is_short_and_in_order() {
    let lines = file().lines().count();
    assert!(lines < 40, "{lines} lines");
    let sandbox = given();
    let path = sandbox.config().join("clouds/lagoon.toml");
    let judged = sandbox.command(AGENT).arg("check").arg(path).finish();
    assert!(judged.ok().contains("`lagoon` (Lagoon) is in order"), "{judged:?}");
}

#[test]
fn every_other_file_of_the_reference_is_in_order_too() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clouds.md")).unwrap();
    let blocks: Vec<_> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 4, "{} blocks", blocks.len());
    let sandbox = sandbox();
    for block in blocks {
        let top = "title = 'F'\ndocs = 'https://docs.f.example'\norigin = [{ default = 'https://f.example' }]\n";
        let top = if block.starts_with("# fragment: ") { top } else { "" };
        let path = sandbox.path("home/f.toml");
        fs::write(&path, [top, block].concat()).unwrap();
        sandbox.command(AGENT).arg("check").arg(path).finish().ok();
    }
}

#[test]
fn the_cloud_of_the_tutorial_gives_a_session_without_a_challenge() {
    let cloud = Server::start(Lagoon::default());
    let sandbox = given();
    let _agent = sandbox.agent();
    login(&sandbox, &cloud, PASSWORD, None).ok();
    assert_eq!(token(&sandbox, "lagoon"), SESSION);
    assert_eq!(sandbox.token(["lagoon", "-o", "headers"]).ok(), format!("X-Session: {SESSION}"));
    let shown: Value = serde_json::from_str(sandbox.token(["lagoon", "-o", "json"]).ok()).unwrap();
    assert_eq!(shown["expiry_source"], "relative");
    assert_eq!(cloud.requests().len(), 1);
    sandbox.token(["logout", "lagoon"]).ok();
    let me = format!("{}/sessions/me", cloud.url());
    assert_eq!(http::request("GET", &me, &[("X-Session", SESSION)], b"").unwrap().status, 401, "it was ended");
}

#[test]
fn the_cloud_of_the_tutorial_gives_a_session_after_a_challenge() {
    let cloud = Server::start(Lagoon { second_factor: true, ..Lagoon::default() });
    let sandbox = given();
    let _agent = sandbox.agent();
    let outcome = login(&sandbox, &cloud, PASSWORD, None);
    assert!(outcome.fails(4).contains("code"), "nobody is there to tell it: {outcome:?}");
    let outcome = login(&sandbox, &cloud, PASSWORD, Some("99"));
    let words = outcome.fails(1);
    assert!(words.contains("the code was wrong") && words.contains("try the newest message"), "{words}");
    login(&sandbox, &cloud, PASSWORD, Some("012 345")).ok();
    assert_eq!(token(&sandbox, "lagoon"), SESSION);
}

#[test]
fn the_cloud_of_the_tutorial_breaks_in_words() {
    let cloud = Server::start(Lagoon::default());
    let sandbox = given();
    let _agent = sandbox.agent();
    let outcome = login(&sandbox, &cloud, "wrong-1234", None);
    assert!(outcome.fails(1).contains("nobody of that name and password"), "{outcome:?}");
    cloud.break_next(1, "/sessions", Fault::status(200, &json!({"state": "new in version 2"})));
    let outcome = login(&sandbox, &cloud, PASSWORD, None);
    assert!(outcome.fails(1).contains("new in version 2"), "{outcome:?}");
    cloud.break_next(1, "/sessions", Fault::bad_gateway(502));
    assert!(!login(&sandbox, &cloud, PASSWORD, None).fails(5).is_empty());
}
