//! What the agent says about itself, on stderr or in its log file.
//!
//! Third-party crates are held at warnings whatever is asked for: at debug and trace they print requests, and requests
//! hold secrets.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets the level: `error`, `warn`, `info`, `debug`, `trace` or `off`.
pub(crate) const ENV_LOG: &str = "CLOUD_AGENT_LOG";
/// No more is shown of what is no level.
const LONGEST_WORD: usize = 40;

/// Sends events to stderr. `verbose` counts the `-v`s; `variable` is the value of [`ENV_LOG`], which wins.
///
/// Called once; a second call changes nothing.
pub(crate) fn start(verbose: u8, variable: Option<&str>) {
    let level = level(verbose, variable);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .with_filter(filter_fn(move |event| is_ours_at(event, level)));
    // Fails only if a subscriber is there already.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    if let Some(word) = variable.filter(|word| !word.trim().is_empty() && parse(word).is_none()) {
        let word: String = word.chars().filter(|c| !c.is_control()).take(LONGEST_WORD).collect();
        tracing::warn!("{ENV_LOG}: `{word}` is no level; it is one of error, warn, info, debug, trace and off");
    }
}

fn parse(word: &str) -> Option<LevelFilter> {
    word.trim().parse().ok()
}

fn level(verbose: u8, variable: Option<&str>) -> LevelFilter {
    variable.and_then(parse).unwrap_or(match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    })
}

fn is_ours_at(event: &Metadata<'_>, level: LevelFilter) -> bool {
    let ours = event.target().starts_with("cloud_agent");
    *event.level() <= level && (ours || *event.level() <= Level::WARN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_flags_and_nonsense_is_ignored() {
        assert_eq!(level(2, Some("warn")), LevelFilter::WARN);
        assert_eq!(level(0, Some("off")), LevelFilter::OFF);
        assert_eq!(level(1, Some("hyper=trace")), LevelFilter::DEBUG);
        assert_eq!(level(0, None), LevelFilter::INFO);
    }
}
