//! Asks the human whether a caller may have a credential.
//!
//! One question at a time, because a human reads one at a time; whoever waits for its turn, or for an answer, holds up nobody
//! who needs none. No answer in time is a no. A yes is remembered for as long as the file says, for that program and
//! account, in the session that asked: a shell is the same program wherever it runs. A no stands for those that were already
//! waiting, and some seconds more, whatever their session: a program that asks again and again must not wear the human down.

mod answers;
mod question;
mod terminal;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use answers::{About, Answers};
pub(super) use question::Question;
use tokio::sync::Semaphore;

use super::rules::{Confirm, With};
use crate::clock::Clock;
use crate::vault::program;

/// So many questions wait for an answer at most, whoever asks them and whether or not they are still there.
const WAITING: usize = 64;
/// A no holds for this long, or for as long as a yes, if that is shorter.
const NO_HOLDS: Duration = Duration::from_secs(5);

/// Answers, and whose turn it is to ask.
#[derive(Debug)]
pub(super) struct Human {
    turn: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
    answers: Answers,
}

impl Default for Human {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            room: Arc::new(Semaphore::new(WAITING)),
            answers: Answers::default(),
        }
    }
}

/// Why the human did not say yes, in words.
pub(super) type No = String;

impl Human {
    /// Whether the human says yes to `question`, as `how` says. The caller waits for `wait` at most; the question stays for as long
    /// as `how` says, and a yes that comes later serves the next who asks.
    pub(super) async fn allows(
        self: &Arc<Self>,
        question: &Question,
        how: &Confirm,
        clock: &Arc<dyn Clock>,
        wait: Duration,
    ) -> Result<(), No> {
        let (human, question, how, clock) = (self.clone(), question.clone(), how.clone(), clock.clone());
        let shorter = wait.min(how.patience);
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            return Err("too many questions wait for an answer already".into());
        };
        let asked = tokio::spawn(async move {
            let said = human.ask(&question, &how, &clock).await;
            drop(place);
            said
        });
        match tokio::time::timeout(shorter, asked).await {
            Ok(said) => said.unwrap_or_else(|_| Err("the question broke off".into())),
            Err(_) => Err(unanswered(shorter)),
        }
    }

    /// What was said lately, for another agent.
    #[cfg(target_os = "linux")]
    pub(super) fn said(&self) -> Vec<(String, String)> {
        self.answers.parts()
    }

    /// Takes [`Self::said`] of another agent.
    #[cfg(target_os = "linux")]
    pub(super) fn inherit<'a>(&self, said: impl Iterator<Item = (&'a str, &'a str)>) {
        self.answers.inherit(said);
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn hears(&self, key: &str, session: u32, at: Duration) {
        self.answers.remember(About::yes(key, session), at, Duration::MAX);
    }

    async fn ask(&self, question: &Question, how: &Confirm, clock: &Arc<dyn Clock>) -> Result<(), No> {
        let asked = clock.uptime();
        let (yes, no) = (About::yes(&question.key, question.session), About::no(&question.key));
        let known = |now: Duration| {
            let age = |at: Duration| now.saturating_sub(at);
            let holds_yes = |at: Duration| age(at) < how.remember;
            let holds_no = |at: Duration| at >= asked || age(at) < how.remember.min(NO_HOLDS);
            if self.answers.at(&yes).is_some_and(holds_yes) {
                return Some(true);
            }
            self.answers.at(&no).is_some_and(holds_no).then_some(false)
        };
        let told = |yes: bool| if yes { Ok(()) } else { Err("the answer was no, a moment ago".to_owned()) };
        if let Some(yes) = known(asked) {
            return told(yes);
        }
        let Ok(_turn) = tokio::time::timeout(how.patience, self.turn.lock()).await else {
            return Err(unanswered(how.patience));
        };
        if let Some(yes) = known(clock.uptime()) {
            return told(yes);
        }
        let said = put(question, how).await;
        let about = if said.is_ok() { yes } else { no };
        self.answers.remember(about, clock.uptime(), how.remember);
        said
    }
}

