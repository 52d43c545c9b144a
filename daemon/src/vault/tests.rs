//! Sealed files that were cut, bent, swapped, put back, or left by a crash; and agents that share them.

mod meddled;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloud_agent_protocol::v1::{Question, Show};

use super::*;
use crate::clock::{ManualClock, Timestamp};

/// Answers every question with the next of these.
struct Says(std::sync::Mutex<Vec<&'static str>>);

impl Ask for Says {
    fn ask(&self, _: Question) -> Boxed<'_, Secret> {
        let said = self.0.lock().unwrap().pop();
        let nobody = Fault::new(FaultKind::NeedsHuman, "nobody says more");
        Box::pin(std::future::ready(said.map(Secret::from).ok_or(nobody)))
    }

    fn is_anyone_there(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }

    fn show(&self, _: Show) -> Boxed<'_, ()> {
        unreachable!("a vault shows nothing")
    }
}

fn says(words: &[&'static str]) -> Says {
    Says(std::sync::Mutex::new(words.iter().rev().copied().collect()))
}

fn held(refresh: &str) -> Held {
    Held([("refresh".to_owned(), Secret::from(refresh))].into())
}

struct World {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place().join(name)
    }

    fn locked(&self) -> Sealed {
        Passphrase::cheap(self.place(), self.clock.clone())
    }

    async fn open(&self) -> Sealed {
        let vault = self.locked();
        vault.unlock(Some("sesame".into()), &says(&[])).await.unwrap();
        vault
    }
}

async fn put(vault: &Sealed, account: &str, refresh: &str, follows: Option<u64>) -> u64 {
    match vault.save(account, &held(refresh), follows).await.unwrap() {
        Saved::As(generation) => generation,
        Saved::Newer(newer) => panic!("{newer:?} is newer"),
    }
}

async fn refresh(vault: &Sealed, account: &str) -> Option<String> {
    Some(vault.load(account).await.unwrap()?.held.0["refresh"].expose().to_owned())
}

/// What lies in the directory, sorted.
fn listing(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn what_is_saved_is_there_for_the_next_agent_and_nothing_of_it_is_in_plain_text() {
    let world = World::new();
    let first = world.open().await;
    let one = put(&first, "work", "r-secret-1", None).await;
    let two = put(&first, "work", "r-secret-2", Some(one)).await;
    assert!(two > one);
    let second = world.open().await;
    let record = second.load("work").await.unwrap().unwrap();
    assert_eq!((record.held, record.generation), (held("r-secret-2"), two));
    assert_eq!(second.accounts().await.unwrap(), ["work"]);
    for name in listing(&world.place()) {
        let bytes = fs::read(world.file(&name)).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"r-secret" || window == b"sesame"), "{name}");
    }
    assert!(second.erase("work").await.unwrap() && !second.erase("work").await.unwrap());
    assert_eq!(second.load("work").await.unwrap(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn directory_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    put(&world.open().await, "work", "r1", None).await;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(world.place()), mode(world.file("work.sealed")), mode(world.file("vault.toml"))),
        (0o700, 0o600, 0o600)
    );
}

#[tokio::test]
async fn a_locked_vault_says_how_to_open_it_and_a_wrong_passphrase_opens_nothing() {
    let world = World::new();
    put(&world.open().await, "work", "r1", None).await;
    let vault = world.locked();
    for fault in [
        vault.ready().unwrap_err(),
        vault.load("work").await.unwrap_err(),
        vault.save("work", &held("x"), None).await.unwrap_err(),
        vault.unlock(None, &says(&[])).await.unwrap_err(),
    ] {
        assert_eq!(
            (fault.kind, fault.hint.as_deref()),
            (FaultKind::NeedsHuman, Some("`cloud-token unlock`")),
            "{fault}"
        );
    }
    let wrong = vault.unlock(Some("Sesame".into()), &says(&[])).await.unwrap_err();
    assert_eq!(wrong.kind, FaultKind::Refused);
    assert!(vault.ready().is_err() && !wrong.to_string().contains("Sesame"));
    vault.unlock(None, &says(&["sesame"])).await.unwrap();
    assert_eq!(refresh(&vault, "work").await.as_deref(), Some("r1"));
}

#[tokio::test(start_paused = true)]
async fn each_wrong_passphrase_waits_longer_and_holds_nobody_up() {
    let world = World::new();
    world.open().await;
    let vault = world.locked();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let since = tokio::time::Instant::now();
        vault.unlock(Some("wrong".into()), &says(&[])).await.unwrap_err();
        waits.push(since.elapsed());
    }
    assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
}

#[tokio::test]
async fn a_new_passphrase_is_said_twice_and_is_not_empty() {
    let world = World::new();
    for (words, kind) in [(&["a", "b"][..], FaultKind::Refused), (&["", ""], FaultKind::Refused)] {
        assert_eq!(world.locked().unlock(None, &says(words)).await.unwrap_err().kind, kind);
        assert!(!world.file("vault.toml").exists());
    }
    world.locked().unlock(None, &says(&["sesame", "sesame"])).await.unwrap();
    put(&world.open().await, "work", "r1", None).await;
}

