//! What is said once somebody has logged in by answering questions: how to do the same without them, and what to try next.

use std::time::Duration;

use cloud_agent_protocol::Secret;
use cloud_agent_protocol::v1::{AccountStatus, CloudInfo, ListClouds, Login, Question, Request, Response};

use crate::client::Client;
use crate::report::printable;
use crate::tty::Human;

/// A login as it was given and answered. It keeps no secret.
pub(super) struct Talk {
    account: String,
    remember: bool,
    ephemeral: bool,
    /// `--url`, `--set` and `--secret` as they were given.
    given: Vec<(&'static str, String)>,
    /// The questions, and their answers where they are no secrets.
    heard: Vec<(String, Option<String>)>,
}

impl Talk {
    pub(super) fn new(login: &Login, sources: &[String]) -> Self {
        let named =
            |name: &str, value: &str| if name.is_empty() { value.to_owned() } else { format!("{name}={value}") };
        let origins = login.origins.iter().map(|it| ("--url", named(&it.name, &it.value)));
        let settings = login.settings.iter().map(|it| ("--set", named(&it.name, &it.value)));
        let secrets = sources.iter().map(|source| ("--secret", source.clone()));
        Self {
            account: login.account.clone(),
            remember: login.remember,
            ephemeral: login.ephemeral,
            given: origins.chain(settings).chain(secrets).collect(),
            heard: Vec::new(),
        }
    }

    /// A question was answered.
    pub(super) fn heard(&mut self, question: &Question, said: &Secret) {
        let value = (!question.secret).then(|| said.expose().trim().to_owned());
        self.heard.retain(|(name, _)| *name != question.name);
        self.heard.push((question.name.clone(), value));
    }

    /// Tells it, if anything was asked. The login has succeeded: whatever goes wrong here is not worth a word.
    pub(super) fn close(&self, human: &mut dyn Human, timeout: Duration) {
        if self.heard.is_empty() {
            return;
        }
        if let Some((account, cloud)) = self.look(timeout) {
            for line in self.lines(&account, &cloud) {
                let _ = human.tell(&printable(&line));
            }
        }
    }

    fn look(&self, timeout: Duration) -> Option<(AccountStatus, CloudInfo)> {
        let Response::Status(status) = Client::new(timeout).ok()?.ask(&Request::Status).ok()? else { return None };
        let account = status.accounts.into_iter().find(|it| it.name.eq_ignore_ascii_case(&self.account))?;
        let only = Request::Clouds(ListClouds { name: Some(account.cloud.clone()) });
        let Response::Clouds(clouds) = Client::new(timeout).ok()?.ask(&only).ok()? else { return None };
        Some((account, clouds.clouds.into_iter().next()?))
    }

    fn lines(&self, account: &AccountStatus, cloud: &CloudInfo) -> Vec<String> {
        let (command, variables) = self.equivalent(account, cloud);
        let secrets = match variables.as_slice() {
            [] => String::new(),
            [one] => format!(", with the secret in ${one}"),
            several => format!(", with the secrets in ${}", several.join(", $")),
        };
        let name = &account.name;
        let origin = quoted(if account.origin.is_empty() { "URL" } else { &account.origin });
        let next = [
            (format!("cloud-token {name}"), "prints its token, renewed if need be"),
            (format!("cloud-token curl {name} -- {origin}"), "calls the API with it"),
            ("cloud-token status".to_owned(), "how everything is"),
        ];
        let width = next.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
        let mut lines = vec![String::new(), format!("The same without questions{secrets}:"), format!("  {command}")];
        lines.extend([String::new(), "Try next:".to_owned()]);
        lines.extend(next.iter().map(|(command, what)| format!("  {command:width$}  {what}")));
        lines
    }

