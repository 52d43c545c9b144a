//! The arguments of `cloud-token ACCOUNT`, parsed by hand: the one command that runs a thousand times a day does not
//! pay for clap, which costs more than the question and its answer together.
//!
//! Whatever is not plainly right goes to clap, which says what is wrong. So there is no error in here.

use std::ffi::OsString;

use cloud_agent_protocol::account::RESERVED;

use crate::deadline::{self, DEFAULT_TIMEOUT};
use crate::get::Options;
use crate::output::Format;
use crate::shell::Shell;

/// The options of a plain get, or `None` if clap is to look at it.
pub(crate) fn parse(args: &[OsString]) -> Option<Options> {
    let mut options = Options { timeout: DEFAULT_TIMEOUT, ..Options::default() };
    let mut seen = Seen::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let arg = arg.to_str()?;
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with('-') => (name, Some(value)),
            _ => (arg, None),
        };
        // A value that looks like an option is most likely a forgotten value.
        let mut value = || match inline {
            Some(value) => Some(value),
            None => args.next()?.to_str().filter(|value| !value.starts_with('-')),
        };
        match name {
            "-o" | "--output" if seen.once(0) => options.format = Format::parse(value()?)?,
            "--min-valid" if seen.once(1) => options.min_valid = Some(deadline::parse_seconds(value()?).ok()?),
            "--timeout" if seen.once(2) => options.timeout = deadline::parse_timeout(value()?).ok()?,
            "--shell" if seen.once(3) => options.shell = Shell::parse(value()?)?,
            "--fresh" if inline.is_none() && seen.once(4) => options.fresh = true,
            "--no-input" if inline.is_none() && seen.once(5) => options.no_input = true,
            _ if !arg.starts_with('-') && !arg.is_empty() && options.account.is_empty() => {
                if RESERVED.iter().any(|word| arg.eq_ignore_ascii_case(word)) {
                    return None;
                }
                // Made in its size: a string that grows calls what lies on a page of its own.
                options.account = String::from(arg);
            }
            _ => return None,
        }
    }
    (!options.account.is_empty()).then_some(options)
}

/// Which options were given: twice is clap's to complain about.
#[derive(Default)]
struct Seen([bool; 6]);

impl Seen {
    fn once(&mut self, option: usize) -> bool {
        !std::mem::replace(&mut self.0[option], true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(line: &str) -> Option<Options> {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn an_account_alone_takes_every_default() {
        let options = parsed("work").unwrap();
        assert_eq!(options, Options { account: "work".into(), timeout: DEFAULT_TIMEOUT, ..Options::default() });
        assert_eq!(options.format, Format::Token);
    }

    #[test]
    fn options_are_taken_in_any_order_and_spelling() {
        let expected = Options {
            account: "work".into(),
            min_valid: Some(300),
            fresh: true,
            format: Format::Json,
            shell: Shell::Sh,
            no_input: true,
            timeout: Duration::from_secs(5),
            wait: None,
        };
        for line in [
            "work --min-valid 5m --fresh -o json --no-input --timeout 5",
            "--timeout=5s -o=json --no-input --fresh --min-valid=300 work",
            "--output json work --fresh --min-valid 5m --no-input --timeout 5000ms --shell sh",
        ] {
            assert_eq!(parsed(line).as_ref(), Some(&expected), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_clap() {
        for line in [
            "",
            "status",
            "Status",
            "login work",
            "doctor",
            "-h",
            "--help",
            "--version",
            "work other",
            "work -o",
            "work -o yaml",
            "work -o json -o json",
            "work --fresh=yes",
            "work --min-valid soon",
            "work --min-valid -5",
            "work --timeout 0",
            "work --shell csh",
            "work --bogus",
            "work --wait 10m",
            "-- work",
        ] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }
}
