//! From a file to a [`Cloud`]: parsed, not validated, so that what comes out cannot be wrong in a way that the engine minds.

mod action;
mod example;
mod method;
mod problem;
mod scope;
mod secrecy;
mod step;
mod words;

#[cfg(test)]
mod tests;

use cloud_agent_protocol::Fault;

use super::file::{File, RawOrigin};
use super::{Cloud, Origin, Target, origin, template};
use problem::{Judged, Problem, unique};
use toml::Spanned;

pub(super) fn cloud(name: &str, file: &str, text: &str, built_in: bool) -> Result<Cloud, Fault> {
    let raw: File = toml::from_str(text).map_err(|why| Problem::of_toml(&why, text).into_fault(file, text))?;
    build(name, raw, text, built_in).map_err(|problem| problem.into_fault(file, text))
}

/// What the parts of a file have in common.
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) origins: Vec<String>,
    /// Values that are held though no login gives them: what actions hold, and the seeds of `totp`.
    pub(super) enrolled: Vec<String>,
    /// Where in replies what is held, and the token, comes from.
    pub(super) secret_places: Vec<String>,
}

fn build(name: &str, raw: File, text: &str, built_in: bool) -> Judged<Cloud> {
    if !template::is_name(name) {
        return Err(Problem::new(0..0, format!("`{name}` is no name of a cloud: lower-case letters, digits and `-`")));
    }
    words::line(&raw.title, "title")?;
    if !raw.docs.get_ref().starts_with("https://") {
        return Err(Problem::new(raw.docs.span(), "`docs` has to be an `https://` address"));
    }
    let origins = origins(raw.origin)?;
    let context = Context {
        text,
        origins: origins.iter().map(|origin| origin.name.clone()).collect(),
        enrolled: action::enrolled(&raw.method, &raw.action)?,
        secret_places: secrecy::places(&raw.method, &raw.action),
    };
    let serves = raw.serves.iter().map(serves).collect::<Judged<Vec<_>>>()?;
    if raw.method.is_empty() {
        return Err(Problem::new(0..0, "there is no `[[method]]`"));
    }
    unique(raw.method.iter().map(|method| &method.get_ref().name), "method")?;
    unique(raw.action.iter().map(|action| &action.get_ref().name), "action")?;
    let messages = raw.message.iter().map(words::source).collect::<Judged<Vec<_>>>()?;
    let faults = raw.fault.into_iter().map(|fault| step::fault_rule(fault, None)).collect::<Judged<Vec<_>>>()?;
    let methods = raw.method.into_iter().map(|raw| method::method(raw, &context)).collect::<Judged<Vec<_>>>()?;
    let actions =
        raw.action.into_iter().map(|raw| action::action(raw, &methods, &context)).collect::<Judged<Vec<_>>>()?;
    let mut cloud = Cloud {
        name: name.to_owned(),
        title: raw.title.into_inner(),
        docs: raw.docs.into_inner(),
        built_in,
        origins,
        serves,
        methods,
        messages,
        faults,
        actions,
        examples: Vec::new(),
    };
    cloud.examples =
        raw.example.into_iter().map(|raw| example::example(raw, &cloud, &context)).collect::<Judged<Vec<_>>>()?;
    Ok(cloud)
}

fn origins(raw: Vec<Spanned<RawOrigin>>) -> Judged<Vec<Origin>> {
    let mut origins: Vec<Origin> = Vec::new();
    for raw in raw {
        let span = raw.span();
        let raw = raw.into_inner();
        let name = match raw.name {
            None => String::new(),
            Some(name) => words::name(&name)?,
        };
        if origins.is_empty() != name.is_empty() {
            return Err(Problem::new(
                span,
                "the first `[[origin]]` is the main one and has no `name`; the others have one",
            ));
        }
        if origins.iter().any(|other| other.name == name) {
            return Err(Problem::new(span, format!("there are two origins `{name}`")));
        }
        let default = raw
            .default
            .map(|text| match origin::normalise(text.get_ref(), false) {
                Ok(normal) if normal.starts_with("https://") => Ok(normal),
                Ok(_) => Err(Problem::new(text.span(), "a `default` has to begin with `https://`")),
                Err(fault) => Err(Problem::new(text.span(), format!("`default`: {}", fault.message))),
            })
            .transpose()?;
        let prompt = match raw.prompt {
            Some(prompt) => words::line(&prompt, "prompt")?,
            None if default.is_some() => "Address".to_owned(),
            None => return Err(Problem::new(span, "an origin without `default` needs a `prompt`")),
        };
        let without = raw.without.map(|ending| without(&ending)).transpose()?;
        origins.push(Origin { name, default, prompt, without });
    }
    if origins.is_empty() {
        return Err(Problem::new(0..0, "there is no `[[origin]]`"));
    }
    Ok(origins)
}

fn serves(text: &Spanned<String>) -> Judged<String> {
    match Target::normalise(text.get_ref()) {
        Ok(normal) if normal.starts_with("https://") => Ok(normal),
        Ok(_) => Err(Problem::new(text.span(), "what a cloud `serves` has to begin with `https://`")),
        Err(fault) => Err(Problem::new(text.span(), format!("`serves`: {fault}"))),
    }
}

/// An ending of addresses: one or more parts of a path, so that what is left is an address.
fn without(ending: &Spanned<String>) -> Judged<String> {
    let text = ending.get_ref();
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    match text.strip_prefix('/') {
        Some(parts) if parts.split('/').all(part) => Ok(text.clone()),
        _ => Err(Problem::new(ending.span(), "`without` has to be the end of a path, such as `/v3`")),
    }
}
