//! Taking values from a reply, and what a value has to be before it may go anywhere (THREATS T24).

use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use super::json::{Json, Unreadable};
use super::request::shown;
use super::values::{Taken, Values};
use crate::cloud::{Expiry, Method, Source, Step, Subject, Take, Template};
use crate::http::Reply;

/// The longest token, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// A reply's body, read as JSON when something first asks for that.
pub(super) struct Document<'a> {
    reply: &'a Reply,
    json: std::cell::OnceCell<Option<Json>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(reply: &'a Reply) -> Self {
        Self { reply, json: std::cell::OnceCell::new() }
    }

    pub(super) fn status(&self) -> u16 {
        self.reply.status
    }

    /// The body as JSON, if it is that.
    pub(super) fn json(&self) -> Option<&Json> {
        self.json.get_or_init(|| Json::read(&self.reply.body).ok()).as_ref()
    }

    pub(super) fn header(&self, name: &str) -> Option<&Secret> {
        self.reply.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The whole body, white space around it and one pair of JSON quotes removed; `None` if it is no UTF-8, or a web page.
    pub(super) fn text(&self) -> Option<Secret> {
        if self.is_page() {
            return None;
        }
        let text = std::str::from_utf8(&self.reply.body).ok()?.trim();
        if text.starts_with('"')
            && let Ok(Json::Text(inner)) = Json::read(text.as_bytes())
        {
            return Some(inner);
        }
        Some(Secret::from(text))
    }

    /// Whether it is a web page: what a captive portal or a proxy answers in a cloud's stead.
    pub(super) fn is_page(&self) -> bool {
        let start = self.reply.body.trim_ascii_start();
        start.starts_with(b"<")
            || self.header("content-type").is_some_and(|kind| kind.expose().to_ascii_lowercase().contains("html"))
    }

    /// Whether it is an object or an array, or was to be one.
    fn begins_as_json(&self) -> bool {
        self.reply.body.trim_ascii_start().starts_with(b"{") || self.reply.body.trim_ascii_start().starts_with(b"[")
    }

    /// What is wrong with such a body where a text is wanted.
    fn why_no_text(&self, source: &Source) -> &'static str {
        match (Json::read(&self.reply.body), source) {
            (Ok(_), _) => "is JSON, not a text",
            (Err(Unreadable::Twins(json)), Source::PointerOrText(pointer)) if json.is_twice(pointer) => {
                "is there twice"
            }
            (Err(_), _) => "is neither a text nor strict JSON",
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reply.body.trim_ascii().is_empty()
    }
}

/// Takes what the step says into `values`. Values that `method` presents or holds have to be tokens.
pub(super) fn take(
    step: &Step,
    method: &Method,
    said: &[Template],
    document: &Document<'_>,
    values: &mut Values,
    whence: Taken,
) -> Result<(), Fault> {
    let wants_json = step.takes.iter().any(|take| matches!(take.source, Source::Pointer(_)));
    let may_be_empty = step.takes.iter().all(|take| take.optional) && document.is_empty();
    if wants_json && !may_be_empty && document.json().is_none() {
        return Err(no_json(step, document));
    }
    for take in &step.takes {
        let token = is_token(method, &take.name);
        let found = find(step, take, document, token)?;
        match found {
            Some(value) => {
                let said = said.iter().flat_map(Template::names).any(|name| name == take.name);
                let seen = !token && (said || is_compared(step, method, &take.name));
                values.take(&take.name, value, !seen, whence);
            }
            None if take.optional => {}
            None => return Err(bad_field(step, take, "is missing")),
        }
    }
    Ok(())
}

