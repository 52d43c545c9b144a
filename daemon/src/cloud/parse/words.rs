//! The small things that a file's texts may be: names, sources, headers, kinds.

use cloud_agent_protocol::FaultKind;
use toml::Spanned;

use super::problem::{Judged, Problem};
use crate::cloud::Source;
use crate::cloud::file::{Statuses, Text};
use crate::cloud::template::is_name;

/// A name of a method, ask, step or value.
pub(super) fn name(text: &Text) -> Judged<String> {
    if is_name(text.get_ref()) {
        return Ok(text.get_ref().clone());
    }
    let message = format!("`{}` is no name: lower-case letters, digits, `-` and `_`, a letter first", text.get_ref());
    Err(Problem::new(text.span(), message))
}

/// A name of an action, which no template has: it may begin with a digit (`2fa-enable`).
pub(super) fn action_name(text: &Text) -> Judged<String> {
    let value = text.get_ref();
    if is_name(value) || (value.starts_with(|c: char| c.is_ascii_digit()) && is_name(&format!("x{value}"))) {
        return Ok(value.clone());
    }
    Err(Problem::new(text.span(), format!("`{value}` is no name: lower-case letters, digits, `-` and `_`")))
}

/// A name, and whether a `?` follows it.
pub(super) fn optional(text: &Text) -> (Text, bool) {
    match text.get_ref().strip_suffix('?') {
        Some(bare) => (Spanned::new(text.span(), bare.to_owned()), true),
        None => (text.clone(), false),
    }
}

/// One line that people see.
pub(super) fn line(text: &Text, key: &str) -> Judged<String> {
    let value = text.get_ref();
    if value.trim().is_empty() {
        return Err(Problem::new(text.span(), format!("`{key}` is empty")));
    }
    if value.chars().any(char::is_control) {
        return Err(Problem::new(text.span(), format!("`{key}` has to be one line")));
    }
    Ok(value.clone())
}

/// Where in a reply something is.
pub(super) fn source(text: &Text) -> Judged<Source> {
    let value = text.get_ref().as_str();
    if value == "text" {
        return Ok(Source::Text);
    }
    if let Some(header) = value.strip_prefix("header ") {
        let header = header.trim();
        check_header_name(header, text)?;
        return Ok(Source::Header(header.to_ascii_lowercase()));
    }
    if let Some(pointer) = value.strip_suffix(" or text").filter(|pointer| is_pointer(pointer)) {
        return Ok(Source::PointerOrText(pointer.to_owned()));
    }
    if is_pointer(value) {
        return Ok(Source::Pointer(value.to_owned()));
    }
    let message = format!("`{value}` is no place in a reply");
    Err(Problem::new(text.span(), message)
        .hint(Some("a JSON pointer such as `/access`, `text`, `/access or text`, or `header NAME`".to_owned())))
}

/// RFC 6901, less the empty pointer, which would take the whole document.
pub(super) fn is_pointer(text: &str) -> bool {
    let mut tildes = text.split('~').skip(1);
    text.starts_with('/')
        && text.len() <= 256
        && !text.chars().any(char::is_control)
        && tildes.all(|after| after.starts_with(['0', '1']))
}

/// `Name: value`.
pub(super) fn header(text: &Text) -> Judged<(String, Text)> {
    let Some((name, value)) = text.get_ref().split_once(':') else {
        return Err(Problem::new(text.span(), format!("`{}` is no header: `Name: value`", text.get_ref())));
    };
    check_header_name(name, text)?;
    let value = value.trim();
    if value.is_empty() {
        return Err(Problem::new(text.span(), format!("the header `{name}` has no value")));
    }
    if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(Problem::new(text.span(), format!("the header `{name}` holds a character that no header has")));
    }
    Ok((name.to_owned(), Spanned::new(text.span(), value.to_owned())))
}

/// RFC 9110 token characters; and none of the headers that frame the message, which only the HTTP client may set.
fn check_header_name(name: &str, text: &Text) -> Judged<()> {
    const FRAMING: [&str; 8] =
        ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer", "expect"];
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(Problem::new(text.span(), format!("`{name}` is no header name")));
    }
    if FRAMING.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Problem::new(text.span(), format!("the header `{name}` cannot be set here")));
    }
    Ok(())
}

/// `POST /path`: the verb and the path.
pub(super) fn request(text: &Text) -> Judged<(String, Text)> {
    const VERBS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let value = text.get_ref();
    let Some((verb, path)) = value.split_once(' ') else {
        return Err(Problem::new(text.span(), format!("`{value}` is no request: `POST /path`")));
    };
    if !VERBS.contains(&verb) {
        return Err(Problem::unknown(text.span(), format!("`{verb}` is no verb"), verb, VERBS));
    }
    Ok((verb.to_owned(), Spanned::new(text.span(), path.to_owned())))
}

/// The kinds of fault that a cloud's answer can mean.
pub(super) fn kind(text: &Text) -> Judged<FaultKind> {
    const KINDS: [FaultKind; 6] = [
        FaultKind::Refused,
        FaultKind::NeedsHuman,
        FaultKind::Unreachable,
        FaultKind::Config,
        FaultKind::MalformedReply,
        FaultKind::Unsupported,
    ];
    let word = text.get_ref().as_str();
    KINDS.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
        Problem::unknown(
            text.span(),
            format!("`{word}` is no kind of fault"),
            word,
            KINDS.iter().map(|kind| kind.word()),
        )
    })
}

/// HTTP statuses.
pub(super) fn statuses(raw: Option<&Spanned<Statuses>>) -> Judged<Vec<u16>> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let statuses = match raw.get_ref() {
        Statuses::One(status) => vec![*status],
        Statuses::Some(statuses) => statuses.clone(),
    };
    if statuses.is_empty() {
        return Err(Problem::new(raw.span(), "`status` is empty"));
    }
    match statuses.iter().find(|status| !(200..=599).contains(*status)) {
        Some(bad) => Err(Problem::new(raw.span(), format!("`{bad}` is no status of a reply: 200 to 599"))),
        None => Ok(statuses),
    }
}

/// A span of time such as `20h` or `90m`, in seconds.
pub(super) fn seconds(text: &Text) -> Judged<u64> {
    let value = text.get_ref().trim();
    let split = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let unit = match value[split..].trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    match value[..split].parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
        Some(seconds) if (1..=366 * 86_400).contains(&seconds) => Ok(seconds),
        _ => Err(Problem::new(text.span(), format!("`{value}` is no duration: `90s`, `45m`, `20h`, `30d`"))),
    }
}
