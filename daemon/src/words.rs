//! Numbers as people say them.

use std::time::Duration;

/// `2h 5m`, `59m`, `40s`: the two largest units.
#[must_use]
pub(crate) fn duration(of: Duration) -> String {
    // Beyond a minute, to the nearest minute: a token of one hour is good for an hour, not for 59 minutes.
    let seconds = if of.as_secs() < 60 { of.as_secs() } else { (of.as_secs() + 30) / 60 * 60 };
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, m) => format!("{m}m"),
        (0, h, 0) => format!("{h}h"),
        (0, h, m) => format!("{h}h {m}m"),
        (d, 0, _) => format!("{d}d"),
        (d, h, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_its_two_largest_units() {
        for (seconds, said) in [
            (0, "0s"),
            (59, "59s"),
            (3599, "1h"),
            (3540, "59m"),
            (3600, "1h"),
            (7500, "2h 5m"),
            (86_400, "1d"),
            (100_000, "1d 3h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), said);
        }
    }
}