    /// The command that does the same without a question, and the variables that its secrets are read from. Codes are not in
    /// it: the next login has others.
    fn equivalent(&self, account: &AccountStatus, cloud: &CloudInfo) -> (String, Vec<String>) {
        let mut words =
            vec!["cloud-token".to_owned(), "login".into(), account.name.clone(), "--cloud".into(), cloud.name.clone()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        if cloud.methods.first().is_some_and(|method| method.name != account.method) {
            option("--method", account.method.clone());
        }
        let asks =
            cloud.methods.iter().find(|method| method.name == account.method).map_or(&[][..], |method| &method.asks);
        for (name, value) in &self.given {
            option(name, value.clone());
        }
        let mut variables = Vec::new();
        for (name, value) in &self.heard {
            let ask = asks.iter().find(|ask| ask.name == *name);
            match (ask, value) {
                (Some(ask), _) if ask.at_login => {}
                (Some(_), Some(value)) if value.is_empty() => {}
                (Some(_), Some(value)) => option("--set", format!("{name}={value}")),
                (_, None) => {
                    let variable: String = name
                        .chars()
                        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                        .collect();
                    option("--secret", format!("{name}=env:{variable}"));
                    variables.push(variable);
                }
                (None, Some(value)) if name == "url" => option("--url", value.clone()),
                (None, Some(value)) if cloud.origins.iter().any(|origin| origin.name == *name) => {
                    option("--url", format!("{name}={value}"));
                }
                // Which cloud was asked is said already.
                (None, Some(_)) => {}
            }
        }
        let flags = [("--remember", self.remember), ("--ephemeral", self.ephemeral)];
        words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned()));
        (words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "), variables)
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::{AskInfo, MethodInfo, OriginInfo, Setting};

    use super::*;

    fn cloud() -> CloudInfo {
        let ask = |name: &str, secret, at_login| AskInfo {
            name: name.into(),
            prompt: String::new(),
            secret,
            optional: false,
            at_login,
        };
        let method = |name: &str| MethodInfo {
            name: name.into(),
            title: String::new(),
            asks: vec![ask("user", false, false), ask("pass-word", true, false), ask("code", false, true)],
        };
        CloudInfo {
            name: "acme".into(),
            title: "Acme".into(),
            docs: String::new(),
            built_in: true,
            origins: vec![
                OriginInfo { name: String::new(), default: None, prompt: String::new() },
                OriginInfo { name: "iam".into(), default: None, prompt: String::new() },
            ],
            methods: vec![method("password"), method("other")],
        }
    }

    fn account(method: &str) -> AccountStatus {
        AccountStatus {
            name: "work".into(),
            cloud: "acme".into(),
            method: method.into(),
            origin: "https://a.example".into(),
            state: "valid".into(),
            expires_at: None,
            expiry_source: String::new(),
            renews_at: None,
            holds: vec![],
            fingerprint: None,
            fault: None,
        }
    }

    fn question(name: &str, secret: bool) -> Question {
        Question { name: name.into(), prompt: String::new(), detail: None, secret, optional: false, choices: vec![] }
    }

    fn talk(given: &Login, heard: &[(&str, bool, &str)]) -> Talk {
        let mut talk = Talk::new(given, &["key=file:/k".to_owned()]);
        for (name, secret, said) in heard {
            talk.heard(&question(name, *secret), &Secret::from(*said));
        }
        talk
    }

    #[test]
    fn the_same_command_has_every_answer_but_secrets_and_codes() {
        let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
        let given = Login {
            origins: vec![setting("iam", "https://i.example")],
            settings: vec![setting("hold-for", "8h")],
            remember: true,
            ..super::super::again("work")
        };
        let heard = [
            ("cloud", false, "acme"),
            ("url", false, "https://a.example"),
            ("user", false, "it's me "),
            ("pass-word", true, "hunter2"),
            ("code", false, "012345"),
        ];
        let (command, variables) = talk(&given, &heard).equivalent(&account("other"), &cloud());
        assert_eq!(
            command,
            "cloud-token login work --cloud acme --method other --url iam=https://i.example --set hold-for=8h \
             --secret key=file:/k --url https://a.example --set 'user=it'\\''s me' --secret pass-word=env:PASS_WORD --remember"
        );
        assert_eq!(variables, ["PASS_WORD"]);
    }

    #[test]
    fn it_ends_with_three_commands_to_try() {
        let lines =
            talk(&super::super::again("work"), &[("pass-word", true, "hunter2")]).lines(&account("password"), &cloud());
        assert_eq!(
            lines,
            [
                "",
                "The same without questions, with the secret in $PASS_WORD:",
                "  cloud-token login work --cloud acme --secret key=file:/k --secret pass-word=env:PASS_WORD",
                "",
                "Try next:",
                "  cloud-token work                            prints its token, renewed if need be",
                "  cloud-token curl work -- https://a.example  calls the API with it",
                "  cloud-token status                          how everything is",
            ]
        );
    }
}
