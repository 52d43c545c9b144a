//! Logins: what is asked, what is refused, what is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud_agent_protocol::v1::{Login, Logout, NamedSecret, Setting};
use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Act, Human, MINUTE, Scene};

async fn login(scene: &Scene, request: Login, human: Human) -> (Result<Vec<String>, Fault>, Vec<String>) {
    let human = Arc::new(human);
    let done = scene.broker.login(request, human.clone()).await;
    let asked = human.asked.lock().unwrap().clone();
    (done, asked)
}

fn bare(account: &str) -> Login {
    let request = Scene::login_request(account);
    Login { cloud: None, origins: Vec::new(), settings: Vec::new(), secrets: Vec::new(), interactive: true, ..request }
}

fn setting(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: value.into() }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_asked_for_in_order_and_what_is_known_is_not() {
    let scene = Scene::new();
    let answers = BTreeMap::from([("url", "https://acme.example/"), ("user", "me"), ("password", "pw")]);
    let (done, asked) = login(&scene, bare("acme-work"), Human { answers, ..Human::default() }).await;
    done.unwrap();
    assert_eq!(asked, ["url", "user", "password"], "the cloud is known by the account's name");
    assert_eq!(scene.cloud.seen.lock().unwrap()[0].0, "https://acme.example");
    let answers = BTreeMap::from([("password", "pw")]);
    let (done, asked) = login(&scene, bare("acme-work"), Human { answers, ..Human::default() }).await;
    done.unwrap();
    assert_eq!(asked, ["password"], "the second time");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_named_after_no_cloud_asks_which() {
    let scene = Scene::new();
    let answers =
        BTreeMap::from([("cloud", "acme"), ("url", "https://acme.example"), ("user", "me"), ("password", "pw")]);
    let (done, asked) = login(&scene, bare("work"), Human { answers, ..Human::default() }).await;
    done.unwrap();
    assert_eq!(asked[0], "cloud");
}

#[tokio::test(start_paused = true)]
async fn with_nobody_there_the_fault_names_the_flag_that_helps() {
    let scene = Scene::new();
    let request = Login { secrets: Vec::new(), ..Scene::login_request("work") };
    let (done, _) = login(&scene, request, Human::default()).await;
    let fault = done.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(fault.hint.unwrap().contains("--secret password=env:NAME"));
    assert_eq!(scene.cloud.called(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_secret_among_the_settings_is_refused_with_the_reason() {
    let scene = Scene::new();
    let request = Login { settings: vec![setting("password", "pw")], ..Scene::login_request("work") };
    let fault = login(&scene, request, Human::default()).await.0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    assert!(fault.to_string().contains("history") && !fault.to_string().contains("pw"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_before_the_cloud_is_asked() {
    let scene = Scene::new();
    let ok = || Scene::login_request("work");
    let cases = [
        (Login { settings: vec![setting("usr", "me")], ..ok() }, FaultKind::Usage, "did you mean `--set user"),
        (Login { method: Some("passwrd".into()), ..ok() }, FaultKind::Usage, "--method password"),
        (Login { cloud: Some("nowhere".into()), ..ok() }, FaultKind::UnknownCloud, ""),
        (Login { origins: vec![setting("iam", "https://x.example")], ..ok() }, FaultKind::Usage, ""),
        (Login { account: "status".into(), ..ok() }, FaultKind::Usage, ""),
        (Login { origins: vec![setting("", "http://acme.example")], ..ok() }, FaultKind::Usage, "allow-plaintext"),
    ];
    for (request, kind, hint) in cases {
        let fault = login(&scene, request, Human::default()).await.0.unwrap_err();
        let said = fault.hint.clone().unwrap_or_default();
        assert!(matches!(fault.kind, k if k == kind || k == FaultKind::Config), "{fault}");
        assert!(said.contains(hint), "{fault} / {said}");
    }
    assert_eq!(scene.cloud.called(), 0);
    assert!(!scene.dir.path().join("accounts.toml").exists());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_changes_nothing() {
    let scene = Scene::logged_in().await;
    let before = std::fs::read_to_string(scene.dir.path().join("accounts.toml")).unwrap();
    scene.cloud.then(Act::Fail(Fault::new(FaultKind::Refused, "wrong password")));
    let request = Login { settings: vec![setting("user", "other")], ..Scene::login_request("work") };
    assert_eq!(login(&scene, request, Human::default()).await.0.unwrap_err().kind, FaultKind::Refused);
    assert_eq!(std::fs::read_to_string(scene.dir.path().join("accounts.toml")).unwrap(), before);
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-1");
}

#[tokio::test(start_paused = true)]
async fn a_remembered_secret_is_never_sent_to_a_new_address() {
    let scene = Scene::new();
    let request = Login { remember: true, ..Scene::login_request("work") };
    login(&scene, request, Human::default()).await.0.unwrap();
    assert!(scene.held("work").await.unwrap().0.contains_key("password"));
    let again = Login { secrets: Vec::new(), ..Scene::login_request("work") };
    login(&scene, again.clone(), Human::default()).await.0.unwrap();
    let moved = Login { origins: vec![setting("", "https://evil.example")], ..again };
    let fault = login(&scene, moved, Human::default()).await.0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(scene.cloud.seen.lock().unwrap().iter().all(|(origin, _)| origin == "https://acme.example"));
}

#[tokio::test(start_paused = true)]
async fn an_address_edited_by_hand_is_sent_nothing_that_was_held_for_another() {
    let scene = Scene::logged_in().await;
    let path = scene.dir.path().join("accounts.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("acme.example", "evil.example")).unwrap();
    scene.clock.advance(61 * MINUTE);
    let fault = scene.get("work").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(fault.to_string().contains("address"), "{fault}");
    let notes =
        scene.broker.logout(&Logout { accounts: vec!["work".into()], all: false, forget: false }).await.unwrap();
    assert!(notes[0].contains("could not be told"), "{notes:?}");
    assert_eq!(scene.cloud.called(), 1);
    assert_eq!(scene.cloud.revoked.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(scene.held("work").await, None, "and yet it is forgotten here");
}

#[tokio::test(start_paused = true)]
async fn settings_are_kept_in_a_file_and_secrets_are_not() {
    let scene = Scene::logged_in().await;
    let file = std::fs::read_to_string(scene.dir.path().join("accounts.toml")).unwrap();
    assert!(file.contains("[account.work]") && file.contains("https://acme.example") && file.contains("me"), "{file}");
    assert!(!file.contains("pw") && !file.contains("token") && !file.contains("refresh"), "{file}");
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_login_leaves_no_file() {
    let scene = Scene::new();
    let request = Login { ephemeral: true, ..Scene::login_request("work") };
    login(&scene, request, Human::default()).await.0.unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    assert!(!scene.dir.path().join("accounts.toml").exists());
}

#[tokio::test(start_paused = true)]
async fn settings_that_cannot_be_written_cost_nobody_the_login() {
    let scene = Scene::new();
    // A directory where the file would be written first: no permission bit stops root, this does.
    std::fs::create_dir(scene.dir.path().join(format!("accounts.toml.{}", std::process::id()))).unwrap();
    let (done, _) = login(&scene, Scene::login_request("work"), Human::default()).await;
    let notes = done.unwrap();
    assert!(notes.iter().any(|note| note.contains("could not be written")), "{notes:?}");
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn a_login_waits_for_a_renewal_under_way_and_the_waiters_get_its_token() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let login = tokio::spawn({
        let scene = scene.clone();
        async move { scene.login("work").await }
    });
    tokio::task::yield_now().await;
    let get = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    gate.add_permits(2);
    login.await.unwrap().unwrap();
    get.await.unwrap().unwrap();
    assert!(scene.cloud.called() <= 3);
}

#[tokio::test(start_paused = true)]
async fn logging_out_forgets_secrets_and_only_on_request_settings() {
    let scene = Scene::logged_in().await;
    let logout = |forget| Logout { accounts: vec!["work".into()], all: false, forget };
    scene.broker.logout(&logout(false)).await.unwrap();
    assert_eq!(scene.held("work").await, None);
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
    scene.broker.logout(&logout(true)).await.unwrap();
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::UnknownAccount);
}

#[tokio::test(start_paused = true)]
async fn logging_out_of_an_unknown_account_touches_no_other() {
    let scene = Scene::logged_in().await;
    let request = Logout { accounts: vec!["work".into(), "nobody".into()], all: false, forget: false };
    assert_eq!(scene.broker.logout(&request).await.unwrap_err().kind, FaultKind::UnknownAccount);
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn a_secret_for_what_is_no_secret_is_taken_as_a_setting() {
    let scene = Scene::new();
    let secret = |name: &str, value: &str| NamedSecret { name: name.into(), value: value.into() };
    let request = Login {
        settings: Vec::new(),
        secrets: vec![secret("user", "me"), secret("password", "pw")],
        ..Scene::login_request("work")
    };
    login(&scene, request, Human::default()).await.0.unwrap();
    assert!(std::fs::read_to_string(scene.dir.path().join("accounts.toml")).unwrap().contains("me"));
}

/// Starts `count` logins at once, the first of which the cloud makes wait until all are there.
async fn at_once(scene: &Arc<Scene>, count: usize, request: Login) -> Vec<Result<Vec<String>, Fault>> {
    let gate = scene.cloud.gate("work");
    let logins: Vec<_> = (0..count)
        .map(|_| {
            let (scene, request) = (scene.clone(), request.clone());
            let human = Human { answers: BTreeMap::from([("password", "pw")]), ..Human::default() };
            tokio::spawn(async move { scene.broker.login(request, Arc::new(human)).await })
        })
        .collect();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(count);
    let mut done = Vec::new();
    for login in logins {
        done.push(login.await.unwrap());
    }
    done
}

#[tokio::test(start_paused = true)]
async fn any_number_of_logins_at_once_are_one_at_the_cloud() {
    for request in [Scene::login_request("work"), bare("work")] {
        let scene = Arc::new(Scene::logged_in().await);
        let before = scene.cloud.called();
        let done = at_once(&scene, 10, request).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        assert_eq!(scene.cloud.called() - before, 1);
        let others = done.iter().filter(|notes| notes.as_ref().unwrap()[0].contains("another login"));
        assert_eq!(others.count(), 9);
        scene.login("work").await.unwrap();
        assert_eq!(scene.cloud.called() - before, 2, "one that comes later is a login of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_logins_of_an_account_at_once_are_one_too() {
    let scene = Arc::new(Scene::new());
    let done = at_once(&scene, 5, Scene::login_request("work")).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(scene.cloud.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_with_something_new_is_not_another_ones() {
    let scene = Arc::new(Scene::logged_in().await);
    let gate = scene.cloud.gate("work");
    let secret = |value: &str| vec![NamedSecret { name: "password".into(), value: value.into() }];
    let requests = [
        Scene::login_request("work"),
        Login { secrets: secret("other"), ..Scene::login_request("work") },
        Login { settings: vec![setting("user", "other")], ..Scene::login_request("work") },
        Login { remember: true, ..Scene::login_request("work") },
    ];
    let before = scene.cloud.called();
    let logins: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let scene = scene.clone();
            tokio::spawn(async move { scene.broker.login(request, Arc::new(Human::default())).await })
        })
        .collect();
    gate.add_permits(4);
    for login in logins {
        login.await.unwrap().unwrap();
    }
    assert_eq!(scene.cloud.called() - before, 4);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_failed_does_not_stand_for_the_next() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.cloud.then(Act::Fail(Fault::new(FaultKind::Unreachable, "down")));
    let before = scene.cloud.called();
    let done = at_once(&scene, 3, Scene::login_request("work")).await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 2);
    assert_eq!(scene.cloud.called() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_is_a_setting_of_the_account_and_is_kept_until_it_is_taken_back() {
    let scene = Scene::new();
    let file = || std::fs::read_to_string(scene.dir.path().join("accounts.toml")).unwrap();
    let set = |value: &str| Login {
        settings: vec![setting("user", "me"), setting("lifetime", value)],
        ..Scene::login_request("work")
    };
    login(&scene, set("12h"), Human::default()).await.0.unwrap();
    assert!(file().contains("lifetime = \"12h\""), "{}", file());
    scene.login("work").await.unwrap();
    assert!(file().contains("lifetime = \"12h\""), "{}", file());
    login(&scene, set("1 day 30 min"), Human::default()).await.0.unwrap();
    assert!(file().contains("lifetime = \"1470m\""), "{}", file());
    for wrong in ["soon", "-1h", "0s", "1000d", "12"] {
        let fault = login(&scene, set(wrong), Human::default()).await.0.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage, "{wrong}");
    }
    login(&scene, set(""), Human::default()).await.0.unwrap();
    assert!(!file().contains("lifetime"), "{}", file());
}
