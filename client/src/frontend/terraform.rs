//! Terraform and `OpenTofu`: their credentials helper, asked by the name of a host.

use cloud_agent_protocol::{Credential, Fault, FaultKind};
use zeroize::Zeroizing;

use super::call::{self, Call};
use super::carry;
use crate::json;
use crate::report::Failure;
use crate::stdio;

/// Answers Terraform.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    let host = call.words.get(1).map_or("", String::as_str);
    match call.verb() {
        "get" => match call.ask(&read(host)?) {
            Ok(credential) => stdio::stdout(write(&credential)?.as_bytes()),
            Err(failure) if call::is_nobodys(&failure) => stdio::stdout(b"{}\n"),
            Err(failure) => Err(failure),
        },
        "store" => {
            // To the end, even though it comes to nothing: Terraform writes it in any case.
            call.input()?;
            Err(Fault::new(FaultKind::Unsupported, "cloud-token stores no tokens of Terraform's")
                .hint(format!("`cloud-token login ACCOUNT --set serves=https://{}`", host.escape_debug()))
                .into())
        }
        // `terraform logout`: there is nothing to forget, and that is no failure.
        "forget" => Ok(()),
        other => Err(Failure::usage(format!("Terraform has no verb `{}`", other.escape_debug()))),
    }
}

/// Reads what Terraform names: a host, perhaps with a port.
///
/// # Errors
/// [`FaultKind::Usage`].
#[cold]
fn read(host: &str) -> Result<String, Fault> {
    let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    if is_host { Ok(format!("https://{host}")) } else { Err(Fault::new(FaultKind::Usage, "Terraform names no host")) }
}

/// Writes what Terraform reads.
///
/// # Errors
/// As [`carry::token`].
#[cold]
fn write(credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let token = carry::token(credential, "Terraform")?;
    let mut text = Zeroizing::new(String::with_capacity(2 * token.len() + 64));
    json::Writer::new(&mut text).object(|o| o.key("token").string(token));
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;

    #[test]
    fn a_host_is_one_on_https() {
        assert_eq!(read("app.example:8443").unwrap(), "https://app.example:8443");
        for host in ["", "a/b", "a@b", "a b", "http://a", "\u{fc}.example"] {
            assert_eq!(read(host).unwrap_err().kind, FaultKind::Usage, "{host}");
        }
    }

    #[test]
    fn an_answer_is_the_token_alone() {
        assert_eq!(write(&credential(&[("Authorization", "Bearer t0k")])).unwrap().as_str(), "{\"token\":\"t0k\"}\n");
        assert!(write(&credential(&[("A", "1"), ("B", "2")])).is_err());
    }
}
