//! What an agent that takes over is told of those who asked: what the human said to them, and how often each was given
//! something. Else a restart would ask anew, and would be a way around a limit.

use std::iter;

use cloud_agent_protocol::Secret;

use super::Access;
use crate::packed::Packed;

/// Headings: their value says how many pairs follow.
const SAID: &str = "*said";
const COUNTED: &str = "*counted";

impl Access {
    /// A copy of it, in names and values.
    pub(crate) fn estate(&self) -> Vec<(String, Secret)> {
        let section = |heading: &str, parts: Vec<(String, String)>| {
            let heading = (heading.to_owned(), parts.len().to_string());
            iter::once(heading).chain(parts).map(|(name, value)| (name, Secret::new(value))).collect::<Vec<_>>()
        };
        [section(SAID, self.human.said()), section(COUNTED, self.counts.counted())].concat()
    }

    /// Takes what the agent before left. What cannot be read is asked for again, and counted anew.
    pub(crate) fn inherit(&self, estate: &Packed) {
        self.human.inherit(section(estate, SAID));
        self.counts.inherit(section(estate, COUNTED));
    }
}

fn section<'a>(estate: &'a Packed, heading: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut pairs = estate.pairs().skip_while(move |(name, _)| *name != heading);
    let count = pairs.next().and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
    pairs.take(count)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    fn access() -> Arc<Access> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(0)));
        Access::new(clock, "/nonexistent".as_ref(), "/nonexistent/accounts.toml".into())
    }

    fn packed(pairs: &[(String, Secret)]) -> Packed {
        Packed::new(pairs.iter().map(|(name, value)| (name.as_str(), value.expose())))
    }

    #[test]
    fn what_was_said_and_counted_goes_to_the_next_agent() {
        let (before, next) = (access(), access());
        before.human.hears("work\0/usr/bin/bash\0", 7, Duration::from_millis(1500));
        before.counts.sees(3, "work", "/opt/a program", Duration::from_secs(2), 5);
        let pairs = before.estate();
        next.inherit(&packed(&pairs));
        let plain = |pairs: &[(String, Secret)]| {
            pairs.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(plain(&next.estate()), plain(&pairs));
        assert_eq!(plain(&pairs).len(), 4, "with their headings");
    }

    #[test]
    fn of_an_estate_that_says_something_else_nothing_is_taken() {
        for pairs in [&[][..], &[(SAID, "9"), ("x", "y")], &[(SAID, "many")], &[(COUNTED, "1"), ("1 2 work", "p")]] {
            let next = access();
            next.inherit(&Packed::new(pairs.iter().copied()));
            assert_eq!(next.estate().len(), 2, "{pairs:?}: the headings");
        }
    }
}