#[tokio::test]
async fn of_two_agents_the_slower_one_gets_what_the_faster_one_saved() {
    let world = World::new();
    let (one, two) = (world.open().await, world.open().await);
    let first = put(&one, "work", "r1", None).await;
    assert_eq!(refresh(&two, "work").await.as_deref(), Some("r1"));
    put(&two, "work", "r2", Some(first)).await;
    let Saved::Newer(Some(newer)) = one.save("work", &held("r1-late"), Some(first)).await.unwrap() else { panic!() };
    assert_eq!(newer.held, held("r2"));
    put(&one, "work", "r3", Some(newer.generation)).await;
    two.erase("work").await.unwrap();
    assert_eq!(one.save("work", &held("r4"), Some(newer.generation + 1)).await.unwrap(), Saved::Newer(None));
}

#[tokio::test]
async fn no_generation_comes_twice_even_after_a_logout_and_a_login() {
    let world = World::new();
    let vault = world.open().await;
    let first = put(&vault, "work", "r1", None).await;
    vault.erase("work").await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(1));
    let other = world.open().await;
    let second = put(&other, "work", "r1", None).await;
    assert!(second > first + 1000, "{first} {second}");
    assert!(matches!(vault.save("work", &held("late"), Some(first)).await.unwrap(), Saved::Newer(Some(_))));
}

#[tokio::test]
async fn a_turn_waits_for_the_other_agent_and_for_no_other_account() {
    let world = World::new();
    let (one, two) = (world.open().await, world.open().await);
    let turn = one.turn("work").await.unwrap();
    drop(two.turn("other").await.unwrap());
    let waiting = tokio::spawn(async move { two.turn("work").await.map(drop) });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    drop(turn);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_crash_left_behind_is_in_nobodys_way() {
    let world = World::new();
    let vault = world.open().await;
    let one = put(&vault, "work", "r1", None).await;
    fs::write(world.file("work.new"), b"half a fi").unwrap();
    fs::write(world.file("work.spare"), b"").unwrap();
    assert_eq!(refresh(&vault, "work").await.as_deref(), Some("r1"));
    let Saved::As(two) = vault.reserve("work", &held("r1"), Some(one)).await.unwrap() else { panic!() };
    put(&vault, "work", "r2", Some(two)).await;
    assert_eq!(
        listing(&world.place()),
        ["vault.lock", "vault.toml", "work.sealed"],
        "a rotation leaves nothing behind"
    );
    assert_eq!(refresh(&world.open().await, "work").await.as_deref(), Some("r2"));
}

/// What is reserved is the room for all that a rotation is likely to bring, and a little more.
#[tokio::test]
async fn the_save_after_a_reservation_takes_a_file_that_is_there_already() {
    let world = World::new();
    let vault = world.open().await;
    for length in [10, 3000, 4000, 5000, 20_000] {
        let one = put(&vault, "work", &"r".repeat(length), None).await;
        let Saved::As(two) = vault.reserve("work", &held(&"r".repeat(length)), Some(one)).await.unwrap() else {
            panic!()
        };
        let spare = fs::metadata(world.file("work.spare")).unwrap();
        put(&vault, "work", &"n".repeat(length + 900), Some(two)).await;
        let sealed = fs::metadata(world.file("work.sealed")).unwrap();
        assert_eq!(sealed.len(), spare.len());
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(sealed.ino(), spare.ino(), "{length} bytes");
        }
    }
}

/// The crash matrix of a rotation: an agent dies before each single step of writing down what it is about to spend, and of
/// making durable what it got. Whoever comes after it finds the one or the other, whole, and can go on writing.
#[test]
fn whatever_step_of_a_rotation_is_the_last_the_old_or_the_new_is_there_whole() {
    let key = seal::Key::random().unwrap();
    let now = Timestamp::from_seconds(1_700_000_000);
    let (old, intent, new) = (held("r1"), held("r1 pending"), held("r2"));
    let mut deaths = [0, 0];
    for (phase, count) in deaths.iter_mut().enumerate() {
        for step in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let files = || super::files::Files::new(dir.path().join("vault"));
            let Saved::As(first) = files().save(&key, "work", &old, None, now).unwrap() else { panic!() };
            let reserve = || files().reserve(&key, "work", &intent, Some(first), now).unwrap();
            let commit = || files().save(&key, "work", &new, Some(first + 1), now).unwrap();
            let died = if phase == 0 {
                disk::deaths::at(step, || drop(reserve()))
            } else {
                reserve();
                disk::deaths::at(step, || drop(commit()))
            };
            let found = files().load(&key, "work").unwrap().expect("nothing is lost").held;
            let possible = if phase == 0 { [&old, &intent] } else { [&intent, &new] };
            assert!(possible.contains(&&found), "phase {phase}, step {step}: {found:?}");
            assert!(files().warnings().is_empty(), "nothing had to be moved aside");
            // The next rotation goes through, from whatever is there.
            let Some(Record { generation, .. }) = files().load(&key, "work").unwrap() else { panic!() };
            let Saved::As(next) = files().reserve(&key, "work", &intent, Some(generation), now).unwrap() else {
                panic!()
            };
            assert!(matches!(files().save(&key, "work", &new, Some(next), now).unwrap(), Saved::As(_)));
            assert_eq!(files().load(&key, "work").unwrap().unwrap().held, new);
            if !died {
                break;
            }
            *count += 1;
        }
    }
    assert_eq!(deaths, [11, 6], "every step was once the last");
}
