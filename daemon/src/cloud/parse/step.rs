//! Steps: a walk through a conversation in its order, knowing at each step which values there are.

use cloud_agent_protocol::FaultKind;
use toml::{Spanned, Value};

use super::Context;
use super::problem::{Judged, Problem, unique};
use super::scope::Scope;
use super::words;
use crate::cloud::file::{Fields, RawFault, RawReply, RawStep, RawVerdict, Text, When};
use crate::cloud::template::Template;
use crate::cloud::{
    Condition, FaultRule, HeaderTemplate, JsonTemplate, Outcome, Reply, Step, StepBody, Subject, Take, Verdict,
};

/// Which conversation steps belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloud) enum Place {
    Login,
    Refresh,
    Revoke,
    Check,
    Action,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
            Self::Check => "check",
            Self::Action => "step",
        }
    }
}

/// The steps, and what is there when they end in a grant.
pub(super) fn steps(
    raw: Vec<Spanned<RawStep>>,
    start: &Scope,
    context: &Context<'_>,
    place: Place,
) -> Judged<(Vec<Step>, Scope)> {
    if raw.is_empty() {
        return Ok((Vec::new(), start.clone()));
    }
    unique(raw.iter().filter_map(|step| step.get_ref().name.as_ref()), "step")?;
    let names: Vec<String> = raw
        .iter()
        .enumerate()
        .map(|(index, step)| match &step.get_ref().name {
            Some(name) => words::name(name),
            None if index == 0 => Ok(place.word().to_owned()),
            None => Ok(format!("{}-{}", place.word(), index + 1)),
        })
        .collect::<Judged<_>>()?;
    let mut reached: Vec<Option<Scope>> = vec![None; raw.len() + 1];
    reached[0] = Some(start.clone());
    let mut steps = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let span = raw.span();
        let Some(before) = reached[index].take() else {
            return Err(Problem::new(span, format!("no reply leads to the step `{}`", names[index])));
        };
        let mut raw = raw.into_inner();
        let mut within = before.clone();
        if let Some(needed) = &raw.needs {
            within.require(needed.get_ref(), needed.span(), "needs")?;
            within.add(needed.get_ref(), true);
        }
        let needs = raw.needs.take().map(Spanned::into_inner);
        let step = Step { needs, ..step(raw, index, &names, &within, context, place)? };
        let mut after = before.clone();
        for take in &step.takes {
            after.add(&take.name, !take.optional);
        }
        let mut reach = |to: usize, scope: &Scope| {
            let met = reached[to].take();
            reached[to] = Some(met.map_or_else(|| scope.clone(), |other| other.meet(scope)));
        };
        if step.replies.is_empty() {
            reach(index + 1, &after);
        }
        if step.needs.is_some() {
            reach(index + 1, &before);
        }
        for reply in &step.replies {
            // Nothing is taken from a reply whose status is not a good one.
            let scope = if judges_bad_status(&step, reply) { &before } else { &after };
            match reply.then {
                Outcome::Grant => reach(names.len(), scope),
                Outcome::Step(to) => reach(to, scope),
                Outcome::Fault(_) => {}
            }
        }
        steps.push(step);
    }
    match reached.pop().flatten() {
        Some(end) => Ok((steps, end)),
        None => Err(Problem::new(0..0, format!("no reply of the `{}` steps leads to a grant", place.word()))),
    }
}

fn judges_bad_status(step: &Step, reply: &Reply) -> bool {
    reply.when.iter().any(|condition| {
        condition.subject == Subject::Status && condition.equals.parse().is_ok_and(|status| !step.accepts(status))
    })
}

impl Step {
    /// Whether `status` is a good one.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        if self.accepted.is_empty() { (200..300).contains(&status) } else { self.accepted.contains(&status) }
    }
}

