//! Whether the way to the clouds leads over a proxy, and whether anybody is there.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use cloud_agent_protocol::v1::Setting;

use crate::thread;

/// How long a proxy has to take a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// What names one, the first of which wins.
const NAMES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It leads over none.
    Straight,
    /// The variable's value is no address of an HTTP proxy.
    Unusable(Setting),
    /// The proxy takes connections at that address.
    Open(Setting, String),
    /// Nobody does there, for that reason.
    Silent(Setting, String, String),
}

/// The way that `network`, what the environment says, gives. Asks nobody but the proxy.
pub(crate) async fn way(network: &[Setting]) -> Way {
    let named = |name: &&str| network.iter().find(|setting| setting.name == **name && !setting.value.is_empty());
    let Some(setting) = NAMES.iter().find_map(named).cloned() else { return Way::Straight };
    let Some(address) = address(&setting.value) else { return Way::Unusable(setting) };
    let there = address.clone();
    // A look-up has no deadline of its own.
    let connected = tokio::time::timeout(PATIENCE * 2, thread::run("proxy", move || connected(&there)));
    match connected.await {
        Ok(Ok(Ok(()))) => Way::Open(setting, address),
        Ok(Ok(Err(why))) => Way::Silent(setting, address, why),
        Ok(Err(fault)) => Way::Silent(setting, address, fault.to_string()),
        Err(_) => {
            let why = format!("it did not answer within {} s", (PATIENCE * 2).as_secs());
            Way::Silent(setting, address, why)
        }
    }
}

fn connected(address: &str) -> Result<(), String> {
    let found = address.to_socket_addrs().map_err(|e| e.to_string())?;
    let mut last = "its name does not resolve".to_owned();
    for place in found {
        match TcpStream::connect_timeout(&place, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}

/// `host:port` of an HTTP proxy's address.
fn address(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    let has_port = authority.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    match authority.rsplit_once(':').filter(|_| has_port) {
        Some((host, port)) => (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| authority.to_owned()),
        None => Some(format!("{authority}:{usual}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Setting {
        Setting { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_proxy_has_a_host_and_a_port() {
        for (value, expected) in [
            ("http://proxy.example:3128", Some("proxy.example:3128")),
            ("proxy.example:3128", Some("proxy.example:3128")),
            ("https://proxy.example/", Some("proxy.example:443")),
            ("http://[::1]:8080", Some("[::1]:8080")),
            ("http://[::1]", Some("[::1]:80")),
            ("socks5://proxy.example:1080", None),
            ("http://proxy.example:http", None),
            ("http://", None),
            ("http://:3128", None),
        ] {
            assert_eq!(address(value).as_deref(), expected, "{value}");
        }
    }

    #[tokio::test]
    async fn the_first_variable_that_says_something_counts() {
        let (socks, none) = (set("all_proxy", "socks5://127.0.0.1:1080"), set("HTTPS_PROXY", ""));
        assert_eq!(way(&[none.clone(), set("NO_PROXY", "*")]).await, Way::Straight);
        assert_eq!(way(&[none, socks.clone()]).await, Way::Unusable(socks));
    }

    #[tokio::test]
    async fn a_proxy_is_open_while_somebody_listens_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let setting = set("HTTPS_PROXY", &format!("http://{address}"));
        let network = [setting.clone()];
        assert_eq!(way(&network).await, Way::Open(setting, address));
        drop(listener);
        assert!(matches!(way(&network).await, Way::Silent(..)));
    }
}
