//! What one agent leaves to the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cloud_agent_protocol::v1::{Login, Setting};
use cloud_agent_protocol::{FaultKind, Secret};

use super::scripted::{Human, MINUTE, Scene, unreachable};
use crate::broker::{Need, vault_of};
use crate::packed::Packed;

const FRESH: Need = Need { min_valid: None, fresh: true };

/// Another agent with the same files, and what the first had in its memory.
fn next(scene: &Scene) -> Scene {
    let next = scene.restarted();
    next.broker.inherit(&scene.broker.estate(Vec::new())).unwrap();
    next
}

#[tokio::test(start_paused = true)]
async fn a_cached_token_and_what_is_known_of_it_go_with_the_estate() {
    let scene = Scene::logged_in().await;
    let token = scene.get("work").await.unwrap();
    let (next, calls) = (next(&scene), scene.cloud.called());
    assert_eq!(next.get("work").await.unwrap(), token);
    assert_eq!(scene.cloud.called(), calls, "no cloud was asked");
    let kept = vault_of(&scene.broker.estate(Vec::new())).unwrap();
    assert_eq!(kept.0, "shelf");
    // The one that leaves has lost nothing by it.
    assert_eq!(scene.get("work").await.unwrap(), token);
}

#[tokio::test(start_paused = true)]
async fn what_no_vault_would_take_and_what_is_not_to_outlive_the_agent_goes_with_it() {
    let scene = Scene::logged_in().await;
    let ephemeral = Login { ephemeral: true, ..Scene::login_request("guest") };
    scene.broker.login(ephemeral, Arc::new(Human::default())).await.unwrap();
    scene.clock.advance(61 * MINUTE);
    scene.vault.broken.store(true, Ordering::SeqCst);
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
    let next = next(&scene);
    assert_eq!(next.get("work").await.unwrap(), "token-3");
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-1", "the vault has the old one");
    scene.vault.broken.store(false, Ordering::SeqCst);
    next.broker.take_up();
    assert!(next.broker.settle(std::time::Duration::from_secs(1)).await);
    assert_eq!(scene.held("work").await.unwrap().0["refresh"].expose(), "refresh-3", "now it has the new one");
    next.need("work", FRESH).await.unwrap();
    next.need("guest", FRESH).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_remembered_so_that_no_login_is_tried_again() {
    let scene = Scene::logged_in().await;
    scene.cloud.then(super::scripted::Act::Fail(cloud_agent_protocol::Fault::new(FaultKind::Refused, "no")));
    assert_eq!(scene.need("work", FRESH).await.unwrap_err().kind, FaultKind::Refused);
    let (next, calls) = (next(&scene), scene.cloud.called());
    assert_eq!(next.need("work", FRESH).await.unwrap_err().kind, FaultKind::Refused);
    assert_eq!(scene.cloud.called(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_pause_goes_on_where_it_was() {
    let scene = Scene::logged_in().await;
    scene.cloud.then(super::scripted::Act::Fail(unreachable()));
    scene.need("work", FRESH).await.unwrap_err();
    let (next, calls) = (next(&scene), scene.cloud.called());
    next.need("work", FRESH).await.unwrap_err();
    assert_eq!(scene.cloud.called(), calls, "not before its time");
    next.pass(std::time::Duration::from_mins(2)).await;
    next.need("work", FRESH).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lock_goes_with_it_and_opens_there() {
    let scene = Scene::logged_in().await;
    scene.broker.lock(Some("sesame".into()), &Human::default()).await.unwrap();
    let next = next(&scene);
    assert_eq!(next.get("work").await.unwrap_err().message, "the agent is locked");
    let wrong = next.broker.unlock(Some(Secret::from("sesamo")), &Human::default()).await.unwrap_err();
    assert_eq!(wrong.kind, FaultKind::Refused);
    next.broker.unlock(Some(Secret::from("sesame")), &Human::default()).await.unwrap();
    next.get("work").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_extends_no_limit_and_what_was_forgotten_stays_so() {
    let scene = Scene::new();
    let mut login = Scene::login_request("work");
    login.settings.push(Setting { name: "hold-for".into(), value: "2h".into() });
    login.settings.push(Setting { name: "hold-idle".into(), value: "1h".into() });
    scene.broker.login(login, Arc::new(Human::default())).await.unwrap();
    scene.clock.advance(50 * MINUTE);
    scene.get("work").await.unwrap();
    let second = next(&scene);
    scene.clock.advance(55 * MINUTE);
    second.get("work").await.expect("somebody asked the first one 55 minutes ago");
    let third = next(&second);
    scene.clock.advance(20 * MINUTE);
    let over = third.get("work").await.unwrap_err();
    assert!(over.kind == FaultKind::NeedsHuman && over.to_string().contains("held for 2h"), "{over}");
    third.keeps_fresh();
    third.settled().await;
    assert_eq!(next(&third).get("work").await.unwrap_err(), third.get("work").await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn what_another_version_adds_is_skipped_and_what_is_cut_is_refused() {
    let scene = Scene::logged_in().await;
    scene.get("work").await.unwrap();
    let estate = scene.broker.estate(Vec::new());
    let pairs: Vec<(&str, &str)> = estate.pairs().collect();
    let mut newer = vec![("quota", "7"), ("*novelty", "2 x"), ("a", "*account"), ("*account", "b")];
    newer.extend(pairs.iter().copied());
    let next = scene.restarted();
    next.broker.inherit(&Packed::new(newer.into_iter())).unwrap();
    next.get("work").await.unwrap();
    let cut = Packed::new(pairs[..pairs.len() - 1].iter().copied());
    assert_eq!(scene.restarted().broker.inherit(&cut).unwrap_err().kind, FaultKind::Internal);
}
