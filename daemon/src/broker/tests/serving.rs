//! Whose credential an address gets, and what a second question means.

use std::time::Duration;

use cloud_agent_protocol::v1::{GetFor, RejectFor, Setting};
use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Human, PATIENCE, Scene};
use crate::broker::Caller;

const KUBECTL: Caller = Caller { pid: 41, started: 1000 };

fn question(url: &str) -> GetFor {
    GetFor {
        url: url.into(),
        account: None,
        consumer: "kubectl".into(),
        min_valid: None,
        repeat_rejects: true,
        environment: false,
        deadline_ms: 10_000,
    }
}

impl Scene {
    async fn ask(&self, question: &GetFor, caller: Option<Caller>) -> Result<String, Fault> {
        let name = self.broker.whose(question)?;
        let cached = self.broker.get_for(&name, question, caller, PATIENCE).await?;
        let credential = cached.credential();
        Ok(format!("{} {}", credential.account, credential.token.unwrap().expose()))
    }

    async fn answer(&self, url: &str) -> Result<String, FaultKind> {
        self.ask(&question(url), None).await.map_err(|fault| fault.kind)
    }

    async fn serving(&self, account: &str, serves: &str) {
        let mut login = Self::login_request(account);
        login.settings.push(Setting { name: "serves".into(), value: serves.into() });
        self.broker.login(login, std::sync::Arc::new(Human::default())).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_answers_for_its_own_address_until_it_is_told_which() {
    let scene = Scene::logged_in().await;
    assert_eq!(scene.answer("https://acme.example/x").await.as_deref(), Ok("work token-1"));
    assert_eq!(scene.answer("https://git.acme.example").await, Err(FaultKind::UnknownAccount));
    scene.serving("work", "https://git.acme.example, https://k8s.acme.example:6443").await;
    assert_eq!(scene.answer("https://git.acme.example/a").await.as_deref(), Ok("work token-2"));
    assert_eq!(scene.answer("https://k8s.acme.example:6443").await.as_deref(), Ok("work token-2"));
    assert_eq!(scene.answer("https://acme.example").await, Err(FaultKind::UnknownAccount));
    let served: Vec<_> = scene.broker.served().places.into_iter().map(|place| place.url).collect();
    assert_eq!(served, ["https://git.acme.example", "https://k8s.acme.example:6443"]);
    scene.serving("work", "none").await;
    assert_eq!(scene.answer("https://git.acme.example").await, Err(FaultKind::UnknownAccount));
    scene.serving("work", "").await;
    assert!(scene.answer("https://acme.example").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_clouds_file_names_further_addresses() {
    let scene = Scene::logged_in().await;
    let path = scene.dir.path().join("clouds/acme.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("serves = [\"https://registry.acme.example\"]\n{text}")).unwrap();
    let clouds = crate::cloud::Clouds::load(Some(&scene.dir.path().join("clouds")));
    assert_eq!(clouds.get("acme").unwrap().serves, ["https://registry.acme.example"]);
    for wrong in ["https://*.acme.example", "http://127.0.0.1:5000", "registry.acme.example"] {
        std::fs::write(&path, format!("serves = [\"{wrong}\"]\n{text}")).unwrap();
        let clouds = crate::cloud::Clouds::load(Some(&scene.dir.path().join("clouds")));
        assert!(clouds.get("acme").unwrap_err().to_string().contains("line 1"), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_path_wins_and_a_tie_is_not_guessed_at() {
    let scene = Scene::logged_in().await;
    scene.serving("team", "https://acme.example/team").await;
    assert_eq!(scene.answer("https://acme.example/team/x").await.as_deref(), Ok("team token-2"));
    assert_eq!(scene.answer("https://acme.example/teams").await.as_deref(), Ok("work token-1"));
    scene.serving("twin", "https://acme.example/team").await;
    let fault = scene.ask(&question("https://acme.example/team"), None).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NeedsHuman);
    assert!(fault.causes[0].contains("`team`") && fault.causes[0].contains("`twin`"), "{fault}");
    let named = GetFor { account: Some("TWIN".into()), ..question("https://acme.example/team") };
    assert_eq!(scene.ask(&named, None).await.unwrap(), "twin token-3");
    let foreign = GetFor { account: Some("twin".into()), ..question("https://acme.example/other") };
    assert_eq!(scene.ask(&foreign, None).await.unwrap_err().kind, FaultKind::UnknownAccount);
}

#[tokio::test(start_paused = true)]
async fn without_an_address_the_account_has_to_be_named() {
    let scene = Scene::logged_in().await;
    assert_eq!(scene.answer("").await, Err(FaultKind::Usage));
    let named = GetFor { account: Some("Work".into()), ..question("") };
    assert_eq!(scene.ask(&named, None).await.unwrap(), "work token-1");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_asks_again_has_its_token_renewed_once_and_never_loses_the_account() {
    let scene = Scene::logged_in().await;
    let question = question("https://acme.example");
    let ask = |caller| scene.ask(&question, caller);
    assert_eq!(ask(Some(KUBECTL)).await.unwrap(), "work token-1");
    assert_eq!(ask(Some(KUBECTL)).await.unwrap(), "work token-2", "it was refused in between");
    for _ in 0..5 {
        assert_eq!(ask(Some(KUBECTL)).await.unwrap(), "work token-2", "a renewal each would be a flood");
    }
    scene.clock.advance(Duration::from_secs(11));
    assert_eq!(ask(Some(KUBECTL)).await.unwrap(), "work token-3");
    assert_eq!(scene.cloud.called(), 3);
}

#[tokio::test(start_paused = true)]
async fn others_who_ask_are_not_a_repetition() {
    let scene = Scene::logged_in().await;
    let question = question("https://acme.example");
    for caller in
        [Some(KUBECTL), Some(Caller { started: 1001, ..KUBECTL }), Some(Caller { pid: 42, ..KUBECTL }), None, None]
    {
        assert_eq!(scene.ask(&question, caller).await.unwrap(), "work token-1");
    }
    let other = GetFor { repeat_rejects: false, ..question };
    assert_eq!(scene.ask(&other, Some(KUBECTL)).await.unwrap(), "work token-1");
    assert_eq!(scene.cloud.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_process_that_goes_to_two_clusters_with_one_account_is_no_repetition() {
    let scene = Scene::logged_in().await;
    let named = |consumer: &str| GetFor { account: Some("work".into()), consumer: consumer.into(), ..question("") };
    for cluster in ["kubectl https://a.example", "kubectl https://b.example"] {
        assert_eq!(scene.ask(&named(cluster), Some(KUBECTL)).await.unwrap(), "work token-1");
    }
    assert_eq!(scene.ask(&named("kubectl https://b.example"), Some(KUBECTL)).await.unwrap(), "work token-2");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_address_hits_the_account_whose_token_it_is() {
    let scene = Scene::logged_in().await;
    scene.login("twin").await.unwrap();
    let reject = |token: &str| RejectFor { url: "https://acme.example/x".into(), account: None, token: token.into() };
    scene.broker.reject_for(&reject("an older one")).unwrap();
    assert_eq!(
        (scene.get("work").await.unwrap(), scene.get("twin").await.unwrap()),
        ("token-1".into(), "token-2".into())
    );
    scene.broker.reject_for(&reject("Bearer token-2")).unwrap();
    assert_eq!(scene.get("twin").await.unwrap(), "token-3");
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    let foreign = RejectFor { url: "https://evil.example".into(), ..reject("token-1") };
    assert_eq!(scene.broker.reject_for(&foreign).unwrap_err().kind, FaultKind::UnknownAccount);
}
