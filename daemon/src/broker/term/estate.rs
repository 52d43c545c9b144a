//! For how long an account is held, on its way to the agent that comes after this one: a restart extends nothing.

use std::time::Duration;

use super::{Moment, Term};
use crate::accounts::LIMITS;
use crate::broker::bounds::{Bound, Bounds, By, End};
use crate::clock::Timestamp;

const SINCE: [&str; 2] = ["held-since", "held-since-up"];
const ASKED: [&str; 2] = ["asked", "asked-up"];
const MARKED: &str = "asked-written";
/// The limits, in the order of [`LIMITS`], and the one by which it was forgotten.
const BOUNDS: [&str; 2] = ["held-for", "held-idle"];
const GONE: &str = "gone-by";

const WORDS: [(&str, By); 3] = [("file", By::File), ("login", By::Login), ("agent", By::Agent)];

impl Term {
    /// All of it, by name.
    pub(in crate::broker) fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = Vec::new();
        for (names, moment) in [(SINCE, self.since), (ASKED, self.asked)] {
            parts.push((names[0], moment.wall.millis().to_string()));
            parts.push((names[1], moment.up.to_string()));
        }
        parts.extend(self.marked.map(|marked| (MARKED, marked.millis().to_string())));
        let bounds = BOUNDS.into_iter().zip([self.bounds.since_login, self.bounds.since_asked]);
        parts.extend(bounds.filter_map(|(name, bound)| Some((name, text(bound?)))));
        parts.extend(self.gone.map(|end| (GONE, format!("{} {}", end.setting, text(end.bound)))));
        parts
    }

    /// From those; `None` if there are none.
    pub(in crate::broker) fn inherited<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let number = |name: &str| part(name)?.parse::<i64>().ok();
        let moment =
            |[wall, up]: [&str; 2]| Some(Moment { wall: Timestamp::from_millis(number(wall)?), up: number(up)? });
        let [since_login, since_asked] = BOUNDS.map(|name| part(name).and_then(bound));
        let gone = part(GONE).and_then(|said| {
            let (setting, rest) = said.split_once(' ')?;
            let setting = LIMITS.into_iter().find(|known| *known == setting)?;
            Some(End { left: Duration::ZERO, setting, bound: bound(rest)? })
        });
        Some(Self {
            bounds: Bounds { since_login, since_asked },
            since: moment(SINCE)?,
            asked: moment(ASKED)?,
            marked: number(MARKED).map(Timestamp::from_millis),
            ending: false,
            again_up: Duration::ZERO,
            gone,
        })
    }
}

fn text(Bound { span, by }: Bound) -> String {
    let word = WORDS.iter().find(|(_, known)| *known == by).map_or("", |(word, _)| word);
    format!("{} {word}", span.as_millis())
}

fn bound(text: &str) -> Option<Bound> {
    let (span, word) = text.split_once(' ')?;
    let by = WORDS.iter().find(|(known, _)| *known == word)?.1;
    Some(Bound { span: Duration::from_millis(span.parse().ok()?), by })
}
