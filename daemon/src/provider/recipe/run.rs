//! Running steps: send, judge, take, go on. It only ever goes forward, so every conversation ends.

use std::collections::BTreeMap;

use cloud_agent_protocol::{Credential, Fault, FaultKind};

use super::list::rows;
use super::question::Answered;
use super::request;
use super::skew::{Skew, Skews};
use super::take::{Document, take};
use super::totp::{Codes, Time};
use super::values::{Taken, Values};
use super::verdict::{Case, http_date};
use crate::clock::{Clock, Timestamp};
use crate::cloud::{AskSpec, Method, Outcome, Step, StepBody, Subject, Template};
use crate::http::{Reply, Transport};
use crate::provider::{Account, Ask, Held, Keep};

/// One conversation with a cloud.
pub(super) struct Conversation<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) clock: &'a dyn Clock,
    pub(super) account: &'a Account,
    pub(super) method: &'a Method,
    /// What may be asked in the middle.
    pub(super) asks: &'a [AskSpec],
    pub(super) values: Values,
    pub(super) credential: Option<&'a Credential>,
    pub(super) codes: &'a Codes,
    pub(super) skews: &'a Skews,
    /// The questions that were put, by name.
    pub(super) answered: BTreeMap<String, Answered>,
    /// Who keeps what is rotated on the way, and what they have.
    pub(super) keep: Option<(&'a dyn Keep, Held)>,
    /// A human is waiting, who would rather see it fail than be told to wait.
    pub(super) urgent: bool,
    /// What the human would type to do this by hand.
    pub(super) command: String,
    /// What is said at the end; the values that it names may be seen.
    pub(super) said: &'a [Template],
    /// What was listed.
    pub(super) rows: Vec<Vec<String>>,
    /// The step whose reply ended it well.
    pub(super) ended_by: Option<&'a Step>,
}

enum Then {
    Done,
    Next,
    Step(usize),
}

impl<'a> Conversation<'a> {
    /// Runs `steps` to their end. Without `ask` nobody is there to answer a question.
    pub(super) async fn run(&mut self, steps: &'a [Step], ask: Option<&dyn Ask>) -> Result<(), Fault> {
        let run = self.walk(steps, ask).await;
        run.map_err(|fault| fault.of_account(self.account.name.as_str()))
    }

