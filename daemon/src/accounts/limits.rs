//! For how long what is held of an account may be held.

use std::num::NonZeroU32;
use std::time::Duration;

/// The settings of an account that are about that, in the order of their names.
pub(crate) const LIMITS: [&str; 2] = ["hold-for", "hold-idle"];

/// For how long what is held of an account may be held, in seconds: every account has one of these, and most say nothing in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    since_login: Option<NonZeroU32>,
    since_asked: Option<NonZeroU32>,
}

impl Limits {
    /// Counted from the login, and from when somebody last asked; `None` for ever. What is left of a second is dropped.
    #[must_use]
    pub fn new(since_login: Option<Duration>, since_asked: Option<Duration>) -> Self {
        Self { since_login: since_login.and_then(seconds), since_asked: since_asked.and_then(seconds) }
    }

    /// `hold-for`: counted from the login.
    #[must_use]
    pub fn since_login(self) -> Option<Duration> {
        self.since_login.map(span)
    }

    /// `hold-idle`: counted from when somebody last asked for it.
    #[must_use]
    pub fn since_asked(self) -> Option<Duration> {
        self.since_asked.map(span)
    }

    /// Sets the one of that name.
    pub(crate) fn set(&mut self, setting: &str, limit: Option<Duration>) {
        let limit = limit.and_then(seconds);
        match setting {
            "hold-for" => self.since_login = limit,
            "hold-idle" => self.since_asked = limit,
            other => unreachable!("`{other}` is no limit"),
        }
    }

    /// Both, by the names of their settings.
    pub(crate) fn named(self) -> [(&'static str, Option<Duration>); 2] {
        let [hold_for, hold_idle] = LIMITS;
        [(hold_for, self.since_login()), (hold_idle, self.since_asked())]
    }
}

fn seconds(span: Duration) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
}

fn span(seconds: NonZeroU32) -> Duration {
    Duration::from_secs(seconds.get().into())
}
