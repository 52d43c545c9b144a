//! What a bad reply means for the caller, and what of the cloud's own words may be shown.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::json::Json;
use super::request::shown;
use super::take::{self, Document};
use super::values::Values;
use crate::clock::Timestamp;
use crate::cloud::{Condition, FaultRule, Source, Step, Subject, Verdict, percent_encode};
use crate::provider::Account;

/// The longest wait that a cloud can impose: beyond it a person would rather have the agent try.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// The longest text of a cloud's that is shown, in characters.
const LONGEST_MESSAGE: usize = 200;

/// A reply to a step, with what is needed to judge it.
pub(super) struct Case<'a> {
    pub(super) step: &'a Step,
    pub(super) account: &'a Account,
    pub(super) document: &'a Document<'a>,
    pub(super) values: &'a Values,
    /// What the human would type to do this by hand.
    pub(super) command: &'a str,
    pub(super) now: Timestamp,
}

impl Case<'_> {
    /// Whether all of `when` holds.
    pub(super) fn holds(&self, when: &[Condition]) -> bool {
        when.iter().all(|condition| match &condition.subject {
            Subject::Status => self.document.status().to_string() == condition.equals,
            Subject::Taken(name) => self.values.get(name).is_some_and(|value| value.expose() == condition.equals),
            Subject::Pointer(pointer) => match self.document.json().and_then(|json| json.pointer(pointer)) {
                Some(Json::Text(text)) => text.expose() == condition.equals,
                Some(Json::Number(number)) => *number == condition.equals,
                Some(Json::Bool(truth)) => truth.to_string() == condition.equals,
                _ => false,
            },
        })
    }

    /// The fault that a rule makes of a good status: only one that names that status.
    pub(super) fn fault_despite_good_status(&self) -> Option<Fault> {
        let status = self.document.status();
        self.rules()
            .find(|rule| rule.statuses.contains(&status) && self.holds(&rule.when))
            .map(|rule| self.ruled(&rule.verdict))
    }

    /// The fault of a reply whose status is not a good one.
    pub(super) fn bad_status(&self) -> Fault {
        let status = self.document.status();
        let rule = self
            .rules()
            .find(|rule| (rule.statuses.is_empty() || rule.statuses.contains(&status)) && self.holds(&rule.when));
        match rule {
            Some(rule) => self.ruled(&rule.verdict),
            None => self.by_status(),
        }
    }

    /// The fault of a reply that is good by its status and yet nothing that the description knows.
    pub(super) fn unknown_reply(&self) -> Fault {
        let compared: Vec<String> = self
            .step
            .replies
            .iter()
            .flat_map(|reply| &reply.when)
            .filter_map(|condition| match &condition.subject {
                Subject::Taken(name) => Some((name, self.values.get(name)?)),
                _ => None,
            })
            .map(|(name, value)| format!("`{name}` is `{}`", self.clean(value.expose())))
            .collect();
        let message = format!("the reply to `{}` is none that the description of the cloud knows", shown(self.step));
        let mut fault = Fault::new(FaultKind::MalformedReply, message);
        fault.causes.extend(compared.into_iter().collect::<std::collections::BTreeSet<_>>());
        self.with_message(fault)
    }

    /// The fault that a verdict of the cloud file words.
    pub(super) fn ruled(&self, verdict: &Verdict) -> Fault {
        let message = verdict.message.clone().unwrap_or_else(|| self.default_message(verdict.kind));
        let mut fault = self.with_message(self.mended(Fault::new(verdict.kind, message)));
        if let Some(hint) = &verdict.hint {
            let account = Secret::from(self.account.name.as_str());
            if let Ok(Some(hint)) = hint.render(|_| Some(&account)) {
                fault.hint = Some(hint.expose().to_owned());
            }
        }
        fault
    }

    fn rules(&self) -> impl Iterator<Item = &FaultRule> {
        self.step.faults.iter().chain(&self.account.cloud.faults)
    }

    fn by_status(&self) -> Fault {
        let status = self.document.status();
        let request = shown(self.step);
        let fault = match status {
            200..=299 if self.document.is_page() => return take::web_page(self.step),
            300..=399 => return self.redirect(),
            401 | 403 => Fault::new(FaultKind::Refused, self.default_message(FaultKind::Refused)),
            408 | 425 | 429 | 500..=599 => {
                Fault::new(FaultKind::Unreachable, self.default_message(FaultKind::Unreachable))
            }
            404 | 405 | 410 => {
                let message = format!("there is no `{request}` at `{}`", self.origin());
                let hint =
                    format!("is the address right? `cloud-token login {} --url URL` sets another", self.account.name);
                Fault::new(FaultKind::Config, message).hint(hint)
            }
            _ => Fault::new(FaultKind::MalformedReply, format!("`{}` did not accept `{request}`", self.title())),
        };
        self.with_message(self.mended(fault).because(format!("status {status}")))
    }

    fn redirect(&self) -> Fault {
        let location = self.document.header("location").and_then(|value| {
            let base = reqwest::Url::parse(self.origin()).ok()?;
            let target = base.join(value.expose()).ok()?;
            Some(format!("{}://{}", target.scheme(), target.host_str()?))
        });
        let message = match location {
            Some(host) => {
                format!("`{}` redirects to `{}`, and redirects are never followed", self.title(), self.clean(&host))
            }
            None => format!("`{}` answered with a redirect that leads nowhere", self.title()),
        };
        Fault::new(FaultKind::MalformedReply, message)
            .because(format!("status {}", self.document.status()))
            .hint(format!(
                "a secret is never sent on to another host; is the address right? `cloud-token login {} --url URL` sets another",
                self.account.name
            ))
    }

    /// What every fault of its kind carries: the command that mends it, or when to try again.
    fn mended(&self, fault: Fault) -> Fault {
        let fault = match fault.kind {
            FaultKind::Refused | FaultKind::NeedsHuman => fault.hint(format!("`cloud-token {}`", self.command)),
            _ => fault,
        };
        match (fault.kind, self.retry_after()) {
            // A refusal with a pause is one for now: whoever tries on meanwhile locks the login out.
            (FaultKind::Unreachable | FaultKind::Refused, Some(wait)) => fault.retry_at(self.now.after(wait).seconds()),
            _ => fault,
        }
    }

    fn default_message(&self, kind: FaultKind) -> String {
        let (title, request) = (self.title(), shown(self.step));
        match kind {
            FaultKind::Refused => {
                format!("the cloud {title} refused the credentials of account `{}`", self.account.name)
            }
            FaultKind::NeedsHuman => format!("`{title}` wants a new login of `{}`", self.account.name),
            FaultKind::Unreachable => format!("`{title}` cannot answer `{request}` now"),
            FaultKind::Unsupported => format!("`{title}` does not offer that"),
            _ => format!("`{title}` did not accept `{request}`"),
        }
    }

    fn title(&self) -> &str {
        &self.account.cloud.title
    }

    fn origin(&self) -> &str {
        self.account.origins.get(&self.step.origin).map_or("", String::as_str)
    }

    /// `Retry-After`, in seconds or as a date, which is read against the cloud's own clock.
    fn retry_after(&self) -> Option<Duration> {
        let value = self.document.header("retry-after")?.expose().trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
        }
        let until = http_date(value)?;
        let now = self.document.header("date").and_then(|date| http_date(date.expose())).unwrap_or(self.now);
        Some(until.since(now).min(LONGEST_WAIT))
    }

    /// Adds what the cloud itself says about it.
    fn with_message(&self, fault: Fault) -> Fault {
        let said = self.account.cloud.messages.iter().find_map(|source| {
            let text = match source {
                Source::Text | Source::PointerOrText(_) if self.document.json().is_some() => None,
                Source::Text | Source::PointerOrText(_) => self.document.text(),
                Source::Header(name) => self.document.header(name).cloned(),
                Source::Pointer(pointer) => match self.document.json()?.pointer(pointer)? {
                    Json::Text(text) => Some(text.clone()),
                    _ => None,
                },
            };
            text.map(|text| self.clean(text.expose())).filter(|text| !text.is_empty())
        });
        match said {
            Some(said) => fault.because(said),
            None => fault,
        }
    }

    fn clean(&self, text: &str) -> String {
        clean(self.values, text)
    }
}

