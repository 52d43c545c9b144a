//! A credential in the format that was asked for: one pure function each.
//!
//! What is printed is parsed next, by a shell, by curl, by a program. So every value is quoted by the rules of its
//! reader, and a value that could smuggle in a second line is refused rather than repaired.

use cloud_agent_protocol::{Credential, Fault, FaultKind, Header, Secret};
use zeroize::Zeroizing;

use crate::json;
use crate::moment;
use crate::shell::{self, Shell};

/// What is to be printed.
pub(crate) enum Text<'a> {
    /// A line without its end, which is not copied for that.
    Line(&'a Secret),
    /// Everything.
    Whole(Zeroizing<String>),
}

impl Text<'_> {
    /// The parts, to be written as one.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Line(line) => [line.expose().as_bytes(), b"\n"],
            Self::Whole(text) => [text.as_bytes(), b""],
        }
    }
}

/// How a credential is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// The primary token and a line end.
    #[default]
    Token,
    /// `Name: value` lines.
    Headers,
    /// A configuration for `curl -K -`.
    Curl,
    /// One JSON object.
    Json,
    /// Assignments for a shell.
    Env,
}

impl Format {
    /// Every format by name, in the order that help lists them.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("token", Self::Token),
        ("headers", Self::Headers),
        ("curl", Self::Curl),
        ("json", Self::Json),
        ("env", Self::Env),
    ];

    /// The format of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// `credential` in `format`; as an environment, for `shell`.
///
/// # Errors
/// [`FaultKind::Unsupported`] if it has nothing to print in that format; [`FaultKind::MalformedReply`] if a value could
/// not be printed without becoming something else.
pub(crate) fn render(credential: &Credential, format: Format, shell: Shell) -> Result<Text<'_>, Fault> {
    let text = match format {
        Format::Token => return token(credential).map(Text::Line),
        Format::Headers => headers(credential),
        Format::Curl => curl(credential),
        Format::Json => Ok(json(credential)),
        Format::Env => shell::assignments(credential, shell),
    };
    text.map(Text::Whole)
}

fn token(credential: &Credential) -> Result<&Secret, Fault> {
    let Some(token) = &credential.token else {
        return Err(nothing(credential, "has no single token")
            .because("its API wants several headers, and none of them alone is of use")
            .hint(format!("`cloud-token {} -o headers`", credential.account)));
    };
    // Looks at every byte without stopping at the first, which a compiler turns into a few vector instructions.
    if token.expose().bytes().fold(false, |found, b| found | matches!(b, b'\n' | b'\r' | b'\0')) {
        return Err(unprintable(credential, "the token"));
    }
    Ok(token)
}

fn headers(credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    refuse_no_headers(credential)?;
    let mut text = buffer(size(&credential.headers));
    for header in safe_headers(credential)? {
        text.push_str(&header.name);
        text.push_str(": ");
        text.push_str(header.value.expose());
        text.push('\n');
    }
    Ok(text)
}

/// Nothing at all would be a request without credentials, which its sender believes to carry some.
fn refuse_no_headers(credential: &Credential) -> Result<(), Fault> {
    if !credential.headers.is_empty() {
        return Ok(());
    }
    Err(nothing(credential, "has no headers")
        .because("its API takes the token as a parameter")
        .hint(format!("`cloud-token {}`", credential.account)))
}

