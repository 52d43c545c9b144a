//! What limits for how long an account is held, and what is said when a limit is reached.

use std::time::Duration;

use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use crate::accounts::{LIMITS, Limits, span_text};

/// What limits an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// From the login on.
    pub(super) since_login: Option<Bound>,
    /// From when somebody last asked.
    pub(super) since_asked: Option<Bound>,
}

impl Bounds {
    /// The shortest of what is said, whoever says it. `None` if nobody says anything.
    pub(super) fn shortest(said: &[(Limits, By)]) -> Option<Self> {
        let shortest = |limit: fn(Limits) -> Option<Duration>| {
            let bounds = said.iter().filter_map(|(limits, by)| Some(Bound { span: limit(*limits)?, by: *by }));
            // Of two that are the same, the first.
            bounds.min_by_key(|bound| bound.span)
        };
        let (since_login, since_asked) = (shortest(Limits::since_login), shortest(Limits::since_asked));
        (since_login.is_some() || since_asked.is_some()).then_some(Self { since_login, since_asked })
    }

    /// What is said of them at the login.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let [hold_for, hold_idle] = LIMITS;
        let hard = self
            .since_login
            .map(|bound| format!("{} after this login, {}", span_text(bound.span), bound.says(hold_for)));
        let idle = self.since_asked.map(|bound| {
            format!("once nobody has asked for it for {}, {}", span_text(bound.span), bound.says(hold_idle))
        });
        hard.into_iter().chain(idle).map(|when| format!("it is forgotten {when}"))
    }
}

/// What is said of when an account is held no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// How long it is until then; zero if it has come.
    pub(super) left: Duration,
    /// The setting that says so.
    pub(super) setting: &'static str,
    pub(super) bound: Bound,
}

impl End {
    /// What a caller is told once it has come.
    pub(super) fn fault(self, name: &AccountName) -> Fault {
        let (span, says) = (span_text(self.bound.span), self.bound.says(self.setting));
        let [_, hold_idle] = LIMITS;
        let why = if self.setting == hold_idle {
            format!("nobody asked for it for {span}, {says}")
        } else {
            format!("it was held for {span}, {says}")
        };
        Fault::new(FaultKind::NeedsHuman, format!("`{name}` is held no longer"))
            .because(why)
            .hint(format!("`cloud-token login {name}`"))
    }
}

/// Where a limit is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// In accounts.toml, for this account or for all.
    File,
    /// Among the settings of an account that no file has.
    Login,
    /// On the agent's command line.
    Agent,
}

/// A limit, and who set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) span: Duration,
    pub(super) by: By,
}

impl Bound {
    /// Who says so, for a sentence that begins with what they say.
    fn says(self, setting: &str) -> String {
        match self.by {
            By::File => "as accounts.toml says".to_owned(),
            By::Login => "as its login says".to_owned(),
            By::Agent => format!("as the agent's `--{setting} {}` says", span_text(self.span)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn limits(since_login: Option<Duration>, since_asked: Option<Duration>) -> Limits {
        Limits::new(since_login, since_asked)
    }

    fn why(bounds: Bounds) -> Vec<String> {
        let [hold_for, hold_idle] = LIMITS;
        let end = |setting, bound: Option<Bound>| bound.map(|bound| End { left: Duration::ZERO, setting, bound });
        let ends = end(hold_for, bounds.since_login).into_iter().chain(end(hold_idle, bounds.since_asked));
        let name = AccountName::parse("work").unwrap();
        ends.flat_map(|end| end.fault(&name).causes).collect()
    }

    #[test]
    fn the_shorter_of_two_limits_counts_and_says_whose_it_is() {
        for (own, most, says) in [
            (limits(Some(HOUR), None), limits(Some(2 * HOUR), None), "it was held for 1h, as accounts.toml says"),
            (
                limits(Some(3 * HOUR), None),
                limits(Some(HOUR), None),
                "it was held for 1h, as the agent's `--hold-for 1h` says",
            ),
            (
                limits(None, None),
                limits(None, Some(HOUR)),
                "nobody asked for it for 1h, as the agent's `--hold-idle 1h` says",
            ),
            (limits(Some(HOUR), None), limits(Some(HOUR), None), "it was held for 1h, as accounts.toml says"),
        ] {
            assert_eq!(why(Bounds::shortest(&[(own, By::File), (most, By::Agent)]).unwrap()), [says]);
        }
        assert_eq!(Bounds::shortest(&[(Limits::default(), By::File)]), None);
    }

    #[test]
    fn a_login_that_no_file_has_is_said_to_have_set_its_own() {
        let bounds = Bounds::shortest(&[(limits(None, Some(HOUR)), By::Login)]).unwrap();
        assert_eq!(why(bounds), ["nobody asked for it for 1h, as its login says"]);
    }
}
