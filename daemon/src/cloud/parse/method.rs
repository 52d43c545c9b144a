//! Methods: what they ask, hold and present, and that each of these can be had.

use toml::Spanned;

use super::Context;
use super::problem::{Judged, Problem, unique};
use super::scope::Scope;
use super::step::{Place, header_template, steps};
use super::words;
use crate::accounts::LIMITS;
use crate::cloud::file::{RawAsk, RawExpiry, RawMethod, Text};
use crate::cloud::{AskSpec, Expiry, HeaderTemplate, Hold, Method};

pub(super) fn method(raw: Spanned<RawMethod>, context: &Context<'_>) -> Judged<Method> {
    let span = raw.span();
    let raw = raw.into_inner();
    let name = words::name(&raw.name)?;
    let asks = asks(raw.ask)?;
    check_names(&asks, &span)?;
    let start = Scope::of_asks(&asks, context);
    let has_login = !raw.login.is_empty();
    let (login, granted) = steps(raw.login, &start, context, Place::Login)?;
    let mut holds = holds(&raw.hold, &granted)?;
    for name in &context.enrolled {
        if !holds.iter().any(|hold| hold.name == *name) {
            holds.push(Hold { name: name.clone(), optional: true, enrolled: true });
        }
    }
    if let Some(hold) = holds.iter().find(|hold| asks.iter().any(|ask| ask.name == hold.name && !ask.secret)) {
        return Err(Problem::new(span, format!("`hold` names `{}`, which is a setting and kept anyway", hold.name)));
    }
    if !has_login && !asks.iter().any(|ask| ask.secret) {
        return Err(Problem::new(span, format!("the method `{name}` has no `[[method.login]]` and asks no secret")));
    }
    let held = Scope::of_held(&asks, &holds, context);
    let (refresh, refreshed) = steps(raw.refresh, &held, context, Place::Refresh)?;
    if raw.headers.is_empty() && raw.token.is_none() {
        return Err(Problem::new(
            raw.name.span(),
            format!("the method `{name}` presents nothing: `headers` is empty, and there is no `token`"),
        ));
    }
    // What a caller is given has to be there whichever way it was got.
    let mut ends = vec![&granted];
    if !refresh.is_empty() {
        ends.push(&refreshed);
    }
    let headers = each(&ends, |end| raw.headers.iter().map(|header| header_template(header, end)).collect())?;
    if let Some(token) = &raw.token {
        each(&ends, |end| end.require(token.get_ref(), token.span(), "token"))?;
    }
    let environment = each(&ends, |end| raw.environment.iter().map(|text| variable(text, end)).collect())?;
    let expiry = raw.expiry.into_iter().map(|raw| expiry_source(raw, &ends)).collect::<Judged<Vec<_>>>()?;
    if let Some(idle) = raw.idle.first().filter(|_| refresh.is_empty()) {
        let message =
            format!("`idle` is about what a refresh needs, and the method `{name}` has no `[[method.refresh]]`");
        return Err(Problem::new(idle.span(), message));
    }
    let idle = raw.idle.into_iter().map(|raw| expiry_source(raw, &ends)).collect::<Judged<Vec<_>>>()?;
    let mut at_hand = held.clone();
    if let Some(token) = &raw.token {
        at_hand.add(token.get_ref(), false);
    }
    let (revoke, _) = steps(raw.revoke, &at_hand, context, Place::Revoke)?;
    let (mut check, _) = steps(raw.check.into_iter().collect(), &at_hand, context, Place::Check)?;
    let never_claims_hint =
        raw.never_claims_hint.map(|hint| super::step::hint(&hint, "never-claims-hint")).transpose()?;
    Ok(Method {
        name,
        title: words::line(&raw.title, "title")?,
        asks,
        holds,
        headers,
        token: raw.token.map(Spanned::into_inner),
        environment,
        expiry,
        idle,
        login,
        refresh,
        revoke,
        check: check.pop(),
        never_claims: raw.never_claims.iter().map(|claim| words::line(claim, "never-claims")).collect::<Judged<_>>()?,
        never_claims_hint,
    })
}

/// The same of every end, so that all of them are judged.
fn each<T>(ends: &[&Scope], judge: impl Fn(&Scope) -> Judged<T>) -> Judged<T> {
    let (first, rest) = ends.split_first().expect("the end of the login is always there");
    for end in rest {
        judge(end)?;
    }
    judge(first)
}

