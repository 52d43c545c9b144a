//! Whether an address that a consumer names is one that an account answers for.
//!
//! A token goes to whoever is at that address, and the address came from a repository's configuration or a link. So there
//! are no patterns: scheme, host and port are the same or they are not, and a path begins with another part by part.
//! Whatever two programs may read in two ways is answered by nobody.

use cloud_agent_protocol::{Fault, FaultKind};
use reqwest::Url;

use super::origin;

/// The longest address that is looked at, in bytes. Paths of packages and repositories fit.
const MAX_TARGET: usize = 8 * 1024;

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: String,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
    /// The path as it was given can be read in two ways: some servers see another one there than we do.
    ambiguous: bool,
}

impl Target {
    /// What a consumer wants a credential for. A query is no part of it.
    ///
    /// # Errors
    /// `UnknownAccount`: nobody answers for such an address, whatever accounts there are.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let nobody = |why: &str| {
            let fault = Fault::new(FaultKind::UnknownAccount, "no account answers for that address");
            Err(fault.because(why.to_owned()))
        };
        if text.len() > MAX_TARGET {
            return nobody("it is too long");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('\\') {
            return nobody("it holds a character that no address has");
        }
        let Ok(url) = Url::parse(text) else { return nobody("it is not one") };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return nobody("it names no host");
        };
        let authority = text.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or("");
        if authority.contains('@') {
            return nobody("it holds a user name");
        }
        // `0x7f.1` and `%61.example` are hosts too, for some programs and not for others.
        if !(authority.eq_ignore_ascii_case(host) || is_with_port(authority, host)) {
            return nobody("its host can be read in two ways");
        }
        match url.scheme() {
            "https" => {}
            "http" if origin::is_loopback(&url) => {}
            "http" => return nobody("it is not encrypted"),
            _ => return nobody("it is neither `https://` nor on this machine"),
        }
        let path = url.path().trim_end_matches('/').to_owned();
        let ambiguous = is_ambiguous(text);
        Ok(Self { scheme: url.scheme().to_owned(), host: host.to_owned(), port, path, ambiguous })
    }

    /// An address that an account is to answer for, in the form that is stored.
    ///
    /// # Errors
    /// `Usage` if it is none that a consumer could ask for.
    pub fn normalise(text: &str) -> Result<String, Fault> {
        let normal = origin::normalise(text, false)?;
        let host = Url::parse(&normal).ok().and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default();
        if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b)) {
            return Err(Fault::new(FaultKind::Usage, format!("`{normal}` is no exact host"))
                .hint("name every host by itself; there are no patterns"));
        }
        match Self::parse(&normal) {
            Ok(target) if target.ambiguous => {
                Err(Fault::new(FaultKind::Usage, format!("the path of `{normal}` can be read in two ways")))
            }
            Ok(_) => Ok(normal),
            Err(fault) => Err(Fault::new(FaultKind::Usage, format!("`{normal}` cannot be served"))
                .because(fault.causes.first().cloned().unwrap_or_default())),
        }
    }

    /// How much of this address's path `place` names, if it lies within it.
    #[must_use]
    pub fn within(&self, place: &Self) -> Option<usize> {
        let same = (&self.scheme, &self.host, self.port) == (&place.scheme, &place.host, place.port);
        let rest = self.path.strip_prefix(&place.path)?;
        // All of a host is served however its paths are read.
        let clear = place.path.is_empty() || !self.ambiguous;
        (same && clear && (rest.is_empty() || rest.starts_with('/'))).then_some(place.path.len())
    }
}

/// Whether the path of the address `text` names another place for whoever takes dots, escapes, doubled slashes or parameters
/// of a segment otherwise than we do. Looked for before anybody has tidied them away.
fn is_ambiguous(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at + 1..]);
    let path = path.split(['?', '#']).next().unwrap_or("").to_ascii_lowercase();
    // A percent sign that is escaped becomes another escape for whoever decodes twice.
    let escaped = ["%2e", "%2f", "%5c", "%25", "%00"].iter().any(|escape| path.contains(escape));
    let dots = |part: &str| matches!(part.split(';').next(), Some("." | ".."));
    escaped || path.contains("//") || path.starts_with('/') || path.split('/').any(dots)
}

