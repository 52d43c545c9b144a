//! What the caller gave, sorted by what is asked for, and where the rest comes from.

use std::collections::BTreeMap;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::v1::{Login, NamedSecret, Question, Setting};
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use crate::accounts::Stored;
use crate::cloud::{AskSpec, Method};
use crate::provider::{Ask, Held};

/// What can be given.
pub(super) struct Askable<'a> {
    /// What errors call the asker: ``method `password` ``.
    pub(super) what: String,
    pub(super) asks: &'a [AskSpec],
    /// Further settings.
    pub(super) settings: &'a [&'a str],
    /// Further secrets, which are never asked for.
    pub(super) secrets: Vec<&'a str>,
}

/// What was given, settings and secrets.
#[derive(Default)]
pub(super) struct Given {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) secrets: Held,
}

impl Askable<'_> {
    /// Sorts what was given.
    ///
    /// # Errors
    /// `Usage` for what nobody asks for, and for a secret among the settings.
    pub(super) fn sort(&self, settings: &[Setting], secrets: &[NamedSecret]) -> Result<Given, Fault> {
        let mut given = Given::default();
        for Setting { name, value } in settings {
            match self.spec(name) {
                Some(ask) if ask.secret => return Err(visible(name)),
                None if self.secrets.contains(&name.as_str()) => return Err(visible(name)),
                None if !self.settings.contains(&name.as_str()) => return Err(self.unknown(name, "--set")),
                _ => _ = given.settings.insert(name.clone(), value.clone()),
            }
        }
        for NamedSecret { name, value } in secrets {
            match self.spec(name) {
                Some(ask) if !ask.secret => _ = given.settings.insert(name.clone(), value.expose().to_owned()),
                None if !self.secrets.contains(&name.as_str()) => return Err(self.unknown(name, "--secret")),
                _ => _ = given.secrets.0.insert(name.clone(), value.clone()),
            }
        }
        Ok(given)
    }

    fn spec(&self, name: &str) -> Option<&AskSpec> {
        self.asks.iter().find(|ask| ask.name == name)
    }

    fn unknown(&self, name: &str, flag: &str) -> Fault {
        let fault = Fault::new(FaultKind::Usage, format!("{} does not ask for `{name}`", self.what));
        let names = self.asks.iter().map(|ask| ask.name.as_str());
        let further = self.settings.iter().chain(&self.secrets).copied();
        if let Some(near) = nearest(name, names.clone().chain(further)) {
            return fault.hint(format!("did you mean `{flag} {near}=…`?"));
        }
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        fault.hint(if names.is_empty() {
            "it asks for nothing".into()
        } else {
            format!("it asks for: {}", names.join(", "))
        })
    }
}

fn visible(name: &str) -> Fault {
    Fault::new(FaultKind::Usage, format!("`{name}` is a secret and cannot be given by `--set`"))
        .because(
            "what is on a command line can be read by every program on the machine, and stays in the shell's history",
        )
        .hint(format!("`--secret {name}=env:NAME`, `file:PATH`, `stdin` or `cmd:COMMAND`"))
}

/// Where what was not given may come from.
pub(super) struct Missing<'a> {
    pub(super) request: &'a Login,
    pub(super) known: Option<&'a Stored>,
    pub(super) remembered: &'a Held,
}

impl Missing<'_> {
    /// Completes `stored` and `secrets` with what was given, is known, or the human says.
    pub(super) async fn fill(
        &self,
        method: &Method,
        mut given: BTreeMap<String, String>,
        stored: &mut Stored,
        secrets: &mut Held,
        ask: &dyn Ask,
    ) -> Result<(), Fault> {
        for spec in method.asks.iter().filter(|spec| !spec.at_login) {
            if spec.secret {
                if !secrets.0.contains_key(&spec.name)
                    && let Some(secret) = self.secret(spec, ask).await?
                {
                    secrets.0.insert(spec.name.clone(), secret);
                }
                continue;
            }
            let kept = || self.known.and_then(|known| known.set.value(&spec.name).map(str::to_owned));
            let value = match given.remove(&spec.name).or_else(kept) {
                Some(value) => Some(value),
                None if spec.optional && !self.may_ask(spec) => None,
                None => Some(self.ask(spec, ask).await?.expose().trim().to_owned()).filter(|said| !said.is_empty()),
            };
            match value {
                Some(value) => stored.set.insert(&spec.name, &value),
                None if spec.optional => {}
                None => return Err(self.empty(spec)),
            }
        }
        // A code that was given up front answers its question when it comes.
        for spec in method.asks.iter().filter(|spec| spec.at_login) {
            if let Some(value) = given.remove(&spec.name) {
                secrets.0.insert(spec.name.clone(), Secret::new(value));
            }
        }
        Ok(())
    }

    async fn secret(&self, spec: &AskSpec, ask: &dyn Ask) -> Result<Option<Secret>, Fault> {
        let remembered = self.remembered.0.get(&spec.name);
        if let Some(remembered) = remembered.filter(|_| !self.request.interactive) {
            return Ok(Some(remembered.clone()));
        }
        if spec.optional && !self.may_ask(spec) {
            return Ok(remembered.cloned());
        }
        let said = self.ask(spec, ask).await?;
        match (said.is_empty(), remembered) {
            (false, _) => Ok(Some(said)),
            (true, Some(remembered)) => Ok(Some(remembered.clone())),
            (true, None) if spec.optional => Ok(None),
            (true, None) => Err(self.empty(spec)),
        }
    }

    fn may_ask(&self, spec: &AskSpec) -> bool {
        self.request.interactive && !spec.unasked
    }

    async fn ask(&self, spec: &AskSpec, ask: &dyn Ask) -> Result<Secret, Fault> {
        let question = Question {
            name: spec.name.clone(),
            prompt: spec.prompt.clone(),
            detail: spec.detail.clone(),
            secret: spec.secret,
            optional: spec.optional,
            choices: Vec::new(),
        };
        let flag =
            if spec.secret { format!("--secret {}=env:NAME", spec.name) } else { format!("--set {}=VALUE", spec.name) };
        ask.ask(question)
            .await
            .map_err(|fault| fault.hint(format!("`cloud-token login {} {flag}`", self.request.account)))
    }

    fn empty(&self, spec: &AskSpec) -> Fault {
        Fault::new(FaultKind::Usage, format!("`{}` cannot be empty", spec.name))
            .hint(format!("`cloud-token login {}`", self.request.account))
    }
}