    async fn walk(&mut self, steps: &'a [Step], ask: Option<&dyn Ask>) -> Result<(), Fault> {
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            if self.is_left_out(step) {
                index += 1;
                continue;
            }
            if !ask.is_some_and(Ask::is_anyone_there) {
                self.refuse_vain_question(steps, index)?;
            }
            self.answer(step, ask).await?;
            let then = loop {
                match self.send(step).await {
                    Ok(then) => break then,
                    // Only this step again: what came before it may have sent a text message.
                    Err(fault) if self.answer_anew(step, &fault, ask).await? => {}
                    Err(fault) => return Err(fault),
                }
            };
            if let Some(enrol) = &step.enrol {
                self.enrol(enrol, ask).await?;
            }
            self.ended_by = Some(step);
            match then {
                Then::Done => return Ok(()),
                Then::Next => index += 1,
                Then::Step(to) => index = to,
            }
            if index < steps.len() {
                self.keep_rotated().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, step: &Step) -> Result<Then, Fault> {
        let request = request::build(step, &self.values, self.account, self.credential, self.urgent)?;
        let spends = self.keep.as_ref().map(|(keep, _)| *keep).filter(|_| replaces(step, self.method));
        if let Some(keep) = spends {
            keep.spend().await?;
        }
        let sent_at = self.clock.now();
        let reply = match self.transport.send(request).await {
            Ok(reply) => reply,
            Err(none) => {
                if let Some(keep) = spends.filter(|_| none.lost) {
                    keep.lost();
                }
                return Err(none.fault);
            }
        };
        let skew = self.learn_skew(step, &reply, sent_at);
        let then = self.judge(step, &reply, Taken { sent_at, skew });
        // A proxy says so, and does not know what became of the request behind it.
        if let Some(keep) = spends.filter(|_| then.is_err() && matches!(reply.status, 502 | 504)) {
            keep.lost();
        }
        then
    }

    fn learn_skew(&self, step: &Step, reply: &Reply, sent_at: Timestamp) -> Option<Skew> {
        let origin = self.account.origins.get(&step.origin)?;
        let (_, date) = reply.headers.iter().find(|(name, _)| name == "date")?;
        Some(self.skews.learn(origin, http_date(date.expose())?, sent_at, self.clock.now()))
    }

    /// A held value that was just replaced may be the only one that the cloud still takes: it is safe before the next
    /// request, which may fail.
    async fn keep_rotated(&mut self) -> Result<(), Fault> {
        let Some((keep, kept)) = &mut self.keep else { return Ok(()) };
        let mut rotated = false;
        for hold in &self.method.holds {
            if let Some(value) = self.values.get(&hold.name).filter(|value| kept.0.get(&hold.name) != Some(*value)) {
                kept.0.insert(hold.name.clone(), value.clone());
                rotated = true;
            }
        }
        if rotated { keep.keep(kept.clone()).await } else { Ok(()) }
    }

    fn judge(&mut self, step: &Step, reply: &Reply, taken: Taken) -> Result<Then, Fault> {
        let document = Document::new(reply);
        let now = self.clock.now();
        let good = step.accepts(reply.status);
        if good {
            let case = Case {
                step,
                account: self.account,
                document: &document,
                values: &self.values,
                command: &self.command,
                now,
            };
            if let Some(fault) = case.fault_despite_good_status() {
                return Err(fault);
            }
            take(step, self.method, self.said, &document, &mut self.values, taken)?;
            if let Some(list) = &step.list {
                self.rows.extend(rows(list, step, &document, &self.values)?);
            }
            if step.replies.is_empty() {
                return Ok(Then::Next);
            }
        }
        let case = Case {
            step,
            account: self.account,
            document: &document,
            values: &self.values,
            command: &self.command,
            now,
        };
        // A bad status means something only to a reply that names it.
        let named = |reply: &&crate::cloud::Reply| good || reply.when.iter().any(|c| c.subject == Subject::Status);
        match step.replies.iter().filter(named).find(|reply| case.holds(&reply.when)) {
            Some(reply) => match &reply.then {
                Outcome::Grant => Ok(Then::Done),
                Outcome::Step(to) => Ok(Then::Step(*to)),
                Outcome::Fault(verdict) => Err(case.ruled(verdict)),
            },
            None if good => Err(case.unknown_reply()),
            None => Err(case.bad_status()),
        }
    }

    /// What time it is at the cloud's main address.
    pub(super) fn time(&self) -> Time<'a> {
        let skew = self.account.origins.get("").map(|origin| self.skews.of(origin));
        Time { clock: self.clock, skew: skew.unwrap_or_default() }
    }

    /// Whether the optional value is absent that the step is for.
    pub(super) fn is_left_out(&self, step: &Step) -> bool {
        step.needs.as_ref().is_some_and(|name| !self.values.has(name))
    }

    pub(super) fn open_questions(&self, step: &Step) -> Vec<&'a AskSpec> {
        let asks: &'a [AskSpec] = self.asks;
        let asked = asks.iter().filter(|ask| ask.at_login && !self.values.has(&ask.name));
        asked.filter(|ask| uses(step, &ask.name)).collect()
    }

    /// The fault that only a login by the human mends.
    pub(super) fn needs_human(&self, why: &str) -> Fault {
        let what = if self.command.starts_with("login") { "needs a login" } else { "needs you" };
        Fault::new(FaultKind::NeedsHuman, format!("`{}` {what}", self.account.name))
            .because(why)
            .hint(format!("`cloud-token {}`", self.command))
    }
}

/// Whether `step` sends a held secret that its reply replaces: what such a request sends is often good only once.
fn replaces(step: &Step, method: &Method) -> bool {
    method.holds.iter().any(|hold| uses(step, &hold.name) && step.takes.iter().any(|take| take.name == hold.name))
}

/// Whether `step` sends the value `name`.
pub(super) fn uses(step: &Step, name: &str) -> bool {
    let headers = step.headers.iter().map(|header| &header.value);
    let query = step.query.iter().map(|(_, template)| template);
    let mut templates = std::iter::once(&step.path).chain(query).chain(headers);
    templates.any(|template| template.names().any(|other| other == name)) || body_uses(&step.body, name)
}

fn body_uses(body: &StepBody, name: &str) -> bool {
    match body {
        StepBody::Empty => false,
        StepBody::Json(json) => json.uses(name),
        StepBody::Form(fields) => fields.iter().any(|(_, template)| template.names().any(|other| other == name)),
    }
}