fn is_with_port(authority: &str, host: &str) -> bool {
    let port = authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':'));
    authority.get(..host.len()).is_some_and(|given| given.eq_ignore_ascii_case(host))
        && port.is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(target: &str, place: &str) -> bool {
        let place = Target::parse(&Target::normalise(place).unwrap()).unwrap();
        Target::parse(target).is_ok_and(|target| target.within(&place).is_some())
    }

    #[test]
    fn the_same_host_and_what_is_below_its_path_are_served() {
        for (target, place) in [
            ("https://git.acme.example", "https://git.acme.example"),
            ("https://GIT.acme.example/a/b.git?service=x", "https://git.acme.example"),
            ("https://git.acme.example:443/", "https://git.acme.example"),
            ("https://git.acme.example:8443/", "https://git.acme.example:8443/"),
            ("https://git.acme.example/team", "https://git.acme.example/team/"),
            ("https://git.acme.example/team/x", "https://git.acme.example/team"),
            ("https://git.acme.example/@team%2fx", "https://git.acme.example"),
            ("https://git.acme.example/team%3f/../other", "https://git.acme.example"),
            ("https://git.acme.example/team/a%20b%3fc.git", "https://git.acme.example/team"),
            ("https://git.acme.example/team/x?y=//../z", "https://git.acme.example/team"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
            ("http://[::1]:8080/x", "http://[::1]:8080"),
        ] {
            assert!(within(target, place), "{target} in {place}");
        }
    }

    #[test]
    fn nothing_that_only_looks_like_it_is() {
        let place = "https://git.acme.example/team";
        for target in [
            "https://git.acme.example/teams",
            "https://git.acme.example/",
            "https://git.acme.example/team/../other",
            "https://git.acme.example/team/%2e%2e/other",
            "https://git.acme.example/team%2fx",
            "https://git.acme.example/team%3f/../other",
            "https://git.acme.example/team%23/../other",
            "https://git.acme.example/other/../team",
            "https://git.acme.example/other/%2E%2e/team",
            "https://git.acme.example/team/./x",
            "https://git.acme.example/team//../other",
            "https://git.acme.example/team//x",
            "https://git.acme.example//team",
            "https://git.acme.example/team/..;/other",
            "https://git.acme.example/team/..;x=y/other",
            "https://git.acme.example/team/%252e%252e/other",
            "https://git.acme.example/team/..%5cother",
            "https://git.acme.example/team/..\\other",
            "https://git.acme.example/team/%00",
            "http://git.acme.example/team",
            "https://git.acme.example:444/team",
            "https://git.acme.example./team",
            "https://git.acme.example.evil.example/team",
            "https://xgit.acme.example/team",
            "https://acme.example/team",
            "https://git.acme.example@evil.example/team",
            "https://evil.example@git.acme.example/team",
            "https://git.acme.example:x@evil.example/team",
            "https://evil.example\\@git.acme.example/team",
            "https://git.acme.example%2eevil.example/team",
            "https://git%2eacme.example/team",
            "https://g\u{456}t.acme.example/team",
            "https://\u{ff47}it.acme.example/team",
            "https:///git.acme.example/team",
            "https:git.acme.example/team",
            "https://git.acme.example:/team",
            "ssh://git.acme.example/team",
            "git.acme.example/team",
            "",
        ] {
            assert!(!within(target, place), "{target}");
        }
    }

    #[test]
    fn loopback_has_one_spelling_and_plain_http_is_for_nothing_else() {
        for target in ["http://127.1:8080", "http://0x7f000001:8080", "http://2130706433:8080", "http://[0:0::1]:8080"]
        {
            assert_eq!(Target::parse(target).unwrap_err().kind, FaultKind::UnknownAccount, "{target}");
        }
        assert!(Target::parse("http://acme.example").is_err());
    }

    #[test]
    fn what_cannot_be_asked_for_cannot_be_set_up() {
        for place in ["https://*.acme.example", "https://acme.example/a%2fb", "http://acme.example", "acme.example", ""]
        {
            assert_eq!(Target::normalise(place).unwrap_err().kind, FaultKind::Usage, "{place}");
        }
        assert_eq!(Target::normalise(" https://ACME.example:443/x/ ").unwrap(), "https://acme.example/x");
    }
}
