//! A repository, a link or a server that wants a token of somebody else's, through a helper.

use cloud_agent_tests::sandbox::{Outcome, TOKEN};
use serde_json::json;

use super::Scene;

const OURS: &str = "https://git.acme.example/team";

impl Scene {
    /// One whose account answers for `https://git.acme.example/team` and for nothing else.
    fn serving() -> Self {
        let scene = Self::new();
        let outcome = scene.login().args(["--set", &format!("serves={OURS}")]).finish();
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        scene
    }

    fn helper(&self, consumer: &str, verb: &[&str], input: impl Into<Vec<u8>>) -> Outcome {
        let run = self.sandbox.command(TOKEN).args(["helper", consumer]).args(verb.iter().copied());
        run.stdin(input).finish()
    }

    fn git(&self, input: impl Into<Vec<u8>>) -> Outcome {
        self.helper("git", &["get"], input)
    }
}

/// T24: git replaces the host by what a helper's line says, so one line too many is a token for anybody.
#[test]
fn no_field_of_gits_that_holds_a_line_end_or_a_nul_is_answered() {
    let scene = Scene::serving();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    for (name, input) in [
        ("a carriage return in the host", "protocol=https\nhost=git.acme.example\r.evil.example\npath=team\n\n"),
        ("a carriage return at its end", "protocol=https\r\nhost=git.acme.example\r\npath=team\r\n\r\n"),
        ("a NUL in the host", "protocol=https\nhost=git.acme.example\0.evil.example\npath=team\n\n"),
        ("a carriage return elsewhere", "protocol=https\nhost=git.acme.example\npath=team\nwwwauth[]=x\rhost=evil\n\n"),
        ("a NUL elsewhere", "protocol=https\nhost=git.acme.example\npath=team\nstate[]=x\0y\n\n"),
        ("no protocol", "host=git.acme.example\npath=team\n\n"),
        ("no host", "protocol=https\nhost=\npath=team\n\n"),
        ("an address in one piece", "url=https://git.acme.example/team\n\n"),
        ("no field", "git.acme.example\n\n"),
    ] {
        let outcome = scene.git(input);
        assert_eq!((outcome.code(), outcome.stdout.as_str()), (2, ""), "{name}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{name}: {}", outcome.stderr);
    }
    let long = format!("protocol=https\nhost=git.acme.example\npath=team\nwwwauth[]={}\n\n", "x".repeat(65_526));
    assert_eq!(scene.git(long).stdout, "", "a line longer than git's own");
    let token = scene.get().ok().to_owned();
    let longest = format!("protocol=https\nhost=git.acme.example\npath=team\nwwwauth[]={}\n\n", "x".repeat(65_525));
    let answer = scene.git(longest);
    assert!(answer.ok().contains(&token));
    for field in answer.stdout.lines() {
        let name = field.split('=').next().unwrap();
        assert!(
            ["username", "password", "password_expiry_utc"].contains(&name),
            "nothing of git's is sent back: {field}"
        );
    }
}

/// T24: what a cloud hands out is read strictly, so no token can bring a line of its own.
#[test]
fn a_token_with_a_line_of_its_own_reaches_no_helper() {
    use cloud_agent_tests::fake::Fault;
    use cloud_agent_tests::fake::echome::{REFRESH, TOKEN as LOGIN};

    let scene = Scene::serving();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let good = scene.get().ok().to_owned();
    for (name, fault) in Fault::bad_tokens("access") {
        scene.cloud.break_always(REFRESH, fault.clone());
        scene.cloud.break_always(LOGIN, fault);
        assert_ne!(scene.renew().code(), 0, "{name}");
        let answer = scene.git("capability[]=authtype\nprotocol=https\nhost=git.acme.example\npath=team\n\n");
        assert!(answer.ok().lines().any(|line| line == format!("credential={good}")), "{name}: {answer:?}");
        assert!(!answer.stdout.contains("evil") && answer.stdout.lines().count() == 5, "{name}: {answer:?}");
        scene.cloud.clear();
    }
}