/// A cloud's text as it may be shown: no secret of this exchange, no control character, not too long.
pub(super) fn clean(values: &Values, text: &str) -> String {
    let mut text = zeroize::Zeroizing::new(text.to_owned());
    for secret in values.secrets() {
        for form in forms(secret) {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), "…");
            }
        }
    }
    plain(&text)
}

/// A text as a terminal may show it.
pub(super) fn plain(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() || is_deceptive(c) { ' ' } else { c }).collect();
    match shown.char_indices().nth(LONGEST_MESSAGE) {
        Some(_) => shown.chars().take(LONGEST_MESSAGE - 1).collect::<String>().trim().to_owned() + "…",
        None => shown.trim().to_owned(),
    }
}

/// A secret as a cloud may echo it: as it is, percent-encoded, or with JSON's escapes.
fn forms(secret: &Secret) -> Vec<zeroize::Zeroizing<String>> {
    let mut encoded = zeroize::Zeroizing::new(String::with_capacity(secret.len() * 3));
    percent_encode(&mut encoded, secret.expose());
    let mut forms = vec![zeroize::Zeroizing::new(secret.expose().to_owned()), encoded];
    if let Ok(quoted) = serde_json::to_string(secret.expose()).map(zeroize::Zeroizing::new) {
        forms.push(zeroize::Zeroizing::new(quoted[1..quoted.len() - 1].to_owned()));
    }
    forms
}

/// Characters that turn, hide or break a line on a terminal without being control characters.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// RFC 9110 dates, of the form in use since 1995.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(Timestamp::from_millis(date.as_millisecond()))
}
