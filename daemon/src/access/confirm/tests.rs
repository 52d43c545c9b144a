//! A human who says yes, no or nothing, played by scripts.

use std::fs;

use super::*;
use crate::callers::Process;
use crate::clock::{ManualClock, Timestamp};

struct Desk {
    dir: tempfile::TempDir,
    human: Arc<Human>,
    manual: Arc<ManualClock>,
    how: Confirm,
    wait: Duration,
}

impl Desk {
    /// The human's program is `script`, run by sh in the directory `$DIR`.
    fn new(with: With, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ask");
        // By another process: a fork of this one would hold it open for writing, and such a program cannot be run.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "printf %s \"$1\" >\"$0\" && chmod 700 \"$0\""]).arg(&path);
        shell.arg(format!("#!/bin/sh\ncd '{}'\n{script}\n", dir.path().display()));
        assert!(shell.status().unwrap().success());
        let how = Confirm {
            with: Some(with),
            program: Some(path),
            patience: Duration::from_secs(30),
            remember: Duration::from_mins(10),
        };
        Self {
            dir,
            human: Arc::default(),
            manual: Arc::new(ManualClock::new(Timestamp::from_seconds(0))),
            how,
            wait: Duration::from_secs(30),
        }
    }

    async fn asks(&self, account: &str) -> Result<(), No> {
        self.asks_in(Process::look(std::process::id()).unwrap().session, account).await
    }

