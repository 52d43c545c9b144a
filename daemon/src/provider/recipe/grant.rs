//! From the values at the end of a conversation to what callers get and what the agent holds.

use cloud_agent_protocol::{Credential, Fault, FaultKind, Header, Secret};

use super::expiry;
use super::run::Conversation;
use super::take::bad_field;
use crate::clock::Timestamp;
use crate::cloud::HeaderTemplate;
use crate::provider::{Grant, Held};

impl Conversation<'_> {
    /// The grant. `remembered` says of a secret that was asked whether it is held though the method does not hold it.
    pub(super) fn grant(&self, started_at: Timestamp, remembered: impl Fn(&str) -> bool) -> Result<Grant, Fault> {
        let obtained_at = self.obtained_at().unwrap_or(started_at);
        let (expires_at, expiry_source) =
            expiry::of_grant(self.method, self.account.lifetime, &self.values, obtained_at);
        let credential = Credential {
            account: self.account.name.as_str().to_owned(),
            cloud: self.account.cloud.name.clone(),
            token: self.method.token.as_deref().map(|name| self.token(name)).transpose()?,
            headers: self.method.headers.iter().map(|header| self.header(header)).collect::<Result<_, _>>()?,
            environment: self.environment()?,
            expires_at: expires_at.map(Timestamp::seconds),
            expiry_source,
        };
        self.refuse_claims(&credential)?;
        let idle_life = expiry::idle_life(self.method, &self.values, obtained_at);
        Ok(Grant { credential, obtained_at, expires_at, held: self.held(remembered)?, idle_life })
    }

    /// When the request was sent that returned the youngest part of what callers get.
    pub(super) fn obtained_at(&self) -> Option<Timestamp> {
        self.presented().filter_map(|name| self.values.taken_at(name)).max()
    }

    /// The names of the values that callers get.
    fn presented(&self) -> impl Iterator<Item = &str> {
        let headers = self.method.headers.iter().flat_map(|header| header.value.names());
        headers.chain(self.method.token.as_deref())
    }

    fn token(&self, name: &str) -> Result<Secret, Fault> {
        let token = self.values.get(name).ok_or_else(|| self.missing(name))?;
        // Those from a reply were judged when they were taken; this one may have been pasted.
        if token.expose().bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
            return Ok(token.clone());
        }
        Err(Fault::new(FaultKind::Usage, format!("`{name}` holds a character that no token has")))
    }

    fn header(&self, header: &HeaderTemplate) -> Result<Header, Fault> {
        let Some(value) = header.value.render(|name| self.values.get(name))? else {
            let absent = header.value.needed().find(|name| !self.values.has(name)).unwrap_or_default();
            return Err(self.missing(absent));
        };
        if !value.expose().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let message = format!("a value for the header `{}` holds a character that no header has", header.name);
            return Err(Fault::new(FaultKind::Usage, message));
        }
        Ok(Header { name: header.name.clone(), value })
    }

    fn environment(&self) -> Result<Vec<Header>, Fault> {
        let mut variables = Vec::new();
        for variable in &self.method.environment {
            if let Some(value) = variable.value.render(|name| self.values.get(name))? {
                variables.push(Header { name: variable.name.clone(), value });
            }
        }
        Ok(variables)
    }

    /// What a reply did not give anew is still what was held before (RFC 6749, section 6).
    fn held(&self, remembered: impl Fn(&str) -> bool) -> Result<Held, Fault> {
        let mut held = Held::default();
        for hold in &self.method.holds {
            match self.values.get(&hold.name) {
                Some(secret) => {
                    held.0.insert(hold.name.clone(), secret.clone());
                }
                None if hold.optional => {}
                None => return Err(self.missing(&hold.name)),
            }
        }
        for ask in self.method.asks.iter().filter(|ask| ask.secret && !ask.at_login && remembered(&ask.name)) {
            if let Some(secret) = self.values.get(&ask.name) {
                held.0.insert(ask.name.clone(), secret.clone());
            }
        }
        Ok(held)
    }

    /// What came at the end lacks `name`, which an earlier reply could have given, too.
    fn missing(&self, name: &str) -> Fault {
        if let Some(step) = self.ended_by
            && let Some(take) = step.takes.iter().find(|take| take.name == name)
        {
            return bad_field(step, take, "is missing");
        }
        let message = format!("the replies of `{}` did not give what a credential needs", self.account.cloud.title);
        Fault::new(FaultKind::MalformedReply, message).because(format!("`{name}` is missing"))
    }
}
