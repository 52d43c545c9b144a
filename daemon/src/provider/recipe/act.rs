//! Actions: the same steps as a login's, whose end is no grant but words, rows, and perhaps another set of held values.

use cloud_agent_protocol::{Fault, FaultKind, Secret};

use super::Recipe;
use super::run::Conversation;
use super::values::normalise;
use super::verdict::plain;
use crate::cloud::{Action, AskSpec};
use crate::provider::{Account, Act, Acted, Ask, Held};

impl Recipe {
    pub(super) async fn act(&self, account: &Account, act: Act<'_>, ask: &dyn Ask) -> Result<Acted, Fault> {
        let action = act.action;
        let login = format!("login {}", account.name);
        if action.presents() && act.credential.is_none() {
            return Err(Fault::new(FaultKind::NeedsHuman, format!("`{}` needs a login", account.name))
                .hint(format!("`cloud-token {login}`")));
        }
        let mut conversation = self.with_credential(account, act.held, act.credential)?;
        conversation.asks = &action.asks;
        conversation.said = &action.say;
        let command = format!("do {} {}", account.name, action.name);
        if action.steps.iter().any(|step| step.enrol.is_some()) && !ask.is_anyone_there() {
            return Err(Fault::new(FaultKind::NeedsHuman, "a seed can only be shown on a terminal")
                .hint(format!("`cloud-token {command}` in a terminal")));
        }
        conversation.command.clone_from(&command);
        conversation.begin(&act, ask).await?;
        if action.presents() {
            // What refuses this is the credential, as far as anybody can tell.
            conversation.command = login;
        }
        conversation.run(&action.steps, Some(ask).filter(|ask| ask.is_anyone_there())).await?;
        if action.steps.iter().any(|step| step.enrol.is_some()) {
            // The human has just used this step's code to confirm the seed.
            self.codes.mark(&account.name, &conversation.time());
        }
        conversation.end(action)
    }
}

impl Conversation<'_> {
    /// What was given, and the answers to what is asked before anything is sent.
    async fn begin(&mut self, act: &Act<'_>, ask: &dyn Ask) -> Result<(), Fault> {
        for spec in &act.action.asks {
            let setting = act.settings.get(&spec.name).map(|value| Secret::from(value.as_str()));
            let given = act.secrets.0.get(&spec.name).cloned().or(setting).filter(|value| !value.is_empty());
            match given {
                Some(value) => {
                    if spec.totp.is_some() {
                        self.codes.mark(&self.account.name, &self.time());
                    }
                    self.values.insert(&spec.name, normalise(spec, value)?, spec.secret || spec.at_login);
                }
                // A secret that is held under the same name is the old one: it is not what is asked.
                None if spec.secret => self.values.remove(&spec.name),
                None => {}
            }
        }
        for spec in act.action.asks.iter().filter(|spec| !spec.at_login) {
            if !self.values.has(&spec.name) {
                self.put(spec, ask, None).await.map_err(|fault| fault.hint(hint(&self.command, spec)))?;
            }
        }
        Ok(())
    }

    fn end(self, action: &Action) -> Result<Acted, Fault> {
        let mut notes = Vec::new();
        for line in &action.say {
            if let Some(line) = line.render(|name| self.values.get(name))? {
                notes.push(plain(line.expose()));
            }
        }
        if notes.is_empty() && self.rows.is_empty() {
            notes.push(format!("done: {}", action.title));
        }
        let mut holds = Held::default();
        for hold in &action.holds {
            match self.values.get(&hold.name) {
                Some(value) => _ = holds.0.insert(hold.name.clone(), value.clone()),
                None if hold.optional => {}
                None => {
                    let message =
                        format!("the replies of `{}` did not give what is to be held", self.account.cloud.title);
                    return Err(
                        Fault::new(FaultKind::MalformedReply, message).because(format!("`{}` is missing", hold.name))
                    );
                }
            }
        }
        Ok(Acted { notes, rows: self.rows, holds, forgets: action.forgets.clone() })
    }
}

fn hint(command: &str, spec: &AskSpec) -> String {
    let flag =
        if spec.secret { format!("--secret {}=SOURCE", spec.name) } else { format!("--set {}=VALUE", spec.name) };
    format!("`cloud-token {command} {flag}`")
}
