//! For how long an account is held: the moments that count, and what is written of them.
//!
//! Two limits, as ssh-agent's and gpg-agent's: one from the login on, which nothing but another login extends, and one
//! that begins anew whenever somebody asks. A renewal is no login, and what the agent renews by itself nobody has asked for.
//! Both clocks are asked, and the later one wins: a limit that was reached by either of them is reached.

#[cfg(target_os = "linux")]
mod estate;

use std::num::NonZeroI64;
use std::time::Duration;

use cloud_agent_protocol::Secret;

use super::bounds::{Bound, Bounds, End};
use super::entry::State;
use crate::accounts::LIMITS;
use crate::clock::{Clock, Timestamp};
use crate::provider::Held;

/// The names under which the moments lie beside what is held. No cloud file can name them: names begin with a letter.
const SINCE: &str = "@held-since";
const ASKED: &str = "@asked-at";

/// That somebody asked is written down at most so often in the time that it counts for …
const MARKS: u32 = 4;
/// … and not before this has passed since it was last.
const LEAST_MARK: Duration = Duration::from_mins(1);

/// A moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    wall: Timestamp,
    /// The uptime in milliseconds; below zero if it was before the machine started.
    up: i64,
}

impl Moment {
    fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), up: millis(clock.uptime()) }
    }

    /// One that only the wall clock knows of, because another agent was there.
    fn at(wall: Timestamp, clock: &dyn Clock) -> Self {
        Self { wall, up: millis(clock.uptime()) - millis(clock.now().since(wall)) }
    }

    /// How long ago it was, by whichever clock says more.
    fn ago(self, clock: &dyn Clock) -> Duration {
        let by_uptime = Duration::from_millis(u64::try_from(millis(clock.uptime()) - self.up).unwrap_or(0));
        clock.now().since(self.wall).max(by_uptime)
    }

    /// The later of this and what a vault says.
    fn or_later(self, written: Option<Timestamp>, clock: &dyn Clock) -> Self {
        match written {
            // Written in seconds: the same moment is no later one, and ours knows the uptime as well.
            Some(wall) if wall.seconds() > self.wall.seconds() => Self::at(wall, clock),
            _ => self,
        }
    }
}

/// What is written beside what is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    since: Option<Timestamp>,
    asked: Option<Timestamp>,
}

impl Marks {
    pub(super) fn of(held: &Held) -> Self {
        let moment = |name| Some(Timestamp::from_seconds(held.0.get(name)?.expose().parse().ok()?));
        Self { since: moment(SINCE), asked: moment(ASKED) }
    }

    /// When the login was.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// The same, and takes it out.
    pub(super) fn take(held: &mut Held) -> Self {
        let marks = Self::of(held);
        held.0.retain(|name, _| name != SINCE && name != ASKED);
        marks
    }
}

/// For how long one account is held. Accounts without a limit have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    bounds: Bounds,
    since: Moment,
    asked: Moment,
    /// What is written down of `asked`; `None` if nothing is.
    marked: Option<Timestamp>,
    /// Somebody is forgetting it, or has.
    pub(super) ending: bool,
    /// The uptime from which to try that again.
    pub(super) again_up: Duration,
    /// It was forgotten, and nobody has logged in since.
    gone: Option<End>,
}

impl Term {
    /// One that begins now.
    fn new(bounds: Bounds, clock: &dyn Clock) -> Self {
        let now = Moment::now(clock);
        Self { bounds, since: now, asked: now, marked: None, ending: false, again_up: Duration::ZERO, gone: None }
    }

    /// The one that is written beside what is held, or begins now.
    pub(super) fn written(bounds: Bounds, marks: Marks, clock: &dyn Clock) -> Self {
        let mut term = Self::new(bounds, clock);
        term.adopt(marks, clock);
        term
    }

    /// Takes over what is written beside what is held: another agent may have logged in since, or been asked.
    fn adopt(&mut self, Marks { since, asked }: Marks, clock: &dyn Clock) {
        if let Some(since) = since.filter(|_| self.marked.is_none()) {
            // Known from nowhere else.
            self.since = Moment::at(since, clock);
            self.asked = Moment::at(asked.unwrap_or(since), clock);
        } else {
            let before = self.since;
            self.since = self.since.or_later(since, clock);
            self.asked = self.asked.or_later(asked.or(since), clock);
            if self.since != before && self.gone.take().is_some() {
                self.ending = false;
            }
        }
        self.marked = asked.or(since).or(self.marked);
    }

