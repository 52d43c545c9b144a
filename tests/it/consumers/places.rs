//! Which address a real program is given a token for, however it is written.

use cloud_agent_tests::skip;
use serde_json::json;

use super::git::Repository;
use super::kubectl::{Cluster, exec};
use super::{Stage, is_silent, registries};

#[test]
fn a_repository_that_only_seems_to_be_below_a_served_path_is_not_given_its_token() {
    let what = "a_repository_that_only_seems_to_be_below_a_served_path_is_not_given_its_token";
    let Some(it) = Repository::new(what) else { return };
    it.stage.serve(&format!("{}/team", it.server.url()));
    let list = |path: &str| {
        let url = format!("{}/{path}", it.server.url());
        it.git(&["-c", "credential.useHttpPath=true", "ls-remote", &url]).finish()
    };
    for path in [
        "team%3f/../other/repo.git",
        "team%23/../other/repo.git",
        "team/../other/repo.git",
        "team/%2e%2e/other/repo.git",
        "team/%252e%252e/other/repo.git",
        "team/..%5cother/repo.git",
        "other/repo.git",
    ] {
        assert_eq!(list(path).code(), 128, "{path}");
    }
    let bearer = format!("Bearer {}", it.stage.token());
    let given = it.server.requests().into_iter().find(|sent| sent.header("authorization") == Some(&bearer));
    assert!(given.is_none(), "{given:?}");
    assert!(list("team/repo.git").ok().contains("refs/heads/main"));
}

#[test]
fn a_path_with_blanks_and_marks_is_a_path_like_any_other() {
    let stage = Stage::serving("https://git.acme.example/team");
    for path in ["team/my repo.git", "team/100%.git", "team/what?.git", "team/\u{fc}.git"] {
        let text = format!("protocol=https\nhost=git.acme.example\npath={path}\n\n");
        let outcome = stage.helper("git get").stdin(text).finish();
        let percent = path.contains('%');
        assert_eq!(outcome.ok().contains(&stage.token()), !percent, "{path}: a percent sign is read in two ways");
    }
}

#[test]
fn what_git_asks_about_and_is_not_of_the_web_is_met_with_silence() {
    let stage = Stage::serving("https://git.acme.example");
    for text in
        ["protocol=cert\nhost=\npath=/home/me/key.pem\n\n", "protocol=smtp\nhost=mail.example:465\nusername=me\n\n"]
    {
        for verb in ["get", "store", "erase"] {
            is_silent(&stage.helper(&format!("git {verb}")).stdin(format!("password=x\n{text}")).finish());
        }
    }
}

#[test]
fn a_cluster_does_not_get_the_token_of_the_account_that_it_names_itself() {
    let what = "a_cluster_does_not_get_the_token_of_the_account_that_it_names_itself";
    let Some(it) = Cluster::new(what) else { return };
    let user = exec("v1", &["helper", "kubectl"]);
    let get = |account: &str| it.kubectl_at(&user, Some(account), &["get", "pods", "-o", "name"]).finish();
    it.stage.account("other", "none");
    it.stage.account("second", &it.server.url());
    // Two answer for the address, and the cluster says which.
    assert_eq!(get("second").ok(), "pod/one");
    let outcome = get("other");
    assert!(outcome.stderr.contains("no account answers for that address"), "{}", outcome.stderr);
    let stolen = crate::support::token(&it.stage.sandbox, "other");
    let sent = it.server.requests();
    assert!(sent.iter().all(|sent| sent.header("authorization") != Some(&format!("Bearer {stolen}"))));
}

#[test]
fn an_account_that_a_user_names_is_not_renewed_for_going_to_two_clusters() {
    let stage = Stage::serving("none");
    let token = stage.token();
    let info = |server: &str| {
        let spec = json!({"interactive": false, "cluster": {"server": server}});
        json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": spec}).to_string()
    };
    let (one, other) = (info("https://one.example"), info("https://other.example"));
    let shell = |script: &str| {
        let run =
            stage.sandbox.command("sh").args(["-c", script]).env("ONE", one.as_str()).env("OTHER", other.as_str());
        assert!(run.finish().ok().contains(&token), "{script}");
    };
    // By hand, twice, in one shell; and one process that goes to two clusters.
    shell("cloud-token helper kubectl ecHome && cloud-token helper kubectl ecHome");
    shell("for i in \"$ONE\" \"$OTHER\"; do KUBERNETES_EXEC_INFO=$i cloud-token helper kubectl ecHome || exit; done");
    assert_eq!((stage.cloud.refreshes(), stage.token()), (0, token.clone()));
    // The same cluster a second time is another matter.
    let twice = "for i in 1 2; do KUBERNETES_EXEC_INFO=$ONE cloud-token helper kubectl ecHome || exit; done";
    shell(twice);
    assert_eq!(stage.cloud.refreshes(), 1);
}

#[test]
fn cargo_logs_in_at_a_registry_of_others_as_if_we_were_not_there() {
    if skip::unless_tool("cargo_logs_in_at_a_registry_of_others_as_if_we_were_not_there", "cargo").is_none() {
        return;
    }
    let stage = Stage::new();
    let ours = registries::crate_registry(&stage);
    stage.serve(&ours.url());
    let config = format!(
        "[registries.mine]\nindex = \"sparse+{}/index/\"\n[registry]\nglobal-credential-providers = [\"cargo:token\", \"{}\"]\n",
        ours.url(),
        stage.sandbox.program("cargo-credential-cloud-token").display(),
    );
    let cargo =
        |arguments: &[&str]| registries::cargo(&stage, &config, arguments).stdin("a-token-of-crates-io\n").finish();
    cargo(&["login"]).ok();
    let kept = std::fs::read_to_string(stage.sandbox.path("home/package/home/credentials.toml")).unwrap();
    assert!(kept.contains("a-token-of-crates-io"), "{kept}");
    cargo(&["logout"]).ok();
    let refused = cargo(&["login", "--registry", "mine"]);
    assert!(refused.stderr.contains("not supported"), "{}", refused.stderr);
}
