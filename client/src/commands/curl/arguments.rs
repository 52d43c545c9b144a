//! What curl's arguments say about a request, as far as it decides whether a second try is safe.
//!
//! Whatever is not understood counts as unsafe. Nothing here changes what curl is told.

use std::ffi::OsString;

use cloud_agent_protocol::{Fault, FaultKind};

/// Short options that take a value.
const VALUED: &[u8] = b"AbcCdDeEFHKmoPQrtTuUwxXyYz";

/// What matters of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Why not, if it may not be repeated.
    pub(super) repeatable: Result<(), &'static str>,
    /// Redirects are followed.
    pub(super) follows: bool,
    /// They must not be, whatever curl's own configuration says.
    pub(super) stays: bool,
    /// The user has the response's head written somewhere, so it cannot be looked at.
    pub(super) dumps: bool,
    /// The first argument is the one that has to be first.
    pub(super) disabled: bool,
    /// The output goes to the terminal, were it not for us.
    pub(super) saves: bool,
    /// The first address.
    pub(super) url: Option<String>,
}

/// Whether a word names stdin, or what can be read only once like it.
#[cold]
fn reads_a_stream(word: &str) -> bool {
    // A value that sticks to its option: `-d@-` ends as others do, `-T-` and `-K-` do not.
    matches!(word, "-" | "-T-" | "-T." | "-K-")
        || word.ends_with("@-")
        || word.ends_with("<-")
        || word.ends_with("=-")
        || word.contains("/dev/stdin")
        || word.contains("/dev/fd/")
        || word.contains("/proc/")
}

/// What is collected on the way.
#[derive(Default)]
struct Seen {
    method: Option<String>,
    body: bool,
    get: bool,
    upload: bool,
    config: bool,
    resume: bool,
    follows: bool,
    dumps: bool,
    saves: bool,
}

impl Plan {
    /// Looks at curl's arguments.
    ///
    /// # Errors
    /// [`FaultKind::Usage`] for `--next`: each part would need its own headers.
    #[cold]
    pub(super) fn of(arguments: &[OsString]) -> Result<Self, Fault> {
        let words: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let mut seen = Seen::default();
        let mut rest = words.iter().map(AsRef::as_ref).peekable();
        while let Some(word) = rest.next() {
            let next = rest.peek().copied();
            if let Some(name) = word.strip_prefix("--") {
                seen.long(name, next)?;
            } else if let Some(letters) = word.strip_prefix('-') {
                seen.short(letters.as_bytes(), next)?;
            }
        }
        let stdin = words.iter().any(|word| reads_a_stream(word));
        let url = words.iter().find(|word| word.starts_with("https://") || word.starts_with("http://"));
        Ok(Self {
            repeatable: seen.judge(stdin),
            follows: seen.follows,
            stays: false,
            dumps: seen.dumps,
            saves: seen.saves,
            disabled: words.first().is_some_and(|word| word == "-q" || word == "--disable"),
            url: url.map(|url| url.clone().into_owned()),
        })
    }
}

impl Seen {
    /// A long option. curl takes every beginning of a name that fits one alone, and so what may be meant is.
    #[cold]
    fn long(&mut self, name: &str, next: Option<&str>) -> Result<(), Fault> {
        let may_be = |full: &str| name.len() > 1 && full.starts_with(name);
        if name == "next" {
            return Err(next_is_not_taken());
        }
        if let Some(method) = next.filter(|_| may_be("request") && name != "re") {
            self.method = Some(method.to_owned());
        }
        self.body |=
            name.starts_with("data") || name.starts_with("form") || matches!(name, "dat" | "da" | "for" | "fo");
        self.body |= may_be("json") || name == "url-query" && self.body;
        self.get |= name == "get";
        self.upload |= may_be("upload-file");
        self.config |= may_be("config");
        self.resume |= may_be("continue-at") || may_be("no-clobber") || may_be("remove-on-error");
        self.follows |= may_be("location") || may_be("location-trusted");
        self.dumps |= may_be("dump-header");
        self.saves |= may_be("output") || may_be("remote-name") || name.starts_with("remote-name");
        Ok(())
    }

