//! What curl's arguments say about a request, as far as it decides whether a second try is safe.
//!
//! Whatever is not understood counts as unsafe. Nothing here changes what curl is told.

use std::ffi::OsString;

use cloud_agent_protocol::{Fault, FaultKind};

use super::address::Address;
use super::options;

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
    /// The first argument says that curl's own configuration is not to be read, which it may only say there.
    pub(super) disabled: bool,
    /// The output goes to the terminal, were it not for us.
    pub(super) saves: bool,
    /// Where it goes, in order; none of them in a redirect.
    pub(super) addresses: Vec<Address>,
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
    resume: bool,
    follows: bool,
    dumps: bool,
    saves: bool,
    addresses: Vec<Address>,
}

impl Plan {
    /// Looks at curl's arguments.
    ///
    /// # Errors
    /// [`FaultKind::Usage`] for what would let the headers go where nobody has looked.
    #[cold]
    pub(super) fn of(arguments: &[OsString]) -> Result<Self, Fault> {
        let words: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let mut seen = Seen::default();
        let mut rest = words.iter().map(AsRef::as_ref).peekable();
        let mut options_are_over = false;
        while let Some(word) = rest.next() {
            let next = rest.peek().copied();
            let takes_next = match word.strip_prefix("--") {
                _ if options_are_over || !word.starts_with('-') => {
                    seen.addresses.push(Address::of(word));
                    false
                }
                Some("") => {
                    options_are_over = true;
                    false
                }
                Some(name) => seen.long(name, next)?,
                None => seen.short(&word.as_bytes()[1..], next)?,
            };
            if takes_next {
                rest.next();
            }
        }
        let stdin = words.iter().any(|word| reads_a_stream(word));
        Ok(Self {
            repeatable: seen.judge(stdin),
            follows: seen.follows,
            stays: false,
            dumps: seen.dumps,
            saves: seen.saves,
            disabled: words.first().is_some_and(|word| word.starts_with("-q") || word == "--disable"),
            addresses: seen.addresses,
        })
    }
}

impl Plan {
    /// Whether `http` is among what it speaks: nowhere but where that was judged.
    pub(super) fn is_plain(&self) -> bool {
        self.addresses.iter().any(Address::is_plain)
    }
}

impl Seen {
    /// A long option; whether the next word is its value. curl takes every beginning of a name that fits one alone, and so what
    /// may be meant is.
    #[cold]
    fn long(&mut self, name: &str, next: Option<&str>) -> Result<bool, Fault> {
        // The same with variables put into the value.
        let name = name.strip_prefix("expand-").unwrap_or(name);
        let may_be = |full: &str| name.len() > 1 && full.starts_with(name);
        if may_be("next") && name.len() > 2 {
            return Err(next_is_not_taken());
        }
        if may_be("config") {
            return Err(config_is_not_taken());
        }
        if may_be("location-trusted") && name.len() > "location".len() {
            return Err(not_taken("`--location-trusted`", "the headers would go to every host that a redirect names"));
        }
        if name.starts_with("proto") && next != Some("=https") {
            return Err(not_taken(&format!("`--{name}`"), "it is the agent's to say which protocol may carry a token"));
        }
        if let Some(address) = next.filter(|_| name == "url") {
            self.addresses.push(Address::of(address));
        }
        if let Some(method) = next.filter(|_| may_be("request") && name != "re") {
            self.method = Some(method.to_owned());
        }
        self.body |=
            name.starts_with("data") || name.starts_with("form") || matches!(name, "dat" | "da" | "for" | "fo");
        self.body |= may_be("json") || name == "url-query" && self.body;
        self.get |= name == "get";
        self.upload |= may_be("upload-file");
        self.resume |= may_be("continue-at") || may_be("no-clobber") || may_be("remove-on-error");
        self.follows |= may_be("location") || may_be("follow");
        self.dumps |= may_be("dump-header");
        self.saves |= may_be("output") || may_be("remote-name") || name.starts_with("remote-name");
        // Of what is abbreviated or new the value is taken for an address, and judged.
        Ok(options::takes_value(name))
    }

