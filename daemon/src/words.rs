//! Numbers as people say them.

use std::time::Duration;

/// `2 h 5 min`, `59 min`, `40 s`: as the client says it.
#[must_use]
pub(crate) fn duration(of: Duration) -> String {
    let seconds = of.as_secs();
    // To the nearest minute: a token of one hour is good for 60 minutes, not for 59.
    let minutes = (seconds + 30) / 60;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        7200..172_800 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `12h`, `1d 6h`, `90 minutes`, to the second.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let exact = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(exact).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_the_unit_that_fits() {
        for (seconds, said) in
            [(0, "0 s"), (119, "119 s"), (3599, "60 min"), (3540, "59 min"), (7500, "2 h 5 min"), (400_000, "4 d")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), said);
        }
    }
    #[test]
    fn what_is_said_is_understood() {
        for (said, seconds) in [("12h", 43_200), ("1d 6h", 108_000), ("90 minutes", 5_400), (" 30s ", 30)] {
            assert_eq!(parse_duration(said), Some(Duration::from_secs(seconds)), "{said}");
        }
        for nonsense in ["", "soon", "-3h", "1 month"] {
            assert_eq!(parse_duration(nonsense), None, "{nonsense}");
        }
    }
}
