//! What is said once somebody has logged in by answering questions: how to do the same without them, and what to try next.

use cloud_agent_protocol::shell;
use cloud_agent_protocol::v1::{AccountStatus, CloudInfo};

use super::talk::{Place, Talk};
use crate::report::printable;
use crate::tty::Human;

impl Talk {
    /// Tells it, if anything was asked. The login has succeeded: whatever goes wrong here is not worth a word.
    pub(super) fn close(&mut self, human: &mut dyn Human) {
        if self.is_silent() || self.look().is_none() {
            return;
        }
        for line in self.lines() {
            let _ = human.tell(&printable(&line));
        }
    }

    fn lines(&self) -> Vec<String> {
        let Some(Place { account: Some(account), cloud }) = self.place() else { return Vec::new() };
        let (command, variables) = self.equivalent(account, cloud);
        let secrets = match variables.as_slice() {
            [] => String::new(),
            [one] => format!(", with the secret in ${one}"),
            several => format!(", with the secrets in ${}", several.join(", $")),
        };
        let name = &account.name;
        let origin = if account.origin.is_empty() { "URL" } else { &account.origin };
        let next = [
            (format!("cloud-token {name}"), "prints its token, renewed if need be"),
            (format!("cloud-token curl {name} -- {}", shell::quoted(origin)), "calls the API with it"),
            ("cloud-token status".to_owned(), "how everything is"),
        ];
        let width = next.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
        let mut lines = vec![String::new(), format!("The same without questions{secrets}:"), format!("  {command}")];
        lines.extend([String::new(), "Try next:".to_owned()]);
        lines.extend(next.iter().map(|(command, what)| format!("  {command:width$}  {what}")));
        lines
    }

    /// The command that does the same without a question, and the variables that its secrets are read from.
    fn equivalent(&self, account: &AccountStatus, cloud: &CloudInfo) -> (String, Vec<String>) {
        let mut words =
            vec!["cloud-token".to_owned(), "login".into(), account.name.clone(), "--cloud".into(), cloud.name.clone()];
        if cloud.methods.first().is_some_and(|method| method.name != account.method) {
            words.extend(["--method".to_owned(), account.method.clone()]);
        }
        let answers = self.answers();
        let read = answers.iter().filter(|(option, _)| *option == "--secret");
        let variables = read.filter_map(|(_, value)| Some(value.split_once("=env:")?.1.to_owned())).collect();
        words.extend(self.given().chain(answers).flat_map(|(option, value)| [option.to_owned(), value]));
        words.extend(self.flags().map(str::to_owned));
        (shell::command(words), variables)
    }
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::Secret;
    use cloud_agent_protocol::v1::{AskInfo, Login, MethodInfo, OriginInfo, Question, Setting};

    use super::*;
    use crate::dialogue::Memory as _;

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

    fn talk(given: &Login, method: &str, heard: &[(&str, bool, &str)]) -> Talk {
        let place = Place { account: Some(account(method)), cloud: cloud() };
        let mut talk = Talk::at(place, given, &["key=file:/k".to_owned()]);
        for (name, secret, said) in heard {
            talk.hear(&question(name, *secret), Some(&Secret::from(*said)));
        }
        talk
    }

    #[test]
    fn the_same_command_has_every_answer_but_secrets_and_codes() {
        let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
        let given = Login {
            origins: vec![setting("iam", "https://i.example")],
            settings: vec![setting("hold-for", "8h"), setting("code", "543210")],
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
        let (command, variables) = talk(&given, "other", &heard).equivalent(&account("other"), &cloud());
        assert_eq!(
            command,
            "cloud-token login work --cloud acme --method other --url iam=https://i.example --set hold-for=8h \
             --secret key=file:/k --url https://a.example --set 'user=it'\\''s me' --secret pass-word=env:PASS_WORD --remember"
        );
        assert_eq!(variables, ["PASS_WORD"]);
    }

    #[test]
    fn it_ends_with_three_commands_to_try() {
        let lines = talk(&super::super::again("work"), "password", &[("pass-word", true, "hunter2")]).lines();
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