fn step(
    raw: RawStep,
    index: usize,
    names: &[String],
    scope: &Scope,
    context: &Context<'_>,
    place: Place,
) -> Judged<Step> {
    let (verb, path) = words::request(&raw.request)?;
    let path = check_path(&path, scope)?;
    let origin = match &raw.origin {
        None => String::new(),
        Some(name) if context.origins.contains(name.get_ref()) => name.get_ref().clone(),
        Some(name) => {
            let message = format!("there is no origin `{}`", name.get_ref());
            return Err(Problem::unknown(
                name.span(),
                message,
                name.get_ref(),
                context.origins.iter().map(String::as_str),
            ));
        }
    };
    let present = match raw.present {
        Some(present) if place == Place::Login || place == Place::Refresh => {
            return Err(Problem::new(present.span(), "`present` has no place here: there is no credential yet"));
        }
        Some(present) => *present.get_ref(),
        None => place == Place::Check,
    };
    let headers = raw.headers.iter().map(|header| header_template(header, scope)).collect::<Judged<Vec<_>>>()?;
    let body = body(raw.json, raw.form, scope)?;
    if verb == "GET" && !matches!(body, StepBody::Empty) {
        return Err(Problem::new(raw.request.span(), "a `GET` has no body"));
    }
    let takes = takes(&raw.take, context)?;
    let mut after = scope.clone();
    for take in &takes {
        after.add(&take.name, !take.optional);
    }
    let replies = replies(raw.reply, index, names, &after)?;
    let (enrol, list) = super::action::shown(raw.enrol, raw.list, &takes, &after, context, place)?;
    Ok(Step {
        name: names[index].clone(),
        needs: None,
        verb,
        origin,
        path,
        query: fields(&raw.query, scope, "query")?,
        headers,
        present,
        body,
        accepted: words::statuses(raw.status.as_ref())?,
        takes,
        replies,
        enrol,
        list,
        faults: raw.fault.into_iter().map(|fault| fault_rule(fault, Some(&after))).collect::<Judged<Vec<_>>>()?,
    })
}

fn check_path(path: &Text, scope: &Scope) -> Judged<Template> {
    let template = scope.sure_template(path, "request")?;
    let wrong = |why: &str| Err(Problem::new(path.span(), format!("the path `{}` {why}", path.get_ref())));
    if !template.head().starts_with('/') {
        return wrong("has to begin with `/`");
    }
    if template
        .literals()
        .any(|text| text.contains(['?', '#', '\\']) || text.bytes().any(|b| !(0x21..0x7f).contains(&b)))
    {
        return wrong("holds a character that no path has; a query is `query = { name = \"value\" }`");
    }
    if path.get_ref().split('/').any(|part| part == ".." || part == ".") {
        return wrong("has a part `.` or `..`");
    }
    Ok(template)
}

/// A header to send or to present.
pub(super) fn header_template(text: &Text, scope: &Scope) -> Judged<HeaderTemplate> {
    let (name, value) = words::header(text)?;
    let value = scope.header(&value, "headers")?;
    Ok(HeaderTemplate { name, value })
}

fn fields(raw: &Fields, scope: &Scope, key: &str) -> Judged<Vec<(String, Template)>> {
    raw.iter().map(|(name, value)| Ok((name.get_ref().clone(), scope.template(value, key)?))).collect()
}

fn body(json: Option<Spanned<Value>>, form: Option<Spanned<Fields>>, scope: &Scope) -> Judged<StepBody> {
    match (json, form) {
        (None, None) => Ok(StepBody::Empty),
        (Some(json), None) if json.get_ref().is_table() || json.get_ref().is_array() => {
            let span = json.span();
            Ok(StepBody::Json(json_template(json.into_inner(), &span, "json", scope)?))
        }
        (Some(json), None) => Err(Problem::new(json.span(), "`json` has to be a table or an array")
            .hint(Some("values are put in by name: `json = { name = \"{value}\" }`".to_owned()))),
        (None, Some(form)) => Ok(StepBody::Form(fields(form.get_ref(), scope, "form")?)),
        (Some(_), Some(form)) => Err(Problem::new(form.span(), "a step has `json` or `form`, not both")),
    }
}

fn json_template(value: Value, at: &std::ops::Range<usize>, key: &str, scope: &Scope) -> Judged<JsonTemplate> {
    Ok(match value {
        Value::String(text) => JsonTemplate::Text(scope.template(&Spanned::new(at.clone(), text), key)?),
        Value::Integer(number) => JsonTemplate::Literal(number.into()),
        Value::Float(number) => JsonTemplate::Literal(number.into()),
        Value::Boolean(truth) => JsonTemplate::Literal(truth.into()),
        Value::Datetime(_) => return Err(Problem::new(at.clone(), format!("`{key}`: JSON has no dates; use a text"))),
        Value::Array(elements) => JsonTemplate::Array(
            elements
                .into_iter()
                .enumerate()
                .map(|(index, element)| json_template(element, at, &format!("{key}.{index}"), scope))
                .collect::<Judged<_>>()?,
        ),
        Value::Table(members) => JsonTemplate::Object(
            members
                .into_iter()
                .map(|(name, member)| {
                    let inner = json_template(member, at, &format!("{key}.{name}"), scope)?;
                    Ok((name, inner))
                })
                .collect::<Judged<_>>()?,
        ),
    })
}

fn takes(raw: &Fields, context: &Context<'_>) -> Judged<Vec<Take>> {
    let mut takes = Vec::new();
    for (key, source) in raw {
        let name = words::name(key)?;
        let is_origin = |o: &String| name == "origin" || (!o.is_empty() && name == format!("origin-{o}"));
        if name == "status" || name == "account" || context.origins.iter().any(is_origin) {
            return Err(Problem::new(key.span(), format!("`{name}` is taken already and cannot name a value")));
        }
        let (source, optional) = words::optional(source);
        takes.push(Take { name, source: words::source(&source)?, optional });
    }
    Ok(takes)
}

