//! The real docker, cargo and terraform, each at a registry that takes the account's token.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_agent_tests::fake::{Reply, Request, Server};
use cloud_agent_tests::sandbox::{Outcome, Run};
use cloud_agent_tests::skip;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Stage, is_authorised, is_silent, own, site};
use crate::support::sandbox;

fn two_headers() -> (Stage, Server) {
    let sandbox = sandbox();
    let cloud = own::cloud(&sandbox, 3600);
    let stage = Stage::in_sandbox(sandbox);
    own::login(&stage.sandbox, &cloud.url(), "");
    (stage, cloud)
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// A registry of container images with one of them; docker sends user name and token as one.
pub(super) fn image_registry(stage: &Stage) -> Server {
    let cloud = Arc::clone(&stage.cloud);
    site(false, move |request| {
        let basic = request.header("authorization").and_then(|value| value.strip_prefix("Basic "));
        let pair = basic.and_then(|basic| STANDARD.decode(basic).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
        let token = pair.as_deref().and_then(|pair| pair.strip_prefix("ecHome:")).map(str::to_owned);
        if !token.is_some_and(|token| cloud.accepts(&token)) {
            return Reply::json(401, &json!({"errors": []})).header("WWW-Authenticate", "Basic realm=\"images\"");
        }
        let config =
            json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string();
        let digest =
            Sha256::digest(&config).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        if request.path == "/v2/" {
            Reply::json(200, &json!({}))
        } else if request.path.contains("/blobs/") {
            Reply::typed(200, "application/octet-stream", config)
        } else {
            let of_config = json!({"mediaType": CONFIG, "size": config.len(), "digest": digest});
            let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": of_config, "layers": []});
            Reply::typed(200, MANIFEST, manifest.to_string())
        }
    })
}

#[test]
fn docker_reads_an_image_with_the_accounts_token() {
    if skip::unless_tool("docker_reads_an_image_with_the_accounts_token", "docker").is_none() {
        return;
    }
    let stage = Stage::new();
    let registry = image_registry(&stage);
    stage.serve(&registry.url());
    let host = registry.address().to_string();
    let config = stage.sandbox.path("home/.docker");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.json"), json!({"credHelpers": {&host: "cloud-token"}}).to_string()).unwrap();
    let docker = |arguments: &[&str]| stage.sandbox.command("docker").args(arguments.iter().copied()).finish();
    let seen = docker(&["manifest", "inspect", "--insecure", &format!("{host}/thing:latest")]);
    assert!(seen.ok().contains("\"schemaVersion\": 2") && seen.stdout.contains("sha256:"), "{}", seen.stdout);
    docker(&["logout", &host]).ok();
    assert!(stage.cloud.accepts(&stage.token()), "docker's logout is not the account's");
}

#[test]
fn docker_is_spoken_to_as_its_helpers_speak() {
    let stage = Stage::serving("https://images.example");
    let docker =
        |verb: &str, text: &str| stage.sandbox.command("docker-credential-cloud-token").arg(verb).stdin(text).finish();
    let given: Value = serde_json::from_str(docker("get", "images.example\n").ok()).unwrap();
    assert_eq!(given, json!({"ServerURL": "images.example", "Username": "ecHome", "Secret": stage.token()}));
    assert!(docker("get", "https://images.example/v1/").ok().contains(&stage.token()));
    let foreign = docker("get", "https://index.docker.io/v1/");
    assert_eq!(
        (foreign.code(), foreign.stdout.as_str(), foreign.stderr.as_str()),
        (1, "credentials not found in native keychain\n", "")
    );
    let listed: Value = serde_json::from_str(docker("list", "").ok()).unwrap();
    assert_eq!(listed, json!({"https://images.example": "ecHome"}));
    assert!(docker("version", "").ok().starts_with("cloud-token "));
    is_silent(&docker("erase", "images.example"));
    stage.serve("http://127.0.0.1:5000");
    assert!(docker("get", "127.0.0.1:5000").ok().contains(&stage.token()), "without TLS, and without a scheme");
    stage.serve("https://images.example");
    let stored = docker("store", r#"{"ServerURL":"images.example","Username":"u","Secret":"hunter2"}"#);
    assert_eq!(stored.code(), 1);
    assert!(
        stored.stdout.contains("stores no passwords") && !stored.stdout.contains("hunter2") && stored.stderr.is_empty()
    );
    stage.log_out();
    let needed = docker("get", "images.example");
    assert_eq!((needed.code(), needed.stderr.as_str()), (1, ""), "docker shows what stdout says");
    assert!(needed.stdout.contains("cloud-token login ecHome") && needed.stdout.lines().count() == 1);
}

/// A registry of crates with one of them, on the sparse protocol.
pub(super) fn crate_registry(stage: &Stage) -> Server {
    let cloud = Arc::clone(&stage.cloud);
    site(false, move |request: &Request| {
        if !is_authorised(&cloud, request) {
            return Reply::empty(401).header("WWW-Authenticate", "Bearer");
        }
        match request.path.as_str() {
            "/index/config.json" => Reply::json(
                200,
                &json!({"dl": "https://nowhere.example/dl", "api": "https://nowhere.example", "auth-required": true}),
            ),
            "/index/th/in/thing" => Reply::typed(
                200,
                "text/plain",
                json!({"name": "thing", "vers": "1.0.0", "deps": [],
                "cksum": "0".repeat(64), "features": {}, "yanked": false})
                .to_string()
                    + "\n",
            ),
            _ => Reply::empty(404),
        }
    })
}

/// Resolves a package that needs `thing` of the registry `mine`, which this configuration describes.
pub(super) fn generate_lockfile(stage: &Stage, config: &str) -> Outcome {
    let manifest = stage.sandbox.path("home/package/Cargo.toml");
    cargo(stage, config, &["generate-lockfile", "--manifest-path", manifest.to_str().unwrap()]).finish()
}

/// cargo with this configuration, beside that package.
pub(super) fn cargo<'a>(stage: &'a Stage, config: &str, arguments: &[&str]) -> Run<'a> {
    let package = stage.sandbox.path("home/package");
    let _ = fs::remove_dir_all(&package);
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(package.join("src/lib.rs"), "").unwrap();
    let manifest = "[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
        [dependencies]\nthing = { version = \"1\", registry = \"mine\" }\n";
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("config.toml"), config).unwrap();
    // rustup's stand-in for cargo needs its own home; what is fetched goes into the sandbox's.
    let own = || format!("{}/.rustup", std::env::var("HOME").unwrap_or_default()).into();
    let rustup = std::env::var_os("RUSTUP_HOME").unwrap_or_else(own);
    let run = stage.sandbox.command("cargo").args(arguments.iter().copied());
    let run = run.arg("--config").arg(package.join("config.toml"));
    run.env("CARGO_HOME", package.join("home")).env("RUSTUP_HOME", rustup)
}

#[test]
fn cargo_resolves_from_a_private_registry_with_the_accounts_token() {
    if skip::unless_tool("cargo_resolves_from_a_private_registry_with_the_accounts_token", "cargo").is_none() {
        return;
    }
    let stage = Stage::new();
    let registry = crate_registry(&stage);
    stage.serve(&registry.url());
    let config = format!(
        "[registries.mine]\nindex = \"sparse+{}/index/\"\n[registry]\nglobal-credential-providers = [\"{}\"]\n",
        registry.url(),
        stage.sandbox.program("cargo-credential-cloud-token").display(),
    );
    generate_lockfile(&stage, &config).ok();
    let lock = fs::read_to_string(stage.sandbox.path("home/package/Cargo.lock")).unwrap();
    assert!(lock.contains("name = \"thing\""));
    assert!(was_authorised(&stage, &registry));
    stage.log_out();
    let needed = generate_lockfile(&stage, &config);
    for words in ["`ecHome` is not logged in", "cloud-token login ecHome"] {
        assert!(needed.stderr.contains(words), "{}", needed.stderr);
    }
}

/// Whether a site was sent the account's token.
pub(super) fn was_authorised(stage: &Stage, site: &Server) -> bool {
    let bearer = format!("Bearer {}", stage.token());
    site.requests().iter().any(|request| request.header("authorization") == Some(&bearer))
}

#[test]
fn cargo_is_spoken_to_in_its_protocol_line_by_line() {
    let stage = Stage::serving("https://crates.acme.example/index");
    let line = |kind: &str, index: &str, arguments: Value| {
        json!({"v": 1, "kind": kind, "operation": "read", "args": arguments,
            "registry": {"index-url": index, "name": "mine", "headers": ["WWW-Authenticate: Bearer"]}})
        .to_string()
            + "\n"
    };
    let ours = "sparse+https://crates.acme.example/index/";
    let input = [
        line("get", ours, json!([])),
        line("get", "sparse+https://index.crates.io/", json!([])),
        line("get", ours, json!(["ecHome"])),
        line("get", ours, json!(["nobody"])),
        line("login", ours, json!([])),
        line("logout", ours, json!([])),
        line("login", "sparse+https://index.crates.io/", json!([])),
        "{\"v\":2}\n".to_owned(),
    ];
    let outcome =
        stage.sandbox.command("cargo-credential-cloud-token").arg("--cargo-plugin").stdin(input.concat()).finish();
    let answers: Vec<Value> = outcome.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), input.len() + 1, "{}", outcome.stdout);
    assert_eq!(answers[0], json!({"v": [1]}));
    assert_eq!(answers[1]["Ok"]["token"], format!("Bearer {}", stage.token()));
    assert_eq!((&answers[1]["Ok"]["kind"], &answers[1]["Ok"]["cache"]), (&json!("get"), &json!("expires")));
    assert!(answers[1]["Ok"]["expiration"].is_i64() && answers[1]["Ok"]["operation_independent"] == true);
    assert_eq!(answers[2], json!({"Err": {"kind": "url-not-supported"}}));
    assert_eq!(answers[3]["Ok"]["token"], answers[1]["Ok"]["token"]);
    assert_eq!(answers[4], json!({"Err": {"kind": "url-not-supported"}}));
    assert_eq!((&answers[5], &answers[6]), (&json!({"Err": {"kind": "operation-not-supported"}}), &answers[5]));
    assert_eq!(answers[7], answers[2], "cargo asks its next provider");
    assert_eq!(answers[8]["Err"]["kind"], "other");
}

