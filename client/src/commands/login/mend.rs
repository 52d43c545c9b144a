//! What to type after a login that failed. Nothing was kept, so the hint says all that was given and typed: whoever pastes it is
//! asked for nothing but the secret.

use cloud_agent_protocol::{Fault, FaultKind, shell};

use super::talk::{Given, Talk, is_main};
use crate::report::Failure;

/// What follows where the agent asks whether the address is right.
const ANOTHER: &str = " --url URL` sets another";

impl Talk {
    /// `failure`, with the hint that repeats this login where that mends it.
    pub(super) fn mend(&mut self, mut failure: Failure) -> Failure {
        let repeats = matches!(
            failure.fault.kind,
            FaultKind::Refused
                | FaultKind::NeedsHuman
                | FaultKind::Unreachable
                | FaultKind::Busy
                | FaultKind::MalformedReply
                | FaultKind::Config
        );
        if repeats && !failure.is_of_no_agent() && !failure.is_of_a_lock() {
            self.look();
            failure.fault = self.with_hint(failure.fault);
        }
        failure
    }

    fn with_hint(&self, fault: Fault) -> Fault {
        let options = self.options(fault.kind);
        if options.is_empty() {
            return fault;
        }
        let bare = format!("cloud-token login {}", self.account);
        let own = fault.kind.mend().replace("ACCOUNT", &self.account);
        let fault = fault.of_account(&self.account);
        let said = fault.hint.as_deref().unwrap_or(&own);
        let hint = completed(said, &bare, &options).unwrap_or_else(|| {
            let command = format!("{bare} {}", spelled(&options));
            match fault.kind {
                FaultKind::Unreachable | FaultKind::Busy if said == own => {
                    format!("try again in a moment: `{command}`")
                }
                // To check an account that there is not yet is no mend.
                FaultKind::MalformedReply if said == own => {
                    format!("once more: `{command}`; the agent's log says more")
                }
                _ => format!("{said}; then `{command}`"),
            }
        });
        fault.hint(hint)
    }

    /// What was given and typed, less what is secret. Where a secret is read from is told if that is a name, and was not refused:
    /// a command may hold more than that, and a line that is pasted has no stdin.
    fn options(&self, kind: FaultKind) -> Vec<Given> {
        let is_told = |(option, value): &Given| {
            let place = value.split_once('=').map_or("", |(_, source)| source);
            let is_a_name = place.starts_with("env:") || place.starts_with("file:");
            *option != "--secret" || (kind != FaultKind::Refused && is_a_name)
        };
        let cloud = self.cloud().map(|cloud| ("--cloud", cloud.to_owned()));
        let method = self.method().map(|method| ("--method", method.to_owned()));
        let answers = self.answers().into_iter().filter(|(option, _)| *option != "--secret");
        let flags = self.flags().map(|flag| (flag, String::new()));
        cloud.into_iter().chain(method).chain(self.given().filter(is_told)).chain(answers).chain(flags).collect()
    }
}

/// `hint` with `options` behind the command that it names no more of than its beginning, if it does that.
fn completed(hint: &str, bare: &str, options: &[Given]) -> Option<String> {
    let (before, behind) = hint.split_once(bare)?;
    if !behind.starts_with(['`', ' ']) {
        return None;
    }
    let mut options = options.to_vec();
    let mut behind = behind.to_owned();
    if behind.starts_with(" --method ") {
        // Another way in asks for other things.
        options.retain(|(option, _)| ["--cloud", "--url"].contains(option));
    }
    if let Some(rest) = behind.strip_prefix(ANOTHER)
        && options.iter().any(|(option, value)| *option == "--url" && is_main(value))
    {
        behind = format!("`{rest}");
    }
    let blank = if options.is_empty() { "" } else { " " };
    Some(format!("{before}{bare}{blank}{}{behind}", spelled(&options)))
}

fn spelled(options: &[Given]) -> String {
    let words = options.iter().flat_map(|(option, value)| [(*option).to_owned(), value.clone()]);
    shell::command(words.filter(|word| !word.is_empty()))
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::{Login, Setting};

    use super::*;

    fn hint(kind: FaultKind, said: Option<&str>) -> String {
        let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
        let login = Login {
            origins: vec![setting("", "https://a.example")],
            settings: vec![setting("user", "me")],
            ..super::super::again("work")
        };
        let fault = Fault { hint: said.map(str::to_owned), ..Fault::new(kind, "no") };
        Talk::new(&login, &["key=env:KEY".to_owned()]).with_hint(fault).hint.unwrap_or_default()
    }

    #[test]
    fn what_the_agent_advises_stays_and_what_it_cannot_know_is_added() {
        let all = "cloud-token login work --url https://a.example --set user=me --secret key=env:KEY";
        let less = "cloud-token login work --url https://a.example --set user=me";
        for (kind, said, wanted) in [
            (FaultKind::Refused, Some("`cloud-token login work`"), format!("`{less}`")),
            (FaultKind::NeedsHuman, Some("`cloud-token login work --set x=VALUE`"), format!("`{all} --set x=VALUE`")),
            (FaultKind::Unreachable, None, format!("try again in a moment: `{all}`")),
            (FaultKind::MalformedReply, None, format!("once more: `{all}`; the agent's log says more")),
            (FaultKind::Config, Some("`date` shows it"), format!("`date` shows it; then `{all}`")),
            (
                FaultKind::Config,
                Some("right? `cloud-token login work --url URL` sets another"),
                format!("right? `{all}`"),
            ),
            (
                FaultKind::NeedsHuman,
                Some("paste one: `cloud-token login work --method pasted`"),
                "paste one: `cloud-token login work --url https://a.example --method pasted`".into(),
            ),
            // Another account's, which only begins like this one.
            (FaultKind::Busy, Some("`cloud-token login work-2`"), format!("`cloud-token login work-2`; then `{all}`")),
        ] {
            assert_eq!(hint(kind, said), wanted, "{kind:?} {said:?}");
        }
    }

    #[test]
    fn an_account_that_is_set_up_needs_no_more_than_its_name() {
        let talk = Talk::new(&super::super::again("work"), &["key=env:KEY".to_owned()]);
        let fault = Fault::new(FaultKind::Refused, "no").hint("`cloud-token login work`");
        assert_eq!(talk.with_hint(fault.clone()), fault);
    }
}