    /// The same program in that session.
    async fn asks_in(&self, session: u32, account: &str) -> Result<(), No> {
        let mut who = Process::look(std::process::id()).unwrap();
        who.session = session;
        let question = Question::new(account, &who, None);
        let clock: Arc<dyn Clock> = self.manual.clone();
        self.human.allows(&question, &self.how, &clock, self.wait).await
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

/// What pinentry answers to one command after the other, told apart by a log.
const PINENTRY: &str = "echo OK Pleased to meet you\nwhile read -r line; do echo \"$line\" >>told\n\
    case $line in CONFIRM*) cat answer;; BYE*) echo OK; exit;; *option-x*) echo 'ERR 83886254 Unknown option';; *) echo OK;; esac; done";

#[tokio::test]
async fn askpass_is_told_that_it_is_a_confirmation_and_its_exit_code_is_the_answer() {
    let desk = Desk::new(With::Askpass, "echo \"$SSH_ASKPASS_PROMPT: $1\" >>told; exit 0");
    assert_eq!(desk.asks("work").await, Ok(()));
    let told = desk.said("told");
    assert!(told.starts_with("confirm: Hand a token of `work` to ") && told.contains("asked by"), "{told}");
    let no = Desk::new(With::Askpass, "exit 1");
    assert_eq!(no.asks("work").await, Err("the answer was no".into()));
}

#[tokio::test]
async fn pinentry_is_asked_to_confirm_and_whatever_is_not_ok_is_a_no() {
    for (answer, expected) in [
        ("OK", Ok(())),
        ("ERR 83886194 Not confirmed <Pinentry>", Err("the answer was no")),
        ("ERR 83886179 Operation cancelled <Pinentry>", Err("the answer was no")),
        ("ERR 83886142 Timeout <Pinentry>", Err("nobody answered in time")),
        ("ERR 83886340 No such device\x07", Err("pinentry could not ask: ERR 83886340 No such device\u{fffd}")),
    ] {
        let desk = Desk::new(With::Pinentry, PINENTRY);
        fs::write(desk.dir.path().join("answer"), format!("{answer}\n")).unwrap();
        assert_eq!(desk.asks("work").await, expected.map_err(str::to_owned), "{answer}");
        let told = desk.said("told");
        assert!(told.contains("SETDESC Hand a token of `work` to ") && told.contains("%0Aasked by "), "{told}");
    }
    let dead = Desk::new(With::Pinentry, "exit 0");
    assert_eq!(dead.asks("work").await, Err("pinentry ended without an answer".into()));
}

#[tokio::test]
async fn a_yes_is_remembered_for_its_time_and_for_that_account() {
    let desk = Desk::new(With::Askpass, "echo >>told");
    for account in ["work", "work", "home"] {
        assert_eq!(desk.asks(account).await, Ok(()));
    }
    assert_eq!(desk.said("told").len(), 2);
    desk.manual.advance(Duration::from_mins(11));
    assert_eq!(desk.asks("work").await, Ok(()));
    assert_eq!(desk.said("told").len(), 3);
}

#[tokio::test]
async fn a_yes_to_a_shell_in_one_terminal_is_none_to_the_same_shell_in_another() {
    let desk = Desk::new(With::Askpass, "echo >>told");
    for session in [7, 7, 8, 7, 8] {
        assert_eq!(desk.asks_in(session, "work").await, Ok(()));
    }
    assert_eq!(desk.said("told").len(), 2, "each was asked for once");
}

#[tokio::test]
async fn a_no_is_not_got_around_by_a_new_session_nor_by_another_spelling() {
    let desk = Desk::new(With::Askpass, "echo >>told; exit 1");
    for (session, account) in [(7, "work"), (8, "work"), (9, "Work"), (7, "WORK")] {
        assert!(desk.asks_in(session, account).await.is_err());
    }
    assert_eq!(desk.said("told").len(), 1);
}

#[tokio::test]
async fn a_no_stands_for_those_who_were_waiting_and_a_moment_more() {
    let desk = Desk::new(With::Askpass, "echo >>told; exit 1");
    let (first, second) = tokio::join!(desk.asks("work"), desk.asks("work"));
    assert!(first.is_err() && second.is_err());
    assert_eq!(desk.said("told").len(), 1, "one question for both");
    desk.manual.advance(Duration::from_secs(1));
    assert_eq!(desk.asks("work").await, Err("the answer was no, a moment ago".into()));
    assert_eq!(desk.said("told").len(), 1);
    desk.manual.advance(Duration::from_secs(5));
    assert!(desk.asks("work").await.is_err());
    assert_eq!(desk.said("told").len(), 2);
}

#[tokio::test]
async fn a_yes_that_comes_after_the_caller_has_gone_serves_the_next() {
    let mut desk = Desk::new(With::Askpass, "while [ ! -e go ]; do sleep 0.01; done");
    desk.wait = Duration::from_millis(50);
    let no = desk.asks("work").await.unwrap_err();
    assert!(no.contains("nobody answered within"), "{no}");
    fs::write(desk.dir.path().join("go"), "").unwrap();
    desk.wait = Duration::from_secs(30);
    assert_eq!(desk.asks("work").await, Ok(()));
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_no() {
    let mut desk = Desk::new(With::Askpass, "sleep 60");
    desk.how.patience = Duration::from_millis(100);
    let no = desk.asks("work").await.unwrap_err();
    assert!(no.contains("within"), "{no}");
}

#[tokio::test]
async fn whoever_asks_for_ever_fills_no_memory_with_questions() {
    let mut desk = Desk::new(With::Askpass, "while [ ! -e go ]; do sleep 0.01; done");
    desk.wait = Duration::ZERO;
    for _ in 0..WAITING {
        assert!(desk.asks("work").await.unwrap_err().contains("nobody answered"));
    }
    assert_eq!(desk.asks("work").await, Err("too many questions wait for an answer already".into()));
    fs::write(desk.dir.path().join("go"), "").unwrap();
    desk.wait = Duration::from_secs(30);
    let all = desk.human.room.acquire_many(u32::try_from(WAITING).unwrap());
    drop(tokio::time::timeout(desk.wait, all).await.expect("every question ends").unwrap());
    assert_eq!(desk.asks("work").await, Ok(()));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_no_that_names_it() {
    let mut desk = Desk::new(With::Askpass, "");
    desk.how.program = Some("/nonexistent/askpass".into());
    assert!(desk.asks("work").await.unwrap_err().starts_with("`/nonexistent/askpass`: it cannot be started"));
}

#[test]
fn what_is_shown_cannot_steer_a_terminal_nor_push_the_question_off_it() {
    for hostile in ["a\x1b[2Jb", "a\nb", "a\u{202e}b", "a\u{9b}b"] {
        let shown = question::harmless(hostile);
        assert!(shown.contains('\u{fffd}') && !shown.chars().any(char::is_control), "{shown:?}");
    }
    assert_eq!(question::harmless(&"x".repeat(5000)).chars().count(), 121);
    assert_eq!(question::assuan("50%\nBYE\r"), "50%25%0ABYE%0D");
}

#[test]
fn no_file_can_be_called_so_that_it_reads_as_a_chain_of_programs() {
    assert_eq!(question::named("/usr/lib/git-core/git-remote_https+x@1.2"), "/usr/lib/git-core/git-remote_https+x@1.2");
    assert_eq!(question::named("/opt/My App/bin"), "`/opt/My App/bin`");
    let forged = question::named("/tmp/x` [7], started by /usr/bin/git");
    assert_eq!(forged, "`/tmp/x\u{fffd} [7], started by /usr/bin/git`");
}
