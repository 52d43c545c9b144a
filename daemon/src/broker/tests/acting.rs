//! Actions, checks, and what becomes of an enrolled seed.

use std::sync::Arc;

use cloud_agent_protocol::v1::{Acted, Do, Login, NamedSecret, Setting};
use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Act, Human, PATIENCE, Scene, unreachable};

fn request(account: &str, action: &str) -> Do {
    Do {
        account: account.into(),
        action: Some(action.into()),
        cloud: None,
        origins: Vec::new(),
        settings: Vec::new(),
        secrets: Vec::new(),
        interactive: false,
        deadline_ms: 30_000,
    }
}

async fn act(scene: &Scene, request: Do) -> Result<Acted, Fault> {
    scene.broker.act(request, Arc::new(Human::default())).await
}

fn acted(scene: &Scene) -> Vec<String> {
    std::mem::take(&mut scene.cloud.acted.lock().unwrap())
}

fn setting(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: value.into() }
}

fn secret(name: &str, value: &str) -> NamedSecret {
    NamedSecret { name: name.into(), value: value.into() }
}

#[tokio::test(start_paused = true)]
async fn a_seed_that_was_enrolled_is_held_outlives_logins_and_is_forgotten_on_request() {
    let scene = Scene::logged_in().await;
    act(&scene, request("work", "enrol")).await.unwrap();
    assert_eq!(acted(&scene), ["enrol https://acme.example [] [] [refresh=refresh-1] token-1"]);
    let held = || async { scene.held("work").await.unwrap().0.into_keys().collect::<Vec<_>>().join(" ") };
    assert_eq!(held().await, "refresh seed");
    scene.login("work").await.unwrap();
    let given = scene.cloud.seen.lock().unwrap().last().unwrap().1.clone();
    assert_eq!(given.0["seed"].expose(), "held", "the login can answer with it");
    act(&scene, request("work", "enrol")).await.unwrap();
    act(&scene, request("work", "drop")).await.unwrap();
    assert_eq!(held().await, "refresh");
}