/// T25: nothing but the very address gets a token, from any helper.
#[test]
fn no_address_that_only_looks_like_ours_gets_a_token() {
    let scene = Scene::serving();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let token = scene.get().ok().to_owned();
    assert!(scene.git("protocol=https\nhost=git.acme.example\npath=team/x.git\n\n").ok().contains(&token));
    for (protocol, host, path) in [
        ("https", "git.acme.example.evil.example", "team"),
        ("https", "git.acme.example:444", "team"),
        ("https", "GIT.ACME.EXAMPLE.", "team"),
        ("https", "git.acme.example.", "team"),
        ("https", "evilgit.acme.example", "team"),
        ("https", "acme.example", "team"),
        ("https", "evil.example", "https://git.acme.example/team"),
        ("https", "g\u{131}t.acme.example", "team"),
        ("https", "\u{ff47}it.acme.example", "team"),
        ("https", "xn--gt-nga.acme.example", "team"),
        ("https", "git.acme.example@evil.example", "team"),
        ("https", "evil.example\\@git.acme.example", "team"),
        ("https", "git.acme.example#@evil.example", "team"),
        ("https", "git.acme.example%2eevil.example", "team"),
        ("https", "git.acme.example:443:444", "team"),
        ("https", "git.acme.example", "teams"),
        ("https", "git.acme.example", "team/../other"),
        ("https", "git.acme.example", "team/%2e%2e/other"),
        ("https", "git.acme.example", ""),
        ("http", "git.acme.example", "team"),
        ("ftp", "git.acme.example", "team"),
    ] {
        let outcome = scene.git(format!("protocol={protocol}\nhost={host}\npath={path}\n\n"));
        assert!([0, 2].contains(&outcome.code()) && outcome.stdout.is_empty(), "git, {host} {path}: {outcome:?}");
        let address = format!("{protocol}://{host}/{path}");
        let bazel = scene.helper("bazel", &["get"], json!({"uri": address}).to_string());
        assert_eq!(bazel.stdout, "{\"headers\":{}}\n", "bazel, {address}");
        let docker = scene.helper("docker", &["get"], address.clone());
        assert!(!docker.stdout.contains(&token) && docker.code() == 1, "docker, {address}: {docker:?}");
        let cargo = json!({"v": 1, "kind": "get", "registry": {"index-url": address}}).to_string() + "\n";
        let cargo = scene.helper("cargo", &[], cargo);
        assert!(cargo.stdout.contains("url-not-supported"), "cargo, {address}: {cargo:?}");
        let terraform = scene.helper("terraform", &["get", host], "");
        assert!(!terraform.stdout.contains(&token), "terraform, {host}: {terraform:?}");
        let info = json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
            "spec": {"interactive": false, "cluster": {"server": address}}});
        let kubectl = scene.sandbox.command(TOKEN).args(["helper", "kubectl"]);
        let kubectl = kubectl.env("KUBERNETES_EXEC_INFO", info.to_string()).finish();
        assert!(kubectl.fails(6).contains("no account answers"), "kubectl, {address}");
    }
}

/// T25: a repository's own address may hold a user name that is somebody's; it is not taken for another account.
#[test]
fn naming_an_account_does_not_widen_what_it_answers_for() {
    let scene = Scene::serving();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let token = scene.get().ok().to_owned();
    for arguments in [&["ecHome", "get"][..], &["--account", "ecHome", "get"]] {
        let foreign = scene.helper("git", arguments, "protocol=https\nhost=evil.example\nusername=ecHome\n\n");
        assert_eq!((foreign.code(), foreign.stdout.as_str()), (0, ""), "{foreign:?}");
        let ours = scene.helper("git", arguments, "protocol=https\nhost=git.acme.example\npath=team\n\n");
        assert!(ours.ok().contains(&token));
    }
    let bazel = scene.helper("bazel", &["ecHome", "get"], r#"{"uri":"https://evil.example/"}"#);
    assert_eq!(bazel.ok(), "{\"headers\":{}}");
}
