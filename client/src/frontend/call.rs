//! What every front end has in common: its arguments, its input, and the question to the agent.

use std::ffi::OsString;
use std::time::Duration;

use cloud_agent_protocol::v1::{GetFor, RejectFor, Request, Response};
use cloud_agent_protocol::{AccountName, Credential, Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use super::Consumer;
use crate::client::{Client, unexpected};
use crate::deadline::{parse_seconds, parse_timeout};
use crate::report::{self, Failure};
use crate::{moment, stdio, waiting};

/// How long a consumer waits, if nobody says: somebody looks at a prompt that does not come back.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The AWS tools take what lives less than 15 minutes for nearly over, and run the process twice.
const AWS_MIN_VALID: u32 = 900;

/// The most that a consumer sends: git alone allows 64 KiB a line.
pub(super) const MAX_INPUT: usize = 1024 * 1024;

/// A call as its arguments say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) consumer: Consumer,
    /// Only this account may answer.
    pub(super) account: Option<String>,
    pub(super) min_valid: Option<u32>,
    pub(super) timeout: Duration,
    /// How long to wait for a human besides, if one is needed.
    pub(super) wait: Option<Duration>,
    /// Never ask at the terminal.
    pub(super) no_input: bool,
    /// What is left: a verb, and what belongs to it.
    pub(super) words: Vec<String>,
}

