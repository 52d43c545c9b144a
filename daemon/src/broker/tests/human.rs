//! A human is needed: who is told, how often, and who is served by what they do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloud_agent_protocol::v1::Question;
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::scripted::{Act, Human, MINUTE, Scene};
use crate::broker::Need;
use crate::notice::{Herald, Notice, Reason, Way};
use crate::provider::{Ask, Boxed};

/// Somebody who writes down what they were told, and may never come to an end.
#[derive(Default)]
struct Scribe {
    told: Mutex<Vec<(Notice, Option<Way>)>>,
    hangs: AtomicBool,
}

impl Herald for Scribe {
    fn tell(&self, notice: Notice, way: Option<Way>) -> Boxed<'_, ()> {
        self.told.lock().unwrap().push((notice, way));
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An agent whose human is told by a scribe, with the account `work`.
struct Desk {
    scene: Scene,
    scribe: Arc<Scribe>,
}

impl Desk {
    async fn new() -> Self {
        let (scene, scribe) = (Scene::logged_in().await, Arc::new(Scribe::default()));
        scene.broker.tell_by(scribe.clone());
        scene.keeps_fresh();
        scene.settled().await;
        Self { scene, scribe }
    }

    /// One whose session the cloud has ended, with the token over.
    async fn lost() -> Self {
        let desk = Self::new().await;
        desk.scene.pass(61 * MINUTE).await;
        desk.refuses();
        desk
    }

    fn refuses(&self) {
        let fault = Fault::new(FaultKind::NeedsHuman, "the refresh token is dead").hint("`cloud-token login work`");
        self.scene.cloud.then(Act::Fail(fault));
    }

