//! What hangs holds up nobody who can do without it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud_agent_protocol::FaultKind;
use tokio::time::Instant;

use super::scripted::{MINUTE, PATIENCE, Scene};
use crate::broker::{Need, Surroundings};
use crate::clock::Timestamp;

/// More than `status` may wait for a vault.
const LONG: Duration = Duration::from_secs(3);

fn surroundings() -> Surroundings {
    let bare = Surroundings::nowhere(Timestamp::from_seconds(0));
    Surroundings { socket: "/s".into(), config: "/c".into(), ..bare }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_does_not_answer_keeps_no_cached_token_from_anyone() {
    let scene = Scene::logged_in().await;
    scene.login("other").await.unwrap();
    scene.clock.advance(57 * MINUTE);
    let door = scene.vault.shut();
    let begun = Instant::now();
    for _ in 0..3 {
        // Both are due, so a renewal of each waits for the vault meanwhile.
        assert_eq!(scene.get("work").await.unwrap(), "token-1");
        assert_eq!(scene.get("other").await.unwrap(), "token-2");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "the clock of these tests moves only while everybody waits");
    assert_eq!(scene.cloud.called(), 2);
    door.add_permits(100);
    assert!(scene.broker.settle(PATIENCE).await);
    assert_eq!(scene.cloud.called(), 4, "what waited has gone on");
    assert_ne!(scene.get("work").await.unwrap(), "token-1");
}

#[tokio::test(start_paused = true)]
async fn whoever_needs_a_vault_that_does_not_answer_waits_as_long_as_was_agreed() {
    let scene = Scene::logged_in().await;
    let _door = scene.vault.shut();
    let (begun, need) = (Instant::now(), Need { fresh: true, ..Need::default() });
    let fault = scene.broker.get("work", need, LONG).await.unwrap_err();
    assert_eq!((fault.kind, begun.elapsed()), (FaultKind::Unreachable, LONG));
    assert_eq!(scene.get("work").await.unwrap(), "token-1", "who takes the living one has it at once");
    assert_eq!(begun.elapsed(), LONG);
}

#[tokio::test(start_paused = true)]
async fn status_says_that_the_vault_does_not_answer_and_waits_for_it_once() {
    let scene = Scene::logged_in().await;
    scene.login("other").await.unwrap();
    let _door = scene.vault.shut();
    for (broker, state) in [(&scene.broker, "valid"), (&scene.restarted().broker, "failing")] {
        let begun = Instant::now();
        let status = broker.status(&surroundings()).await;
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        assert_eq!(status.accounts.len(), 2);
        for account in &status.accounts {
            assert_eq!((account.state.as_str(), account.holds.len()), (state, 0), "{account:?}");
        }
        let said = status.warnings.iter().filter(|warning| warning.contains("`shelf` does not answer")).count();
        assert_eq!(said, 1, "{:?}", status.warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn status_says_what_is_wrong_with_a_vault_instead_of_failing_with_it() {
    let scene = Scene::logged_in().await;
    scene.login("other").await.unwrap();
    scene.vault.unreadable.store(true, Ordering::SeqCst);
    let status = scene.broker.status(&surroundings()).await;
    assert_eq!(status.accounts.len(), 2);
    assert!(status.accounts.iter().all(|account| account.state == "valid"), "{:?}", status.accounts);
    assert_eq!(status.warnings, ["the shelf cannot be read"], "once for all accounts");
}
