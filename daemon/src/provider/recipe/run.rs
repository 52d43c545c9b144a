//! Running steps: send, judge, take, go on. It only ever goes forward, so every conversation ends.

use cloud_agent_protocol::v1::Question;
use cloud_agent_protocol::{Credential, Fault, FaultKind};

use super::request;
use super::take::{Document, take};
use super::values::{Values, normalise};
use super::verdict::Case;
use crate::clock::{Clock, Timestamp};
use crate::cloud::{AskSpec, Method, Outcome, Step, StepBody, Subject};
use crate::http::{Reply, Transport};
use crate::provider::{Account, Ask};

/// One conversation with a cloud.
pub(super) struct Conversation<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) clock: &'a dyn Clock,
    pub(super) account: &'a Account,
    pub(super) method: &'a Method,
    pub(super) values: Values,
    pub(super) credential: Option<&'a Credential>,
}

enum Then {
    Done,
    Next,
    Step(usize),
}

impl<'a> Conversation<'a> {
    /// Runs `steps` to their end. Without `ask` nobody is there to answer a question.
    pub(super) async fn run(&mut self, steps: &[Step], ask: Option<&dyn Ask>) -> Result<(), Fault> {
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            match ask {
                Some(ask) => self.ask_for(step, ask).await?,
                // Nothing is sent that only leads to a question in vain: it could be what sends a text message.
                None => self.refuse_vain_question(steps, index)?,
            }
            let request = request::build(step, &self.values, self.account, self.credential)?;
            let sent_at = self.clock.now();
            let reply = self.transport.send(request).await?;
            match self.judge(step, &reply, sent_at)? {
                Then::Done => return Ok(()),
                Then::Next => index += 1,
                Then::Step(to) => index = to,
            }
        }
        Ok(())
    }

    fn judge(&mut self, step: &Step, reply: &Reply, sent_at: Timestamp) -> Result<Then, Fault> {
        let document = Document::new(reply);
        let now = self.clock.now();
        let good = step.accepts(reply.status);
        if good {
            let case = Case { step, account: self.account, document: &document, values: &self.values, now };
            if let Some(fault) = case.fault_despite_good_status() {
                return Err(fault);
            }
            take(step, self.method, &document, &mut self.values, sent_at)?;
            if step.replies.is_empty() {
                return Ok(Then::Next);
            }
        }
        let case = Case { step, account: self.account, document: &document, values: &self.values, now };
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

    /// Asks for what `step` needs and nobody has said yet.
    async fn ask_for(&mut self, step: &Step, ask: &dyn Ask) -> Result<(), Fault> {
        for spec in self.open_questions(step) {
            let question = Question {
                name: spec.name.clone(),
                prompt: spec.prompt.clone(),
                detail: spec.detail.clone(),
                secret: spec.secret,
                optional: spec.optional,
                choices: Vec::new(),
            };
            match ask.ask(question).await {
                Ok(answer) => {
                    let answer = normalise(spec, answer)?;
                    if !answer.is_empty() {
                        self.values.insert(&spec.name, answer, true);
                    } else if !spec.optional {
                        return Err(self.needs_human(&format!("`{}` was not answered", spec.name)));
                    }
                }
                // Nobody there to say that there is a code: most accounts have none.
                Err(fault) if fault.kind == FaultKind::NeedsHuman && spec.optional => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn refuse_vain_question(&self, steps: &[Step], index: usize) -> Result<(), Fault> {
        // As far as the way is certain: up to the first step whose reply decides.
        let mut certain = true;
        for step in &steps[index..] {
            if certain && let Some(spec) = self.open_questions(step).into_iter().find(|spec| !spec.optional) {
                return Err(self.needs_human(&format!("`{}` can only be answered by you", spec.name)));
            }
            certain &= step.replies.is_empty();
        }
        Ok(())
    }

    fn open_questions(&self, step: &Step) -> Vec<&'a AskSpec> {
        let method: &'a Method = self.method;
        let asked = method.asks.iter().filter(|ask| ask.at_login && !self.values.has(&ask.name));
        asked.filter(|ask| uses(step, &ask.name)).collect()
    }

    /// The fault that only a login by the human mends.
    pub(super) fn needs_human(&self, why: &str) -> Fault {
        Fault::new(FaultKind::NeedsHuman, format!("`{}` needs a login", self.account.name))
            .because(why)
            .hint(format!("`cloud-token login {}`", self.account.name))
    }
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
