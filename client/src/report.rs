//! A failure in words and as an exit code. Both are an interface: scripts branch on the one, people read the other.

use std::fmt::Write;
use std::process::ExitCode;

use cloud_agent_protocol::v1::UNLOCK;
use cloud_agent_protocol::{Fault, FaultKind};

use crate::moment;

/// Why the program ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What happened.
    pub(crate) fault: Fault,
    /// Whose credential was not to be had, if it was asked for by an address.
    account: Option<String>,
    /// There is no agent that could be asked, or none that can be trusted, whatever kind the fault is.
    no_agent: bool,
    /// The human knows already: nothing more is said.
    told: bool,
    /// The reader is a program that shows it, perhaps several times over: one line has to do.
    brief: bool,
}

impl Failure {
    /// No agent to ask.
    pub(crate) fn no_agent(fault: Fault) -> Self {
        Self { no_agent: true, ..fault.into() }
    }

    /// What was asked for is bad news, and the news is out.
    pub(crate) fn told(fault: Fault) -> Self {
        Self { told: true, ..fault.into() }
    }

    /// The same, and the human knows already.
    pub(crate) fn and_told(self) -> Self {
        Self { told: true, ..self }
    }

    /// The account that answers for an address, and why it cannot.
    pub(crate) fn of(account: String, fault: Fault) -> Self {
        Self { account: Some(account), ..fault.into() }
    }

    /// The same of whom, for another reason by now.
    pub(crate) fn turned_into(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// Whose credential was not to be had, if that is known.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether it is known whose credential was asked for, and only that is not to be had.
    pub(crate) fn is_of_an_account(&self) -> bool {
        self.account.is_some()
    }

    /// What happened, and to which account.
    pub(crate) fn message(&self) -> String {
        let message = &self.fault.message;
        match &self.account {
            Some(account) if !message.contains(&format!("`{account}`")) => {
                format!("`{account}` has no token: {message}")
            }
            _ => message.clone(),
        }
    }

    /// When the cloud is asked again, if that is known.
    pub(crate) fn next_try(&self, now: i64) -> Option<String> {
        let at = self.fault.retry_at?;
        Some(format!("next try: {} ({})", moment::rfc3339(at), moment::relative(at, now)))
    }

    /// The same, told in one line.
    pub(crate) fn in_one_line(self) -> Self {
        Self { brief: true, ..self }
    }

    /// Whether there is no agent that could be asked, or none that can be trusted.
    pub(crate) fn is_of_no_agent(&self) -> bool {
        self.no_agent
    }

    /// Whether an unlock mends it: of the agent, or of its vault.
    pub(crate) fn is_of_a_lock(&self) -> bool {
        self.fault.kind == FaultKind::NeedsHuman && self.fault.hint.as_deref() == Some(UNLOCK)
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Fault::new(FaultKind::Usage, message).into()
    }

    /// The same with that to type.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.fault.hint = Some(hint.into());
        self
    }

    /// What a shell sees.
    pub(crate) fn code(&self) -> u8 {
        match self.fault.kind {
            _ if self.no_agent => 3,
            FaultKind::Usage => 2,
            FaultKind::NeedsHuman => 4,
            FaultKind::Unreachable | FaultKind::Busy => 5,
            FaultKind::UnknownAccount | FaultKind::UnknownCloud => 6,
            _ => 1,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, account: None, no_agent: false, told: false, brief: false }
    }
}

/// Tells `failure` on stderr and as an exit code.
#[cold]
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    if failure.told {
        return ExitCode::from(failure.code());
    }
    // One write, so that fifty clients that fail at once do not interleave their lines.
    let now = moment::now();
    let text = if failure.brief { line_of(failure, now) } else { words(failure, now) };
    crate::stdio::stderr(&text);
    ExitCode::from(failure.code())
}

/// Tells the human something on stderr, without failing.
#[cold]
pub(crate) fn note(text: &str) {
    crate::stdio::stderr(&format!("{}\n", printable(text)));
}

/// `text` with control characters replaced: what a cloud or a file says must not steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    // Also the marks that reorder text: a hostile hint must not read as another command than it is.
    let hostile = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if hostile(c) { '\u{fffd}' } else { c }).collect()
}

