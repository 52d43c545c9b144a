//! For how long an account is held, on its way to the agent that comes after this one: a restart extends nothing.

use std::time::Duration;

use super::super::bounds::{Bound, Bounds, By, End};
use super::{Moment, Term};
use crate::accounts::LIMITS;
use crate::clock::{Clock, Timestamp};

const SINCE: [&str; 2] = ["held-since", "held-since-up"];
const ASKED: [&str; 2] = ["asked", "asked-up"];
const MARKED: &str = "asked-written";
/// What it was forgotten by: the setting, its seconds, and where that is to be found.
const GONE: [&str; 3] = ["gone-by", "gone-after", "gone-says"];

const WORDS: [(&str, By); 3] = [("file", By::File), ("login", By::Login), ("agent", By::Agent)];

impl Term {
    /// The moments, by name. The limits are said anew, by whoever says them.
    pub(in crate::broker) fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = Vec::new();
        for (names, moment) in [(SINCE, self.since), (ASKED, self.asked)] {
            parts.push((names[0], moment.wall.millis().to_string()));
            parts.push((names[1], moment.up.to_string()));
        }
        parts.extend(self.marked.map(|marked| (MARKED, marked.millis().to_string())));
        if let Some(End { setting, bound: Bound { span, by }, .. }) = self.gone {
            let word = WORDS.iter().find(|(_, known)| *known == by).map_or("", |(word, _)| word);
            let values = [setting.to_owned(), span.as_secs().to_string(), word.to_owned()];
            parts.extend(GONE.into_iter().zip(values));
        }
        parts
    }

    /// From those; `None` if there are none.
    pub(in crate::broker) fn inherited<'a>(
        bounds: Bounds,
        part: impl Fn(&str) -> Option<&'a str>,
        clock: &dyn Clock,
    ) -> Option<Self> {
        let number = |name: &str| part(name)?.parse::<i64>().ok();
        let moment =
            |[wall, up]: [&str; 2]| Some(Moment { wall: Timestamp::from_millis(number(wall)?), up: number(up)? });
        let gone = || {
            let setting = LIMITS.into_iter().find(|known| Some(*known) == part(GONE[0]))?;
            let span = Duration::from_secs(part(GONE[1])?.parse().ok()?);
            let by = WORDS.iter().find(|(word, _)| Some(*word) == part(GONE[2]))?.1;
            Some(End { left: Duration::ZERO, setting, bound: Bound { span, by } })
        };
        Some(Self {
            since: moment(SINCE)?,
            asked: moment(ASKED)?,
            marked: number(MARKED).map(Timestamp::from_millis),
            gone: gone(),
            ..Self::new(bounds, clock)
        })
    }
}