    /// When it ends, by whichever limit is reached first.
    pub(super) fn end(&self, clock: &dyn Clock) -> Option<End> {
        let [hold_for, hold_idle] = LIMITS;
        let Bounds { since_login, since_asked } = self.bounds;
        let ends = [(hold_for, since_login, self.since), (hold_idle, since_asked, self.asked)];
        let ends = ends.into_iter().filter_map(|(setting, bound, since)| {
            let bound = bound?;
            Some(End { left: bound.span.saturating_sub(since.ago(clock)), setting, bound })
        });
        ends.min_by_key(|end| end.left)
    }

    /// The same if it has come.
    pub(super) fn ended(&self, clock: &dyn Clock) -> Option<End> {
        self.gone.or_else(|| self.end(clock).filter(|end| end.left.is_zero()))
    }

    /// It is forgotten. It stays so, whatever the clocks say, and whoever still waits for a renewal is told why.
    pub(super) fn forget(&mut self, end: End) {
        self.gone = Some(end);
    }

    /// The uptime at which something is to be done about its end.
    pub(super) fn up(&self, clock: &dyn Clock) -> Option<Duration> {
        if self.ending {
            // Whoever is at it looks again, if it comes to nothing.
            return None;
        }
        Some((clock.uptime() + self.end(clock)?.left).max(self.again_up))
    }

    /// Somebody has asked.
    fn touch(&mut self, clock: &dyn Clock) {
        if self.bounds.since_asked.is_some() {
            self.asked = Moment::now(clock);
        }
    }

    /// Whether what is written down is too old to be believed after a crash.
    pub(super) fn wants_mark(&self) -> bool {
        if self.gone.is_some() {
            return false;
        }
        let Some(marked) = self.marked else { return true };
        let least = |bound: Bound| (bound.span / MARKS).max(LEAST_MARK);
        self.bounds.since_asked.is_some_and(|bound| self.asked.wall.since(marked) >= least(bound))
    }

    /// It is about to be written down.
    pub(super) fn mark(&mut self) {
        self.marked = Some(self.asked.wall);
    }

    /// Whether it is not written down that somebody has asked.
    pub(super) fn is_unmarked(&self) -> bool {
        self.gone.is_none()
            && self.bounds.since_asked.is_some()
            && self.marked.is_none_or(|marked| self.asked.wall.seconds() > marked.seconds())
    }

    /// Puts it beside what is held.
    fn write(&mut self, held: &mut Held) {
        put(SINCE, self.since.wall, held);
        if self.bounds.since_asked.is_some() {
            put(ASKED, self.asked.wall, held);
        }
        self.mark();
    }
}

impl State {
    /// Its account is logged in now, and is held as long as `bounds` allow.
    pub(super) fn begin_term(&mut self, bounds: Option<Bounds>, clock: &dyn Clock) {
        self.logged_in = NonZeroI64::new(clock.now().seconds());
        self.term = bounds.map(|bounds| Box::new(Term::new(bounds, clock)));
    }

    /// Takes over what is written beside what is held.
    pub(super) fn adopt_marks(&mut self, marks: Marks, clock: &dyn Clock) {
        let since = marks.since.and_then(|since| NonZeroI64::new(since.seconds()));
        self.logged_in = self.logged_in.max(since);
        if let Some(term) = &mut self.term {
            term.adopt(marks, clock);
        }
    }

    /// From now on `bounds` count, since the login that is known of.
    pub(super) fn limit(&mut self, bounds: Option<Bounds>, clock: &dyn Clock) {
        match (bounds, &mut self.term) {
            (Some(bounds), Some(term)) => term.bounds = bounds,
            (Some(bounds), None) => {
                let since = self.logged_in.map(|since| Timestamp::from_seconds(since.get()));
                self.term = Some(Box::new(Term::written(bounds, Marks { since, asked: None }, clock)));
            }
            // Who takes a limit back does not get back what is forgotten.
            (None, Some(term)) if term.gone.is_none() => self.term = None,
            (None, _) => {}
        }
    }

    /// Puts beside what is held what another agent has to know.
    pub(super) fn write_marks(&mut self, held: &mut Held) {
        match (&mut self.term, self.logged_in) {
            (Some(term), _) => term.write(held),
            // A limit may be set later.
            (None, Some(since)) => put(SINCE, Timestamp::from_seconds(since.get()), held),
            (None, None) => {}
        }
    }

    /// When its account is held no longer, if that is now.
    pub(super) fn ended(&self, clock: &dyn Clock) -> Option<End> {
        self.term.as_ref()?.ended(clock)
    }

