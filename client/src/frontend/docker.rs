//! docker: the credential helpers of docker-credential-helpers, which are also podman's and buildah's.
//!
//! Errors go to stdout, where docker looks for them. Nothing is stored: `docker login` at a registry of ours is told so.

use cloud_agent_protocol::v1::{Place, Request, Response};
use cloud_agent_protocol::{Credential, Fault, FaultKind};
use zeroize::Zeroizing;

use super::call::{self, Call};
use super::carry;
use crate::client::{Client, unexpected};
use crate::json;
use crate::report::{self, Failure};
use crate::{moment, stdio};

/// By these words docker knows that there is nothing, and that this is no failure.
const NONE: &str = "credentials not found in native keychain";

/// Answers docker.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    let answer = match call.verb() {
        "get" => get(call),
        "list" => list(call),
        "version" => Ok(Zeroizing::new(format!("cloud-token {}\n", env!("CARGO_PKG_VERSION")))),
        // `docker logout`: the account is not docker's to end.
        "erase" => call.input().map(|_| Zeroizing::default()),
        "store" => call.input().and_then(|_| {
            let fault = Fault::new(FaultKind::Unsupported, "cloud-token stores no passwords of registries");
            Err(fault.hint("`cloud-token login ACCOUNT --set serves=URL`").into())
        }),
        other => Err(Failure::usage(format!("docker has no verb `{}`", other.escape_debug()))),
    };
    match answer {
        Ok(text) => stdio::stdout(text.as_bytes()),
        Err(failure) => {
            let words =
                if call::is_nobodys(&failure) { format!("{NONE}\n") } else { report::line_of(&failure, moment::now()) };
            stdio::stdout(words.as_bytes())?;
            Err(Failure::told(Fault::new(FaultKind::Other(0), words)))
        }
    }
}

#[cold]
fn get(call: &Call) -> Result<Zeroizing<String>, Failure> {
    let server = call.text()?;
    let server = server.trim();
    let [url, on_this_machine] = read(server)?;
    let credential = match call.ask(&url) {
        // Docker itself takes a registry on loopback for one without TLS, if need be, and does not say so.
        Err(failure) if call::is_nobodys(&failure) && url != on_this_machine => call.ask(&on_this_machine)?,
        other => other?,
    };
    Ok(write(server, &credential)?)
}

/// Reads what docker sends: an address, or a host alone. The second address is the one that the host has without TLS; it is
/// the same if a scheme was given.
///
/// # Errors
/// [`FaultKind::Usage`].
#[cold]
fn read(server: &str) -> Result<[String; 2], Fault> {
    if server.is_empty() || server.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Fault::new(FaultKind::Usage, "docker names no server"));
    }
    Ok(if server.contains("://") {
        [server.to_owned(), server.to_owned()]
    } else {
        [format!("https://{server}"), format!("http://{server}")]
    })
}

/// Writes what docker reads.
///
/// # Errors
/// As [`carry::token`].
#[cold]
fn write(server: &str, credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let token = carry::token(credential, "docker")?;
    let mut text = Zeroizing::new(String::with_capacity(2 * (token.len() + server.len()) + 256));
    json::Writer::new(&mut text).object(|o| {
        o.key("ServerURL").string(server);
        // Not `<token>`: with that, docker would take it to another server and change it for a token of that one.
        o.key("Username").string(&credential.account);
        o.key("Secret").string(token);
    });
    text.push('\n');
    Ok(text)
}

#[cold]
fn list(call: &Call) -> Result<Zeroizing<String>, Failure> {
    match Client::new(call.timeout)?.ask(&Request::ListServed)? {
        Response::Served(served) => Ok(Zeroizing::new(listed(&served.places))),
        other => Err(unexpected(&other)),
    }
}

#[cold]
fn listed(places: &[Place]) -> String {
    let mut text = String::new();
    json::Writer::new(&mut text).object(|o| {
        for (at, place) in places.iter().enumerate() {
            // The first account of an address stands for all: a name may come only once.
            if !places[..at].iter().any(|other| other.url == place.url) {
                o.key(&place.url).string(&place.account);
            }
        }
    });
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;

    #[test]
    fn a_server_is_an_address_or_a_host() {
        assert_eq!(read("https://index.example/v1/").unwrap()[0], "https://index.example/v1/");
        assert_eq!(read("localhost:5000").unwrap(), ["https://localhost:5000", "http://localhost:5000"]);
        for server in ["", "a b", "a\nb"] {
            assert!(read(server).is_err(), "{server:?}");
        }
    }

    #[test]
    fn an_answer_names_server_account_and_token() {
        let bearer = credential(&[("Authorization", "Bearer t0k")]);
        assert_eq!(
            write("reg.example:5000", &bearer).unwrap().as_str(),
            "{\"ServerURL\":\"reg.example:5000\",\"Username\":\"work\",\"Secret\":\"t0k\"}\n"
        );
        assert_eq!(write("x", &credential(&[("A", "1"), ("B", "2")])).unwrap_err().kind, FaultKind::Unsupported);
    }

    #[test]
    fn a_list_names_every_address_once() {
        let place = |account: &str, url: &str| Place { account: account.into(), url: url.into() };
        let places = [place("a", "https://x"), place("b", "https://x"), place("b", "https://y")];
        assert_eq!(listed(&places), "{\"https://x\":\"a\",\"https://y\":\"b\"}\n");
        assert_eq!(listed(&[]), "{}\n");
    }
}
