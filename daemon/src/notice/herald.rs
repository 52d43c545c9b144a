//! The two ways in which a human is told, and which of them it is.

use std::ffi::OsString;
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

use super::{Herald, Notice};
use crate::provider::Boxed;
use crate::vault::program;

/// How long a process is given to tell: long for a command that sends a message somewhere, and not for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a human is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Way {
    /// On the desktop, by its own means, if there is one.
    #[default]
    Desktop,
    /// By this command, which a shell runs.
    Command(String),
    /// Not at all.
    None,
}

impl Way {
    /// As the user writes it: a command, `desktop` or `none`; `None` for nothing at all.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "" => None,
            "desktop" => Some(Self::Desktop),
            "none" => Some(Self::None),
            command => Some(Self::Command(command.to_owned())),
        }
    }
}

/// Tells by other processes.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// What the agent's command line says, which wins.
    given: Option<Way>,
    /// Whether there may be a desktop.
    session: bool,
}

impl Ways {
    /// As `given`, else as is said for each notice. Without a `session`, nothing is put on a desktop.
    pub(crate) fn new(given: Option<Way>, session: bool) -> Self {
        Self { given, session }
    }
}

impl Herald for Ways {
    fn tell(&self, notice: Notice, way: Option<Way>) -> Boxed<'_, ()> {
        let way = self.given.clone().or(way).unwrap_or_default();
        Box::pin(async move {
            let environment = notice.environment();
            let environment: Vec<(&str, &str)> =
                environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let failed = |why: String| {
                let how = if way == Way::Desktop { "on a desktop" } else { "by the command of `notify`" };
                Fault::new(FaultKind::Config, format!("nobody could be told {how}")).because(why)
            };
            let program = match &way {
                Way::None => return Ok(()),
                Way::Command(command) => shell(command),
                Way::Desktop if !self.session => return Err(failed("there is no session of D-Bus".to_owned())),
                Way::Desktop => vec![program::ourselves(), "notify".into()],
            };
            match program::run_with(&program, &environment, b"", PATIENCE).await {
                Ok(ended) if ended.code == Some(0) => Ok(()),
                Ok(ended) if ended.complaint.is_empty() => Err(failed(match ended.code {
                    Some(code) => format!("it ended with exit code {code}"),
                    None => "a signal ended it".to_owned(),
                })),
                Ok(ended) => Err(failed(ended.complaint)),
                Err(why) => Err(failed(why)),
            }
        })
    }
}

/// What has a shell run `command`. Nothing that a cloud or a caller says is part of it: that is in the environment.
fn shell(command: &str) -> Vec<OsString> {
    let shell: &[&str] = if cfg!(windows) { &["cmd", "/d", "/s", "/c"] } else { &["/bin/sh", "-c"] };
    shell.iter().copied().chain([command]).map(OsString::from).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::Reason;
    use super::*;

    fn notice() -> Notice {
        Notice {
            account: Some("work".into()),
            cloud: Some("acme".into()),
            reason: Reason::Code,
            command: "cloud-token login work".into(),
        }
    }

    #[tokio::test]
    async fn a_command_is_told_by_its_environment_and_the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let told = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        let write = |name: &str| Way::parse(&format!("env >'{}'", dir.path().join(name).display()));
        Ways::new(None, true).tell(notice(), write("file")).await.unwrap();
        Ways::new(write("line"), true).tell(notice(), write("neither")).await.unwrap();
        Ways::new(Some(Way::None), true).tell(notice(), write("neither")).await.unwrap();
        for name in ["file", "line"] {
            for line in [
                "CLOUD_AGENT_NOTICE_ACCOUNT=work",
                "CLOUD_AGENT_NOTICE_CLOUD=acme",
                "CLOUD_AGENT_NOTICE_REASON=code",
                "CLOUD_AGENT_NOTICE_COMMAND=cloud-token login work",
                "CLOUD_AGENT_NOTICE_TITLE=work needs a code",
            ] {
                assert!(told(name).lines().any(|told| told == line), "{name}: {line}");
            }
        }
        assert_eq!(told("neither"), "");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_a_fault_with_its_own_words() {
        for (script, why) in [("echo no such host >&2; exit 3", "no such host"), ("exit 3", "exit code 3")] {
            let fault = Ways::new(Way::parse(script), true).tell(notice(), None).await.unwrap_err();
            assert!(fault.message.contains("could be told") && fault.causes[0].contains(why), "{fault:?}");
        }
    }

    #[test]
    fn nothing_is_no_way_and_two_words_are_ways_of_their_own() {
        for (text, way) in [
            ("", None),
            (" ", None),
            ("none", Some(Way::None)),
            ("desktop", Some(Way::Desktop)),
            ("ntfy send", Some(Way::Command("ntfy send".into()))),
        ] {
            assert_eq!(Way::parse(text), way, "{text}");
        }
    }
}