#[test]
fn terraform_is_spoken_to_as_its_manual_says() {
    let stage = Stage::serving("https://app.acme.example");
    let terraform = |arguments: &[&str], text: &str| {
        let run = stage.sandbox.command("terraform-credentials-cloud-token").args(arguments.iter().copied());
        run.stdin(text).finish()
    };
    let given: Value = serde_json::from_str(terraform(&["get", "app.acme.example"], "").ok()).unwrap();
    assert_eq!(given, json!({"token": stage.token()}));
    assert!(terraform(&["ecHome", "get", "app.acme.example"], "").ok().contains(&stage.token()), "with its `args`");
    assert_eq!(terraform(&["get", "registry.terraform.io"], "").ok(), "{}");
    assert_eq!(terraform(&["get", "app.acme.example:8443"], "").ok(), "{}");
    is_silent(&terraform(&["forget", "app.acme.example"], ""));
    assert!(terraform(&["store", "app.acme.example"], r#"{"token":"hunter2"}"#).fails(1).contains("stores no tokens"));
    assert!(terraform(&["dance", "app.acme.example"], "").fails(2).contains("no verb"));
    stage.log_out();
    assert!(terraform(&["get", "app.acme.example"], "").fails(4).contains("cloud-token login ecHome"));
}

/// A registry of Terraform modules with one of them.
pub(super) fn module_registry(stage: &Stage) -> Server {
    let cloud = Arc::clone(&stage.cloud);
    site(true, move |request| match request.path.as_str() {
        "/.well-known/terraform.json" => Reply::json(200, &json!({"modules.v1": "/modules/"})),
        _ if !is_authorised(&cloud, request) => Reply::json(401, &json!({"errors": ["Unauthorized"]})),
        VERSIONS => Reply::json(200, &json!({"modules": [{"versions": [{"version": "1.0.0"}]}]})),
        _ => Reply::json(404, &json!({"errors": ["Not Found"]})),
    })
}

const VERSIONS: &str = "/modules/team/thing/acme/versions";

/// Lets Terraform look for that module, with this in its configuration.
pub(super) fn terraform_init(stage: &Stage, registry: &Server, config: &str) -> Outcome {
    let plugins = stage.sandbox.path("home/.terraform.d/plugins");
    fs::create_dir_all(&plugins).unwrap();
    let name = "terraform-credentials-cloud-token";
    std::os::unix::fs::symlink(stage.sandbox.program(name), plugins.join(name)).unwrap();
    let rc = stage.sandbox.path("home/terraformrc");
    fs::write(&rc, format!("{config}disable_checkpoint = true\n")).unwrap();
    let module =
        format!("module \"m\" {{\n  source = \"{}/team/thing/acme\"\n  version = \"1.0.0\"\n}}\n", registry.address());
    fs::write(stage.sandbox.path("home/main.tf"), module).unwrap();
    let run = stage.sandbox.command("terraform").args(["init", "-input=false", "-no-color"]);
    run.env("TF_CLI_CONFIG_FILE", rc).env("SSL_CERT_FILE", registry.ca()).finish()
}

#[test]
fn terraform_itself_reads_a_module_of_a_private_registry() {
    let what = "terraform_itself_reads_a_module_of_a_private_registry";
    if skip::unless_optional_tool(what, "terraform").is_none() {
        return;
    }
    let stage = Stage::new();
    let registry = module_registry(&stage);
    stage.serve(&registry.url());
    let outcome = terraform_init(&stage, &registry, "credentials_helper \"cloud-token\" {\n  args = []\n}\n");
    assert!(was_authorised(&stage, &registry) && registry.count(VERSIONS) > 0, "{outcome:?}");
}

#[test]
fn one_string_does_not_carry_two_headers_and_the_way_that_does_is_named() {
    let (stage, _cloud) = two_headers();
    own::serve(&stage.sandbox, "https://two.example");
    let get = |program: &str, arguments: &[&str], text: &str| {
        stage.sandbox.command(program).args(arguments.iter().copied()).stdin(text).finish()
    };
    let git =
        get("git-credential-cloud-token", &["get"], "capability[]=authtype\nprotocol=https\nhost=two.example\n\n");
    assert_eq!(git.stdout, "quit=1\n");
    let docker = get("docker-credential-cloud-token", &["get"], "two.example");
    let terraform = get("terraform-credentials-cloud-token", &["get", "two.example"], "");
    let cargo = r#"{"v":1,"kind":"get","registry":{"index-url":"sparse+https://two.example/"}}"#.to_owned() + "\n";
    let cargo = get("cargo-credential-cloud-token", &[], &cargo);
    for outcome in [git, docker, terraform, cargo] {
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("`X-Keyed-Id` and `X-Keyed-Token`") && said.contains("cloud-token curl keyed"), "{said}");
        assert!(!said.contains(own::SESSION));
    }
    let bazel = get("bazel-credential-cloud-token", &["get"], r#"{"uri":"https://two.example/x"}"#);
    let headers: Value = serde_json::from_str(bazel.ok()).unwrap();
    assert_eq!(headers["headers"], json!({"X-Keyed-Id": [own::ID], "X-Keyed-Token": [own::SESSION]}));
}
