//! Moments in words: RFC 3339 for programs, "in 5 min" for people. No zone database: both are UTC or relative.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, by the wall clock.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// `unix` seconds as `2026-11-22T03:44:00Z`.
pub(crate) fn rfc3339(unix: i64) -> String {
    let (days, second) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// How far `unix` is from `now`: `in 5 min`, `3 h ago`, `now`. Two units at most, so that columns stay narrow.
pub(crate) fn relative(unix: i64, now: i64) -> String {
    let distance = unix.saturating_sub(now);
    let words = span(distance.unsigned_abs());
    match distance {
        0 => "now".to_owned(),
        1.. => format!("in {words}"),
        _ => format!("{words} ago"),
    }
}

/// `seconds` in words.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The civil date of a day counted from 1970-01-01 (Howard Hinnant's algorithm: eras of 400 years that start in March,
/// so that the leap day comes last).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_319_040, "2026-11-22T03:44:00Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }

    #[test]
    fn hostile_moments_do_not_panic() {
        for unix in [i64::MIN, i64::MAX] {
            assert!(rfc3339(unix).ends_with('Z'));
            relative(unix, 0);
            relative(unix, -1);
        }
    }

    #[test]
    fn distances_are_told_in_the_unit_that_fits() {
        for (seconds, words) in [
            (0, "now"),
            (59, "in 59 s"),
            (-5, "5 s ago"),
            (600, "in 10 min"),
            (7500, "in 2 h 5 min"),
            (400_000, "in 4 d"),
        ] {
            assert_eq!(relative(1000 + seconds, 1000), words);
        }
    }
}
