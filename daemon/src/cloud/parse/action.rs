//! Actions: what they ask, do and say, and that they say no secret.

use toml::Spanned;

use super::Context;
use super::method;
use super::problem::{Judged, Problem};
use super::scope::Scope;
use super::secrecy;
use super::step::{self, Place};
use super::words;
use crate::cloud::file::{RawAction, RawEnrol, RawList, RawMethod, Text};
use crate::cloud::{Action, Enrol, List, Method, Take};

/// The values that are held though no login gives them.
pub(super) fn enrolled(methods: &[Spanned<RawMethod>], actions: &[Spanned<RawAction>]) -> Judged<Vec<String>> {
    let held = actions.iter().flat_map(|action| &action.get_ref().hold).map(|text| words::optional(text).0);
    let methods = methods.iter().flat_map(|method| &method.get_ref().ask);
    let asks = methods.chain(actions.iter().flat_map(|action| &action.get_ref().ask));
    let seeds = asks.filter_map(|ask| ask.get_ref().totp.clone());
    let mut names = held.chain(seeds).map(|text| words::name(&text)).collect::<Judged<Vec<_>>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

pub(super) fn action(raw: Spanned<RawAction>, methods: &[Method], context: &Context<'_>) -> Judged<Action> {
    let span = raw.span();
    let raw = raw.into_inner();
    let name = words::action_name(&raw.name)?;
    let asks = method::asks(raw.ask)?;
    method::check_names(&asks, &span)?;
    let start = Scope::of_action(&asks, methods, context);
    let (steps, end) = step::steps(raw.step, &start, context, Place::Action)?;
    let mut secret: Vec<&str> = asks.iter().filter(|ask| ask.secret).map(|ask| ask.name.as_str()).collect();
    secret.extend(context.enrolled.iter().map(String::as_str));
    for method in methods {
        secret.extend(method.asks.iter().filter(|ask| ask.secret).map(|ask| ask.name.as_str()));
        secret.extend(method.holds.iter().map(|hold| hold.name.as_str()));
        secret.extend(method.token.as_deref());
    }
    let taken = steps.iter().flat_map(|step| &step.takes);
    secret.extend(
        taken.filter(|take| secrecy::is_secret_take(take, &context.secret_places)).map(|take| take.name.as_str()),
    );
    let say = raw.say.iter().map(|text| said(text, &end, &secret)).collect::<Judged<Vec<_>>>()?;
    let holds = method::holds(&raw.hold, &end)?;
    for text in &raw.forget {
        let known = methods.iter().flat_map(|method| method.holds.iter().map(|hold| hold.name.as_str()));
        if !known.clone().any(|held| held == text.get_ref()) {
            let message = format!("`forget` names `{}`, which is never held", text.get_ref());
            return Err(Problem::unknown(text.span(), message, text.get_ref(), known));
        }
    }
    let forgets = raw.forget.into_iter().map(Spanned::into_inner).collect();
    Ok(Action { name, title: words::line(&raw.title, "title")?, asks, steps, say, holds, forgets })
}

/// A line to say, which names no secret.
fn said(text: &Text, end: &Scope, secret: &[&str]) -> Judged<crate::cloud::Template> {
    words::line(text, "say")?;
    let template = end.template(text, "say")?;
    if let Some(name) = template.names().find(|name| secret.contains(name)) {
        return Err(Problem::new(text.span(), format!("`say` names `{name}`, which is a secret")));
    }
    Ok(template)
}

/// What a step of an action shows to the human.
pub(super) fn shown(
    enrol: Option<Spanned<RawEnrol>>,
    list: Option<Spanned<RawList>>,
    takes: &[Take],
    after: &Scope,
    context: &Context<'_>,
    place: Place,
) -> Judged<(Option<Enrol>, Option<List>)> {
    let spans = enrol.as_ref().map(Spanned::span).or(list.as_ref().map(Spanned::span));
    if let Some(span) = spans.filter(|_| place != Place::Action) {
        return Err(Problem::new(span, "`enrol` and `list` are for the steps of an action"));
    }
    let enrol = enrol.map(|raw| {
        let raw = raw.into_inner();
        if !takes.iter().any(|take| take.name == *raw.seed.get_ref() && !take.optional) {
            let message = format!("`enrol` names `{}`, which this step does not take", raw.seed.get_ref());
            return Err(Problem::new(raw.seed.span(), message));
        }
        let label = raw.label.map(|label| after.template(&label, "label")).transpose()?;
        Ok(Enrol { issuer: words::line(&raw.issuer, "issuer")?, seed: raw.seed.into_inner(), label })
    });
    let pointer = |text: &Text| {
        if words::is_pointer(text.get_ref()) {
            return Ok(text.get_ref().clone());
        }
        Err(Problem::new(text.span(), format!("`{}` is no JSON pointer such as `/name`", text.get_ref())))
    };
    let list = list.map(|raw| {
        let span = raw.span();
        let raw = raw.into_inner();
        if raw.show.is_empty() {
            return Err(Problem::new(span, "`show` is empty"));
        }
        let show = raw.show.iter().map(pointer).collect::<Judged<Vec<_>>>()?;
        if let Some(text) = raw.show.iter().find(|text| secrecy::is_secret(text.get_ref(), &context.secret_places)) {
            let message = format!("`show` names `{}`, which is a secret; what is listed is printed", text.get_ref());
            return Err(Problem::new(text.span(), message));
        }
        Ok(List { at: raw.at.as_ref().map(pointer).transpose()?, show })
    });
    Ok((enrol.transpose()?, list.transpose()?))
}