    async fn is_refused(&self) {
        assert_eq!(self.scene.get("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
        self.scene.settled().await;
    }

    /// Time passes, second by second.
    async fn seconds(&self, count: u64) {
        for _ in 0..count {
            self.scene.clock.advance(Duration::from_secs(1));
            self.scene.settled().await;
        }
    }

    fn told(&self) -> Vec<Notice> {
        self.scribe.told.lock().unwrap().iter().map(|(notice, _)| notice.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_human_is_told_once_what_to_type_however_many_ask() {
    let desk = Desk::lost().await;
    for _ in 0..50 {
        desk.is_refused().await;
    }
    assert!(desk.told().is_empty(), "a client at a terminal asks its human at once");
    desk.seconds(3).await;
    let notice = Notice {
        account: Some("work".into()),
        cloud: Some("acme".into()),
        reason: Reason::Login,
        command: "cloud-token login work".into(),
    };
    assert_eq!(desk.told(), [notice]);
    desk.is_refused().await;
    desk.seconds(60).await;
    assert_eq!(desk.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_again_before_a_pause_that_doubles_and_then_only_if_somebody_asks() {
    let desk = Desk::lost().await;
    let mut expected = 0;
    for pause in [5, 10, 20] {
        desk.is_refused().await;
        desk.seconds(3).await;
        expected += 1;
        assert_eq!(desk.told().len(), expected);
        for _ in 1..pause {
            desk.scene.pass(MINUTE).await;
            desk.is_refused().await;
        }
        assert_eq!(desk.told().len(), expected, "before {pause} minutes");
        desk.scene.pass(MINUTE).await;
        assert_eq!(desk.told().len(), expected, "nobody asks");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_mended_on_the_way_is_not_told_and_what_comes_after_is_news() {
    let desk = Desk::lost().await;
    desk.is_refused().await;
    desk.scene.login("work").await.unwrap();
    desk.seconds(5).await;
    assert!(desk.told().is_empty());
    for expected in [1, 2] {
        desk.scene.broker.reject("work", None).unwrap();
        desk.refuses();
        desk.is_refused().await;
        desk.seconds(3).await;
        assert_eq!(desk.told().len(), expected);
        desk.scene.login("work").await.unwrap();
    }
}

/// Thinks for as long as the test likes.
struct Thinker(tokio::sync::Semaphore);

impl Ask for Thinker {
    fn ask(&self, _: Question) -> Boxed<'_, Secret> {
        Box::pin(async {
            self.0.acquire().await.unwrap().forget();
            Err(Fault::new(FaultKind::NeedsHuman, "they gave up"))
        })
    }

    fn is_anyone_there(&self) -> bool {
        true
    }

    fn show(&self, _: cloud_agent_protocol::v1::Show) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_at_it_is_not_told_and_somebody_is_once_they_gave_up() {
    let desk = Desk::lost().await;
    let thinker = Arc::new(Thinker(tokio::sync::Semaphore::new(0)));
    let mut request = Scene::login_request("work");
    (request.secrets, request.interactive) = (Vec::new(), true);
    let (broker, ask) = (desk.scene.broker.clone(), thinker.clone());
    let login = tokio::spawn(async move { broker.login(request, ask).await });
    desk.is_refused().await;
    desk.seconds(60).await;
    desk.is_refused().await;
    desk.seconds(60).await;
    assert!(desk.told().is_empty());
    thinker.0.add_permits(1);
    login.await.unwrap().unwrap_err();
    desk.seconds(5).await;
    assert!(desk.told().is_empty(), "they know what they did");
    desk.is_refused().await;
    desk.seconds(3).await;
    assert_eq!(desk.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_in_the_first_seconds_after_the_machine_woke_up() {
    for asks_before in [true, false] {
        let desk = Desk::lost().await;
        desk.is_refused().await;
        if !asks_before {
            desk.seconds(3).await;
            assert_eq!(desk.told().len(), 1);
        }
        let before = desk.told().len();
        desk.scene.clock.suspend(10 * MINUTE);
        desk.scene.settled().await;
        desk.is_refused().await;
        desk.seconds(14).await;
        assert_eq!(desk.told().len(), before, "asks before: {asks_before}");
        desk.seconds(2).await;
        assert_eq!(desk.told().len(), before + 1, "asks before: {asks_before}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_wakes_up_to_a_login_that_is_mended_at_once_tells_nobody() {
    let desk = Desk::lost().await;
    desk.scene.clock.suspend(10 * MINUTE);
    desk.scene.settled().await;
    // A captive portal, say.
    assert_eq!(desk.scene.get("work").await.unwrap_err().kind, FaultKind::Unreachable);
    desk.seconds(12).await;
    desk.scene.get("work").await.unwrap();
    desk.seconds(30).await;
    assert!(desk.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_in_use_that_cannot_be_renewed_is_told_before_it_ends_and_one_that_nobody_uses_is_not() {
    let desk = Desk::new().await;
    desk.scene.get("work").await.unwrap();
    desk.refuses();
    desk.scene.pass(57 * MINUTE).await;
    assert!(desk.scene.get("work").await.is_ok());
    assert_eq!(desk.told().len(), 1);

    let desk = Desk::new().await;
    *desk.scene.cloud.idle_life.lock().unwrap() = Some(60 * MINUTE);
    desk.scene.login("work").await.unwrap();
    desk.refuses();
    desk.scene.pass(50 * MINUTE).await;
    assert_eq!(desk.scene.cloud.called(), 3, "it was kept alive, in vain");
    assert!(desk.told().is_empty());
    desk.scene.pass(20 * MINUTE).await;
    desk.is_refused().await;
    desk.seconds(3).await;
    assert_eq!(desk.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_locked_agent_tells_that_it_is_locked_and_names_no_account() {
    let desk = Desk::new().await;
    desk.scene.broker.lock(Some("correct horse".into()), &Human::default()).await.unwrap();
    for _ in 0..3 {
        desk.is_refused().await;
    }
    desk.seconds(3).await;
    let notice = Notice { account: None, cloud: None, reason: Reason::Unlock, command: "cloud-token unlock".into() };
    assert_eq!(desk.told(), [notice]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_served_by_a_login_and_by_an_unlock_and_is_told_what_no_human_mends() {
    let desk = Desk::lost().await;
    desk.is_refused().await;
    let broker = desk.scene.broker.clone();
    let mut mends = broker.mends();
    let needs = |asked: Result<Option<Fault>, Fault>| asked.unwrap().is_some();
    assert!(needs(broker.ask_again("work", MINUTE).await));
    desk.scene.login("work").await.unwrap();
    mends.changed().await.unwrap();
    assert!(!needs(broker.ask_again("work", MINUTE).await));
    broker.lock(Some("correct horse".into()), &Human::default()).await.unwrap();
    assert!(needs(broker.ask_again("work", MINUTE).await));
    assert!(needs(broker.ask_again("nobody", MINUTE).await), "it learns of no account");
    mends.mark_unchanged();
    broker.unlock(Some("correct horse".into()), &Human::default()).await.unwrap();
    mends.changed().await.unwrap();
    assert!(!needs(broker.ask_again("work", MINUTE).await));
    assert_eq!(broker.ask_again("nobody", MINUTE).await.unwrap_err().kind, FaultKind::UnknownAccount);
}

#[tokio::test(start_paused = true)]
async fn a_herald_that_hangs_holds_up_nobody_and_no_other_notice() {
    let desk = Desk::new().await;
    desk.scene.login("home").await.unwrap();
    desk.scene.pass(61 * MINUTE).await;
    desk.refuses();
    desk.scribe.hangs.store(true, Ordering::SeqCst);
    desk.is_refused().await;
    desk.seconds(3).await;
    assert_eq!(desk.told().len(), 1);
    desk.is_refused().await;
    assert!(desk.scene.get("home").await.is_ok());
    desk.scene.login("work").await.unwrap();
    assert!(desk.scene.need("work", Need { fresh: true, min_valid: None }).await.is_ok());
    let fault = Fault::new(FaultKind::NeedsHuman, "dead").hint("`cloud-token login home`");
    desk.scene.cloud.then(Act::Fail(fault));
    desk.scene.need("home", Need { fresh: true, min_valid: None }).await.unwrap_err();
    desk.seconds(3).await;
    assert_eq!(desk.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_way_is_the_one_that_the_accounts_file_says_now() {
    let desk = Desk::lost().await;
    let path = desk.scene.dir.path().join("accounts.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("notify = \"ring the bell\"\n{text}")).unwrap();
    desk.is_refused().await;
    desk.seconds(3).await;
    let way = desk.scribe.told.lock().unwrap()[0].1.clone();
    assert_eq!(way, Some(Way::Command("ring the bell".into())));
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn an_agent_that_takes_over_does_not_tell_again_what_was_told() {
    let desk = Desk::lost().await;
    desk.is_refused().await;
    desk.seconds(3).await;
    let heir = desk.scene.restarted();
    heir.broker.inherit(&desk.scene.broker.estate(Vec::new())).unwrap();
    let scribe = Arc::new(Scribe::default());
    heir.broker.tell_by(scribe.clone());
    heir.get("work").await.unwrap_err();
    heir.pass(4 * MINUTE).await;
    assert!(scribe.told.lock().unwrap().is_empty());
    heir.pass(MINUTE).await;
    heir.get("work").await.unwrap_err();
    heir.pass(MINUTE).await;
    assert_eq!(scribe.told.lock().unwrap().len(), 1);
}
