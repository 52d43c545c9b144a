//! What the human has said lately, and to whom.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many answers are remembered; beyond that those that no longer hold are forgotten, and if that is not enough, all.
const REMEMBERED: usize = 256;

/// What an answer is remembered under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct About {
    /// The account, the program, and the way it came.
    key: String,
    /// Of a yes, the session that asked: a shell is the same program wherever it runs. A no is for all of them, since whoever
    /// begins a new session must not ask anew.
    session: Option<u32>,
}

impl About {
    pub(super) fn yes(key: &str, session: u32) -> Self {
        Self { key: key.to_owned(), session: Some(session) }
    }

    pub(super) fn no(key: &str) -> Self {
        Self { key: key.to_owned(), session: None }
    }
}

/// Answers, and the uptime at which each was given.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<About, Duration>>);

impl Answers {
    /// When that was said; `None` if it was not, or if it is forgotten.
    pub(super) fn at(&self, about: &About) -> Option<Duration> {
        self.lock().get(about).copied()
    }

    /// Remembers what was said at the uptime `at`. Older answers than `holds` may make room.
    pub(super) fn remember(&self, about: About, at: Duration, holds: Duration) {
        let mut answers = self.lock();
        if answers.len() >= REMEMBERED {
            answers.retain(|_, old| at.saturating_sub(*old) < holds);
        }
        if answers.len() >= REMEMBERED {
            answers.clear();
        }
        answers.insert(about, at);
    }

    /// All of them, for another agent: the session, if it was a yes, and the uptime in milliseconds; and what about.
    #[cfg(target_os = "linux")]
    pub(super) fn parts(&self) -> Vec<(String, String)> {
        let part = |(about, at): (&About, &Duration)| {
            let session = about.session.map_or_else(|| "-".to_owned(), |session| session.to_string());
            (format!("{session} {}", at.as_millis()), about.key.clone())
        };
        self.lock().iter().map(part).collect()
    }

    /// Takes [`Self::parts`] of another agent.
    #[cfg(target_os = "linux")]
    pub(super) fn inherit<'a>(&self, parts: impl Iterator<Item = (&'a str, &'a str)>) {
        let answer = |(name, key): (&str, &str)| {
            let (session, at) = name.split_once(' ')?;
            let session = if session == "-" { None } else { Some(session.parse().ok()?) };
            Some((About { key: key.to_owned(), session }, Duration::from_millis(at.parse().ok()?)))
        };
        self.lock().extend(parts.take(REMEMBERED).filter_map(answer));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<About, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