/// No ask has a name that stands for something else.
pub(super) fn check_names(asks: &[AskSpec], span: &std::ops::Range<usize>) -> Judged<()> {
    let taken = |name: &str| ["origin", "status", "account"].contains(&name) || name.starts_with("origin-");
    match asks.iter().find(|ask| taken(&ask.name)) {
        Some(ask) => Err(Problem::new(span.clone(), format!("`{}` is taken already and cannot be asked", ask.name))),
        None => Ok(()),
    }
}

pub(super) fn asks(raw: Vec<Spanned<RawAsk>>) -> Judged<Vec<AskSpec>> {
    unique(raw.iter().map(|ask| &ask.get_ref().name), "ask")?;
    if let Some(name) = raw.iter().map(|ask| &ask.get_ref().name).find(|name| LIMITS.contains(&name.get_ref().as_str()))
    {
        let message = format!("`{}` is a setting of every account and cannot be asked", name.get_ref());
        return Err(Problem::new(name.span(), message));
    }
    raw.into_iter()
        .map(|raw| {
            let raw = raw.into_inner();
            if let Some(seed) = raw.totp.as_ref().filter(|_| !raw.at_login) {
                return Err(Problem::new(seed.span(), "`totp` answers a question, so it needs `at-login = true`"));
            }
            if raw.unasked && (!raw.optional || raw.at_login) {
                let message = "`unasked` is for what is `optional` and not `at-login`: it would never be there else";
                return Err(Problem::new(raw.name.span(), message));
            }
            Ok(AskSpec {
                name: words::name(&raw.name)?,
                prompt: words::line(&raw.prompt, "prompt")?,
                detail: raw.detail.map(|detail| words::line(&detail, "detail")).transpose()?,
                secret: raw.secret,
                optional: raw.optional,
                at_login: raw.at_login,
                digits: raw.digits,
                unasked: raw.unasked,
                totp: raw.totp.map(Spanned::into_inner),
            })
        })
        .collect()
}

pub(super) fn holds(raw: &[Text], scope: &Scope) -> Judged<Vec<Hold>> {
    raw.iter()
        .map(|text| {
            let (bare, optional) = words::optional(text);
            scope.require(bare.get_ref(), text.span(), "hold")?;
            Ok(Hold { name: bare.into_inner(), optional, enrolled: false })
        })
        .collect()
}

/// `NAME=template`.
fn variable(text: &Text, scope: &Scope) -> Judged<HeaderTemplate> {
    let Some((name, value)) = text.get_ref().split_once('=') else {
        return Err(Problem::new(text.span(), format!("`{}` is no variable: `NAME={{value}}`", text.get_ref())));
    };
    let good = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    if !good {
        return Err(Problem::new(text.span(), format!("`{name}` is no name of a variable: capitals, digits and `_`")));
    }
    // A variable that the loader, a shell or the agent itself acts on would make a cloud file a program.
    let dangerous = ["LD_", "DYLD_", "CLOUD_AGENT_", "BASH_"];
    if dangerous.iter().any(|prefix| name.starts_with(prefix))
        || ["PATH", "IFS", "ENV", "HOME", "SHELL"].contains(&name)
    {
        return Err(Problem::new(text.span(), format!("`{name}` cannot be set by a cloud file")));
    }
    let value = scope.header(&Spanned::new(text.span(), value.to_owned()), "environment")?;
    Ok(HeaderTemplate { name: name.to_owned(), value })
}

fn expiry_source(raw: Spanned<RawExpiry>, ends: &[&Scope]) -> Judged<Expiry> {
    let span = raw.span();
    let raw = raw.into_inner();
    let named = |text: &Text| {
        each(ends, |end| end.require(text.get_ref(), text.span(), "expiry"))?;
        Ok::<_, Problem>(text.get_ref().clone())
    };
    match (raw.jwt, raw.seconds, raw.epoch, raw.date, raw.assume) {
        (Some(name), None, None, None, None) => Ok(Expiry::Jwt(named(&name)?)),
        (None, Some(name), None, None, None) => Ok(Expiry::Seconds(named(&name)?)),
        (None, None, Some(name), None, None) => Ok(Expiry::Epoch(named(&name)?)),
        (None, None, None, Some(name), None) => Ok(Expiry::Date(named(&name)?)),
        (None, None, None, None, Some(span)) => Ok(Expiry::Assume(words::seconds(&span)?)),
        _ => Err(Problem::new(span, "an expiry source is one of `jwt`, `seconds`, `epoch`, `date` and `assume`")),
    }
}