/// `failure` in one line, for where a consumer shows what its helper says.
#[cold]
pub(crate) fn line_of(failure: &Failure, now: i64) -> String {
    let causes = failure.fault.causes.iter().map(|cause| format!(": {cause}"));
    let next = failure.next_try(now).map(|next| format!("; {next}"));
    let hint = failure.fault.hint.as_ref().map(|hint| format!(" ({hint})"));
    let behind: String = causes.chain(next).chain(hint).collect();
    format!("cloud-token: {}\n", printable(&format!("{}{behind}", failure.message())))
}

fn words(failure: &Failure, now: i64) -> String {
    let fault = &failure.fault;
    let mut text = format!("error: {}\n", printable(&fault.message));
    for cause in &fault.causes {
        line(&mut text, "caused by", cause);
    }
    if let Some(next) = failure.next_try(now) {
        writeln!(text, "{next}").expect("a string takes every write");
    }
    let otherwise = if failure.no_agent { "`cloud-agent` in a terminal says why" } else { fault.kind.mend() };
    line(&mut text, "hint", fault.hint.as_deref().unwrap_or(otherwise));
    text
}

fn line(text: &mut String, label: &str, value: &str) {
    writeln!(text, "{label}: {}", printable(value)).expect("a string takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_exit_code_that_scripts_rely_on() {
        for (kind, code) in [
            (FaultKind::Refused, 1),
            (FaultKind::Config, 1),
            (FaultKind::MalformedReply, 1),
            (FaultKind::Version, 1),
            (FaultKind::Unsupported, 1),
            (FaultKind::Internal, 1),
            (FaultKind::Other(77), 1),
            (FaultKind::Usage, 2),
            (FaultKind::NeedsHuman, 4),
            (FaultKind::Unreachable, 5),
            (FaultKind::Busy, 5),
            (FaultKind::UnknownAccount, 6),
            (FaultKind::UnknownCloud, 6),
        ] {
            assert_eq!(Failure::from(Fault::new(kind, "")).code(), code, "{kind:?}");
            assert_eq!(Failure::no_agent(Fault::new(kind, "")).code(), 3);
        }
    }

    #[test]
    fn a_fault_reads_as_error_causes_next_try_and_hint() {
        let fault = Fault::new(FaultKind::Unreachable, "`work` did not answer")
            .because("connection refused")
            .because("port 443")
            .hint("try later")
            .retry_at(1_795_319_040);
        assert_eq!(
            words(&fault.into(), 1_795_319_030),
            "error: `work` did not answer\n\
             caused by: connection refused\n\
             caused by: port 443\n\
             next try: 2026-11-22T03:44:00Z (in 10 s)\n\
             hint: try later\n"
        );
    }

    #[test]
    fn a_fault_that_names_nothing_to_type_is_given_what_its_kind_has() {
        let text = words(&Fault::new(FaultKind::Config, "it is wrong").into(), 0);
        assert_eq!(text, "error: it is wrong\nhint: `cloud-token status` names what cannot be used\n");
        let text = words(&Failure::no_agent(Fault::new(FaultKind::Config, "it is wrong")), 0);
        assert!(text.ends_with("hint: `cloud-agent` in a terminal says why\n"), "{text}");
    }

    #[test]
    fn a_fault_in_one_line_is_one_line_with_its_hint() {
        let fault =
            Fault::new(FaultKind::NeedsHuman, "`work` is not\nlogged in").because("x").hint("`cloud-token login work`");
        let text = line_of(&fault.into(), 0);
        assert_eq!(text, "cloud-token: `work` is not\u{fffd}logged in: x (`cloud-token login work`)\n");
        let away = Fault::new(FaultKind::Unreachable, "127.0.0.1:1 refuses connections").retry_at(1_795_319_040);
        assert_eq!(
            line_of(&Failure::of("work".to_owned(), away), 1_795_319_037),
            "cloud-token: `work` has no token: 127.0.0.1:1 refuses connections; next try: 2026-11-22T03:44:00Z (in 3 s)\n"
        );
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let fault = Fault::new(FaultKind::Other(9), "a\x1b[2Jb\nc").because("\x07").hint("\u{9b}x\u{202e}");
        let text = words(&fault.into(), 0);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{202e}'));
    }
}
