//! Spans of time as people write them.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use crate::words;

/// The longest that makes sense.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// A span of time as people write it: `12h`, `1d 6h`, `90 minutes`.
///
/// # Errors
/// `Usage` for anything else, and for what is shorter than a second or longer than a year.
pub(crate) fn parse_span(text: &str) -> Result<Duration, Fault> {
    words::parse_duration(text).filter(|exact| (Duration::from_secs(1)..=LONGEST).contains(exact)).ok_or_else(|| {
        Fault::new(FaultKind::Usage, format!("`{text}` is no duration from a second to a year"))
            .hint("`12h`, `1d 6h`, `90 minutes`")
    })
}

/// The same in the largest unit that is exact: `12h`, `90m`.
pub(crate) fn span_text(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [("h", 3600), ("m", 60), ("s", 1)];
    let unit = units.into_iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(("s", 1));
    format!("{}{}", seconds / unit.1, unit.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_what_was_read() {
        for (text, written) in [("12h", "12h"), ("1 day 30 min", "1470m"), ("90 seconds", "90s"), ("366 days", "8784h")]
        {
            let span = parse_span(text).unwrap();
            assert_eq!(span_text(span), written);
            assert_eq!(parse_span(written).unwrap(), span);
        }
    }

    #[test]
    fn what_is_none_is_refused_with_an_example() {
        for text in ["", "soon", "-1h", "0s", "500ms", "367 days", "12"] {
            let fault = parse_span(text).unwrap_err();
            assert!(fault.hint.is_some_and(|hint| hint.contains("12h")), "{text}");
        }
    }
}
