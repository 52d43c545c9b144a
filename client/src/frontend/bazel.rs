//! Bazel: its credential helpers, and whatever else speaks their protocol. They carry any number of headers, so every cloud
//! fits.

use cloud_agent_protocol::{Credential, Fault, FaultKind};
use zeroize::Zeroizing;

use super::call::{self, Call};
use crate::json::{self, Value};
use crate::report::Failure;
use crate::{moment, output, stdio};

/// Answers Bazel.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    if call.verb() != "get" {
        return Err(Failure::usage(format!("Bazel has no verb `{}`", call.verb().escape_debug())));
    }
    match call.ask(&read(&call.text()?)?) {
        Ok(credential) => stdio::stdout(write(&credential)?.as_bytes()),
        Err(failure) if call::is_nobodys(&failure) => stdio::stdout(b"{\"headers\":{}}\n"),
        Err(failure) => Err(failure),
    }
}

/// Reads what Bazel sends.
///
/// # Errors
/// [`FaultKind::Usage`].
#[cold]
fn read(input: &str) -> Result<String, Fault> {
    let wrong = |why: &str| Fault::new(FaultKind::Usage, "what Bazel sent is not understood").because(why);
    let request = Value::parse(input).map_err(wrong)?;
    let uri = request.member("uri").and_then(Value::text).filter(|uri| !uri.is_empty());
    uri.map(str::to_owned).ok_or_else(|| wrong("there is no `uri`"))
}

/// Writes what Bazel reads.
///
/// # Errors
/// [`FaultKind::MalformedReply`] for what is no header, [`FaultKind::Unsupported`] if there is none.
#[cold]
fn write(credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let headers = output::safe_headers(credential)?;
    let size: usize = headers.iter().map(|header| header.name.len() + 2 * header.value.len() + 16).sum();
    let mut text = Zeroizing::new(String::with_capacity(size + 128));
    json::Writer::new(&mut text).object(|o| {
        o.key("headers").object(|all| {
            for header in headers {
                all.key(&header.name).array(|values| values.string(header.value.expose()));
            }
        });
        if let Some(at) = credential.expires_at {
            o.key("expires").string(&moment::rfc3339(at));
        }
    });
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;

    #[test]
    fn the_key_is_uri() {
        assert_eq!(read(r#"{"uri":"https://a.example/x?y=z"}"#).unwrap(), "https://a.example/x?y=z");
        for input in ["", "{}", r#"{"url":"https://a"}"#, r#"{"uri":1}"#, r#"{"uri":""}"#] {
            assert_eq!(read(input).unwrap_err().kind, FaultKind::Usage, "{input}");
        }
    }

    #[test]
    fn every_header_is_carried() {
        let two = credential(&[("X-Login", "me"), ("X-Token", "t\"0k")]);
        assert_eq!(
            write(&two).unwrap().as_str(),
            "{\"headers\":{\"X-Login\":[\"me\"],\"X-Token\":[\"t\\\"0k\"]},\"expires\":\"2026-11-22T03:44:00Z\"}\n"
        );
        assert!(write(&credential(&[("X", "a\nb")])).is_err() && write(&credential(&[])).is_err());
    }
}
