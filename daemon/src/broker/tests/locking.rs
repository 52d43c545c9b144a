//! A locked agent: what is sealed, what is not begun, and what comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cloud_agent_protocol::v1::Login;
use cloud_agent_protocol::{FaultKind, Secret};

use super::scripted::{Human, MINUTE, Scene};

const PASSPHRASE: &str = "correct horse";

async fn lock(scene: &Scene) {
    scene.broker.lock(Some(PASSPHRASE.into()), &Human::default()).await.unwrap();
}

async fn unlock(scene: &Scene, passphrase: &str) -> Result<Vec<String>, cloud_agent_protocol::Fault> {
    scene.broker.unlock(Some(Secret::from(passphrase)), &Human::default()).await
}

async fn is_locked(scene: &Scene, account: &str) {
    let fault = scene.get(account).await.unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::NeedsHuman, "the agent is locked"));
    assert_eq!(fault.hint.as_deref(), Some("`cloud-token unlock`"));
}

#[tokio::test(start_paused = true)]
async fn what_only_memory_holds_is_sealed_and_comes_back() {
    let scene = Scene::logged_in().await;
    let ephemeral = Login { ephemeral: true, ..Scene::login_request("guest") };
    scene.broker.login(ephemeral, Arc::new(Human::default())).await.unwrap();
    scene.vault.broken.store(true, Ordering::SeqCst);
    scene.need("work", crate::broker::Need { min_valid: None, fresh: true }).await.ok();
    lock(&scene).await;
    for account in ["work", "guest"] {
        is_locked(&scene, account).await;
    }
    assert!(scene.vault.load_locked("work").await, "the vault itself has nothing");
    scene.vault.broken.store(false, Ordering::SeqCst);
    unlock(&scene, PASSPHRASE).await.unwrap();
    let calls = scene.cloud.called();
    for account in ["work", "guest"] {
        scene.get(account).await.unwrap();
    }
    assert_eq!(scene.cloud.called(), calls + 2, "each is renewed with what it held");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_passphrase_opens_nothing() {
    let scene = Scene::logged_in().await;
    lock(&scene).await;
    for wrong in ["", "correct horsE"] {
        assert_eq!(unlock(&scene, wrong).await.unwrap_err().kind, FaultKind::Refused);
        is_locked(&scene, "work").await;
    }
    unlock(&scene, PASSPHRASE).await.unwrap();
    scene.get("work").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_while_it_is_locked_and_what_was_due_is_afterwards() {
    let scene = Scene::logged_in().await;
    *scene.cloud.idle_life.lock().unwrap() = Some(60 * MINUTE);
    scene.login("work").await.unwrap();
    scene.keeps_fresh();
    scene.settled().await;
    let calls = scene.cloud.called();
    lock(&scene).await;
    scene.pass(45 * MINUTE).await;
    assert_eq!(scene.cloud.called(), calls);
    unlock(&scene, PASSPHRASE).await.unwrap();
    scene.settled().await;
    assert_eq!(scene.cloud.called(), calls + 1, "its refresh token would have died of idleness");
}

#[tokio::test(start_paused = true)]
async fn a_lock_waits_for_a_renewal_and_gives_its_token_to_nobody() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let (broker, waiter) = (scene.broker.clone(), scene.broker.clone());
    let waiting = tokio::spawn(async move { waiter.get("work", super::super::Need::default(), MINUTE).await });
    scene.settled().await;
    let locking = tokio::spawn(async move { broker.lock(Some(PASSPHRASE.into()), &Human::default()).await });
    while scene.broker.refuse_locked().is_ok() {
        tokio::task::yield_now().await;
    }
    scene.settled().await;
    assert!(!locking.is_finished(), "the only copy of a rotated secret is on its way");
    is_locked(&scene, "work").await;
    gate.add_permits(1);
    locking.await.unwrap().unwrap();
    assert_eq!(waiting.await.unwrap().unwrap_err().message, "the agent is locked");
    unlock(&scene, PASSPHRASE).await.unwrap();
    gate.add_permits(1);
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
    assert_eq!(scene.spent(), ["refresh-1 intended", "refresh-2 intended"]);
}