fn find(step: &Step, take: &Take, document: &Document<'_>, token: bool) -> Result<Option<Secret>, Fault> {
    let value = match &take.source {
        Source::PointerOrText(pointer) if matches!(document.json(), Some(Json::Object(_))) => {
            match pointed(step, take, document, pointer, token)? {
                Some(value) => value,
                None => return Ok(None),
            }
        }
        Source::Text | Source::PointerOrText(_) => {
            // All of it would be printable, and none of it a token.
            if token && document.begins_as_json() {
                return Err(bad_field(step, take, document.why_no_text(&take.source)));
            }
            let text = document.text().ok_or_else(|| bad_field(step, take, "is a web page or no text"))?;
            // The half of a JSON text is as printable; no token begins like that.
            if token && text.expose().starts_with('"') {
                return Err(bad_field(step, take, document.why_no_text(&take.source)));
            }
            text
        }
        Source::Header(name) => match document.header(name) {
            Some(value) => value.clone(),
            None => return Ok(None),
        },
        Source::Pointer(pointer) => match pointed(step, take, document, pointer, token)? {
            Some(value) => value,
            None => return Ok(None),
        },
    };
    if value.is_empty() {
        return if take.optional { Ok(None) } else { Err(bad_field(step, take, "is empty")) };
    }
    if value.len() > MAX_TOKEN {
        return Err(bad_field(step, take, "is longer than 16 KiB"));
    }
    // A line break in a token is a second header for whoever sends it, and a second line for whoever prints it.
    if token && !value.expose().bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(bad_field(step, take, "holds a character that no token has"));
    }
    Ok(Some(value))
}

fn pointed(
    step: &Step,
    take: &Take,
    document: &Document<'_>,
    pointer: &str,
    token: bool,
) -> Result<Option<Secret>, Fault> {
    Ok(Some(match document.json().and_then(|json| json.pointer(pointer)) {
        None => return Ok(None),
        Some(Json::Null) if take.optional => return Ok(None),
        Some(Json::Text(text)) => text.clone(),
        Some(Json::Number(number)) if !token => Secret::from(number.as_str()),
        Some(Json::Bool(truth)) if !token => Secret::from(if *truth { "true" } else { "false" }),
        Some(other) => return Err(bad_field(step, take, &format!("is {}, not a text", other.type_name()))),
    }))
}

/// Whether the value is presented, held or handed out, and so must not be seen.
fn is_token(method: &Method, name: &str) -> bool {
    let templates = method.headers.iter().chain(&method.environment);
    method.token.as_deref() == Some(name)
        || method.holds.iter().any(|hold| hold.name == name)
        || templates.flat_map(|header| header.value.names()).any(|other| other == name)
        || method
            .refresh
            .iter()
            .chain(&method.login)
            .any(|step| step.headers.iter().flat_map(|header| header.value.names()).any(|other| other == name))
}

/// Whether it only tells how things are, and so may be seen.
fn is_compared(step: &Step, method: &Method, name: &str) -> bool {
    let subject = Subject::Taken(name.to_owned());
    step.replies.iter().flat_map(|reply| &reply.when).any(|condition| condition.subject == subject)
        || method.expiry.iter().any(|source| match source {
            Expiry::Seconds(other) | Expiry::Epoch(other) | Expiry::Date(other) => other == name,
            Expiry::Jwt(_) | Expiry::Assume(_) => false,
        })
}

/// What is wrong with a field of the reply to `step`.
pub(super) fn bad_field(step: &Step, take: &Take, what: &str) -> Fault {
    odd_reply(step).because(format!("`{}` ({}) of the step `{}` {what}", take.name, take.source, step.name))
}

fn no_json(step: &Step, document: &Document<'_>) -> Fault {
    if let Err(Unreadable::Twins(json)) = Json::read(&document.reply.body) {
        let twice = |take: &&Take| match &take.source {
            Source::Pointer(pointer) | Source::PointerOrText(pointer) => json.is_twice(pointer),
            Source::Text | Source::Header(_) => false,
        };
        return match step.takes.iter().find(twice) {
            Some(take) => bad_field(step, take, "is there twice"),
            // Which, is not said: in a reply that is not what it should be, a name may be as secret as a value.
            None => odd_reply(step).because("it is not strict JSON: two members of an object have the same name"),
        };
    }
    if document.is_page() {
        return web_page(step);
    }
    let why = if document.is_empty() { "it is empty" } else { "it is not JSON, or not strict JSON" };
    odd_reply(step).because(why)
}

/// Something else than the cloud has answered, and as if all were well.
pub(super) fn web_page(step: &Step) -> Fault {
    odd_reply(step)
        .because("it is a web page, not JSON")
        .hint("is a network login page (captive portal) or a proxy in between? `cloud-token check ACCOUNT` asks again")
}

pub(super) fn odd_reply(step: &Step) -> Fault {
    Fault::new(FaultKind::MalformedReply, format!("the reply to `{}` is not what it should be", shown(step)))
}

/// The bytes of a text, for those who need them wiped.
pub(super) fn decode_base64url(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().map(Zeroizing::new)
}
