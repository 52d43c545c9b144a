//! For how long an account is held: what extends that, what does not, and what is left afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud_agent_protocol::v1::{Login, Overview, Setting};
use cloud_agent_protocol::{Fault, FaultKind};

use super::scripted::{Human, MINUTE, PATIENCE, Scene};
use crate::accounts::Limits;
use crate::broker::{Need, Surroundings};
use crate::clock::{Clock as _, Timestamp};

const HOUR: Duration = Duration::from_hours(1);

fn with(account: &str, settings: &[(&str, &str)]) -> Login {
    let settings = settings.iter().map(|(name, value)| Setting { name: (*name).into(), value: (*value).into() });
    let mut login = Scene::login_request(account);
    login.settings.extend(settings);
    login
}

async fn log_in(scene: &Scene, account: &str, settings: &[(&str, &str)]) -> Vec<String> {
    scene.broker.login(with(account, settings), Arc::new(Human::default())).await.unwrap()
}

/// One with `work` logged in and limited so, whose agent has ended since.
async fn left_behind(settings: &[(&str, &str)]) -> Scene {
    let scene = Scene::new();
    log_in(&scene, "work", settings).await;
    scene
}

/// The same, and its agent does what is due.
async fn limited(settings: &[(&str, &str)]) -> Scene {
    let scene = left_behind(settings).await;
    scene.keeps_fresh();
    scene.settled().await;
    scene
}

/// That nothing is to be had, nor held, and that the caller is told why.
async fn is_forgotten(scene: &Scene, why: &str) {
    let calls = scene.cloud.called();
    says_why(&scene.get("work").await.unwrap_err(), why);
    scene.settled().await;
    assert_eq!(scene.held("work").await, None, "the vault has forgotten it, too");
    says_why(&scene.get("work").await.unwrap_err(), why);
    assert_eq!(
        (scene.cloud.called(), scene.cloud.revoked.load(Ordering::SeqCst)),
        (calls, 0),
        "the cloud is left alone"
    );
}

fn says_why(fault: &Fault, why: &str) {
    assert_eq!(fault.kind, FaultKind::NeedsHuman, "{fault}");
    assert_eq!((fault.message.as_str(), fault.causes.as_slice()), ("`work` is held no longer", &[why.to_owned()][..]));
    assert_eq!(fault.hint.as_deref(), Some("`cloud-token login work`"));
}

async fn overview(scene: &Scene) -> Overview {
    let surroundings = Surroundings::nowhere(scene.clock.now());
    scene.broker.overview(&surroundings).await
}

const EIGHT_HOURS: &str = "it was held for 8h, as accounts.toml says";
const ONE_IDLE_HOUR: &str = "nobody asked for it for 1h, as accounts.toml says";

