//! One renewal for all who wait, saved before anyone is answered, cancelled by nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::Logout;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::scripted::{Act, MINUTE, PATIENCE, Scene};
use crate::broker::Need;

/// Lets every task run as far as it can.
async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_of_an_expired_token_cost_one_renewal_and_all_get_it() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let scene = scene.clone();
            tokio::spawn(async move { scene.get("work").await })
        })
        .collect();
    settle().await;
    gate.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "token-2");
    }
    assert_eq!(scene.cloud.called(), 2, "one login, one renewal");
}

#[tokio::test(start_paused = true)]
async fn a_slow_account_never_delays_another() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.login("other").await.unwrap();
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let slow = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    settle().await;
    scene.get("other").await.unwrap();
    assert!(!slow.is_finished());
    gate.add_permits(1);
    slow.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_cancels_nothing() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let caller = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    settle().await;
    caller.abort();
    settle().await;
    gate.add_permits(1);
    assert!(scene.broker.settle(PATIENCE).await);
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-2");
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    assert_eq!(scene.cloud.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_saved_before_anyone_is_answered() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.clock.advance(61 * MINUTE);
    let vault = Arc::new(Semaphore::new(0));
    *scene.vault.gate.lock().unwrap() = Some(vault.clone());
    let caller = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    settle().await;
    assert_eq!(scene.cloud.called(), 2, "the cloud has answered");
    assert!(!caller.is_finished(), "and nobody has heard of it");
    vault.add_permits(1);
    assert_eq!(caller.await.unwrap().unwrap(), "token-2");
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-2");
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_no_longer_than_its_deadline_and_the_renewal_goes_on() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let fault = scene.broker.get("work", Need::default(), Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    gate.add_permits(1);
    assert!(scene.broker.settle(PATIENCE).await);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    assert_eq!(scene.cloud.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_panics_is_a_fault_and_the_account_lives_on() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    scene.cloud.then(Act::Panic);
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::Internal);
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_fails_costs_nobody_the_token_and_is_tried_again() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    scene.vault.broken.store(true, Ordering::SeqCst);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-1");
    scene.vault.broken.store(false, Ordering::SeqCst);
    scene.clock.advance(61 * MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-3");
}

#[tokio::test(start_paused = true)]
async fn a_logout_during_a_renewal_is_not_undone_by_it() {
    let scene = Arc::new(Scene::logged_in().await);
    scene.clock.advance(61 * MINUTE);
    let gate = scene.cloud.gate("work");
    let caller = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    settle().await;
    let logout = tokio::spawn({
        let broker = scene.broker.clone();
        async move { broker.logout(&Logout { accounts: vec!["WORK".into()], all: false, forget: false }).await }
    });
    settle().await;
    gate.add_permits(1);
    let notes = logout.await.unwrap().unwrap();
    assert!(notes[0].contains("revoked"), "{notes:?}");
    assert_eq!(caller.await.unwrap().unwrap_err().kind, FaultKind::NeedsHuman);
    assert_eq!(scene.held("work").await, None);
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
}
