//! A journal on a disk, and who gets at it.

use std::fs;
use std::sync::Arc;

use cloud_agent_protocol::AccountName;

use super::*;
use crate::clock::Timestamp;

fn label(account: &str, token: Option<[u8; 6]>) -> Label {
    Label::new(AccountName::parse(account).unwrap(), token)
}

struct Desk {
    dir: tempfile::TempDir,
    journal: Journal,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path());
        Self { dir, journal }
    }

    /// The same state directory, seen by an agent that was started anew.
    fn restarted(self) -> Self {
        let journal = Journal::new(self.dir.path());
        Self { journal, ..self }
    }

    fn note(&self, account: &str, pid: u32) {
        let (label, who) = (label(account, Some([7; 6])), Arc::new(Process::gone(pid)));
        self.journal.note(&label, &who, Outcome::Given, None, || Timestamp::from_seconds(1));
    }

    async fn hand_out(&self, count: u32) {
        for pid in 1..=count {
            self.note("work", pid);
            self.journal.flush().await;
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join("journal");
        if name.is_empty() { dir } else { dir.join(name) }
    }

    fn edit(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines: Vec<String> =
            fs::read_to_string(self.path("handouts")).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(self.path("handouts"), lines.join("\n") + "\n").unwrap();
    }

    async fn faults(&self) -> Vec<String> {
        self.journal.verify().await.unwrap().faults
    }

    async fn all(&self) -> Vec<Entry> {
        self.journal.entries(0, None, usize::MAX).await.unwrap().0
    }
}