#[tokio::test(start_paused = true)]
async fn an_account_is_forgotten_so_long_after_its_login_however_often_it_was_used_and_renewed() {
    let scene = limited(&[("hold-for", "8h")]).await;
    for _ in 0..16 {
        scene.get("work").await.unwrap();
        scene.pass(29 * MINUTE).await;
    }
    assert!(scene.cloud.called() > 4, "it was renewed all the while");
    scene.pass(17 * MINUTE).await;
    is_forgotten(&scene, EIGHT_HOURS).await;
    assert_eq!(scene.broker.next_due(), None, "and no alarm is left");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_forgotten_though_the_agent_renews_it() {
    let scene = Scene::new();
    *scene.cloud.idle_life.lock().unwrap() = Some(20 * MINUTE);
    log_in(&scene, "work", &[("hold-idle", "1h")]).await;
    scene.keeps_fresh();
    for _ in 0..3 {
        scene.pass(50 * MINUTE).await;
        scene.get("work").await.unwrap();
    }
    let calls = scene.cloud.called();
    scene.pass(59 * MINUTE).await;
    assert!(scene.cloud.called() > calls + 3, "kept alive, and not by anybody's asking");
    assert!(scene.held("work").await.is_some());
    scene.pass(2 * MINUTE).await;
    is_forgotten(&scene, ONE_IDLE_HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn asking_for_what_the_cloud_cannot_give_is_asking_all_the_same() {
    let scene = limited(&[("hold-idle", "2h")]).await;
    for _ in 0..1000 {
        scene.cloud.then(super::scripted::Act::Fail(super::scripted::unreachable()));
    }
    scene.pass(90 * MINUTE).await;
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::Unreachable);
    scene.pass(90 * MINUTE).await;
    assert_eq!(scene.get("work").await.unwrap_err().kind, FaultKind::Unreachable, "it is still held");
}

#[tokio::test(start_paused = true)]
async fn another_login_begins_it_anew() {
    let scene = limited(&[("hold-for", "8h")]).await;
    scene.pass(7 * HOUR).await;
    scene.login("work").await.unwrap();
    scene.pass(7 * HOUR).await;
    scene.get("work").await.unwrap();
    scene.pass(61 * MINUTE).await;
    is_forgotten(&scene, EIGHT_HOURS).await;
    scene.login("work").await.unwrap();
    scene.get("work").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_to_ask_after_the_machine_slept_is_refused_before_any_timer_has_noticed() {
    let scene = limited(&[("hold-for", "8h")]).await;
    *scene.cloud.life.lock().unwrap() = Some(100 * HOUR);
    scene.need("work", Need { min_valid: None, fresh: true }).await.unwrap();
    scene.clock.suspend(8 * HOUR);
    assert!(scene.broker.warm("work", Need::default()).is_none());
    // Not softened into a fault of the network, as a cloud's refusal right after waking up is.
    is_forgotten(&scene, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_extends_nothing_and_one_that_is_set_forward_counts() {
    let scene = limited(&[("hold-for", "8h")]).await;
    scene.clock.set(Timestamp::from_seconds(1_600_000_000));
    scene.pass(7 * HOUR).await;
    scene.get("work").await.unwrap();
    scene.pass(61 * MINUTE).await;
    is_forgotten(&scene, EIGHT_HOURS).await;
    scene.login("work").await.unwrap();
    scene.clock.set(scene.clock.now().after(9 * HOUR));
    scene.settled().await;
    is_forgotten(&scene, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_started_after_the_end_forgets_and_uses_nothing() {
    let scene = left_behind(&[("hold-for", "8h")]).await;
    scene.clock.advance(9 * HOUR);
    let late = scene.restarted();
    // Before it has looked through its vault.
    says_why(&late.get("work").await.unwrap_err(), EIGHT_HOURS);
    let status = overview(&late).await;
    assert_eq!((status.status.accounts[0].state.as_str(), status.holdings[0].until), ("needs-login", None));
    late.keeps_fresh();
    late.settled().await;
    is_forgotten(&late, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_started_before_the_end_goes_on_counting() {
    let scene = left_behind(&[("hold-for", "8h")]).await;
    scene.clock.advance(5 * HOUR);
    let next = scene.restarted();
    next.keeps_fresh();
    next.pass(2 * HOUR).await;
    next.get("work").await.unwrap();
    next.pass(61 * MINUTE).await;
    is_forgotten(&next, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn that_somebody_asked_outlives_an_agent_that_ends_and_nearly_all_of_it_one_that_dies() {
    for dies in [false, true] {
        let scene = limited(&[("hold-idle", "1h")]).await;
        *scene.cloud.life.lock().unwrap() = Some(100 * HOUR);
        scene.need("work", Need { min_valid: None, fresh: true }).await.unwrap();
        for _ in 0..59 {
            scene.pass(MINUTE).await;
            scene.get("work").await.unwrap();
        }
        if !dies {
            assert!(scene.broker.settle(PATIENCE).await);
        }
        scene.clock.advance(if dies { 44 } else { 59 } * MINUTE);
        let next = scene.restarted();
        next.get("work").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn being_asked_costs_the_vault_next_to_nothing() {
    let scene = limited(&[("hold-idle", "1h")]).await;
    *scene.cloud.life.lock().unwrap() = Some(100 * HOUR);
    scene.need("work", Need { min_valid: None, fresh: true }).await.unwrap();
    let saves = scene.vault.saves.load(Ordering::SeqCst);
    for _ in 0..3600 {
        scene.clock.advance(Duration::from_secs(1));
        scene.get("work").await.unwrap();
        scene.settled().await;
    }
    let marks = scene.vault.saves.load(Ordering::SeqCst) - saves;
    assert!((1..=4).contains(&marks), "{marks} writes for 3600 gets in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_mark_does_not_wipe_out_what_a_crash_has_left_in_doubt() {
    let scene = limited(&[("hold-idle", "1h")]).await;
    scene.vault.intend("work", scene.clock.now().seconds(), "").await;
    scene.pass(30 * MINUTE).await;
    scene.get("work").await.unwrap();
    scene.settled().await;
    assert!(scene.vault.is_intended("work").await);
}

#[tokio::test(start_paused = true)]
async fn a_lock_does_not_stop_the_clock() {
    for settings in [[("hold-for", "8h")], [("hold-idle", "8h")]] {
        let scene = limited(&settings).await;
        let guest = Login { ephemeral: true, ..with("guest", &settings) };
        scene.broker.login(guest, Arc::new(Human::default())).await.unwrap();
        scene.broker.lock(Some("a passphrase".into()), &Human::default()).await.unwrap();
        scene.pass(9 * HOUR).await;
        scene.broker.unlock(Some("a passphrase".into()), &Human::default()).await.unwrap();
        let calls = scene.cloud.called();
        for account in ["work", "guest"] {
            assert!(scene.broker.warm(account, Need::default()).is_none());
            let fault = scene.get(account).await.unwrap_err();
            assert!(fault.message.contains("is held no longer"), "{fault}");
        }
        scene.settled().await;
        assert_eq!(scene.held("work").await, None);
        assert_eq!(scene.cloud.called(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn the_agents_limit_is_for_those_without_one_and_the_most_for_all() {
    let scene = Scene::new();
    scene.broker.hold_at_most(Limits::new(Some(4 * HOUR), None));
    for (account, own) in
        [("none", vec![]), ("longer", vec![("hold-for", "8h")]), ("shorter", vec![("hold-for", "2h")])]
    {
        log_in(&scene, account, &own).await;
    }
    scene.keeps_fresh();
    let held = async || {
        let names = ["none", "longer", "shorter"];
        let mut held = Vec::new();
        for name in names {
            if scene.held(name).await.is_some() {
                held.push(name);
            }
        }
        held
    };
    scene.pass(119 * MINUTE).await;
    assert_eq!(held().await, ["none", "longer", "shorter"]);
    scene.pass(2 * MINUTE).await;
    assert_eq!(held().await, ["none", "longer"]);
    scene.pass(118 * MINUTE).await;
    assert_eq!(held().await, ["none", "longer"]);
    scene.pass(2 * MINUTE).await;
    assert!(held().await.is_empty());
    let fault = scene.get("longer").await.unwrap_err();
    assert_eq!(fault.causes, ["it was held for 4h, as the agent's `--hold-for 4h` says"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_at_the_end_is_given_to_nobody() {
    let scene = limited(&[("hold-for", "1h")]).await;
    scene.clock.advance(59 * MINUTE);
    let gate = scene.cloud.gate("work");
    let broker = scene.broker.clone();
    let fresh = Need { min_valid: None, fresh: true };
    let waiting = tokio::spawn(async move { broker.get("work", fresh, PATIENCE).await });
    scene.settled().await;
    scene.clock.advance(2 * MINUTE);
    scene.settled().await;
    gate.add_permits(1);
    says_why(&waiting.await.unwrap().unwrap_err(), "it was held for 1h, as accounts.toml says");
    is_forgotten(&scene, "it was held for 1h, as accounts.toml says").await;
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_cannot_forget_is_asked_again_and_nothing_is_used_meanwhile() {
    let scene = limited(&[("hold-for", "8h")]).await;
    scene.vault.unreadable.store(true, Ordering::SeqCst);
    scene.pass(9 * HOUR).await;
    says_why(&scene.get("work").await.unwrap_err(), EIGHT_HOURS);
    scene.vault.unreadable.store(false, Ordering::SeqCst);
    assert!(scene.held("work").await.is_some());
    says_why(&scene.get("work").await.unwrap_err(), EIGHT_HOURS);
    scene.pass(2 * MINUTE).await;
    is_forgotten(&scene, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_about_to_be_replaced_begins_to_forget_nothing_and_hands_out_nothing_either() {
    let scene = limited(&[("hold-for", "8h")]).await;
    scene.broker.hold_still(true);
    scene.pass(9 * HOUR).await;
    assert!(scene.held("work").await.is_some());
    says_why(&scene.get("work").await.unwrap_err(), EIGHT_HOURS);
    scene.broker.hold_still(false);
    scene.settled().await;
    is_forgotten(&scene, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_agent_has_logged_in_since_is_used_and_not_erased() {
    let scene = limited(&[("hold-for", "8h")]).await;
    scene.clock.advance(4 * HOUR);
    let other = scene.restarted();
    other.login("work").await.unwrap();
    scene.pass(5 * HOUR).await;
    assert!(scene.held("work").await.is_some());
    scene.get("work").await.unwrap();
    scene.pass(4 * HOUR).await;
    is_forgotten(&scene, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_login_by_an_older_agent_the_time_begins_when_it_is_first_seen() {
    let scene = left_behind(&[("hold-for", "8h")]).await;
    scene.vault.forget_beside("work", "@held-since").await;
    scene.clock.advance(20 * HOUR);
    let newer = scene.restarted();
    newer.keeps_fresh();
    newer.settled().await;
    newer.clock.advance(5 * HOUR);
    let next = scene.restarted();
    next.keeps_fresh();
    next.pass(2 * HOUR).await;
    next.get("work").await.unwrap();
    next.pass(61 * MINUTE).await;
    is_forgotten(&next, EIGHT_HOURS).await;
}

#[tokio::test(start_paused = true)]
async fn there_is_one_alarm_for_it_and_none_without_a_limit() {
    let scene = limited(&[]).await;
    assert_eq!(scene.broker.next_due(), None);
    let scene = limited(&[("hold-for", "8h")]).await;
    let begun = scene.clock.uptime();
    assert_eq!(scene.broker.next_due(), Some(begun + 8 * HOUR));
    log_in(&scene, "more", &[("hold-idle", "2h")]).await;
    assert_eq!(scene.broker.next_due(), Some(begun + 2 * HOUR), "for whatever is over first");
}

#[tokio::test(start_paused = true)]
async fn a_limit_at_the_head_of_the_file_is_for_all_accounts_as_soon_as_it_is_read() {
    let scene = limited(&[("hold-for", "8h")]).await;
    log_in(&scene, "free", &[]).await;
    let file = scene.dir.path().join("accounts.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("hold-for = \"3h\"\n{text}")).unwrap();
    scene.broker.read_configuration_again();
    assert_eq!(scene.get("work").await.unwrap(), "token-1", "a limit costs nobody a token");
    scene.pass(3 * HOUR + MINUTE).await;
    is_forgotten(&scene, "it was held for 3h, as accounts.toml says").await;
    assert_eq!(scene.held("free").await, None);
    assert_eq!(overview(&scene).await.hold_for, Some(3 * 3600));
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_file_counts_from_the_next_status_on() {
    let scene = limited(&[("hold-for", "8h")]).await;
    let file = scene.dir.path().join("accounts.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("hold-for = \"8h\"", "hold-for = \"100m\"")).unwrap();
    let seen = overview(&scene).await;
    assert_eq!(seen.holdings[0].until, Some(scene.clock.now().after(100 * MINUTE).seconds()));
    scene.pass(101 * MINUTE).await;
    is_forgotten(&scene, "it was held for 100m, as accounts.toml says").await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_set_later_counts_from_the_login_all_the_same() {
    let scene = left_behind(&[]).await;
    scene.clock.advance(5 * HOUR);
    let next = scene.restarted();
    next.need("work", Need { min_valid: None, fresh: true }).await.unwrap();
    let file = scene.dir.path().join("accounts.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "hold-for = \"8h\"\n").unwrap();
    next.keeps_fresh();
    next.settled().await;
    let seen = overview(&next).await;
    assert_eq!(seen.holdings[0].until, Some(scene.clock.now().after(3 * HOUR).seconds()));
    next.pass(3 * HOUR + MINUTE).await;
    is_forgotten(&next, EIGHT_HOURS).await;
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("hold-for = \"8h\"\n", "")).unwrap();
    assert_eq!(overview(&next).await.status.accounts[0].state, "needs-login");
    says_why(&next.get("work").await.unwrap_err(), EIGHT_HOURS);
}

#[tokio::test(start_paused = true)]
async fn status_tells_where_and_until_when_and_by_what() {
    let scene = Scene::new();
    scene.broker.hold_at_most(Limits::new(Some(12 * HOUR), None));
    let notes = log_in(&scene, "work", &[("hold-idle", "1h")]).await;
    let said = |what: &str| notes.iter().any(|note| note == what);
    assert!(said("it is forgotten 12h after this login, as the agent's `--hold-for 12h` says"), "{notes:?}");
    assert!(said("it is forgotten once nobody has asked for it for 1h, as accounts.toml says"), "{notes:?}");
    let begun = scene.clock.now();
    let guest = Login { ephemeral: true, ..Scene::login_request("guest") };
    scene.broker.login(guest, Arc::new(Human::default())).await.unwrap();
    scene.clock.advance(10 * MINUTE);
    let seen = overview(&scene).await;
    assert_eq!((seen.hold_for, seen.hold_idle), (Some(43_200), None));
    let told: Vec<_> = seen.holdings.iter().map(|it| (it.place.as_str(), it.since, it.until, it.by.as_str())).collect();
    let at = |after: Duration| Some(begun.after(after).seconds());
    let (since, guests) = (at(Duration::ZERO), ("memory", at(Duration::ZERO), at(12 * HOUR), "hold-for"));
    assert_eq!(told, [guests, ("shelf", since, at(HOUR), "hold-idle")]);
    let account = scene.get("work").await.unwrap();
    assert_eq!(account, "token-1");
    let seen = overview(&scene).await;
    assert_eq!(seen.holdings[1].until, at(70 * MINUTE), "asking puts it off");
}

#[tokio::test(start_paused = true)]
async fn limits_are_settings_of_the_account_and_are_kept_until_they_are_taken_back() {
    let scene = Scene::new();
    let file = || std::fs::read_to_string(scene.dir.path().join("accounts.toml")).unwrap();
    log_in(&scene, "work", &[("hold-for", "8 hours"), ("hold-idle", "90m")]).await;
    scene.login("work").await.unwrap();
    assert!(file().contains("hold-for = \"8h\"\nhold-idle = \"90m\"\n"), "{}", file());
    log_in(&scene, "work", &[("hold-for", "")]).await;
    assert!(!file().contains("hold-for") && file().contains("hold-idle"), "{}", file());
    for wrong in ["soon", "0s", "12", "1000d"] {
        let login = with("work", &[("hold-idle", wrong)]);
        let fault = scene.broker.login(login, Arc::new(Human::default())).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage, "{wrong}");
    }
}