    /// Somebody has asked; whether that should be written down.
    pub(super) fn touch(&mut self, clock: &dyn Clock) -> bool {
        self.term.as_mut().is_some_and(|term| {
            term.touch(clock);
            term.wants_mark()
        })
    }
}

fn put(name: &str, moment: Timestamp, held: &mut Held) {
    held.0.insert(name.to_owned(), Secret::new(moment.seconds().to_string()));
}

fn millis(up: Duration) -> i64 {
    i64::try_from(up.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::bounds::By;
    use super::*;
    use crate::accounts::Limits;
    use crate::clock::ManualClock;

    const HOUR: Duration = Duration::from_hours(1);

    fn limits(since_login: Option<Duration>, since_asked: Option<Duration>) -> Limits {
        Limits::new(since_login, since_asked)
    }

    fn clock() -> ManualClock {
        ManualClock::new(Timestamp::from_seconds(1_700_000_000))
    }

    fn term(clock: &ManualClock, own: Limits) -> Term {
        Term::new(Bounds::shortest(&[(own, By::File)]).unwrap(), clock)
    }

    #[test]
    fn either_clock_ends_it() {
        let clock = clock();
        let held = term(&clock, limits(Some(8 * HOUR), None));
        clock.set(Timestamp::from_seconds(1));
        clock.advance(7 * HOUR);
        assert_eq!(held.end(&clock).unwrap().left, HOUR, "a wall clock that is set back extends nothing");
        clock.set(Timestamp::from_seconds(1_700_000_000 + 8 * 3600));
        assert!(held.ended(&clock).is_some());
    }

    #[test]
    fn asking_extends_one_limit_and_not_the_other() {
        let clock = clock();
        let mut both = term(&clock, limits(Some(2 * HOUR), Some(HOUR)));
        for left in [60, 60, 60, 30, 0] {
            both.touch(&clock);
            assert_eq!(both.end(&clock).unwrap().left, left * Duration::from_mins(1));
            clock.advance(HOUR / 2);
        }
    }

    #[test]
    fn what_is_written_is_read_by_another_agent_whose_uptime_began_anew() {
        let clock = clock();
        let mut before = term(&clock, limits(Some(8 * HOUR), Some(HOUR)));
        clock.advance(HOUR / 2);
        before.touch(&clock);
        let mut held = Held::default();
        before.write(&mut held);
        let later = ManualClock::new(clock.now().after(HOUR / 2));
        let after = Term::written(before.bounds, Marks::take(&mut held), &later);
        assert!(!after.wants_mark());
        assert_eq!(held, Held::default());
        assert_eq!(after.end(&later).unwrap().left, HOUR / 2);
        later.advance(HOUR / 2);
        assert_eq!(after.ended(&later).unwrap().setting, "hold-idle");
    }

    #[test]
    fn another_agents_later_login_begins_it_anew_and_an_earlier_one_changes_nothing() {
        let clock = clock();
        let mut ours = term(&clock, limits(Some(8 * HOUR), None));
        ours.write(&mut Held::default());
        clock.advance(6 * HOUR);
        let mut theirs = Held::default();
        Term::new(ours.bounds, &clock).write(&mut theirs);
        let mut adopting = ours.clone();
        adopting.adopt(Marks::of(&theirs), &clock);
        assert_eq!(adopting.end(&clock).unwrap().left, 8 * HOUR);
        let mut old = Held::default();
        ours.write(&mut old);
        adopting.adopt(Marks::of(&old), &clock);
        assert_eq!(adopting.end(&clock).unwrap().left, 8 * HOUR);
    }

    #[test]
    fn that_somebody_asked_is_written_down_four_times_in_the_time_that_it_counts_for() {
        let clock = clock();
        let mut idle = term(&clock, limits(None, Some(HOUR)));
        idle.write(&mut Held::default());
        let mut marks = 0;
        for _ in 0..3600 {
            clock.advance(Duration::from_secs(1));
            idle.touch(&clock);
            if idle.wants_mark() {
                idle.write(&mut Held::default());
                marks += 1;
            }
        }
        assert_eq!(marks, 4);
        let mut hard = term(&clock, limits(Some(HOUR), None));
        assert!(hard.wants_mark(), "of an account that an older agent has logged in, it is not known since when");
        hard.write(&mut Held::default());
        clock.advance(HOUR);
        hard.touch(&clock);
        assert!(!hard.wants_mark() && !hard.is_unmarked());
    }
}