#[tokio::test]
async fn what_was_handed_out_is_written_in_order_and_found_again_by_the_next_agent() {
    let desk = Desk::new();
    desk.hand_out(3).await;
    let desk = desk.restarted();
    desk.hand_out(2).await;
    let all = desk.all().await;
    assert_eq!(all.iter().map(|entry| entry.n).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(all[4].token.as_deref(), Some("070707070707"));
    assert_eq!(desk.journal.verify().await.unwrap(), Verdict { sound: 5, faults: vec![] });
    let (page, more) = desk.journal.entries(2, None, 1).await.unwrap();
    assert_eq!((page[0].n, page.len(), more), (3, 1, true));
    let (none, _) = desk.journal.entries(0, Some("080808080808".into()), usize::MAX).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn an_empty_journal_is_in_order() {
    let desk = Desk::new();
    assert_eq!(desk.journal.verify().await.unwrap(), Verdict::default());
    assert!(!desk.path("").exists(), "nothing is made before there is something to write");
}

#[tokio::test]
async fn one_caller_that_asks_again_and_again_is_one_line() {
    let desk = Desk::new();
    let (label, who) = (label("work", None), Arc::new(Process::gone(7)));
    for _ in 0..1000 {
        desk.journal.note(&label, &who, Outcome::Given, None, || Timestamp::from_seconds(1));
    }
    desk.journal.note(&label, &who, Outcome::Denied, None, || Timestamp::from_seconds(1));
    let all = desk.all().await;
    assert_eq!(
        all.iter().map(|entry| (entry.outcome.as_str(), entry.times)).collect::<Vec<_>>(),
        [("given", 1000), ("denied", 1)]
    );
}

#[tokio::test]
async fn tampering_is_named_by_its_entry() {
    type Change = fn(&mut Vec<String>);
    let cases: [(Change, &str); 6] = [
        (|lines| lines[2] = lines[2].replace("\"pid\":3", "\"pid\":4"), "entry 3 was changed (`handouts`, line 3)"),
        (|lines| drop(lines.remove(2)), "entry 3 is missing (`handouts`, line 3)"),
        (|lines| drop(lines.drain(1..4)), "entries 2 to 4 are missing (`handouts`, line 2)"),
        (|lines| lines[3] = "nonsense".into(), "entry 4 was damaged (`handouts`, line 4)"),
        (|lines| lines.truncate(3), "the journal ends with entry 3, and its head knows entry 5: its end was cut off"),
        (
            |lines| {
                let (mut entry, _) = Entry::open(&lines[2]).unwrap();
                entry.account = "other".into();
                lines[2] = entry.seal().0;
            },
            "entry 4 does not follow entry 3, one of them was replaced (`handouts`, line 4)",
        ),
    ];
    for (change, named) in cases {
        let desk = Desk::new();
        desk.hand_out(5).await;
        desk.edit(change);
        assert_eq!(desk.faults().await, [named]);
        let desk = desk.restarted();
        assert_eq!(desk.faults().await, [named], "by an agent that did not write it, too");
        desk.hand_out(1).await;
        assert!(!desk.faults().await.is_empty(), "writing on does not heal it: {named}");
    }
}

#[tokio::test]
async fn a_journal_that_is_put_back_with_its_head_is_noticed_by_the_agent_that_wrote_on() {
    let desk = Desk::new();
    desk.hand_out(2).await;
    let old = ["handouts", "head"].map(|name| (name, fs::read(desk.path(name)).unwrap()));
    desk.hand_out(2).await;
    for (name, bytes) in &old {
        fs::write(desk.path(name), bytes).unwrap();
    }
    let named = "the journal ends with entry 2, and the running agent knows entry 4: its end was cut off";
    assert_eq!(desk.faults().await, [named]);
    desk.hand_out(1).await;
    assert_eq!(desk.faults().await, ["entries 3 to 4 are missing (`handouts`, line 3)"]);
}

#[tokio::test]
async fn a_missing_head_is_named_and_a_removed_journal_too() {
    let desk = Desk::new();
    desk.hand_out(2).await;
    let head = fs::read(desk.path("head")).unwrap();
    fs::remove_file(desk.path("head")).unwrap();
    assert!(desk.faults().await[0].contains("the head of the journal is missing"));
    fs::write(desk.path("head"), head).unwrap();
    fs::remove_file(desk.path("handouts")).unwrap();
    assert!(desk.faults().await[0].contains("ends with entry 0, and its head knows entry 2"));
}

#[tokio::test]
async fn what_a_crash_leaves_is_taken_in_or_cut_and_is_no_tampering() {
    let desk = Desk::new();
    desk.hand_out(2).await;
    let head = fs::read(desk.path("head")).unwrap();
    desk.hand_out(2).await;
    // Killed after the entries and before the head, and then again in the middle of a line.
    fs::write(desk.path("head"), head).unwrap();
    let mut text = fs::read(desk.path("handouts")).unwrap();
    text.extend_from_slice(b"{\"n\":5,\"at\":17");
    fs::write(desk.path("handouts"), text).unwrap();
    let desk = desk.restarted();
    desk.hand_out(1).await;
    assert_eq!(desk.journal.verify().await.unwrap(), Verdict { sound: 5, faults: vec![] });
}

#[tokio::test]
async fn full_files_make_room_for_new_ones_and_the_chain_stays_whole() {
    let desk = Desk::new();
    let mut handed = 0;
    while !desk.path("handouts.4").exists() || desk.all().await.first().is_none_or(|entry| entry.n == 1) {
        for pid in 0..3000 {
            desk.note(&"a".repeat(64), pid);
        }
        desk.journal.flush().await;
        handed += 3000;
    }
    assert!(!desk.path("handouts.5").exists());
    let size: u64 =
        ["handouts", "handouts.1", "handouts.4"].map(|n| fs::metadata(desk.path(n)).unwrap().len()).iter().sum();
    assert!(size < 6 * 1024 * 1024, "{size}");
    let verdict = desk.journal.verify().await.unwrap();
    assert_eq!(verdict.faults, Vec::<String>::new());
    let all = desk.all().await;
    assert_eq!((verdict.sound, all.last().unwrap().n), (all.len() as u64, handed));
    fs::remove_file(desk.path("handouts.3")).unwrap();
    assert!(desk.faults().await[0].contains("are missing"), "a full file that is removed is named");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_it_and_no_link_is_followed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let desk = Desk::new();
    desk.hand_out(1).await;
    for (name, mode) in [("", 0o700), ("handouts", 0o600), ("head", 0o600), ("lock", 0o600)] {
        assert_eq!(fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    let victim = desk.dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::remove_file(desk.path("handouts")).unwrap();
    symlink(&victim, desk.path("handouts")).unwrap();
    desk.hand_out(1).await;
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_written_when_it_can_be() {
    let desk = Desk::new();
    // A file in the directory's place: nothing can be made below it, not even by root.
    fs::write(desk.path(""), "").unwrap();
    desk.hand_out(2).await;
    fs::remove_file(desk.path("")).unwrap();
    desk.hand_out(1).await;
    assert_eq!(desk.all().await.len(), 3);
    assert_eq!(desk.faults().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_finds_no_room_in_memory_is_counted() {
    let desk = Desk::new();
    for pid in 0..u32::try_from(WAITING + 5).unwrap() {
        desk.note("work", pid);
    }
    let all = desk.all().await;
    assert_eq!((all.len(), all[0].lost), (WAITING, 5));
}

#[tokio::test]
async fn two_agents_of_one_state_directory_write_one_chain() {
    let desk = Desk::new();
    let other = Journal::new(desk.dir.path());
    let (label, who) = (label("home", None), Arc::new(Process::gone(9)));
    for _ in 0..3 {
        desk.hand_out(1).await;
        other.note(&label, &who, Outcome::Given, None, || Timestamp::from_seconds(1));
        other.flush().await;
    }
    assert_eq!(desk.journal.verify().await.unwrap(), Verdict { sound: 6, faults: vec![] });
    assert_eq!(other.verify().await.unwrap().faults, Vec::<String>::new());
}
