//! Which values there are at a point of a conversation, so that a template cannot name one that never is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Context;
use super::problem::{Judged, Problem};
use crate::cloud::file::Text;
use crate::cloud::template::Template;
use crate::cloud::{AskSpec, Hold, Method};

/// Names, and whether each is surely there.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    names: BTreeMap<String, bool>,
}

impl Scope {
    /// What a login starts with.
    pub(super) fn of_asks(asks: &[AskSpec], context: &Context<'_>) -> Self {
        let mut scope = Self::of_origins(context);
        for ask in asks {
            scope.add(&ask.name, !ask.optional);
        }
        for name in &context.enrolled {
            scope.add(name, false);
        }
        scope
    }

    /// What an action starts with: its own asks, and what the account may have, whichever its method is.
    pub(super) fn of_action(asks: &[AskSpec], methods: &[Method], context: &Context<'_>) -> Self {
        let mut scope = Self::of_asks(asks, context);
        for method in methods {
            for ask in method.asks.iter().filter(|ask| !ask.secret && !ask.at_login) {
                scope.add(&ask.name, false);
            }
            for hold in &method.holds {
                scope.add(&hold.name, false);
            }
        }
        scope
    }

    /// What renewing and revoking start with: what is held, and the settings. A secret that is not held may still be
    /// remembered, but no step may count on it.
    pub(super) fn of_held(asks: &[AskSpec], holds: &[Hold], context: &Context<'_>) -> Self {
        let mut scope = Self::of_origins(context);
        for ask in asks.iter().filter(|ask| !ask.secret && !ask.at_login) {
            scope.add(&ask.name, !ask.optional);
        }
        for hold in holds {
            scope.add(&hold.name, !hold.optional);
        }
        scope
    }

    fn of_origins(context: &Context<'_>) -> Self {
        let mut scope = Self::default();
        for origin in &context.origins {
            scope.add(&if origin.is_empty() { "origin".to_owned() } else { format!("origin-{origin}") }, true);
        }
        scope
    }

    /// Adds a name. Taking an optional value anew does not make a sure one unsure.
    pub(super) fn add(&mut self, name: &str, sure: bool) {
        let entry = self.names.entry(name.to_owned()).or_insert(sure);
        *entry |= sure;
    }

    /// What is there where two ways meet: a name is sure only if it is on both.
    pub(super) fn meet(self, other: &Self) -> Self {
        let mut names: BTreeMap<String, bool> =
            self.names.iter().map(|(n, sure)| (n.clone(), *sure && other.is_sure(n))).collect();
        for name in other.names.keys() {
            names.entry(name.clone()).or_insert(false);
        }
        Self { names }
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    fn is_sure(&self, name: &str) -> bool {
        self.names.get(name).copied().unwrap_or(false)
    }

    /// `name` has to be there, sure or not.
    pub(super) fn require(&self, name: &str, at: Range<usize>, key: &str) -> Judged<()> {
        if self.knows(name) {
            return Ok(());
        }
        let message = format!("`{key}` names `{name}`, which is not asked, held or taken by then");
        Err(Problem::unknown(at, message, name, self.names.keys().map(String::as_str)))
    }

    /// A template all of whose names are there.
    pub(super) fn template(&self, text: &Text, key: &str) -> Judged<Template> {
        let template = self.header(text, key)?;
        if template.has_optional() {
            return Err(Problem::new(
                text.span(),
                format!("`{key}`: `{{name?}}` is for headers and `environment` only"),
            ));
        }
        Ok(template)
    }

    /// The same where a `{name?}` may stand in it.
    pub(super) fn header(&self, text: &Text, key: &str) -> Judged<Template> {
        let template =
            Template::parse(text.get_ref()).map_err(|why| Problem::new(text.span(), format!("`{key}`: {why}")))?;
        for name in template.names() {
            self.require(name, text.span(), key)?;
        }
        Ok(template)
    }

    /// A template all of whose names are surely there, because what it is for cannot be left out.
    pub(super) fn sure_template(&self, text: &Text, key: &str) -> Judged<Template> {
        let template = self.template(text, key)?;
        if let Some(name) = template.names().find(|name| !self.is_sure(name)) {
            return Err(Problem::new(text.span(), format!("`{key}` needs `{name}`, which may be absent")));
        }
        Ok(template)
    }
}
