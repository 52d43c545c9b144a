//! Refresh tokens that work once: written down before they are spent, and what becomes of them if a reply is lost, the
//! agent dies, the vault fails, or somebody else was faster.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud_agent_protocol::v1::Login;
use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Act, Human, MINUTE, Scene, unreachable};
use crate::broker::Need;
use crate::clock::Clock as _;

fn refused() -> Act {
    Act::Fail(Fault::new(FaultKind::Refused, "that refresh token is not valid"))
}

/// One with `work` logged in, whose token has run out.
async fn expired() -> Scene {
    let scene = Scene::logged_in().await;
    scene.clock.advance(61 * MINUTE);
    scene
}

async fn refresh(scene: &Scene) -> String {
    scene.held("work").await.unwrap().0["refresh"].expose().to_owned()
}

async fn is_intended(scene: &Scene) -> bool {
    scene.vault.is_intended("work").await
}

/// That only a login helps, by the fault's own words, and that the cloud is left in peace.
async fn only_a_login_helps(scene: &Scene, says: &str) {
    let calls = scene.cloud.called();
    for _ in 0..3 {
        let fault = scene.get("work").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NeedsHuman, "{fault}");
        assert!(fault.to_string().contains(says) && fault.hint.unwrap().contains("cloud-token login work"));
        scene.clock.advance(5 * MINUTE);
    }
    assert_eq!(scene.cloud.called(), calls);
}