fn replies(raw: Vec<Spanned<RawReply>>, index: usize, names: &[String], scope: &Scope) -> Judged<Vec<Reply>> {
    let last = raw.len().saturating_sub(1);
    let mut replies = Vec::new();
    for (position, raw) in raw.into_iter().enumerate() {
        let span = raw.span();
        let raw = raw.into_inner();
        if raw.when.is_empty() && position != last {
            return Err(Problem::new(span, "a reply without `when` matches always, so it has to be the last"));
        }
        let when = conditions(raw.when, Some(scope))?;
        let then = match (raw.grant, raw.next, raw.fault) {
            (true, None, None) => Outcome::Grant,
            (false, Some(next), None) => Outcome::Step(later_step(&next, index, names)?),
            (false, None, Some(fault)) => Outcome::Fault(verdict(fault.into_inner())?),
            _ => return Err(Problem::new(span, "a reply has one of `grant = true`, `next` and `fault`")),
        };
        replies.push(Reply { when, then });
    }
    Ok(replies)
}

fn later_step(next: &Text, index: usize, names: &[String]) -> Judged<usize> {
    let wanted = next.get_ref();
    match names.iter().position(|name| name == wanted) {
        Some(to) if to > index => Ok(to),
        Some(_) => {
            Err(Problem::new(next.span(), format!("`next` leads back to `{wanted}`; it may only lead to a later step")))
        }
        None => {
            let later = names[index + 1..].iter().map(String::as_str);
            Err(Problem::unknown(next.span(), format!("there is no step `{wanted}`"), wanted, later))
        }
    }
}

/// What has to hold. Without a scope (rules of the whole cloud) only the status and pointers can be compared.
fn conditions(raw: When, scope: Option<&Scope>) -> Judged<Vec<Condition>> {
    raw.into_iter()
        .map(|(key, value)| {
            let name = key.get_ref().as_str();
            let subject = match scope {
                _ if name == "status" => Subject::Status,
                _ if words::is_pointer(name) => Subject::Pointer(name.to_owned()),
                Some(scope) => {
                    scope.require(name, key.span(), "when")?;
                    Subject::Taken(name.to_owned())
                }
                None => {
                    let message = format!(
                        "`when` names `{name}`; here it can compare `status` and JSON pointers such as `/code`"
                    );
                    return Err(Problem::new(key.span(), message));
                }
            };
            let equals = match value.get_ref() {
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                Value::Boolean(truth) => truth.to_string(),
                _ => {
                    return Err(Problem::new(
                        value.span(),
                        "`when` compares with a text, a whole number, `true` or `false`",
                    ));
                }
            };
            if subject == Subject::Status && !equals.parse().is_ok_and(|status: u16| (200..=599).contains(&status)) {
                return Err(Problem::new(value.span(), format!("`{equals}` is no status of a reply: 200 to 599")));
            }
            Ok(Condition { subject, equals })
        })
        .collect()
}

/// A rule of a step, or with no scope, of the whole cloud.
pub(super) fn fault_rule(raw: Spanned<RawFault>, scope: Option<&Scope>) -> Judged<FaultRule> {
    let span = raw.span();
    let raw = raw.into_inner();
    if raw.status.is_none() && raw.when.is_empty() {
        return Err(Problem::new(span, "a fault rule needs `status` or `when`"));
    }
    Ok(FaultRule {
        statuses: words::statuses(raw.status.as_ref())?,
        when: conditions(raw.when, scope)?,
        verdict: verdict(RawVerdict { kind: raw.kind, message: raw.message, hint: raw.hint })?,
    })
}

fn verdict(raw: RawVerdict) -> Judged<Verdict> {
    let kind: FaultKind = words::kind(&raw.kind)?;
    let message = raw.message.map(|message| words::line(&message, "message")).transpose()?;
    let hint = raw.hint.map(|text| hint(&text, "hint")).transpose()?;
    Ok(Verdict { kind, message, hint })
}

/// What mends something; it knows the account's name and nothing else.
pub(super) fn hint(text: &Text, key: &str) -> Judged<Template> {
    words::line(text, key)?;
    let template =
        Template::parse(text.get_ref()).map_err(|why| Problem::new(text.span(), format!("`{key}`: {why}")))?;
    if let Some(name) = template.names().find(|name| *name != "account") {
        return Err(Problem::new(text.span(), format!("`{key}` may name `{{account}}` only, not `{{{name}}}`")));
    }
    Ok(template)
}