    /// A word of short options, of which the last may have a value, in the same word or as the next; whether it is the next.
    #[cold]
    fn short(&mut self, letters: &[u8], next: Option<&str>) -> Result<bool, Fault> {
        for (at, letter) in letters.iter().enumerate() {
            let attached = std::str::from_utf8(&letters[at + 1..]).ok().filter(|value| !value.is_empty());
            match letter {
                b':' => return Err(next_is_not_taken()),
                b'X' => self.method = attached.or(next).map(str::to_owned),
                b'd' | b'F' => self.body = true,
                b'G' => self.get = true,
                b'I' if self.method.is_none() => self.method = Some("HEAD".to_owned()),
                b'T' => self.upload = true,
                b'K' => return Err(config_is_not_taken()),
                b'C' => self.resume = true,
                b'L' => self.follows = true,
                b'D' => self.dumps = true,
                b'o' | b'O' => self.saves = true,
                _ => {}
            }
            if VALUED.contains(letter) {
                return Ok(attached.is_none());
            }
        }
        Ok(false)
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
    not_taken("`--next`", "curl would forget the headers there").hint("one `cloud-token curl` for each request")
}

#[cold]
fn config_is_not_taken() -> Fault {
    not_taken("`--config`", "what it says might lead the headers anywhere")
        .hint("give its options as arguments, or write them into `~/.curlrc`")
}

#[cold]
fn not_taken(what: &str, why: &str) -> Fault {
    Fault::new(FaultKind::Usage, format!("{what} is not taken: {why}"))
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
            "--expand-data x={{y}} https://a.example",
            "--expand-request {{method}} https://a.example",
            "--expand-json {{x}} https://a.example",
            "-D head https://a.example",
            "-C - https://a.example -o out",
        ] {
            assert!(plan(line).repeatable.is_err(), "{line}");
        }
    }

    #[test]
    fn redirects_are_seen_however_they_are_written() {
        for line in ["-L https://a", "-sSL https://a", "--location https://a", "--loc https://a"] {
            assert!(plan(line).follows, "{line}");
        }
        for line in ["-HL https://a", "-H L https://a", "-o L https://a", "-s https://a/-L"] {
            assert!(!plan(line).follows, "{line}");
        }
    }

    #[test]
    fn the_addresses_are_told_from_what_only_looks_like_one() {
        for (line, urls) in [
            ("-s --url https://a.example/x https://b.example", &["https://a.example/x", "https://b.example"][..]),
            ("-x http://proxy:1 -e http://r a.example/y", &["https://a.example/y"]),
            ("--proxy http://proxy:1 --referer http://r https://a", &["https://a"]),
            ("-sSo http://out -Hhttp://x https://a --compressed https://b", &["https://a", "https://b"]),
            ("--fail -- -a https://b", &["https://-a", "https://b"]),
        ] {
            let found: Vec<_> = plan(line).addresses.into_iter().map(|address| address.url).collect();
            assert_eq!(found, urls, "{line}");
        }
    }

    #[test]
    fn what_has_to_come_first_is_found_as_curl_finds_it() {
        for line in ["-q a", "-qs a", "--disable a"] {
            assert!(plan(line).disabled, "{line}");
        }
        for line in ["-s -q a", "-sq a", "--disable-epsv a"] {
            assert!(!plan(line).disabled, "{line}");
        }
    }

    #[test]
    fn what_would_lead_the_headers_elsewhere_is_refused() {
        for line in [
            "https://a --next https://b",
            "https://a --nex https://b",
            "https://a -: https://b",
            "https://a -s: https://b",
            "-K file https://a",
            "-sKfile https://a",
            "--config file https://a",
            "--conf file https://a",
            "--location-trusted https://a",
            "--location-t https://a",
            "--proto =http https://a",
            "--proto-default http a",
        ] {
            assert!(Plan::of(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).is_err(), "{line}");
        }
        assert!(plan("--proto =https --tlsv1.2 -sSf https://a").repeatable.is_ok());
    }
}
