//! Examples: that they speak of methods, origins and kinds that are there.

use std::collections::BTreeMap;

use toml::{Spanned, Value};

use super::Context;
use super::problem::{Judged, Problem, line_of};
use super::words;
use crate::cloud::file::{Fields, RawDone, RawExample, RawExchange, RawGrant, Texts};
use crate::cloud::{Cloud, Example, Exchange, Expected, ExpectedDone, ExpectedGrant, Phase, SentBody};

/// What time it is in an example that does not say: 2026-11-22 00:00 UTC.
const DEFAULT_NOW: i64 = 1_795_305_600;

pub(super) fn example(raw: Spanned<RawExample>, cloud: &Cloud, context: &Context<'_>) -> Judged<Example> {
    let span = raw.span();
    let mut raw = raw.into_inner();
    let method = match &raw.method {
        None => &cloud.methods[0],
        Some(name) => cloud.method(name.get_ref()).ok_or_else(|| {
            let known = cloud.methods.iter().map(|method| method.name.as_str());
            Problem::unknown(name.span(), format!("there is no method `{}`", name.get_ref()), name.get_ref(), known)
        })?,
    };
    let phase = phase(&raw, cloud)?;
    let expected = expected(&mut raw, phase, span.clone())?;
    Ok(Example {
        title: words::line(&raw.title, "title")?,
        line: line_of(context.text, span.start),
        method: method.name.clone(),
        phase,
        action: raw.action.map(Spanned::into_inner),
        remember: raw.remember,
        given: plain(raw.given),
        answers: raw.answers.into_iter().map(|(name, said)| (name, answers(said))).collect(),
        now: raw.now.unwrap_or(DEFAULT_NOW),
        exchanges: raw
            .exchange
            .into_iter()
            .map(|raw| exchange(raw.into_inner(), context))
            .collect::<Judged<Vec<_>>>()?,
        expected,
    })
}

fn phase(raw: &RawExample, cloud: &Cloud) -> Judged<Phase> {
    let action = match (&raw.run, &raw.action) {
        (None, None) => return Ok(Phase::Login),
        (None, Some(action)) => action,
        (Some(word), Some(_)) => return Err(Problem::new(word.span(), "an example has `run` or `action`, not both")),
        (Some(word), None) => {
            return match word.get_ref().as_str() {
                "login" => Ok(Phase::Login),
                "renew" => Ok(Phase::Renew),
                "revoke" => Ok(Phase::Revoke),
                "check" => Ok(Phase::Check),
                other => {
                    let known = ["login", "renew", "revoke", "check"];
                    Err(Problem::unknown(word.span(), format!("`{other}` cannot be run"), other, known))
                }
            };
        }
    };
    let name = action.get_ref().as_str();
    if cloud.action(name).is_some() {
        return Ok(Phase::Act);
    }
    let known = cloud.actions.iter().map(|action| action.name.as_str());
    Err(Problem::unknown(action.span(), format!("there is no action `{name}`"), name, known))
}

fn expected(raw: &mut RawExample, phase: Phase, span: std::ops::Range<usize>) -> Judged<Expected> {
    match (raw.grant.take(), raw.fault.take(), raw.result.take(), raw.done.take()) {
        (Some(grant), None, None, None) if phase != Phase::Act => {
            Ok(Expected::Grant(expected_grant(grant.into_inner())?))
        }
        (None, Some(fault), None, None) => {
            let fault = fault.into_inner();
            // An example may expect what the engine says by itself, such as `usage`.
            let usage = fault.kind.get_ref() == "usage";
            let kind = if usage { cloud_agent_protocol::FaultKind::Usage } else { words::kind(&fault.kind)? };
            Ok(Expected::Fault(kind, fault.says.map(Spanned::into_inner)))
        }
        (None, None, Some(word), None) if phase != Phase::Act => {
            let known = ["revoked", "already-dead", "not-offered", "nothing-left", "alive"];
            if known.contains(&word.get_ref().as_str()) {
                return Ok(Expected::Word(word.into_inner()));
            }
            let message = format!("`{}` is no result", word.get_ref());
            Err(Problem::unknown(word.span(), message, word.get_ref(), known))
        }
        (None, None, None, Some(done)) if phase == Phase::Act => {
            let RawDone { says, rows, shows, hold, forget } = done.into_inner();
            Ok(Expected::Done(ExpectedDone { says, rows, shows, holds: hold.map(plain), forgets: forget }))
        }
        _ if phase == Phase::Act => Err(Problem::new(span, "an example of an action has one of `done` and `fault`")),
        _ => Err(Problem::new(span, "an example has one of `grant`, `fault` and `result`")),
    }
}

