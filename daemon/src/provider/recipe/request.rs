//! From a step and the values to a request. Values enter JSON as JSON, forms as forms and paths percent-encoded.

use cloud_agent_protocol::{Credential, Fault, FaultKind, Secret};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use zeroize::Zeroizing;

use super::values::Values;
use crate::cloud::{JsonTemplate, Step, StepBody, Template, integer, origin, percent_encode};
use crate::http::{Body, Request};
use crate::provider::Account;

/// The request of `step`. `credential` is what a step with `present` presents.
pub(super) fn build(
    step: &Step,
    values: &Values,
    account: &Account,
    credential: Option<&Credential>,
    urgent: bool,
) -> Result<Request, Fault> {
    let Some(origin) = account.origins.get(&step.origin) else {
        let name = if step.origin.is_empty() { "main" } else { step.origin.as_str() };
        return Err(Fault::new(FaultKind::Config, format!("`{}` has no {name} address", account.name))
            .hint(format!("`cloud-token login {} --url URL`", account.name)));
    };
    // Judged again here, because accounts.toml may have been edited by hand, and a secret is about to go there.
    let origin = origin::normalise(origin, account.allow_plaintext).map_err(|fault| Fault {
        kind: FaultKind::Config,
        message: format!("an address of `{}` cannot be used: {}", account.name, fault.message),
        ..fault
    })?;
    let mut headers = Vec::new();
    for header in &step.headers {
        if let Some(value) = header.value.render(|name| values.get(name))? {
            check_header(&header.name, &value)?;
            headers.push((header.name.clone(), value));
        }
    }
    if let Some(credential) = credential.filter(|_| step.present) {
        headers.extend(credential.headers.iter().map(|header| (header.name.clone(), header.value.clone())));
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        headers.push(("Accept".to_owned(), Secret::from("application/json, */*;q=0.1")));
    }
    Ok(Request {
        method: step.verb.clone(),
        url: url(step, values, &origin)?,
        headers,
        body: body(&step.body, values)?,
        ca_file: account.ca_file.clone(),
        allow_plaintext: account.allow_plaintext,
        urgent,
    })
}

/// What a person may see of a request: no query, since codes stand there.
pub(super) fn shown(step: &Step) -> String {
    format!("{} {}", step.verb, step.path)
}

fn url(step: &Step, values: &Values, origin: &str) -> Result<String, Fault> {
    for name in step.path.names() {
        // An empty, `.` or `..` part would make another path of it.
        if values.get(name).is_some_and(|value| ["", ".", ".."].contains(&value.expose())) {
            return Err(Fault::new(FaultKind::Usage, format!("`{name}` cannot be a part of a path")));
        }
    }
    let path = step.path.render_encoded(|name| values.get(name))?.ok_or_else(|| absent(step))?;
    let mut url = format!("{origin}{}", path.expose());
    let mut separator = '?';
    for (name, template) in &step.query {
        if let Some(value) = template.render(|name| values.get(name))? {
            url.push(separator);
            percent_encode(&mut url, name);
            url.push('=');
            percent_encode(&mut url, value.expose());
            separator = '&';
        }
    }
    Ok(url)
}

fn absent(step: &Step) -> Fault {
    Fault::new(FaultKind::Internal, format!("a value that the step `{}` needs is absent", step.name))
}

/// A value with a line break in it would be a second header.
fn check_header(name: &str, value: &Secret) -> Result<(), Fault> {
    if value.expose().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Usage, format!("a value for the header `{name}` holds a character that no header has")))
}

fn body(body: &StepBody, values: &Values) -> Result<Option<Body>, Fault> {
    match body {
        StepBody::Empty => Ok(None),
        StepBody::Json(template) => {
            check_numbers(template, values)?;
            let bytes = to_json(&Filled { template, values })?;
            Ok(Some(Body { media_type: "application/json", bytes }))
        }
        StepBody::Form(fields) => form(fields, values).map(Some),
    }
}

fn form(fields: &[(String, Template)], values: &Values) -> Result<Body, Fault> {
    let mut pairs = Vec::new();
    for (name, template) in fields {
        if let Some(value) = template.render(|name| values.get(name))? {
            pairs.push((name, value));
        }
    }
    // Sized for the worst case, because a buffer that grows leaves what it held in freed memory.
    let size = pairs.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(size));
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        percent_encode(&mut text, name);
        text.push('=');
        percent_encode(&mut text, value.expose());
    }
    let bytes = Zeroizing::new(std::mem::take(&mut *text).into_bytes());
    Ok(Body { media_type: "application/x-www-form-urlencoded", bytes })
}

/// Measured first, then written into a buffer of that size, so that it never moves.
fn to_json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Fault> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let defect = |_| Fault::new(FaultKind::Internal, "a request body could not be written");
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).map_err(defect)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(count.0));
    serde_json::to_writer(&mut *bytes, value).map_err(defect)?;
    Ok(bytes)
}

/// Numbers are judged before anything is written, so that the fault says which.
fn check_numbers(template: &JsonTemplate, values: &Values) -> Result<(), Fault> {
    match template {
        JsonTemplate::Text(text) => text.render(|name| values.get(name)).map(drop),
        JsonTemplate::Literal(_) => Ok(()),
        JsonTemplate::Array(elements) => elements.iter().try_for_each(|element| check_numbers(element, values)),
        JsonTemplate::Object(members) => members.iter().try_for_each(|(_, member)| check_numbers(member, values)),
    }
}

struct Filled<'a> {
    template: &'a JsonTemplate,
    values: &'a Values,
}

impl Filled<'_> {
    /// Whether it disappears: its value is absent, or all that was in it has disappeared.
    fn is_absent(&self) -> bool {
        let inner = |template| Filled { template, values: self.values };
        match self.template {
            JsonTemplate::Text(text) => text.names().any(|name| !self.values.has(name)),
            JsonTemplate::Literal(_) => false,
            JsonTemplate::Array(elements) => !elements.is_empty() && elements.iter().all(|e| inner(e).is_absent()),
            JsonTemplate::Object(members) => !members.is_empty() && members.iter().all(|(_, m)| inner(m).is_absent()),
        }
    }
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;

        let inner = |template| Filled { template, values: self.values };
        match self.template {
            JsonTemplate::Text(text) => match text.render(|name| self.values.get(name)) {
                Ok(Some(value)) if text.is_integer() => {
                    serializer.serialize_u64(integer("value", &value).map_err(|_| S::Error::custom("no number"))?)
                }
                Ok(Some(value)) => serializer.serialize_str(value.expose()),
                _ => Err(S::Error::custom("absent")),
            },
            JsonTemplate::Literal(literal) => literal.serialize(serializer),
            JsonTemplate::Array(elements) => {
                let mut seq = serializer.serialize_seq(None)?;
                for element in elements.iter().map(inner).filter(|element| !element.is_absent()) {
                    seq.serialize_element(&element)?;
                }
                seq.end()
            }
            JsonTemplate::Object(members) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, member) in members {
                    let member = inner(member);
                    if !member.is_absent() {
                        map.serialize_entry(name, &member)?;
                    }
                }
                map.end()
            }
        }
    }
}