    /// A word of short options, of which the last may have a value, in the same word or as the next.
    #[cold]
    fn short(&mut self, letters: &[u8], next: Option<&str>) -> Result<(), Fault> {
        for (at, letter) in letters.iter().enumerate() {
            let attached = std::str::from_utf8(&letters[at + 1..]).ok().filter(|value| !value.is_empty());
            match letter {
                b':' => return Err(next_is_not_taken()),
                b'X' => self.method = attached.or(next).map(str::to_owned),
                b'd' | b'F' => self.body = true,
                b'G' => self.get = true,
                b'I' if self.method.is_none() => self.method = Some("HEAD".to_owned()),
                b'T' => self.upload = true,
                b'K' => self.config = true,
                b'C' => self.resume = true,
                b'L' => self.follows = true,
                b'D' => self.dumps = true,
                b'o' | b'O' => self.saves = true,
                _ => {}
            }
            if VALUED.contains(letter) {
                return Ok(());
            }
        }
        Ok(())
    }

    #[cold]
    fn judge(&self, stdin: bool) -> Result<(), &'static str> {
        let by_default = match (self.body && !self.get, self.upload) {
            (true, _) => "POST",
            (false, true) => "PUT",
            (false, false) => "GET",
        };
        if self.dumps {
            return Err("with `--dump-header` its head is not seen");
        }
        if self.config {
            return Err("a configuration may say anything");
        }
        if stdin {
            return Err("stdin, or a pipe, can be read only once");
        }
        if self.resume {
            return Err("what was saved would be continued");
        }
        // RFC 9110, 9.2.2.
        match self.method.as_deref().unwrap_or(by_default) {
            "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" => Ok(()),
            _ => Err("it may not be safe to do that twice"),
        }
    }
}

#[cold]
fn next_is_not_taken() -> Fault {
    Fault::new(FaultKind::Usage, "`--next` is not taken: curl would forget the headers there")
        .hint("one `cloud-token curl` for each request")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Plan {
        Plan::of(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_does_the_same_twice_may_be_repeated() {
        for line in [
            "https://a.example",
            "-sS https://a.example -o out",
            "-I https://a.example",
            "-X DELETE https://a.example/1",
            "-XPUT -d @file https://a.example/1",
            "--request PUT --data x https://a.example/1",
            "-sXOPTIONS https://a.example",
            "-G -d q=1 https://a.example",
            "-T file https://a.example/file",
            "-H X-Letter:-d https://a.example",
        ] {
            assert_eq!(plan(line).repeatable, Ok(()), "{line}");
        }
    }

    #[test]
    fn what_may_do_something_twice_or_has_read_its_input_is_not() {
        for line in [
            "-d x=1 https://a.example",
            "-sd x=1 https://a.example",
            "--data-binary @file https://a.example",
            "--json {} https://a.example",
            "-F x=@file https://a.example",
            "-X POST https://a.example",
            "-X PATCH -d @file https://a.example",
            "-sSXPOST https://a.example",
            "-X PUT -d @- https://a.example",
            "-T - https://a.example",
            "-T- https://a.example",
            "-X PUT --data-binary @/dev/stdin https://a.example",
            "-X PUT -d @/dev/fd/63 https://a.example",
            "-K file https://a.example",
            "--config file https://a.example",
            "-D head https://a.example",
            "-C - https://a.example -o out",
        ] {
            assert!(plan(line).repeatable.is_err(), "{line}");
        }
    }

    #[test]
    fn redirects_are_seen_however_they_are_written() {
        for line in [
            "-L https://a",
            "-sSL https://a",
            "--location https://a",
            "--loc https://a",
            "--location-trusted https://a",
        ] {
            assert!(plan(line).follows, "{line}");
        }
        for line in ["-HL https://a", "-H L https://a", "-o L https://a", "-s https://a/-L"] {
            assert!(!plan(line).follows, "{line}");
        }
    }

    #[test]
    fn the_address_and_what_has_to_come_first_are_found() {
        let it = plan("-q -s --url https://a.example/x https://b.example");
        assert_eq!((it.url.as_deref(), it.disabled), (Some("https://a.example/x"), true));
        assert_eq!((plan("a.example").url, plan("-s -q a").disabled), (None, false));
    }

    #[test]
    fn several_requests_in_one_are_refused() {
        for line in ["https://a --next https://b", "https://a -: https://b", "https://a -s: https://b"] {
            assert!(Plan::of(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).is_err(), "{line}");
        }
    }
}