fn unanswered(waited: Duration) -> No {
    format!("nobody answered within {}", crate::words::duration(waited))
}

/// Names the program to ask with, as ssh has it.
const ENV_ASKPASS: &str = "SSH_ASKPASS";

async fn put(question: &Question, how: &Confirm) -> Result<(), No> {
    let own = how.program.clone();
    let from_ssh = || std::env::var_os(ENV_ASKPASS).filter(|path| !path.is_empty()).map(PathBuf::from);
    match how.with {
        Some(With::Terminal) => {
            let asked = tokio::time::timeout(how.patience, terminal::ask(question, how.patience)).await;
            asked.unwrap_or_else(|_| Err(unanswered(how.patience)))
        }
        Some(With::Pinentry) => pinentry(own.unwrap_or_else(|| "pinentry".into()), question, how.patience).await,
        Some(With::Askpass) => match own.or_else(from_ssh) {
            Some(program) => askpass(program, question, how.patience).await,
            None => Err(format!("neither `program` in `[confirm]` nor {ENV_ASKPASS} names a program to ask with")),
        },
        None => match from_ssh() {
            Some(program) => askpass(program, question, how.patience).await,
            None => pinentry("pinentry".into(), question, how.patience).await,
        },
    }
}

/// A program in the manner of ssh's askpass: the question is its argument, exit 0 is yes.
async fn askpass(program: PathBuf, question: &Question, patience: Duration) -> Result<(), No> {
    let words = [program.clone().into_os_string(), OsString::from(question.text())];
    let environment = [("SSH_ASKPASS_PROMPT", "confirm")];
    match program::run_with(&words, &environment, b"", patience).await {
        Ok(ended) if ended.code == Some(0) => Ok(()),
        Ok(_) => Err("the answer was no".into()),
        Err(why) => Err(format!("`{}`: {why}", program.display())),
    }
}

/// `GnuPG`'s pinentry, over its Assuan protocol on stdin and stdout.
async fn pinentry(program: PathBuf, question: &Question, patience: Duration) -> Result<(), No> {
    let mut commands: Vec<String> = Vec::new();
    if let Some(terminal) = &question.terminal {
        commands.push(format!("OPTION ttyname={terminal}"));
        commands.push("OPTION ttytype=xterm".into());
    }
    commands.push("OPTION lc-ctype=C.UTF-8".into());
    commands.push(format!("SETTIMEOUT {}", patience.as_secs().max(1)));
    commands.extend(["SETTITLE cloud-agent", "SETOK Hand it out", "SETCANCEL Refuse"].map(str::to_owned));
    commands.push(format!("SETDESC {}", question::assuan(&question.text())));
    commands.extend(["CONFIRM", "BYE"].map(str::to_owned));
    let told = commands.join("\n") + "\n";
    match program::run_with(&[program.clone().into_os_string()], &[], told.as_bytes(), patience).await {
        Ok(ended) => judged(&String::from_utf8_lossy(&ended.said), commands.len()),
        Err(why) => Err(format!("`{}`: {why}", program.display())),
    }
}

/// A greeting, and then an answer to each line: the last but one, to CONFIRM, is the human's. A pinentry that knows an option
/// less says so to that line and goes on.
fn judged(said: &str, lines: usize) -> Result<(), No> {
    let is_answer = |line: &&str| *line == "OK" || line.starts_with("OK ") || line.starts_with("ERR ");
    let answers: Vec<&str> = said.lines().filter(is_answer).collect();
    match answers.get(lines - 1) {
        Some(answer) if answer.starts_with("OK") => Ok(()),
        // 83886179 cancelled, 83886194 not confirmed, 62 timed out; the low 16 bits are the error code.
        Some(answer) => {
            match answer.split(' ').nth(1).and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xffff) {
                Some(99 | 114) => Err("the answer was no".into()),
                Some(62) => Err("nobody answered in time".into()),
                _ => Err(format!("pinentry could not ask: {}", question::harmless(answer))),
            }
        }
        None => Err("pinentry ended without an answer".into()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