/// curl's own rules: inside double quotes, backslash escapes itself and the quote.
pub(crate) fn curl(credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    refuse_no_headers(credential)?;
    let mut text = buffer(2 * size(&credential.headers));
    for header in safe_headers(credential)? {
        text.push_str("header = \"");
        for c in header.name.chars().chain(": ".chars()).chain(header.value.expose().chars()) {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

fn json(credential: &Credential) -> Zeroizing<String> {
    let token = credential.token.as_ref().map_or(0, |token| 2 * token.len());
    let mut text = buffer(token + 2 * size(&credential.headers) + 512);
    json::Writer::new(&mut text).object(|o| {
        o.key("account").string(&credential.account);
        o.key("cloud").string(&credential.cloud);
        o.key("token").string_or_null(credential.token.as_ref().map(cloud_agent_protocol::Secret::expose));
        o.key("headers").object(|headers| {
            for header in &credential.headers {
                headers.key(&header.name).string(header.value.expose());
            }
        });
        o.key("expires_at").string_or_null(credential.expires_at.map(moment::rfc3339).as_deref());
        o.key("expires_at_unix").number_or_null(credential.expires_at);
        o.key("expiry_source").string(credential.expiry_source.word());
    });
    text.push('\n');
    text
}

/// The headers, if all of them are what HTTP takes for one line.
pub(crate) fn safe_headers(credential: &Credential) -> Result<&[Header], Fault> {
    if credential.headers.is_empty() {
        return Err(nothing(credential, "has no headers").hint(format!("`cloud-token {}`", credential.account)));
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let is_value = |value: &str| value.chars().all(|c| c == '\t' || !c.is_control());
    match credential.headers.iter().find(|h| !is_name(&h.name) || !is_value(h.value.expose())) {
        Some(_) => Err(unprintable(credential, "a header")),
        None => Ok(&credential.headers),
    }
}

#[cold]
pub(crate) fn nothing(credential: &Credential, what: &str) -> Fault {
    Fault::new(FaultKind::Unsupported, format!("the credential of `{}` {what}", credential.account))
}

#[cold]
pub(crate) fn unprintable(credential: &Credential, what: &str) -> Fault {
    Fault::new(FaultKind::MalformedReply, format!("{what} of `{}` cannot be printed safely", credential.account))
        .because("it holds a line break or another control character, which its reader would take for something else")
        .hint(format!("`cloud-token {} -o json` escapes it", credential.account))
}

/// Made large enough at once: a buffer that grows leaves copies of secrets behind.
pub(crate) fn buffer(capacity: usize) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(capacity))
}

fn size(headers: &[Header]) -> usize {
    headers.iter().map(|h| h.name.len() + h.value.len() + 16).sum()
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::ExpirySource;

    use super::*;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.into(), value: Secret::from(value) }
    }

    fn credential() -> Credential {
        Credential {
            account: "work".into(),
            cloud: "acme".into(),
            token: Some(Secret::from("t0k")),
            headers: vec![header("Authorization", "Bearer t0k"), header("X-Key", r#"a"b\c"#)],
            environment: vec![header("ACME_TOKEN", "it's"), header("ACME_URL", "https://x/$(id)`id`")],
            expires_at: Some(1_795_319_040),
            expiry_source: ExpirySource::Jwt,
        }
    }

    fn rendered(credential: &Credential, format: Format) -> String {
        String::from_utf8(render(credential, format, Shell::Sh).unwrap().parts().concat()).unwrap()
    }

    #[test]
    fn token_is_the_token_and_a_line_end() {
        assert_eq!(rendered(&credential(), Format::Token), "t0k\n");
    }

    #[test]
    fn headers_are_name_colon_value() {
        assert_eq!(rendered(&credential(), Format::Headers), "Authorization: Bearer t0k\nX-Key: a\"b\\c\n");
    }

    #[test]
    fn no_headers_are_not_printed_as_some() {
        let bare = Credential { headers: Vec::new(), ..credential() };
        for format in [Format::Headers, Format::Curl] {
            assert_eq!(render(&bare, format, Shell::Sh).err().map(|fault| fault.kind), Some(FaultKind::Unsupported));
        }
        assert_eq!(rendered(&bare, Format::Token), "t0k\n");
    }

    #[test]
    fn curl_values_are_quoted_by_the_rules_of_curl() {
        assert_eq!(
            rendered(&credential(), Format::Curl),
            "header = \"Authorization: Bearer t0k\"\nheader = \"X-Key: a\\\"b\\\\c\"\n"
        );
    }

    #[test]
    fn json_has_every_field_and_null_where_nobody_knows() {
        assert_eq!(
            rendered(&credential(), Format::Json),
            "{\"account\":\"work\",\"cloud\":\"acme\",\"token\":\"t0k\",\"headers\":{\"Authorization\":\"Bearer t0k\",\
             \"X-Key\":\"a\\\"b\\\\c\"},\"expires_at\":\"2026-11-22T03:44:00Z\",\"expires_at_unix\":1795319040,\
             \"expiry_source\":\"jwt\"}\n"
        );
        let bare = Credential { token: None, expires_at: None, headers: vec![], ..credential() };
        assert!(
            rendered(&bare, Format::Json)
                .contains(r#""token":null,"headers":{},"expires_at":null,"expires_at_unix":null"#)
        );
    }

    #[test]
    fn env_survives_quotes_and_substitutions() {
        assert_eq!(
            rendered(&credential(), Format::Env),
            "export ACME_TOKEN='it'\\''s'\nexport ACME_URL='https://x/$(id)`id`'\n"
        );
    }

    #[test]
    fn a_credential_without_a_primary_token_says_which_format_to_ask_for() {
        let credential = Credential { token: None, ..credential() };
        let Err(fault) = render(&credential, Format::Token, Shell::Sh) else { panic!("there is nothing to print") };
        assert_eq!(fault.hint.as_deref(), Some("`cloud-token work -o headers`"));
    }

    #[test]
    fn values_that_would_become_a_second_line_are_refused() {
        let line_break = Credential { headers: vec![header("A", "x\r\nB: y")], ..credential() };
        let bad_name = Credential { headers: vec![header("A\nB", "x")], ..credential() };
        for format in [Format::Headers, Format::Curl] {
            assert!(render(&line_break, format, Shell::Sh).is_err() && render(&bad_name, format, Shell::Sh).is_err());
        }
        let token = Credential { token: Some(Secret::from("a\nb")), ..credential() };
        assert!(render(&token, Format::Token, Shell::Sh).is_err());
    }

    #[test]
    fn no_buffer_that_holds_a_secret_had_to_grow() {
        let long = "\"\\'".repeat(3000);
        let credential = Credential { headers: vec![header("A", &long)], ..credential() };
        let Ok(Text::Whole(text)) = render(&credential, Format::Curl, Shell::Sh) else { panic!("it can be printed") };
        assert!(text.capacity() <= 2 * size(&credential.headers));
    }
}