/// One answer, or one after the other.
fn answers(said: Texts) -> Vec<String> {
    match said {
        Texts::One(said) => vec![said],
        Texts::Some(said) => said,
    }
}

fn exchange(raw: RawExchange, context: &Context<'_>) -> Judged<Exchange> {
    let (verb, path) = words::request(&raw.request)?;
    let origin = raw.origin.map(|name| {
        if context.origins.contains(name.get_ref()) {
            return Ok(name.into_inner());
        }
        let known = context.origins.iter().map(String::as_str);
        Err(Problem::unknown(name.span(), format!("there is no origin `{}`", name.get_ref()), name.get_ref(), known))
    });
    let body = match (raw.json, raw.form) {
        (None, None) => SentBody::Empty,
        (Some(json), None) => SentBody::Json(
            json_of(json.get_ref())
                .ok_or_else(|| Problem::new(json.span(), "`json` holds a date, which JSON does not have"))?,
        ),
        (None, Some(form)) => SentBody::Form(plain(form)),
        (Some(json), Some(_)) => return Err(Problem::new(json.span(), "an exchange has `json` or `form`, not both")),
    };
    let pair = |text| words::header(text).map(|(name, value)| (name, value.into_inner()));
    Ok(Exchange {
        verb,
        origin: origin.transpose()?.unwrap_or_default(),
        path: path.into_inner(),
        headers: raw.headers.iter().map(pair).collect::<Judged<_>>()?,
        body,
        status: raw.status,
        reply_headers: raw.reply_headers.iter().map(pair).collect::<Judged<_>>()?,
        reply: raw.reply.map(Spanned::into_inner).unwrap_or_default(),
    })
}

fn expected_grant(raw: RawGrant) -> Judged<ExpectedGrant> {
    let pair = |text| words::header(text).map(|(name, value)| (name, value.into_inner()));
    let expires_in = raw
        .expires_in
        .map(|value| match value.get_ref() {
            Value::Integer(seconds) => Ok(Some(*seconds)),
            Value::String(word) if word == "unknown" => Ok(None),
            _ => Err(Problem::new(value.span(), "`expires-in` is a number of seconds or \"unknown\"")),
        })
        .transpose()?;
    Ok(ExpectedGrant {
        headers: raw.headers.iter().map(pair).collect::<Judged<_>>()?,
        token: raw.token.map(Spanned::into_inner),
        held: raw.held.map(plain),
        expires_in,
        expiry: raw.expiry.map(Spanned::into_inner),
        idle: raw.idle,
    })
}

fn plain(fields: Fields) -> BTreeMap<String, String> {
    fields.into_iter().map(|(name, value)| (name.into_inner(), value.into_inner())).collect()
}

fn json_of(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::String(text) => text.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Datetime(_) => return None,
        Value::Array(elements) => elements.iter().map(json_of).collect::<Option<Vec<_>>>()?.into(),
        Value::Table(members) => serde_json::Value::Object(
            members.iter().map(|(name, member)| Some((name.clone(), json_of(member)?))).collect::<Option<_>>()?,
        ),
    })
}
