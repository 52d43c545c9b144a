//! Which addresses an account may talk to.
//!
//! A secret goes wherever an origin points, so what an origin may be is decided in this one place.

use cloud_agent_protocol::{Fault, FaultKind};
use reqwest::Url;

/// The longest origin, in bytes.
const MAX_ORIGIN: usize = 1024;

/// An origin in the one form that is stored and compared: scheme, host, port if it is not the usual one, path prefix without
/// a slash at its end.
///
/// `https://`, or `http://` on loopback (`127.0.0.0/8`, `::1`, `localhost`) or with `allow_plaintext`.
///
/// # Errors
/// `Usage` if `text` is no such address.
pub fn normalise(text: &str, allow_plaintext: bool) -> Result<String, Fault> {
    // A password pasted into the address must not come back in an error, so the address is shown only once it is clean.
    let refuse = |why: &str| Err(Fault::new(FaultKind::Usage, format!("the address {why}")));
    let text = text.trim();
    if text.is_empty() {
        return refuse("is empty");
    }
    if text.len() > MAX_ORIGIN {
        return refuse("is too long");
    }
    let lower = text.to_ascii_lowercase();
    if !lower.starts_with("https://") && !lower.starts_with("http://") {
        let fault = Fault::new(FaultKind::Usage, "the address does not begin with `https://`");
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:/[]".contains(c)) && !text.contains("://");
        return Err(if plain { fault.hint(format!("did you mean `https://{text}`?")) } else { fault });
    }
    // The parser would make a host of the path's first part.
    if authority(text).is_empty() {
        return refuse("names no host");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(why) => return refuse(&format!("is not one: {why}")),
    };
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return refuse("must not hold a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("must end before `?` or `#`");
    }
    if text.contains('\\') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refuse("holds a character that no address has");
    }
    let shown = url.as_str().trim_end_matches('/').to_owned();
    if url.scheme() == "http" && !allow_plaintext && !is_loopback(&url) {
        return Err(Fault::new(FaultKind::Usage, format!("`{shown}` would send secrets unencrypted"))
            .hint("use `https://`; only if nothing can listen in between: `cloud-token login ACCOUNT --set allow-plaintext=true`"));
    }
    Ok(shown)
}

/// Whether the host is this machine by its address or as `localhost`. Other names are not looked up: an answer could change
/// between the look and the request.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_have_one_form() {
        for (text, want) in [
            ("https://api.acme.example", "https://api.acme.example"),
            (" https://API.acme.example:443/ ", "https://api.acme.example"),
            ("https://acme.example:8443/cloud/v1//", "https://acme.example:8443/cloud/v1"),
            ("HTTPS://acme.example/a/../b", "https://acme.example/b"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:9/x", "http://[::1]:9/x"),
        ] {
            assert_eq!(normalise(text, false).unwrap(), want);
        }
        assert_eq!(normalise("http://acme.example", true).unwrap(), "http://acme.example");
    }

    #[test]
    fn bad_addresses_are_refused_without_showing_a_password() {
        for text in [
            "",
            "acme.example",
            "ftp://acme.example",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://me:hunter2@acme.example",
            "https://@acme.example",
            "https://acme.example?key=hunter2",
            "https://acme.example/#hunter2",
            "https://acme.example\\@evil.example",
            "https://ac me.example",
            "http://acme.example",
            "http://localhost.acme.example",
            "http://127.0.0.1.acme.example",
            "http://128.0.0.1",
            "http://[::2]",
        ] {
            let fault = normalise(text, false).expect_err(text);
            assert_eq!(fault.kind, FaultKind::Usage, "{text}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
    }

    #[test]
    fn a_bare_host_is_met_with_what_was_meant() {
        let fault = normalise("acme.example:8443", false).unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("did you mean `https://acme.example:8443`?"));
    }
}
