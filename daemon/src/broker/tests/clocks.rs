//! Clocks that are set, and machines that sleep.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Act, MINUTE, Scene, unreachable};
use crate::clock::{Clock as _, Timestamp};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn refused() -> Act {
    Act::Fail(Fault::new(FaultKind::NeedsHuman, "the refresh token is dead"))
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ended_while_the_machine_slept_is_not_handed_out() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.settled().await;
    scene.clock.suspend(2 * HOUR);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn accounts_in_use_are_renewed_when_the_machine_wakes_up() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.get("work").await.unwrap();
    scene.settled().await;
    scene.clock.suspend(57 * MINUTE);
    scene.settled().await;
    assert_eq!(scene.cloud.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_use_and_ended_in_the_machines_sleep_is_renewed_as_soon_as_the_network_is_back() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.get("work").await.unwrap();
    scene.settled().await;
    for _ in 0..3 {
        scene.cloud.then(Act::Fail(unreachable()));
    }
    scene.clock.suspend(10 * HOUR);
    for _ in 0..60 {
        scene.settled().await;
        scene.clock.advance(Duration::from_secs(1));
    }
    assert!(scene.broker.warm("work", crate::broker::Need::default()).is_some(), "whoever opens the lid does not wait");
    assert_eq!(scene.cloud.called(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_right_after_the_machine_woke_up_is_not_final() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.settled().await;
    scene.clock.suspend(2 * HOUR);
    scene.settled().await;
    scene.cloud.then(refused());
    let fault = scene.get("work").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.to_string().contains("the refresh token is dead"), "{fault}");
    scene.clock.advance(11 * Duration::from_secs(1));
    scene.cloud.then(refused());
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman, "after ten seconds it is");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_network_is_forgiven_when_the_machine_wakes_up() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.clock.advance(2 * HOUR);
    for _ in 0..12 {
        scene.cloud.then(Act::Fail(unreachable()));
        let _ = scene.get("work").await;
        // Longer than any pause, whatever is drawn for it.
        scene.clock.advance(2 * MINUTE);
    }
    scene.cloud.then(Act::Fail(unreachable().retry_at(scene.clock.now().seconds() + 600)));
    assert!(scene.get("work").await.is_err() && scene.get("work").await.is_err());
    scene.clock.suspend(2 * Duration::from_secs(1));
    scene.settled().await;
    assert!(scene.get("work").await.is_ok(), "although eight minutes of patience were left");
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_costs_one_renewal_and_no_more() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.get("work").await.unwrap();
    for jump in [2 * MINUTE, 3 * DAY, 365 * DAY] {
        let before = scene.cloud.called();
        scene.clock.set(scene.clock.now().after(jump));
        scene.settled().await;
        for _ in 0..100 {
            scene.get("work").await.unwrap();
            scene.settled().await;
        }
        assert!(scene.cloud.called() - before <= 1, "{} renewals", scene.cloud.called() - before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_lengthens_no_life_and_shortens_none() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.settled().await;
    scene.clock.set(Timestamp::from_seconds(scene.clock.now().seconds() - 2 * 86_400));
    scene.settled().await;
    let cached = scene.broker.warm("work", crate::broker::Need::default()).unwrap();
    let told = cached.credential().expires_at.unwrap() - scene.clock.now().seconds();
    assert!((3595..=3605).contains(&told), "whoever is told its end is told the truth: {told}");
    scene.clock.advance(50 * MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    scene.clock.advance(11 * MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-2", "and what has ended is not handed out");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_with_fifty_accounts_asks_once_for_each_when_it_wakes_up() {
    let scene = Scene::new();
    for number in 0..50 {
        scene.login(&format!("a{number}")).await.unwrap();
        scene.get(&format!("a{number}")).await.unwrap();
    }
    scene.keeps_fresh();
    scene.settled().await;
    scene.clock.suspend(58 * MINUTE);
    scene.settled().await;
    scene.settled().await;
    assert_eq!(scene.cloud.called(), 100);
}
