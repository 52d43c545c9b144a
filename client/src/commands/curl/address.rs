//! Where a request goes, as far as it decides whether a token may: what is not encrypted stays on this machine.

use std::net::IpAddr;

use cloud_agent_protocol::{Fault, FaultKind};

/// An address that curl is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// With its scheme.
    pub(super) url: String,
}

impl Address {
    /// As it is written; without a scheme, curl is told to take `https`.
    pub(super) fn of(word: &str) -> Self {
        Self { url: if word.contains("://") { word.to_owned() } else { format!("https://{word}") } }
    }

    /// Whether it is plain `http`, on this machine or not.
    pub(super) fn is_plain(&self) -> bool {
        self.url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
    }

    /// Whether it is this machine's, in the only spellings that nobody can read otherwise.
    pub(super) fn is_loopback(&self) -> bool {
        let authority = self.authority();
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').filter(|(_, port)| is_port(port)).map(|(host, _)| host),
            None => authority.split_once(':').map_or(Some(authority), |(host, port)| port_of(port).map(|()| host)),
        };
        host.is_some_and(|host| {
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// Whether it begins as `origin` does: scheme, host and port.
    pub(super) fn is_at(&self, origin: &str) -> bool {
        let origin = Self::of(origin);
        origin.is_plain() == self.is_plain() && origin.authority().eq_ignore_ascii_case(self.authority())
    }

    /// # Errors
    /// [`FaultKind::Usage`]: whoever listens in between would have the token of `account`.
    pub(super) fn refuse(account: &str) -> Fault {
        Fault::new(FaultKind::Usage, format!("the token of `{account}` would be sent unencrypted"))
            .because("the address is plain `http://`, and neither on this machine nor the account's own")
            .hint("use `https://`")
    }

    fn authority(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or(rest)
    }
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port_of(port).is_some())
}

fn port_of(text: &str) -> Option<()> {
    text.bytes().all(|b| b.is_ascii_digit()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_few_names_and_no_lookalikes() {
        for url in [
            "http://127.0.0.1",
            "http://127.0.0.1:80/x",
            "HTTP://localhost:8080?x",
            "http://[::1]:9/",
            "http://127.9.9.9#x",
        ] {
            assert!(Address::of(url).is_loopback() && Address::of(url).is_plain(), "{url}");
        }
        for url in [
            "http://127.0.0.1@evil.example/",
            "http://127.0.0.1:80@evil.example/",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1{,.evil.example}/",
            "http://localhost\\@evil.example/",
            "http://[::1].evil.example/",
            "http://[::1]@evil.example/",
            "http://127.1",
            "http://128.0.0.1",
            "http://evil.example/127.0.0.1",
        ] {
            assert!(!Address::of(url).is_loopback(), "{url}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let address = Address::of("http://api.acme.example:8080/x");
        assert!(address.is_at("http://API.acme.example:8080/base"));
        for other in ["https://api.acme.example:8080", "http://api.acme.example", "http://x@api.acme.example:8080"] {
            assert!(!address.is_at(other), "{other}");
        }
        assert!(!Address::of("api.acme.example").is_plain());
    }
}
