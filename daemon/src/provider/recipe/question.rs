//! Answers to the questions of a conversation: by the human, or by the agent from a held seed.

use cloud_agent_protocol::v1::Question;
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::run::{Conversation, uses};
use super::values::normalise;
use crate::cloud::{AskSpec, Step};
use crate::provider::{Ask, ONLY_HUMAN};

/// How often one question is put in a conversation, wrong answers included. Clouds lock logins after a few more.
const ATTEMPTS: u8 = 3;
/// How many codes of a seed are tried: the second in case the first was too old when it came.
const CODES: u8 = 2;

/// How a question was answered so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Answered {
    times: u8,
    by_agent: bool,
}

impl Conversation<'_> {
    /// Sees to it that what `step` sends was answered, as far as it can be.
    pub(super) async fn answer(&mut self, step: &Step, ask: Option<&dyn Ask>) -> Result<(), Fault> {
        for spec in self.open_questions(step) {
            if self.answer_by_seed(spec).await? {
                continue;
            }
            match ask {
                Some(ask) => self.put(spec, ask, None).await?,
                None if spec.optional => {}
                None => return Err(self.only_human(spec)),
            }
        }
        Ok(())
    }

    /// After `fault`: whether `step` may be sent once more, because what it sends was answered anew.
    pub(super) async fn answer_anew(
        &mut self,
        step: &Step,
        fault: &Fault,
        ask: Option<&dyn Ask>,
    ) -> Result<bool, Fault> {
        if fault.kind != FaultKind::Refused {
            return Ok(false);
        }
        let asks = self.asks;
        let sent = asks.iter().filter(|spec| spec.at_login && uses(step, &spec.name) && self.values.has(&spec.name));
        let mut anew = false;
        for spec in sent.collect::<Vec<_>>() {
            let answered = self.answered.entry(spec.name.clone()).or_insert(Answered { times: 1, by_agent: false });
            if answered.by_agent {
                if answered.times >= CODES {
                    return Ok(false);
                }
                self.values.remove(&spec.name);
                anew |= self.answer_by_seed(spec).await?;
                continue;
            }
            let Some(ask) = ask.filter(|ask| ask.is_anyone_there() && answered.times < ATTEMPTS) else {
                return Ok(false);
            };
            self.values.remove(&spec.name);
            // The last cause is the cloud's own word for it, if it had any.
            let said = fault.causes.last().unwrap_or(&fault.message);
            match self.put(spec, ask, Some(format!("not accepted: {said}"))).await {
                Ok(()) => anew = true,
                // They gave up; why they were asked again tells more than that.
                Err(fault) if fault.kind == FaultKind::NeedsHuman => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
        Ok(anew)
    }

    /// Answers with the code of a held seed; whether there is one.
    async fn answer_by_seed(&mut self, spec: &AskSpec) -> Result<bool, Fault> {
        let Some(seed) = self.seed_of(spec) else { return Ok(false) };
        let Some(code) = self.codes.next(&self.account.name, seed, &self.time()).await else {
            let name = &self.account.name;
            return Err(Fault::new(FaultKind::Config, format!("the seed that is held of `{name}` is no base32")).hint(
                format!("`cloud-token login {name} --secret {}=SOURCE`", spec.totp.as_deref().unwrap_or("seed")),
            ));
        };
        self.values.insert(&spec.name, code, true);
        let answered = self.answered.entry(spec.name.clone()).or_default();
        answered.times += 1;
        answered.by_agent = true;
        Ok(true)
    }

    fn seed_of(&self, spec: &AskSpec) -> Option<&Secret> {
        self.values.get(spec.totp.as_deref()?)
    }

    /// Puts the question until it has an answer that can be one. `why` it is asked again.
    pub(super) async fn put(&mut self, spec: &AskSpec, ask: &dyn Ask, mut why: Option<String>) -> Result<(), Fault> {
        loop {
            let answered = self.answered.entry(spec.name.clone()).or_default();
            answered.times += 1;
            let may_again = answered.times < ATTEMPTS && ask.is_anyone_there();
            let detail = [why.as_deref(), spec.detail.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("; ");
            let question = Question {
                name: spec.name.clone(),
                prompt: spec.prompt.clone(),
                detail: Some(detail).filter(|detail| !detail.is_empty()),
                secret: spec.secret,
                optional: spec.optional,
                choices: Vec::new(),
            };
            let said = match ask.ask(question).await {
                // Nobody there to say that there is a code: most accounts have none.
                Err(fault) if fault.kind == FaultKind::NeedsHuman && spec.optional && why.is_none() => return Ok(()),
                said => said?,
            };
            match normalise(spec, said) {
                Ok(said) if !said.is_empty() => {
                    if spec.totp.is_some() {
                        self.codes.mark(&self.account.name, &self.time());
                    }
                    self.values.insert(&spec.name, said, spec.secret || spec.at_login);
                    return Ok(());
                }
                Ok(_) if spec.optional => return Ok(()),
                Ok(_) => return Err(self.needs_human(&format!("`{}` was not answered", spec.name))),
                Err(fault) if may_again => why = Some(fault.to_string()),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Nothing is sent that only leads to a question in vain: it could be what sends a text message.
    pub(super) fn refuse_vain_question(&self, steps: &[Step], index: usize) -> Result<(), Fault> {
        // As far as the way is certain: up to the first step whose reply decides.
        let mut certain = true;
        for step in steps[index..].iter().filter(|step| !self.is_left_out(step)) {
            let mut vain = self.open_questions(step).into_iter().filter(|spec| !spec.optional);
            if certain && let Some(spec) = vain.find(|spec| self.seed_of(spec).is_none()) {
                return Err(self.only_human(spec));
            }
            certain &= step.replies.is_empty();
        }
        Ok(())
    }

    fn only_human(&self, spec: &AskSpec) -> Fault {
        self.needs_human(&format!("`{}` {ONLY_HUMAN}", spec.name))
    }
}