#[tokio::test(start_paused = true)]
async fn a_seed_is_never_used_for_another_user_or_place() {
    let scene = Scene::logged_in().await;
    act(&scene, request("work", "enrol")).await.unwrap();
    let other = Login { settings: vec![setting("user", "other")], ..Scene::login_request("work") };
    let moved = Login { origins: vec![setting("", "https://other.example")], ..Scene::login_request("work") };
    for login in [other, moved] {
        act(&scene, request("work", "enrol")).await.unwrap();
        scene.broker.login(login, Arc::new(Human::default())).await.unwrap();
        assert!(!scene.cloud.seen.lock().unwrap().last().unwrap().1.0.contains_key("seed"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_can_be_given_at_a_login_and_is_not_asked_for() {
    let scene = Scene::new();
    let mut login = Scene::login_request("work");
    login.secrets.push(secret("seed", "mine"));
    let human = Arc::new(Human::default());
    scene.broker.login(login, human.clone()).await.unwrap();
    assert_eq!(scene.cloud.seen.lock().unwrap()[0].1.0["seed"].expose(), "mine");
    assert!(human.asked.lock().unwrap().is_empty());
    let wrong = Login { settings: vec![setting("user", "me"), setting("seed", "x")], ..Scene::login_request("work") };
    let fault = scene.broker.login(wrong, Arc::new(Human::default())).await.unwrap_err();
    assert!(fault.to_string().contains("is a secret"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn an_action_without_a_login_works_for_an_account_that_is_not_set_up_and_makes_none() {
    let scene = Scene::new();
    let given = Do {
        origins: vec![setting("", "https://acme.example/")],
        settings: vec![setting("mail", "me@x")],
        secrets: vec![secret("password", "pw")],
        ..request("acme", "register")
    };
    act(&scene, given.clone()).await.unwrap();
    assert_eq!(acted(&scene), ["register https://acme.example [mail=me@x] [password=pw] [] none"]);
    assert!(!scene.dir.path().join("accounts.toml").exists());
    assert_eq!(scene.get("acme").await.unwrap_err().kind, FaultKind::UnknownAccount);
    act(&scene, Do { account: "me".into(), cloud: Some("acme".into()), ..given.clone() }).await.unwrap();
    let plain = Do { origins: vec![setting("", "http://acme.example")], ..given };
    assert_eq!(act(&scene, plain).await.unwrap_err().kind, FaultKind::Usage);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_before_the_cloud_is_asked() {
    let scene = Scene::logged_in().await;
    let register = || request("work", "register");
    for (request, kind, says) in [
        (request("work", "enroll"), FaultKind::Usage, "do work enrol"),
        (request("acme", "enrol"), FaultKind::UnknownAccount, "cloud-token login acme"),
        (Do { settings: vec![setting("mial", "x")], ..register() }, FaultKind::Usage, "--set mail"),
        (Do { settings: vec![setting("password", "x")], ..register() }, FaultKind::Usage, "--secret password"),
        (Do { settings: vec![setting("lifetime", "1h")], ..register() }, FaultKind::Usage, "it asks for"),
        (Do { origins: vec![setting("", "https://x.example")], ..register() }, FaultKind::Usage, "changes them"),
        (Do { cloud: Some("nowhere".into()), ..request("new", "register") }, FaultKind::UnknownCloud, ""),
    ] {
        let shown = format!("{request:?}");
        let fault = act(&scene, request).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{shown}: {fault}");
        assert!(fault.hint.unwrap_or_default().contains(says), "{shown}");
    }
    assert!(acted(&scene).is_empty());
}

#[tokio::test(start_paused = true)]
async fn actions_are_listed_with_what_each_asks() {
    let scene = Scene::logged_in().await;
    let list = Do { action: None, ..request("work", "") };
    let actions = scene.broker.actions(&list, &Human::default()).await.unwrap();
    assert_eq!(actions.cloud, "acme");
    let shown: Vec<_> = actions.actions.iter().map(|a| (a.name.as_str(), a.needs_login, a.asks.len())).collect();
    assert_eq!(shown, [("register", false, 2), ("enrol", true, 0), ("drop", true, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_fails_does_not_lose_an_enrolled_seed() {
    let scene = Scene::logged_in().await;
    scene.vault.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    act(&scene, request("work", "enrol")).await.unwrap();
    scene.vault.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    act(&scene, request("work", "drop")).await.unwrap();
    assert!(acted(&scene)[1].contains("seed=held"), "it was kept in memory");
}

#[tokio::test(start_paused = true)]
async fn a_refused_action_costs_the_token_only_if_the_cloud_itself_calls_it_dead() {
    let scene = Scene::logged_in().await;
    let refused = || Fault::new(FaultKind::Refused, "no");
    // The code was wrong, say.
    scene.cloud.then(Act::Fail(refused()));
    assert_eq!(act(&scene, request("work", "enrol")).await.unwrap_err().message, "no");
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    for (fault, check, token) in [
        (refused(), Err(unreachable()), "token-1"),
        (unreachable(), Err(refused()), "token-1"),
        (refused(), Err(Fault::new(FaultKind::Refused, "ended")), "token-2"),
    ] {
        scene.cloud.then(Act::Fail(fault.clone()));
        scene.cloud.checks.lock().unwrap().push_back(check);
        assert_eq!(act(&scene, request("work", "enrol")).await.unwrap_err().message, fault.message);
        assert_eq!(scene.get("work").await.unwrap(), token);
        scene.cloud.checks.lock().unwrap().clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_is_forgotten_and_a_cloud_that_cannot_say_changes_nothing() {
    let scene = Scene::logged_in().await;
    assert!(scene.broker.check("work", PATIENCE).await.unwrap().contains("alive"));
    scene.cloud.checks.lock().unwrap().push_back(Err(unreachable()));
    assert_eq!(scene.broker.check("work", PATIENCE).await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    scene.cloud.checks.lock().unwrap().push_back(Err(Fault::new(FaultKind::Refused, "ended")));
    assert_eq!(scene.broker.check("work", PATIENCE).await.unwrap_err().kind, FaultKind::Refused);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    scene.cloud.checks.lock().unwrap().push_back(Err(Fault::new(FaultKind::Refused, "ended")));
    scene.broker.check("work", PATIENCE).await.unwrap_err();
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman, "a second time is final");
    assert_eq!(scene.broker.check("nobody", PATIENCE).await.unwrap_err().kind, FaultKind::UnknownAccount);
}
