//! What is held for as long as it may be, and not for longer: by an agent that runs, and by one that did not.

use std::fs;
use std::time::{Duration, SystemTime};

use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::Value;

use super::Scene;
use crate::support::login;

/// Long enough to look at what is held before it is forgotten.
const SHORT: Duration = Duration::from_secs(3);

/// A login that says for how long it is held, and when it was over.
#[track_caller]
fn limited(scene: &Scene, settings: &[&str]) -> SystemTime {
    let run =
        settings.iter().fold(login(&scene.sandbox, "ecHome", &scene.cloud.url(), &scene.secret), |run, setting| {
            run.args(["--set", setting])
        });
    let done = run.finish();
    assert_eq!(done.code(), 0, "{done:?}");
    SystemTime::now()
}

/// That nothing is to be had, in the words that say why and mend it.
#[track_caller]
fn is_held_no_longer(scene: &Scene, why: &str) {
    let mut said = String::new();
    let refused = until(PATIENCE, || {
        let get = scene.sandbox.token(["ecHome", "--no-input"]);
        said.clone_from(&get.stderr);
        get.code() == 4
    });
    let words = format!("error: `ecHome` is held no longer\ncaused by: {why}\nhint: `cloud-token login ecHome`\n");
    assert!(refused && said == words, "{said}");
}

/// What the vault has of the account. The file by which agents take turns has nothing in it.
fn files_of_the_vault(scene: &Scene) -> Vec<String> {
    let files = scene.sandbox.files().into_iter().filter(|(_, bytes)| !bytes.is_empty());
    let paths = files.map(|(path, _)| path.display().to_string());
    paths.filter(|path| path.contains("/vault/") && path.contains("echome")).collect()
}

#[test]
fn an_account_is_forgotten_in_memory_and_in_the_vault_when_its_time_is_over() {
    let scene = Scene::new();
    scene.passphrase_in_a_file();
    let _agent = scene.agent();
    let begun = SystemTime::now();
    limited(&scene, &["hold-for=3s"]);
    let status: Value = serde_json::from_str(scene.sandbox.token(["status", "--json"]).ok()).unwrap();
    let account = &status["accounts"][0];
    if begun.elapsed().unwrap() < SHORT {
        assert_eq!((account["held_by"].as_str(), account["held_in"].as_str()), (Some("hold-for"), Some("passphrase")));
        assert!(account["held_until"].as_i64() > account["held_since"].as_i64(), "{status}");
        assert!(!files_of_the_vault(&scene).is_empty());
    }
    is_held_no_longer(&scene, "it was held for 3s, as accounts.toml says");
    assert!(until(PATIENCE, || files_of_the_vault(&scene).is_empty()), "{:?}", files_of_the_vault(&scene));
    let status = scene.sandbox.token(["status"]);
    assert!(status.ok().contains("needs-login"), "{status:?}");
    let requests = scene.cloud.requests().len();
    is_held_no_longer(&scene, "it was held for 3s, as accounts.toml says");
    assert_eq!(scene.cloud.requests().len(), requests, "the cloud is not told, nor asked");
    limited(&scene, &["hold-for="]);
    scene.working_token();
}

#[test]
fn an_agent_that_did_not_run_at_that_moment_forgets_when_it_starts() {
    let scene = Scene::new();
    scene.passphrase_in_a_file();
    let agent = scene.agent();
    let begun = limited(&scene, &["hold-idle=3s"]);
    assert!(agent.stop(PATIENCE).success());
    assert!(!files_of_the_vault(&scene).is_empty(), "the login outlives the agent");
    assert!(until(PATIENCE, || begun.elapsed().is_ok_and(|since| since > SHORT + Duration::from_secs(1))));
    let requests = scene.cloud.requests().len();
    let _agent = scene.agent();
    assert!(until(PATIENCE, || files_of_the_vault(&scene).is_empty()), "{:?}", files_of_the_vault(&scene));
    is_held_no_longer(&scene, "nobody asked for it for 3s, as accounts.toml says");
    assert_eq!(scene.cloud.requests().len(), requests);
}

#[test]
fn the_agents_own_limit_is_the_most_for_every_account() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent_with(["--vault", "memory", "--hold-for", "3s"]);
    limited(&scene, &["hold-for=8h"]);
    is_held_no_longer(&scene, "it was held for 3s, as the agent's `--hold-for 3s` says");
    let wrong = scene.sandbox.command(cloud_agent_tests::sandbox::AGENT).args(["--hold-idle", "soon"]).finish();
    assert!(wrong.fails(2).contains("`soon` is no duration"), "{wrong:?}");
}

#[test]
fn a_limit_that_is_written_into_the_file_counts_at_once_and_for_all() {
    let scene = Scene::new();
    scene.passphrase_in_a_file();
    let _agent = scene.agent();
    limited(&scene, &[]);
    scene.working_token();
    let file = scene.sandbox.config().join("accounts.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("hold-for = \"3s\"\n{text}")).unwrap();
    is_held_no_longer(&scene, "it was held for 3s, as accounts.toml says");
    assert!(until(PATIENCE, || files_of_the_vault(&scene).is_empty()), "{:?}", files_of_the_vault(&scene));
}
