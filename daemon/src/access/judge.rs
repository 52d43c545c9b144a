//! May this caller have this account's credential?

use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::Access;
use super::confirm::Question;
use super::rules::{Action, Confirm, Limit, Rule, Rules, asking};
use crate::callers::Process;
use crate::clock::Timestamp;
use crate::journal::Outcome;
use crate::words::duration;

/// What the session knows of a caller, and how to look at it.
pub(crate) trait Caller: Sync {
    /// The process that made the connection, looked at now, with what started it. A label: what it runs may change in the
    /// next moment.
    fn look(&self) -> Arc<Process>;
}

/// Why nothing is handed out, and how that is noted.
pub(crate) type Refusal = (Fault, Outcome);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) account: &'a str,
    /// The restricted socket that it is asked through.
    pub(crate) origin: Option<&'a str>,
    /// The human is to be asked, whatever the rules say.
    pub(crate) confirm: bool,
    /// How long the caller waits for an answer.
    pub(crate) wait: Duration,
}

impl Access {
    /// Whether the rules let `caller` have what is `wanted`. Without a rule for that account nothing is looked at, and nobody
    /// is held up. Nor is anybody asked about what is no account, as `exists` says, or counted for it: whoever comes for that is
    /// answered by the broker, and its name may be any text.
    ///
    /// # Errors
    /// `Refused` if a rule or the human says no; `Busy` beyond a limit, with the time of the next try; `Config` if the rules
    /// cannot be read.
    pub(crate) async fn permit(
        &self,
        caller: &impl Caller,
        wanted: Wanted<'_>,
        exists: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let rules = self.rules().map_err(|fault| (fault.clone(), Outcome::Failed(fault.kind)))?;
        let about = || rules.policy.iter().filter(|rule| rule.is_about(wanted.account));
        let limits = || rules.limits.iter().filter(|limit| limit.is_about(wanted.account));
        if about().next().is_none() && limits().next().is_none() && !wanted.confirm {
            return Ok(());
        }
        if AccountName::parse(wanted.account).is_err() || !exists(wanted.account) {
            return Ok(());
        }
        let who = caller.look();
        let mut first = None;
        for rule in about() {
            if rule.is_met_by(&who) && self.is_of_hash(rule, &who).await {
                first = Some(rule);
                break;
            }
        }
        match first.map_or(Action::Allow, |rule| rule.action) {
            Action::Deny => return Err((denied(&who, wanted, &rules, first, None), Outcome::Denied)),
            Action::Allow if !wanted.confirm => {}
            Action::Allow | Action::Confirm => {
                let question = Question::new(wanted.account, &who, wanted.origin);
                if let Err(why) = self.human.allows(&question, &rules.confirm, &self.clock, wanted.wait).await {
                    return Err((denied(&who, wanted, &rules, first, Some(why)), Outcome::Denied));
                }
            }
        }
        for limit in limits() {
            self.within(limit, &who, wanted, &rules)?;
        }
        Ok(())
    }

    async fn is_of_hash(&self, rule: &Rule, who: &Process) -> bool {
        let Some(wanted) = &rule.sha256 else { return true };
        let pid = asking(&who.chain()).pid;
        self.hashes.of(pid).await.is_some_and(|hash| hash == *wanted)
    }

    fn within(&self, limit: &Limit, who: &Process, wanted: Wanted<'_>, rules: &Rules) -> Result<(), Refusal> {
        let program = asking(&who.chain()).label().to_owned();
        let Err(wait) = self.counts.count(limit, wanted.account, &program, self.clock.uptime()) else { return Ok(()) };
        let fault = Fault::new(FaultKind::Busy, format!("`{program}` asks for `{}` too often", wanted.account))
            .because(format!(
                "{}:{} allows {} times in {}",
                rules.path.display(),
                limit.line,
                limit.hand_outs,
                duration(limit.within)
            ))
            .hint("keep the token for as long as it is good, or raise the limit")
            .retry_at(next_try(self.clock.now(), wait));
        Err((fault, Outcome::Failed(FaultKind::Busy)))
    }

    /// The rules as they are now.
    pub(super) fn rules(&self) -> Result<Arc<Rules>, Fault> {
        let (rules, is_new) = self.known.rules(self.clock.uptime())?;
        if is_new {
            self.journal.tell(rules.journald.clone());
        }
        Ok(rules)
    }
}

fn next_try(now: Timestamp, wait: Duration) -> i64 {
    // Rounded up: who comes back on the second must not be too early.
    now.after(wait).seconds() + 1
}

fn denied(who: &Process, wanted: Wanted<'_>, rules: &Rules, rule: Option<&Rule>, no: Option<String>) -> Fault {
    let program = asking(&who.chain()).label().to_owned();
    let fault = Fault::new(FaultKind::Refused, format!("`{}` is not handed out to `{program}`", wanted.account));
    let place = |rule: &Rule| format!("{}:{}", rules.path.display(), rule.line);
    let path = || rules.path.display();
    match (rule, no) {
        (Some(rule), None) => {
            fault.because(format!("the policy at {} denies it", place(rule))).hint(format!("edit `{}`", path()))
        }
        (Some(rule), Some(no)) => {
            fault.because(format!("the policy at {} has you asked, and {no}", place(rule))).hint(advice(&rules.confirm))
        }
        (None, no) => {
            let no = no.unwrap_or_else(|| "nobody was asked".into());
            fault.because(format!("the forwarded socket has you asked, and {no}")).hint(advice(&rules.confirm))
        }
    }
}

fn advice(confirm: &Confirm) -> String {
    match confirm.with {
        Some(_) => "ask again and say yes".into(),
        None => "ask again and say yes; `[confirm]` in accounts.toml says with which program you are asked".into(),
    }
}