impl Call {
    /// Reads the arguments. The account may be given as `--account NAME` or as the first of the words, because not every
    /// consumer lets its users give options.
    ///
    /// # Errors
    /// [`FaultKind::Usage`].
    #[cold]
    pub(super) fn parse(consumer: Consumer, args: Vec<OsString>) -> Result<Self, Failure> {
        let mut call = Self {
            consumer,
            account: None,
            min_valid: (consumer == Consumer::Aws).then_some(AWS_MIN_VALID),
            timeout: TIMEOUT,
            wait: None,
            no_input: false,
            words: Vec::new(),
        };
        let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (arg, None),
            };
            let mut value = || {
                let value = inline.clone().or_else(|| args.next());
                value.ok_or_else(|| Failure::usage(format!("`{name}` needs a value")))
            };
            let wrong = |why: String| Failure::from(Fault::new(FaultKind::Usage, why));
            match name.as_str() {
                "--account" => call.account = Some(value()?),
                "--min-valid" => call.min_valid = Some(parse_seconds(&value()?).map_err(wrong)?),
                "--timeout" => call.timeout = parse_timeout(&value()?).map_err(wrong)?,
                "--wait" => call.wait = Some(parse_timeout(&value()?).map_err(wrong)?),
                "--no-input" => call.no_input = true,
                // Cargo says what it speaks.
                "--cargo-plugin" if consumer == Consumer::Cargo => {}
                option if option.starts_with('-') => {
                    return Err(wrong(format!("`{}` is no option of a helper", option.escape_debug())));
                }
                _ => call.words.push(name),
            }
        }
        let verbs = match consumer {
            Consumer::Kubectl | Consumer::Aws | Consumer::Cargo => 0,
            Consumer::Terraform => 2,
            Consumer::Git | Consumer::Docker | Consumer::Bazel => 1,
        };
        if call.words.len() > verbs && call.account.is_none() {
            call.account = Some(call.words.remove(0));
        }
        if let Some(account) = &call.account {
            AccountName::parse(account)?;
        }
        Ok(call)
    }

    /// What the consumer wants done.
    pub(super) fn verb(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// All that the consumer sends.
    #[cold]
    pub(super) fn input(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        stdio::input(MAX_INPUT, self.timeout)
    }

    /// The same as text.
    #[cold]
    pub(super) fn text(&self) -> Result<Zeroizing<String>, Failure> {
        let bytes = self.input()?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage("what stdin holds is not text (UTF-8)"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The credential for `url`, of the account that answers for it.
    ///
    /// # Errors
    /// `UnknownAccount` if it is nobody's.
    #[cold]
    pub(super) fn ask(&self, url: &str) -> Result<Credential, Failure> {
        self.question(GetFor { url: url.to_owned(), ..self.blank() })
    }

    /// The credential that `wish` describes, once a human has done what it takes if they are waited for.
    #[cold]
    pub(super) fn question(&self, wish: GetFor) -> Result<Credential, Failure> {
        match self.question_at_once(wish.clone()) {
            Err(failure) if waiting::may_help(&failure) => {
                // A locked agent does not tell whose the address is, and nobody is named.
                let account = failure.account().or(wish.account.as_deref()).unwrap_or_default().to_owned();
                waiting::for_human(&account, failure, self.wait, self.timeout)?;
                self.question_at_once(wish)
            }
            other => other,
        }
    }

    /// The same, whether or not somebody is waited for.
    #[cold]
    pub(super) fn question_at_once(&self, wish: GetFor) -> Result<Credential, Failure> {
        let client = Client::new(self.timeout)?;
        let request = Request::GetFor(GetFor { deadline_ms: client.deadline.for_agent(), ..wish });
        match client.ask(&request)? {
            Response::Credential(credential) => Ok(credential),
            other => Err(unexpected(&other)),
        }
    }

    /// A question about nothing, as this call would put it.
    #[cold]
    pub(super) fn blank(&self) -> GetFor {
        GetFor {
            url: String::new(),
            account: self.account.clone(),
            consumer: self.consumer.word().to_owned(),
            min_valid: self.min_valid,
            repeat_rejects: false,
            environment: false,
            deadline_ms: 0,
        }
    }

    /// Whether an account answers for `url`, without a question to its cloud: nobody has an empty token, so its rejection changes
    /// nothing.
    #[cold]
    pub(super) fn is_served(&self, url: &str) -> Result<bool, Failure> {
        match self.reject(url, Secret::new(String::new())) {
            Err(failure) if is_nobodys(&failure) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Tells the agent that what is at `url` refused `token`.
    #[cold]
    pub(super) fn reject(&self, url: &str, token: Secret) -> Result<(), Failure> {
        let client = Client::new(self.timeout)?.without_autostart();
        let request = RejectFor { url: url.to_owned(), account: self.account.clone(), token };
        client.ask(&Request::RejectFor(request)).map(drop)
    }
}

/// Tells the human, where the consumer would not.
pub(super) fn say(failure: &Failure) {
    stdio::stderr(&report::line_of(failure, moment::now()));
}

/// Whether no account answers for the address.
pub(super) fn is_nobodys(failure: &Failure) -> bool {
    failure.fault.kind == FaultKind::UnknownAccount
}

/// Whether an account does, and cannot: everybody else would only ask for what nobody has.
pub(super) fn is_ours(failure: &Failure) -> bool {
    // Of nobody in particular the human is needed where several accounts answer, or where the agent is locked.
    failure.is_of_an_account() || (failure.fault.kind == FaultKind::NeedsHuman && !failure.is_of_no_agent())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(consumer: Consumer, line: &str) -> Result<Call, Failure> {
        Call::parse(consumer, line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn the_account_is_an_option_or_the_first_word_before_the_verb() {
        for (consumer, line, account, words) in [
            (Consumer::Git, "get", None, vec!["get"]),
            (Consumer::Git, "work get", Some("work"), vec!["get"]),
            (Consumer::Git, "--account work get", Some("work"), vec!["get"]),
            (Consumer::Git, "get --account=work", Some("work"), vec!["get"]),
            (Consumer::Kubectl, "", None, vec![]),
            (Consumer::Kubectl, "work", Some("work"), vec![]),
            (Consumer::Terraform, "get a.example", None, vec!["get", "a.example"]),
            (Consumer::Terraform, "work get a.example", Some("work"), vec!["get", "a.example"]),
            (Consumer::Cargo, "--cargo-plugin", None, vec![]),
            (Consumer::Aws, "work --min-valid 5m", Some("work"), vec![]),
        ] {
            let call = parsed(consumer, line).unwrap();
            assert_eq!(
                (call.account.as_deref(), call.words),
                (account, words.iter().map(ToString::to_string).collect())
            );
        }
    }

    #[test]
    fn a_consumer_waits_ten_seconds_and_aws_wants_a_quarter_of_an_hour() {
        let git = parsed(Consumer::Git, "get").unwrap();
        assert_eq!((git.timeout, git.min_valid), (Duration::from_secs(10), None));
        assert_eq!(parsed(Consumer::Aws, "work").unwrap().min_valid, Some(900));
        assert_eq!(parsed(Consumer::Aws, "work --min-valid 60 --timeout 1s").unwrap().min_valid, Some(60));
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in ["--bogus", "--account", "--timeout 0", "--min-valid soon", "../x get", "--cargo-plugin"] {
            assert_eq!(parsed(Consumer::Git, line).unwrap_err().code(), 2, "{line}");
        }
    }
}
