//! When a cached token serves, when it is renewed, and what a failure changes.

use std::time::Duration;

use cloud_agent_protocol::{ExpirySource, Fault, FaultKind, Secret};

use super::scripted::{Act, MINUTE, PATIENCE, Scene, unreachable};
use crate::broker::Need;
use crate::clock::Clock as _;

const FRESH: Need = Need { min_valid: None, fresh: true };

fn lasting(minutes: u64) -> Need {
    Need { min_valid: Some(Duration::from_secs(60 * minutes)), fresh: false }
}

#[tokio::test(start_paused = true)]
async fn a_cached_token_is_handed_out_without_asking_the_cloud() {
    let scene = Scene::logged_in().await;
    for _ in 0..10 {
        assert_eq!(scene.get("WORK").await.unwrap(), "token-1");
    }
    assert_eq!(scene.cloud.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_wants_it_to_last_longer_gets_a_new_one() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(30 * MINUTE);
    assert_eq!(scene.need("work", lasting(29)).await.unwrap(), "token-1");
    assert_eq!(scene.need("work", lasting(31)).await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_wants_more_than_the_cloud_gives_gets_the_best_there_is_without_a_renewal_each_time() {
    let scene = Scene::logged_in().await;
    for _ in 0..10 {
        scene.need("work", lasting(10 * 60)).await.unwrap();
    }
    assert_eq!(scene.cloud.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_one_is_renewed_although_the_old_one_serves() {
    let scene = Scene::logged_in().await;
    assert_eq!(scene.need("work", FRESH).await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_near_its_end_is_renewed_behind_the_callers_back() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(56 * MINUTE);
    let gate = scene.cloud.gate("work");
    assert_eq!(scene.get("work").await.unwrap(), "token-1", "at once, although the cloud has not answered");
    gate.add_permits(1);
    assert!(scene.broker.settle(PATIENCE).await);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_without_an_expiry_is_kept_until_it_is_rejected() {
    let scene = Scene::new();
    *scene.cloud.life.lock().unwrap() = None;
    scene.login("work").await.unwrap();
    scene.clock.advance(100_000 * MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_and_then_tried_again() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    scene.cloud.then(Act::Fail(unreachable()));
    let fault = scene.get("work").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.retry_at.is_some(), "it says when the next try is");
    for _ in 0..10_000 {
        assert_eq!(scene.get("work").await.unwrap_err(), fault);
    }
    assert_eq!(scene.cloud.called(), 2, "a login and one try, whoever asks");
    scene.clock.advance(MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn a_living_token_is_handed_out_through_an_outage() {
    let scene = Scene::logged_in().await;
    scene.cloud.then(Act::Fail(unreachable()));
    scene.clock.advance(59 * MINUTE + Duration::from_secs(30));
    assert_eq!(scene.get("work").await.unwrap(), "token-1", "less is left than anyone wants, but it lives");
    assert_eq!(scene.get("work").await.unwrap(), "token-1", "and the remembered failure does not hide it");
    scene.cloud.then(Act::Fail(unreachable()));
    scene.clock.advance(MINUTE);
    assert_eq!(
        scene.get("work").await.unwrap_err().kind,
        FaultKind::Unreachable,
        "what has run out is never handed out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_published_when_the_token_has_run_out_and_never_tried_again_by_itself() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(58 * MINUTE);
    scene.cloud.then(Act::Fail(Fault::new(FaultKind::NeedsHuman, "the refresh token is dead")));
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    assert!(scene.broker.settle(PATIENCE).await);
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    scene.clock.advance(3 * MINUTE);
    for _ in 0..100 {
        assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
        scene.clock.advance(10 * MINUTE);
    }
    assert_eq!(scene.cloud.called(), 2);
    scene.login("work").await.unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-3", "until the human has logged in");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_had_ended_when_it_came_is_a_fault_and_costs_nobody_the_refresh_token_that_came_with_it() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    *scene.cloud.life.lock().unwrap() = Some(Duration::ZERO);
    for _ in 0..100 {
        assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::MalformedReply);
    }
    assert_eq!(scene.cloud.called(), 2, "and is not renewed at every call");
    for _ in 0..600 {
        scene.clock.advance(Duration::from_millis(100));
        let _ = scene.get("work").await;
    }
    assert!(scene.cloud.called() < 20, "but with pauses that grow: {}", scene.cloud.called());
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), format!("refresh-{}", scene.cloud.called()));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_not_handed_out_again() {
    let scene = Scene::logged_in().await;
    scene.broker.reject("Work", Some(&Secret::from("token-1"))).unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_header_value_may_be_rejected_instead_of_the_token() {
    let scene = Scene::logged_in().await;
    scene.broker.reject("work", Some(&Secret::from("Bearer token-1"))).unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_late_rejection_of_an_old_token_changes_nothing() {
    let scene = Scene::logged_in().await;
    assert_eq!(scene.need("work", FRESH).await.unwrap(), "token-2");
    let note = scene.broker.reject("work", Some(&Secret::from("token-1"))).unwrap();
    assert!(note.contains("nothing was changed"), "{note}");
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_refused_right_after_a_renewal_is_final_until_the_human_acts() {
    let scene = Scene::logged_in().await;
    scene.broker.reject("work", None).unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    scene.clock.advance(Duration::from_secs(2));
    scene.broker.reject("work", None).unwrap();
    for _ in 0..100 {
        assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
        scene.broker.reject("work", None).unwrap();
    }
    assert_eq!(scene.cloud.called(), 2);
    scene.login("work").await.unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn what_was_rotated_is_kept_though_the_renewal_failed_after_it() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    scene.cloud.then(Act::Rotate);
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "rotated-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_refused_long_after_its_renewal_is_renewed_again_however_often_that_happens() {
    let scene = Scene::logged_in().await;
    for number in 2..20 {
        scene.broker.reject("work", None).unwrap();
        assert_eq!(scene.get("work").await.unwrap(), format!("token-{number}"));
        scene.clock.advance(Duration::from_secs(11));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_refused_right_after_a_renewal_that_no_rejection_caused_is_renewed_once() {
    let scene = Scene::logged_in().await;
    assert_eq!(scene.need("work", FRESH).await.unwrap(), "token-2");
    scene.broker.reject("work", Some(&Secret::from("token-2"))).unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn the_age_at_which_a_token_was_refused_teaches_when_to_renew_the_next() {
    let scene = Scene::new();
    *scene.cloud.life.lock().unwrap() = None;
    *scene.cloud.source.lock().unwrap() = ExpirySource::Unknown;
    scene.login("work").await.unwrap();
    scene.clock.advance(100 * MINUTE);
    scene.broker.reject("work", Some(&Secret::from("token-1"))).unwrap();
    scene.get("work").await.unwrap();
    let credential = scene.broker.warm("work", Need::default()).unwrap().credential();
    assert_eq!(credential.expiry_source, ExpirySource::Learned);
    assert_eq!(credential.expires_at, Some(scene.clock.now().seconds() + 80 * 60), "a safe part of what was seen");
    scene.keeps_fresh();
    scene.pass(76 * MINUTE).await;
    assert_eq!(scene.get("work").await.unwrap(), "token-3", "renewed ahead of time, before anybody is refused");
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_is_kept_with_what_is_held() {
    let scene = Scene::new();
    *scene.cloud.source.lock().unwrap() = ExpirySource::Assumed;
    scene.login("work").await.unwrap();
    scene.clock.advance(30 * MINUTE);
    scene.broker.reject("work", None).unwrap();
    scene.get("work").await.unwrap();
    let successor = scene.restarted();
    successor.get("work").await.unwrap();
    let credential = successor.broker.warm("work", Need::default()).unwrap().credential();
    assert_eq!(credential.expiry_source, ExpirySource::Learned);
    assert_eq!(credential.expires_at, Some(successor.clock.now().seconds() + 24 * 60));
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_end_the_cloud_told_teaches_nothing() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(30 * MINUTE);
    scene.broker.reject("work", None).unwrap();
    scene.get("work").await.unwrap();
    let credential = scene.broker.warm("work", Need::default()).unwrap().credential();
    assert_eq!(credential.expires_at, Some(scene.clock.now().seconds() + 3600));
}
