//! How long a caller waits, for everything together, and how people write that.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What `--timeout` is when nobody says.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest duration that is taken: a year. Longer is a slip of the finger, and would overflow clocks.
const MAX: Duration = Duration::from_hours(8760);

/// The first wait of a warm get is not clocked unless it lasts longer than this. Reading the clock would cost two page
/// faults, a tenth of what the whole program costs; the price is that a deadline may end this much late.
#[cfg(any(unix, test))]
const UNCLOCKED: Duration = Duration::from_millis(20);

/// The moment after which nobody waits any longer.
pub(crate) struct Deadline {
    given: Duration,
    started: Cell<Option<Instant>>,
}

impl Deadline {
    /// `given` from the first wait on.
    pub(crate) fn after(given: Duration) -> Self {
        Self { given, started: Cell::new(None) }
    }

    /// What is left; zero when it is over. Starts the clock.
    pub(crate) fn left(&self) -> Duration {
        let Some(started) = self.started.get() else {
            self.started.set(Some(Instant::now()));
            return self.given;
        };
        self.given.saturating_sub(started.elapsed())
    }

    /// What is left, where nothing has been waited for yet: does not start the clock.
    pub(crate) fn left_unclocked(&self) -> Duration {
        if self.started.get().is_some() { self.left() } else { self.given }
    }

    /// How long the next wait may last; then ask [`Self::is_over`].
    #[cfg(any(unix, test))]
    pub(crate) fn slice(&self) -> Duration {
        if self.started.get().is_some() { self.left() } else { self.given.min(UNCLOCKED) }
    }

    /// Whether the time is over, after a wait of [`Self::slice`] in which nothing happened.
    #[cfg(any(unix, test))]
    pub(crate) fn is_over(&self) -> bool {
        if self.started.get().is_none() {
            let waited = self.given.min(UNCLOCKED);
            let now = Instant::now();
            self.started.set(Some(now.checked_sub(waited).unwrap_or(now)));
        }
        self.left().is_zero()
    }

    /// The whole time that was given, for messages.
    pub(crate) fn given(&self) -> Duration {
        self.given
    }

    /// Moves the end by `pause`: the time a human took does not count.
    pub(crate) fn extend(&mut self, pause: Duration) {
        self.given = self.given.saturating_add(pause);
    }

    /// What to tell the agent: a little less than is left, so that its own fault, which knows why, arrives first.
    #[inline]
    pub(crate) fn for_agent(&self) -> u32 {
        let left = self.left_unclocked();
        let margin = (left / 8).min(Duration::from_millis(250));
        u32::try_from(left.saturating_sub(margin).as_millis()).unwrap_or(u32::MAX).max(1)
    }
}

/// Reads `90`, `90s`, `5m`, `1h30m`, `2d` or `500ms`; a bare number is seconds.
///
/// # Errors
/// The reason, in words.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{}` is not a duration: write `90`, `90s`, `5m`, `1h30m` or `500ms`", text.escape_debug());
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).ok().filter(|d| *d <= MAX).ok_or_else(bad);
    }
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" | "sec" => Duration::from_secs(1),
            "m" | "min" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            _ => return Err(bad()),
        };
        rest = &rest[letters..];
        let part = u32::try_from(number).ok().and_then(|n| unit.checked_mul(n)).ok_or_else(bad)?;
        sum = sum.checked_add(part).filter(|sum| *sum <= MAX).ok_or_else(bad)?;
    }
    if text.is_empty() { Err(bad()) } else { Ok(sum) }
}

/// The same, for a time to wait: it cannot be nothing.
///
/// # Errors
/// The reason, in words.
pub(crate) fn parse_timeout(text: &str) -> Result<Duration, String> {
    parse(text).and_then(|d| if d.is_zero() { Err("a timeout of nothing cannot be kept".to_owned()) } else { Ok(d) })
}

/// The same in whole seconds, rounded up: what is asked to live 500 ms must live a second.
///
/// # Errors
/// The reason, in words.
pub(crate) fn parse_seconds(text: &str) -> Result<u32, String> {
    let duration = parse(text)?;
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(seconds).map_err(|_| "it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("0", 0),
            ("90", 90_000),
            ("90s", 90_000),
            ("5m", 300_000),
            ("5min", 300_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("2d", 172_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_and_named() {
        for text in ["", "s", "5x", "-1", "1.5s", "5 m", "99999999999999999999", "400d", "1h30", "ü"] {
            let why = parse(text).unwrap_err();
            assert!(why.contains("not a duration"), "{text}: {why}");
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(parse_seconds("500ms"), Ok(1));
        assert_eq!(parse_seconds("2s"), Ok(2));
    }

    #[test]
    fn the_agent_is_told_less_than_the_caller_waits() {
        for given in [1, 100, 1000, 30_000] {
            let deadline = Deadline::after(Duration::from_millis(given));
            let told = u64::from(deadline.for_agent());
            assert!(told >= 1 && (told < given || given == 1), "{given}: {told}");
        }
    }

    #[test]
    fn the_first_wait_is_short_and_counts() {
        let deadline = Deadline::after(Duration::from_secs(30));
        assert_eq!(deadline.slice(), UNCLOCKED);
        assert!(!deadline.is_over());
        assert!(
            deadline.slice() <= Duration::from_secs(30).checked_sub(UNCLOCKED).unwrap()
                && deadline.slice() > Duration::from_secs(29)
        );
        let short = Deadline::after(Duration::from_millis(5));
        assert_eq!(short.slice(), Duration::from_millis(5));
        assert!(short.is_over());
    }

    #[test]
    fn a_pause_moves_the_end() {
        let mut deadline = Deadline::after(Duration::from_secs(1));
        deadline.left();
        deadline.extend(Duration::from_secs(10));
        assert!(deadline.left() > Duration::from_secs(9));
    }
}
