//! For how long what is held of an account may be held.

use std::time::Duration;

/// The settings of an account that are about that, in the order of their names.
pub(crate) const LIMITS: [&str; 2] = ["hold-for", "hold-idle"];

/// For how long what is held of an account may be held; `None` for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `hold-for`: counted from the login.
    pub since_login: Option<Duration>,
    /// `hold-idle`: counted from when somebody last asked for it.
    pub since_asked: Option<Duration>,
}

impl Limits {
    /// The limit that a setting of this name is.
    pub(crate) fn of(&mut self, setting: &str) -> Option<&mut Option<Duration>> {
        match setting {
            "hold-for" => Some(&mut self.since_login),
            "hold-idle" => Some(&mut self.since_asked),
            _ => None,
        }
    }

    /// Both, by the names of their settings.
    pub(crate) fn named(&self) -> [(&'static str, Option<Duration>); 2] {
        let [hold_for, hold_idle] = LIMITS;
        [(hold_for, self.since_login), (hold_idle, self.since_asked)]
    }
}
