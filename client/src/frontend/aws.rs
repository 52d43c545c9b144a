//! AWS: `credential_process`, for clouds whose file names the AWS tools' own environment variables.

use cloud_agent_protocol::v1::GetFor;
use cloud_agent_protocol::{Credential, Fault, FaultKind};
use zeroize::Zeroizing;

use super::call::Call;
use crate::json;
use crate::report::Failure;
use crate::{moment, stdio};

/// What the tools call a key, and under which name they read it from their environment.
const KEYS: [(&str, &str); 3] = [
    ("AccessKeyId", "AWS_ACCESS_KEY_ID"),
    ("SecretAccessKey", "AWS_SECRET_ACCESS_KEY"),
    ("SessionToken", "AWS_SESSION_TOKEN"),
];

/// Answers the AWS tools.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    let credential = call.question(read(call)?)?;
    stdio::stdout(write(&credential)?.as_bytes())
}

/// What the tools want is all in the arguments: they send nothing.
///
/// # Errors
/// [`FaultKind::Usage`] if no account is named.
#[cold]
fn read(call: &Call) -> Result<GetFor, Fault> {
    if call.account.is_none() {
        return Err(Fault::new(FaultKind::Usage, "it is not known whose keys are wanted")
            .hint("`credential_process = cloud-token helper aws ACCOUNT` in ~/.aws/config"));
    }
    Ok(GetFor { environment: true, ..call.blank() })
}

/// Writes what the tools read.
///
/// # Errors
/// [`FaultKind::Unsupported`] for a credential without keys.
#[cold]
fn write(credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let found = KEYS.map(|(key, name)| {
        (
            key,
            credential
                .environment
                .iter()
                .find(|variable| variable.name == name)
                .map(|variable| variable.value.expose()),
        )
    });
    if found[..2].iter().any(|(_, value)| value.is_none_or(str::is_empty)) {
        let message = format!("the credential of `{}` holds no AWS keys", credential.account);
        return Err(Fault::new(FaultKind::Unsupported, message)
            .because(format!(
                "the file of `{}` names no {} and {} in `environment`",
                credential.cloud, KEYS[0].1, KEYS[1].1
            ))
            .hint(format!("`cloud-token {} -o headers`", credential.account)));
    }
    let size: usize = found.iter().map(|(_, value)| value.map_or(0, |value| 2 * value.len())).sum();
    let mut text = Zeroizing::new(String::with_capacity(size + 256));
    json::Writer::new(&mut text).object(|o| {
        o.key("Version").number_or_null(Some(1));
        for (key, value) in found {
            if let Some(value) = value {
                o.key(key).string(value);
            }
        }
        if let Some(at) = credential.expires_at {
            o.key("Expiration").string(&moment::rfc3339(at));
        }
    });
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;
    use cloud_agent_protocol::Header;

    fn keys(names: &[(&str, &str)]) -> Credential {
        let variable = |(name, value): &(&str, &str)| Header { name: (*name).into(), value: (*value).into() };
        Credential { environment: names.iter().map(variable).collect(), ..credential(&[]) }
    }

    #[test]
    fn keys_are_handed_over_under_the_tools_own_names() {
        let names = [("AWS_SESSION_TOKEN", "s"), ("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "x/\"y")];
        assert_eq!(
            write(&keys(&names)).unwrap().as_str(),
            "{\"Version\":1,\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"x/\\\"y\",\"SessionToken\":\"s\",\
             \"Expiration\":\"2026-11-22T03:44:00Z\"}\n"
        );
        assert!(!write(&keys(&names[1..])).unwrap().contains("SessionToken"));
    }

    #[test]
    fn other_credentials_are_told_that_they_are_none() {
        let fault = write(&keys(&[("ACME_TOKEN", "x"), ("AWS_ACCESS_KEY_ID", "AKIA")])).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unsupported);
        assert!(fault.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{fault}");
    }
}
