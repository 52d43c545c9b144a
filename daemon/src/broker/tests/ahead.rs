//! What is renewed without anybody asking, and what is left alone.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Act, MINUTE, PATIENCE, Scene, unreachable};
use crate::clock::Clock as _;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_token_in_use_is_renewed_before_its_end_and_nobody_waits_for_it() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    assert_eq!(scene.get("work").await.unwrap(), "token-1");
    scene.pass(54 * MINUTE).await;
    assert_eq!(scene.cloud.called(), 1, "not before it is due");
    scene.pass(2 * MINUTE).await;
    assert_eq!(scene.cloud.called(), 2);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_nobody_asked_for_since_it_was_renewed_is_left_alone() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.pass(10 * HOUR).await;
    assert_eq!(scene.cloud.called(), 1, "nobody ever asked");
    scene.get("work").await.unwrap();
    scene.pass(10 * HOUR).await;
    assert_eq!(scene.cloud.called(), 3, "one for the caller, one ahead of time for whoever asks next, and no more");
}

#[tokio::test(start_paused = true)]
async fn nobody_ever_waits_while_a_short_token_is_in_use() {
    let scene = Scene::new();
    *scene.cloud.life.lock().unwrap() = Some(Duration::from_secs(10));
    scene.login("work").await.unwrap();
    scene.keeps_fresh();
    for tenth in 0..600 {
        assert!(
            scene.broker.warm("work", crate::broker::Need::default()).is_some(),
            "after {tenth} tenths of a second"
        );
        scene.clock.advance(Duration::from_millis(100));
        scene.settled().await;
    }
    assert!((7..=8).contains(&scene.cloud.called()), "{} requests in a minute", scene.cloud.called());
}

#[tokio::test(start_paused = true)]
async fn very_short_tokens_are_not_renewed_more_than_once_a_second() {
    let scene = Scene::new();
    *scene.cloud.life.lock().unwrap() = Some(Duration::from_millis(100));
    scene.login("work").await.unwrap();
    scene.keeps_fresh();
    for _ in 0..100 {
        let _ = scene.broker.warm("work", crate::broker::Need::default());
        scene.clock.advance(Duration::from_millis(50));
        scene.settled().await;
    }
    assert!(scene.cloud.called() <= 6, "{} requests in five seconds", scene.cloud.called());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_becomes_due_before_all_others_is_not_overlooked() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.get("work").await.unwrap();
    scene.settled().await;
    *scene.cloud.life.lock().unwrap() = Some(10 * MINUTE);
    scene.login("short").await.unwrap();
    scene.get("short").await.unwrap();
    scene.pass(9 * MINUTE).await;
    assert_eq!(scene.get("short").await.unwrap(), "token-3");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_and_dies_of_idleness_is_kept_alive_at_half_its_life_though_nobody_asks() {
    let scene = Scene::new();
    *scene.cloud.idle_life.lock().unwrap() = Some(24 * HOUR);
    scene.login("work").await.unwrap();
    scene.keeps_fresh();
    scene.pass(11 * HOUR).await;
    assert_eq!(scene.cloud.called(), 1);
    scene.pass(61 * HOUR + 10 * MINUTE).await;
    assert_eq!(scene.cloud.called(), 7, "every twelve hours");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_started_anew_keeps_alive_what_the_one_before_it_held() {
    let scene = Scene::new();
    *scene.cloud.idle_life.lock().unwrap() = Some(24 * HOUR);
    scene.login("work").await.unwrap();
    scene.clock.advance(7 * HOUR);
    let successor = scene.restarted();
    successor.keeps_fresh();
    successor.pass(4 * HOUR).await;
    assert_eq!(scene.cloud.called(), 1);
    successor.pass(2 * HOUR).await;
    assert_eq!(scene.cloud.called(), 2, "twelve hours after the login, by whichever agent");
    // The machine was off for so long that it is late, but not too late.
    scene.clock.advance(20 * HOUR);
    let successor = scene.restarted();
    successor.keeps_fresh();
    successor.settled().await;
    assert_eq!(scene.cloud.called(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_that_fails_is_tried_again_with_patience() {
    let scene = Scene::new();
    *scene.cloud.idle_life.lock().unwrap() = Some(24 * HOUR);
    scene.login("work").await.unwrap();
    scene.keeps_fresh();
    for _ in 0..3 {
        scene.cloud.then(Act::Fail(unreachable()));
    }
    scene.pass(12 * HOUR + 15 * MINUTE).await;
    assert_eq!(scene.cloud.called(), 3, "at twelve hours, and ten minutes later");
    scene.pass(2 * HOUR).await;
    assert_eq!(scene.cloud.called(), 5, "until one succeeds");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_met_with_pauses_and_ends_with_the_token() {
    let scene = Scene::logged_in().await;
    scene.keeps_fresh();
    scene.get("work").await.unwrap();
    for _ in 0..1000 {
        scene.cloud.then(Act::Fail(unreachable()));
    }
    scene.pass(65 * MINUTE).await;
    let tries = scene.cloud.called();
    assert!((5..60).contains(&tries), "{tries} tries in the last five minutes of a token");
    scene.pass(10 * HOUR).await;
    assert_eq!(scene.cloud.called(), tries, "after its end only who asks is a reason to try");
}

#[tokio::test(start_paused = true)]
async fn what_the_cloud_refused_for_good_is_not_tried_again_by_any_timer() {
    let scene = Scene::new();
    *scene.cloud.idle_life.lock().unwrap() = Some(24 * HOUR);
    scene.login("work").await.unwrap();
    scene.keeps_fresh();
    scene.get("work").await.unwrap();
    scene.cloud.then(Act::Fail(Fault::new(FaultKind::NeedsHuman, "the refresh token is dead")));
    scene.pass(30 * HOUR).await;
    assert_eq!(scene.cloud.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn status_tells_when_the_next_renewal_is() {
    let scene = Scene::logged_in().await;
    let renews_at = async || {
        let surroundings = crate::broker::Surroundings::nowhere(scene.clock.now());
        scene.broker.status(&surroundings).await.accounts[0].renews_at
    };
    assert_eq!(renews_at().await, None, "nobody asked for it yet");
    scene.get("work").await.unwrap();
    let left = renews_at().await.unwrap() - scene.clock.now().seconds();
    assert!((54 * 60 - 30..=55 * 60 + 30).contains(&left), "{left}");
    assert!(scene.broker.settle(PATIENCE).await);
}
