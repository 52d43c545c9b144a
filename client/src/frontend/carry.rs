//! What of a credential fits where a consumer carries one string, and what to do where it does not.

use cloud_agent_protocol::{Credential, Fault, FaultKind, Secret};

/// The value of the `Authorization` header, if that is all that an API wants.
///
/// # Errors
/// [`FaultKind::Unsupported`], naming the way that works.
#[cold]
pub(super) fn authorization<'a>(credential: &'a Credential, consumer: &str) -> Result<&'a str, Fault> {
    match credential.headers.as_slice() {
        [header] if header.name.eq_ignore_ascii_case("authorization") => clean(credential, &header.value),
        _ => Err(too_much(credential, consumer)),
    }
}

/// The same as scheme and credentials.
///
/// # Errors
/// As [`authorization`].
#[cold]
pub(super) fn scheme<'a>(credential: &'a Credential, consumer: &str) -> Result<(&'a str, &'a str), Fault> {
    let value = authorization(credential, consumer)?;
    let parts = value.split_once(' ').filter(|(scheme, rest)| !scheme.is_empty() && !rest.trim().is_empty());
    parts.map(|(scheme, rest)| (scheme, rest.trim())).ok_or_else(|| too_much(credential, consumer))
}

/// The token, if it is of use without any other header.
///
/// # Errors
/// As [`authorization`].
#[cold]
pub(super) fn token<'a>(credential: &'a Credential, consumer: &str) -> Result<&'a str, Fault> {
    match &credential.token {
        Some(token) if credential.headers.len() <= 1 => clean(credential, token),
        _ => Err(too_much(credential, consumer)),
    }
}

/// What goes into a line must be one. The agent takes no other tokens from a cloud; this is the last look.
#[cold]
fn clean<'a>(credential: &Credential, value: &'a Secret) -> Result<&'a str, Fault> {
    let value = value.expose();
    if value.is_empty() || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        let message = format!("the token of `{}` cannot be handed on", credential.account);
        return Err(Fault::new(FaultKind::MalformedReply, message).because("it holds a character that no header has"));
    }
    Ok(value)
}

#[cold]
fn too_much(credential: &Credential, consumer: &str) -> Fault {
    let names: Vec<String> = credential.headers.iter().map(|header| format!("`{}`", header.name)).collect();
    let wanted = if names.is_empty() { "a parameter of its own".to_owned() } else { names.join(" and ") };
    let account = &credential.account;
    Fault::new(FaultKind::Unsupported, format!("{consumer} cannot carry the credential of `{account}`"))
        .because(format!("the API wants {wanted}"))
        .hint(format!(
            "what takes headers works: `cloud-token curl {account} -- URL`, `cloud-token {account} -o headers`"
        ))
}

#[cfg(test)]
pub(super) mod tests {
    use cloud_agent_protocol::{ExpirySource, Header};

    use super::*;

    /// A credential of `work` with these headers and the token `t0k`.
    pub(crate) fn credential(headers: &[(&str, &str)]) -> Credential {
        let header = |(name, value): &(&str, &str)| Header { name: (*name).into(), value: (*value).into() };
        Credential {
            account: "work".into(),
            cloud: "acme".into(),
            token: Some("t0k".into()),
            headers: headers.iter().map(header).collect(),
            environment: Vec::new(),
            expires_at: Some(1_795_319_040),
            expiry_source: ExpirySource::Jwt,
        }
    }

    #[test]
    fn one_header_fits_and_two_do_not() {
        let bearer = credential(&[("authorization", "Bearer t0k")]);
        assert_eq!(authorization(&bearer, "x"), Ok("Bearer t0k"));
        assert_eq!(scheme(&bearer, "x"), Ok(("Bearer", "t0k")));
        assert_eq!(token(&bearer, "x"), Ok("t0k"));
        let two = credential(&[("X-Login", "me"), ("X-Token", "t0k")]);
        for fault in [authorization(&two, "git").err(), scheme(&two, "git").err(), token(&two, "git").err()] {
            let fault = fault.unwrap();
            assert_eq!(fault.kind, FaultKind::Unsupported);
            assert!(fault.to_string().contains("`X-Login` and `X-Token`"), "{fault}");
            assert!(fault.hint.unwrap().contains("cloud-token curl work"));
        }
        let bare = credential(&[("Authorization", "t0k")]);
        assert!(authorization(&bare, "x").is_ok() && scheme(&bare, "x").is_err());
        assert!(token(&Credential { token: None, ..bare }, "x").is_err());
    }

    #[test]
    fn a_value_that_is_no_line_goes_nowhere() {
        for value in ["Bearer a\nb", "Bearer a\rb", "Bearer a\0b", "Bearer \u{2028}", ""] {
            assert!(authorization(&credential(&[("Authorization", value)]), "x").is_err(), "{value:?}");
        }
    }
}
