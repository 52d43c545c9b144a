//! A cloud of the user's own: a file in the configuration directory, with the same rights as one that is built in, and
//! with none before it is known to be the user's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use cloud_agent_tests::fake::{Cloud, Journal, Reply, Request, Server};
use cloud_agent_tests::sandbox::{AGENT, Run, Sandbox, TOKEN};
use cloud_agent_tests::skip;
use serde_json::json;

use crate::support::{sandbox, token};

/// A cloud that sells a token for a key, in few lines.
const SHOP: &str = r#"title = "Shop"
docs = "https://docs.shop.example"
[[origin]]
prompt = "Address of the shop"
[[method]]
name = "key"
title = "Key"
headers = ["X-Shop: {access}"]
token = "access"
[[method.ask]]
name = "key"
prompt = "Key"
secret = true
[[method.login]]
request = "POST /login"
json = { key = "{key}" }
take = { access = "/token" }
[[method.revoke]]
request = "DELETE /login"
present = true
[[example]]
title = "a login"
given = { key = "k3y" }
[[example.exchange]]
request = "POST /login"
json = { key = "k3y" }
status = 200
reply = '{"token":"t0k"}'
[example.grant]
token = "t0k"
"#;

const KEY: &str = "k3y-of-the-shop-0123456789";

struct Shop;

impl Cloud for Shop {
    fn answer(&self, request: &Request, _: &Journal) -> Reply {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/login") if request.field("key") == Some(json!(KEY)) => {
                Reply::json(200, &json!({"token": "t0k-of-the-shop"}))
            }
            ("DELETE", "/login") if request.header("x-shop") == Some("t0k-of-the-shop") => Reply::empty(204),
            _ => Reply::json(401, &json!({})),
        }
    }
}

/// A sandbox with these files in `clouds/`.
fn given(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = sandbox();
    fs::create_dir_all(clouds(&sandbox)).unwrap();
    for directory in [sandbox.config(), clouds(&sandbox)] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for (name, text) in files {
        let path = clouds(&sandbox).join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    sandbox
}

fn clouds(sandbox: &Sandbox) -> PathBuf {
    sandbox.config().join("clouds")
}

fn login<'a>(sandbox: &'a Sandbox, cloud: &str, shop: &Server) -> Run<'a> {
    let arguments = ["login", "mine", "--cloud", cloud, "--url", &shop.url(), "--secret", "key=env:IT_KEY"];
    sandbox.command(TOKEN).args(arguments).env("IT_KEY", KEY)
}

#[test]
fn a_file_of_ones_own_is_a_cloud_like_any_other() {
    let shop = Server::start(Shop);
    let sandbox = given(&[("shop.toml", SHOP)]);
    let _agent = sandbox.agent();
    let listed = sandbox.token(["clouds"]);
    assert!(listed.ok().contains("Shop (your own file): key"), "{}", listed.stdout);
    login(&sandbox, "Shop", &shop).finish().ok();
    assert_eq!(token(&sandbox, "mine"), "t0k-of-the-shop");
    let headers = sandbox.token(["mine", "-o", "headers"]);
    assert_eq!(headers.ok(), "X-Shop: t0k-of-the-shop");
    sandbox.token(["logout", "mine"]).ok();
    assert!(shop.requests().iter().any(|request| request.method == "DELETE"), "a logout revokes");
}

#[test]
fn a_file_of_ones_own_wins_over_one_that_is_built_in() {
    let shop = Server::start(Shop);
    let sandbox = given(&[("echome.toml", SHOP)]);
    let _agent = sandbox.agent();
    login(&sandbox, "echome", &shop).finish().ok();
    assert_eq!(token(&sandbox, "mine"), "t0k-of-the-shop");
    let listed = sandbox.token(["clouds", "echome"]);
    assert!(listed.ok().starts_with("echome: Shop (your own file)"), "{}", listed.stdout);
}

#[test]
fn a_broken_file_says_where_and_leaves_the_others_working() {
    let shop = Server::start(Shop);
    let broken = SHOP.replacen("request = \"POST", "reqest = \"POST", 1);
    let sandbox =
        given(&[("shop.toml", SHOP), ("broken.toml", &broken), ("binary.toml", "\0\u{1}"), ("note.md", "hi")]);
    let _agent = sandbox.agent();
    login(&sandbox, "shop", &shop).finish().ok();
    assert_eq!(token(&sandbox, "mine"), "t0k-of-the-shop");
    let outcome = login(&sandbox, "broken", &shop).finish();
    let words = outcome.fails(1);
    for part in ["broken.toml`, line 15: ", "`reqest` is not a key here", "`request`"] {
        assert!(words.contains(part), "no `{part}` in {words}");
    }
    let listed = sandbox.token(["clouds"]);
    assert!(!listed.ok().contains("broken") && listed.stdout.contains("shop"), "{}", listed.stdout);
}

