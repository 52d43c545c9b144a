//! The engine: acts out what a cloud file describes.
//!
//! It knows no cloud. It sends each step once, never follows, never tries again, and takes nothing from a reply that the
//! description does not name.

mod act;
mod claims;
mod enrol;
mod expiry;
mod grant;
mod json;
mod list;
mod question;
mod request;
mod run;
mod skew;
mod take;
mod totp;
mod values;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cloud_agent_protocol::{Credential, Fault, FaultKind};

use super::{Account, Act, Acted, Ask, Boxed, Grant, Held, Keep, Provider, Revocation};
use crate::clock::Clock;
use crate::cloud::Method;
use crate::http::Transport;
use run::{Conversation, uses};
use skew::Skews;
use totp::Codes;
use values::Values;

/// The provider of every cloud that is described by a file.
pub struct Recipe {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    codes: Codes,
    skews: Skews,
}

impl Recipe {
    /// Talks through `transport`, and tells the time by `clock`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { transport, clock, codes: Codes::default(), skews: Skews::default() }
    }

    fn conversation<'a>(&'a self, account: &'a Account) -> Result<Conversation<'a>, Fault> {
        let method = account.cloud.method(&account.method).ok_or_else(|| {
            let message = format!("`{}` has no method `{}`", account.cloud.title, account.method);
            Fault::new(FaultKind::Config, message).hint(format!("`cloud-token login {}`", account.name))
        })?;
        Ok(Conversation {
            transport: &*self.transport,
            clock: &*self.clock,
            account,
            method,
            asks: &method.asks,
            values: Values::of_account(account, method),
            credential: None,
            codes: &self.codes,
            skews: &self.skews,
            answered: std::collections::BTreeMap::new(),
            keep: None,
            urgent: true,
            command: format!("login {}", account.name),
            said: &[],
            rows: Vec::new(),
            ended_by: None,
        })
    }

    async fn login(
        &self,
        account: &Account,
        secrets: &Held,
        remember: bool,
        ask: Option<&dyn Ask>,
        urgent: bool,
    ) -> Result<Grant, Fault> {
        let mut conversation = self.conversation(account)?;
        conversation.urgent = urgent;
        let method = conversation.method;
        for spec in method.asks.iter().filter(|ask| ask.secret || ask.at_login) {
            if let Some(secret) = secrets.0.get(&spec.name) {
                let secret = values::normalise(spec, secret.clone())?;
                if !secret.is_empty() {
                    if spec.totp.is_some() {
                        // The next login within this step must not send it again.
                        self.codes.mark(&account.name, &conversation.time());
                    }
                    conversation.values.insert(&spec.name, secret, true);
                }
            }
        }
        for name in method.enrolled() {
            if let Some(secret) = secrets.0.get(name).filter(|secret| !secret.is_empty()) {
                conversation.values.insert(name, secret.clone(), true);
            }
        }
        let missing =
            |ask: &&crate::cloud::AskSpec| !ask.optional && !ask.at_login && !conversation.values.has(&ask.name);
        if let Some(spec) = method.asks.iter().find(missing) {
            let flag = if spec.secret { "--secret" } else { "--set" };
            return Err(Fault::new(FaultKind::Usage, format!("`{}` is missing", spec.name))
                .hint(format!("`cloud-token login {} {flag} {}=…`", account.name, spec.name)));
        }
        let started_at = self.clock.now();
        conversation.run(&method.login, ask).await?;
        let grant = conversation.grant(started_at, |_| remember)?;
        // Of a token that came with no reply, nobody has said that it still lives.
        if conversation.obtained_at().is_none() && grant.expires_at.is_some_and(|end| end <= started_at) {
            return Err(conversation.needs_human("the token has ended"));
        }
        Ok(grant)
    }

    async fn refresh(&self, account: &Account, held: &Held, keep: &dyn Keep) -> Result<Grant, Fault> {
        let mut conversation = self.conversation(account)?;
        let method = conversation.method;
        conversation.values.add_held(held);
        conversation.keep = Some((keep, held.clone()));
        conversation.urgent = false;
        let started_at = self.clock.now();
        conversation.run(&method.refresh, None).await?;
        conversation.grant(started_at, |name| held.0.contains_key(name))
    }

    async fn renew(&self, account: &Account, held: &Held, keep: &dyn Keep) -> Result<Grant, Fault> {
        let conversation = self.conversation(account)?;
        let method = conversation.method;
        let mut why = "nothing is held to renew with".to_owned();
        if can_refresh(account, method, held) {
            match self.refresh(account, held, keep).await {
                Err(fault) if fault.kind == FaultKind::Refused || fault.kind == FaultKind::NeedsHuman => {
                    why = fault.to_string();
                }
                other => return other,
            }
        }
        if !can_login(method, held) {
            return Err(conversation.needs_human(&why));
        }
        // Only what was given: a refresh token that was just refused must not live on in the new grant.
        let asked =
            |name: &str| method.asks.iter().any(|ask| ask.name == name) || method.enrolled().any(|other| other == name);
        let secrets = Held(held.0.iter().filter(|(n, _)| asked(n)).map(|(n, s)| (n.clone(), s.clone())).collect());
        let remembered = method.asks.iter().any(|ask| {
            ask.secret && secrets.0.contains_key(&ask.name) && !method.holds.iter().any(|hold| hold.name == ask.name)
        });
        self.login(account, &secrets, remembered, None, false).await
    }

    async fn revoke(
        &self,
        account: &Account,
        held: &Held,
        credential: Option<&Credential>,
    ) -> Result<Revocation, Fault> {
        let mut conversation = self.with_credential(account, held, credential)?;
        let method = conversation.method;
        let Some(first) = method.revoke.first() else { return Ok(Revocation::NotOffered) };
        // Nothing to name to the cloud: a request without it would revoke nothing and be called a success.
        let names_something = held.0.keys().any(|name| uses(first, name))
            || (credential.is_some() && (first.present || method.token.as_deref().is_some_and(|t| uses(first, t))));
        if !names_something || (first.present && credential.is_none()) {
            return Ok(Revocation::NothingLeft);
        }
        match conversation.run(&method.revoke, None).await {
            Ok(()) => Ok(Revocation::Revoked),
            Err(fault) if fault.kind == FaultKind::Refused => Ok(Revocation::AlreadyDead),
            Err(fault) => Err(fault),
        }
    }

    async fn check(&self, account: &Account, held: &Held, credential: &Credential) -> Result<(), Fault> {
        let mut conversation = self.with_credential(account, held, Some(credential))?;
        let method = conversation.method;
        let Some(step) = &method.check else {
            let message = format!("`{}` offers no way to ask whether a token is alive", account.cloud.title);
            return Err(Fault::new(FaultKind::Unsupported, message));
        };
        conversation.run(std::slice::from_ref(step), None).await
    }

    fn with_credential<'a>(
        &'a self,
        account: &'a Account,
        held: &Held,
        credential: Option<&'a Credential>,
    ) -> Result<Conversation<'a>, Fault> {
        let mut conversation = self.conversation(account)?;
        conversation.values.add_held(held);
        conversation.credential = credential;
        if let Some(credential) = credential {
            if let (Some(name), Some(token)) = (&conversation.method.token, &credential.token) {
                conversation.values.insert(name, token.clone(), true);
            }
            // Not to be seen in the cloud's own words either. No template can name these: names have no capitals.
            for header in &credential.headers {
                conversation.values.insert(&format!("HEADER {}", header.name), header.value.clone(), true);
            }
        }
        Ok(conversation)
    }
}