#[tokio::test(start_paused = true)]
async fn what_is_about_to_be_spent_is_written_down_before_and_gone_after() {
    let scene = expired().await;
    scene.get("work").await.unwrap();
    assert_eq!(scene.spent(), ["refresh-1 intended"]);
    assert_eq!((refresh(&scene).await.as_str(), is_intended(&scene).await), ("refresh-2", false));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_asked_for_once_more_at_once() {
    let scene = expired().await;
    scene.cloud.then(Act::Lose);
    assert_eq!(scene.get("work").await.unwrap(), "token-3");
    assert_eq!(scene.spent(), ["refresh-1 intended", "refresh-1 intended"]);
    assert!(!is_intended(&scene).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_after_a_lost_reply_is_lost_and_never_sent_again() {
    let scene = expired().await;
    scene.cloud.then(Act::Lose);
    scene.cloud.then(refused());
    only_a_login_helps_after_two(&scene).await;
    scene.login("work").await.unwrap();
    assert_eq!(scene.get("work").await.unwrap(), "token-4");
}

async fn only_a_login_helps_after_two(scene: &Scene) {
    let fault = scene.get("work").await.unwrap_err();
    assert!(fault.to_string().contains("not valid"), "the cloud's own words are there: {fault}");
    only_a_login_helps(scene, "is lost").await;
    assert_eq!(scene.spent().len(), 2, "one retry");
    assert_eq!(refresh(scene).await, "refresh-1", "and it is not thrown away");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_whose_replies_go_on_being_lost_is_unreachable_and_asked_once_each_time() {
    let scene = expired().await;
    for sent in [2, 3, 4] {
        scene.cloud.then(Act::Lose);
        scene.cloud.then(Act::Lose);
        assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::Unreachable);
        assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::Unreachable, "remembered");
        assert_eq!(scene.spent().len(), sent);
        while scene.cloud.forgets_one() {}
        assert!(is_intended(&scene).await, "it may be spent, for all that anybody knows");
        scene.clock.advance(2 * MINUTE);
    }
    assert_eq!(scene.get("work").await.unwrap(), "token-6");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_lost_after_a_long_silence_is_not_asked_for_at_once() {
    let scene = Arc::new(expired().await);
    let gate = scene.cloud.gate("work");
    scene.cloud.then(Act::Lose);
    let caller = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    while scene.spent().is_empty() {
        tokio::task::yield_now().await;
    }
    scene.clock.advance(Duration::from_secs(6));
    gate.add_permits(1);
    assert_eq!(caller.await.unwrap().unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(scene.spent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_answers_has_spent_nothing_and_the_intent_is_taken_back() {
    for fault in [unreachable(), Fault::new(FaultKind::Refused, "no")] {
        let scene = expired().await;
        scene.cloud.then(Act::Fail(fault.clone()));
        assert_eq!(scene.get("work").await.unwrap_err().kind, fault.kind);
        assert_eq!(scene.spent().len(), 1);
        assert!(!is_intended(&scene).await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_died_after_it_wrote_its_intent_has_a_successor_that_tries_once() {
    for (then, kind) in [(refused(), FaultKind::NeedsHuman), (Act::Lose, FaultKind::Unreachable)] {
        let scene = expired().await;
        scene.vault.intend("work", scene.clock.now().seconds(), "").await;
        let scene = scene.restarted();
        scene.cloud.then(then);
        let fault = scene.get("work").await.unwrap_err();
        assert_eq!(
            (fault.kind, fault.to_string().contains("is lost")),
            (kind, kind == FaultKind::NeedsHuman),
            "{fault}"
        );
        assert_eq!(scene.spent().len(), 1);
    }
    let scene = expired().await;
    scene.vault.intend("work", scene.clock.now().seconds(), "").await;
    let scene = scene.restarted();
    scene.get("work").await.unwrap();
    assert!(!is_intended(&scene).await);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_believed_while_somebody_else_has_something_newer() {
    let scene = Arc::new(expired().await);
    let gate = scene.cloud.gate("work");
    scene.cloud.then(refused());
    let caller = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    while scene.spent().is_empty() {
        tokio::task::yield_now().await;
    }
    scene.vault.put("work", "newer").await;
    gate.add_permits(2);
    assert_eq!(caller.await.unwrap().unwrap(), "token-3");
    assert_eq!(scene.spent(), ["refresh-1 intended", "newer intended"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_outrun_sends_nothing_and_uses_what_the_winner_saved() {
    let scene = expired().await;
    scene.cloud.then(Act::Outrun("winner"));
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    assert_eq!(scene.spent(), ["winner intended"]);
    assert_eq!(refresh(&scene).await, "refresh-2");
}

#[tokio::test(start_paused = true)]
async fn while_another_machine_is_about_to_renew_this_one_waits_for_it() {
    let scene = Arc::new(expired().await);
    *scene.vault.writer.lock().unwrap() = "here".into();
    scene.vault.intend("work", scene.clock.now().seconds(), "there").await;
    let caller = tokio::spawn({
        let scene = scene.clone();
        async move { scene.get("work").await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!caller.is_finished() && scene.spent().is_empty());
    scene.vault.put("work", "theirs").await;
    caller.await.unwrap().unwrap();
    assert_eq!(scene.spent(), ["theirs intended"]);
}

#[tokio::test(start_paused = true)]
async fn another_machine_that_died_is_not_waited_for_for_ever() {
    for ago in [0, 3600] {
        let scene = expired().await;
        *scene.vault.writer.lock().unwrap() = "here".into();
        scene.vault.intend("work", scene.clock.now().seconds() - ago, "there").await;
        let since = tokio::time::Instant::now();
        scene.get("work").await.ok();
        let settled = scene.broker.settle(2 * MINUTE).await;
        assert!(settled && since.elapsed() < MINUTE, "{:?}", since.elapsed());
        assert_eq!(scene.spent(), ["refresh-1 intended"]);
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_room_to_keep_the_next_one_nothing_is_spent_while_the_token_lives() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(55 * MINUTE);
    scene.vault.broken.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(scene.get("work").await.unwrap(), "token-1");
        assert!(scene.broker.settle(MINUTE).await);
    }
    assert!(scene.spent().is_empty());
    scene.vault.broken.store(false, Ordering::SeqCst);
    scene.clock.advance(MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-1", "renewed behind the answer");
    assert!(scene.broker.settle(MINUTE).await);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_held_back_is_not_put_off_once_the_token_has_run_out() {
    let scene = Scene::logged_in().await;
    scene.clock.advance(59 * MINUTE + Duration::from_millis(59_990));
    scene.vault.broken.store(true, Ordering::SeqCst);
    assert!(scene.need("work", Need { fresh: true, ..Need::default() }).await.is_err());
    assert!(scene.spent().is_empty());
    scene.clock.advance(Duration::from_millis(20));
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn with_no_room_and_no_token_left_it_is_renewed_told_and_saved_by_itself_later() {
    let scene = expired().await;
    scene.vault.broken.store(true, Ordering::SeqCst);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    assert_eq!(refresh(&scene).await, "refresh-1");
    assert!(!scene.broker.settle(Duration::ZERO).await, "an end now would lose it, and says so");
    tokio::time::sleep(10 * MINUTE).await;
    scene.vault.broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(refresh(&scene).await, "refresh-2");
    assert!(scene.broker.settle(Duration::ZERO).await);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_saved_gives_way_to_what_somebody_else_saved_since() {
    let scene = expired().await;
    scene.vault.broken.store(true, Ordering::SeqCst);
    scene.get("work").await.unwrap();
    scene.vault.put("work", "newer").await;
    scene.vault.broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(refresh(&scene).await, "newer");
    scene.clock.advance(61 * MINUTE);
    scene.get("work").await.unwrap();
    assert_eq!(scene.spent().last().unwrap(), "newer intended");
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_login_is_in_no_vault_and_renews_all_the_same() {
    let scene = Scene::new();
    let request = Login { ephemeral: true, ..Scene::login_request("work") };
    scene.broker.login(request, Arc::new(Human::default())).await.unwrap();
    assert!(scene.held("work").await.is_none());
    scene.clock.advance(61 * MINUTE);
    assert_eq!(scene.get("work").await.unwrap(), "token-2");
    assert!(scene.held("work").await.is_none());
    let scene = scene.restarted();
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::UnknownAccount);
}