#[test]
fn a_file_that_others_can_write_is_refused_with_the_command_that_mends_it() {
    let shop = Server::start(Shop);
    for mode in [0o620, 0o602, 0o666] {
        let sandbox = given(&[("shop.toml", SHOP)]);
        fs::set_permissions(clouds(&sandbox).join("shop.toml"), fs::Permissions::from_mode(mode)).unwrap();
        let _agent = sandbox.agent();
        let outcome = login(&sandbox, "shop", &shop).finish();
        let words = outcome.fails(1);
        assert!(words.contains("shop.toml` can be written by others") && words.contains("chmod go-w"), "{words}");
        sandbox.token(["clouds", "echome"]).ok();
    }
    assert_eq!(shop.connections(), 0, "nothing was sent where such a file points");
}

#[test]
fn a_directory_that_others_can_write_is_not_looked_into_and_the_words_say_so() {
    let shop = Server::start(Shop);
    for mode in [0o720, 0o702, 0o777] {
        let sandbox = given(&[("shop.toml", SHOP), ("echome.toml", SHOP)]);
        fs::set_permissions(clouds(&sandbox), fs::Permissions::from_mode(mode)).unwrap();
        let _agent = sandbox.agent();
        let outcome = login(&sandbox, "shop", &shop).finish();
        let words = outcome.fails(6);
        assert!(words.contains("clouds` can be written by others") && words.contains("chmod go-w"), "{words}");
        let listed = sandbox.token(["clouds", "echome"]);
        assert!(listed.ok().starts_with("echome: ecHome (built in)"), "{}", listed.stdout);
    }
    assert_eq!(shop.connections(), 0);
}

#[test]
fn what_belongs_to_somebody_else_is_refused_with_their_uid() {
    if !skip::unless_root("what_belongs_to_somebody_else_is_refused_with_their_uid") {
        return;
    }
    let shop = Server::start(Shop);
    for (place, code) in [("shop.toml", 1), ("", 6)] {
        let sandbox = given(&[("shop.toml", SHOP)]);
        chown(clouds(&sandbox).join(place), Some(12345), None).unwrap();
        let _agent = sandbox.agent();
        let outcome = login(&sandbox, "shop", &shop).finish();
        let words = outcome.fails(code);
        assert!(words.contains("belongs to uid 12345, not to you"), "{words}");
    }
    assert_eq!(shop.connections(), 0);
}

#[test]
fn check_judges_a_file_wherever_it_lies_and_without_an_agent() {
    let sandbox = sandbox();
    let path = sandbox.path("home/shop.toml");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        sandbox.command(AGENT).arg("check").arg(&path).finish()
    };
    let good = check(SHOP);
    assert!(good.ok().contains("`shop` (Shop) is in order") && good.stdout.contains("played: a login"), "{good:?}");
    for (from, to, line, says) in [
        ("title = \"Shop\"", "titel = \"Shop\"", 1, &["`titel` is not a key here", "`title`"][..]),
        ("prompt = \"Key\"", "promt = \"Key\"", 12, &["`promt` is not a key here", "`prompt`"]),
        ("{ key = \"{key}\" }", "{ key = \"{kye}\" }", 16, &["`json.key` names `kye`", "`key`"]),
        ("access = \"/token\"", "acess = \"/token\"", 8, &["`access`", "`acess`"]),
        ("\"t0k\"\n", "\"other\"\n", 21, &["the example `a login` does not hold", "the token"]),
    ] {
        assert!(SHOP.contains(from), "{from}");
        let outcome = check(&SHOP.replacen(from, to, 1));
        let words = outcome.fails(1);
        assert!(words.contains(&format!("shop.toml`, line {line}: ")), "{to}: {words}");
        for part in says {
            assert!(words.contains(part), "{to}: no `{part}` in {words}");
        }
    }
    assert_eq!(sandbox.agents(), Vec::<u32>::new());
    // What is usual elsewhere is refused by the agent, so it is said here.
    let open = check(SHOP);
    assert!(!open.stdout.contains("note: "), "{open:?}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let open = sandbox.command(AGENT).arg("check").arg(&path).finish();
    for words in ["note: the agent does not read it as it is", "can be written by others; `chmod go-w"] {
        assert!(open.ok().contains(words), "{open:?}");
    }
    // The agent would not read it, so it is not in order, however well it begins.
    let long = check(&format!("{SHOP}#{}\n", "x".repeat(256 * 1024)));
    assert!(long.fails(1).contains("shop.toml` is longer than 256 KiB"), "{long:?}");
    let nothing = sandbox.command(AGENT).args(["check", "/nonexistent/acme.toml"]).finish();
    assert!(nothing.fails(1).contains("/nonexistent/acme.toml` cannot be read"), "{nothing:?}");
}