/// Whether all is held that a refresh needs.
fn can_refresh(account: &Account, method: &Method, held: &Held) -> bool {
    let Some(first) = method.refresh.first() else { return false };
    let there = |name: &String| held.0.contains_key(name) || account.settings.contains_key(name);
    first.needs.as_ref().is_none_or(there)
        && method.holds.iter().all(|hold| hold.optional || held.0.contains_key(&hold.name))
}

/// Whether all is held that a login needs before it starts.
fn can_login(method: &Method, held: &Held) -> bool {
    let mut secrets = method.asks.iter().filter(|ask| ask.secret && !ask.at_login).peekable();
    secrets.peek().is_some() && secrets.all(|ask| ask.optional || held.0.contains_key(&ask.name))
}

impl Provider for Recipe {
    fn login<'a>(
        &'a self,
        account: &'a Account,
        secrets: &'a Held,
        remember: bool,
        ask: &'a dyn Ask,
    ) -> Boxed<'a, Grant> {
        Box::pin(self.login(account, secrets, remember, Some(ask).filter(|ask| ask.is_anyone_there()), true))
    }

    fn renew<'a>(&'a self, account: &'a Account, held: &'a Held, keep: &'a dyn Keep) -> Boxed<'a, Grant> {
        Box::pin(self.renew(account, held, keep))
    }

    fn revoke<'a>(
        &'a self,
        account: &'a Account,
        held: &'a Held,
        credential: Option<&'a Credential>,
    ) -> Boxed<'a, Revocation> {
        Box::pin(self.revoke(account, held, credential))
    }

    fn check<'a>(&'a self, account: &'a Account, held: &'a Held, credential: &'a Credential) -> Boxed<'a, ()> {
        Box::pin(self.check(account, held, credential))
    }

    fn act<'a>(&'a self, account: &'a Account, act: Act<'a>, ask: &'a dyn Ask) -> Boxed<'a, Acted> {
        Box::pin(self.act(account, act, ask))
    }

    fn remarks(&self, account: &Account) -> Vec<String> {
        account.origins.values().filter_map(|origin| self.skews.remark(origin)).collect()
    }
}
