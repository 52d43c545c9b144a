//! Where `--secret` reads a secret from. Never from the command line itself: `ps` shows that to everybody.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use cloud_agent_protocol::{Fault, FaultKind, Secret};
use zeroize::Zeroizing;

use crate::deadline::Deadline;
use crate::report::Failure;
use crate::stdio::{self, MAX_INPUT};

/// One place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An environment variable.
    Env(String),
    /// A file, without its last line end.
    File(String),
    /// Stdin, without its last line end.
    Stdin,
    /// What a command of the shell prints, without its last line end.
    Command(String),
}

impl Source {
    /// Reads `NAME=SOURCE`.
    ///
    /// # Errors
    /// [`FaultKind::Usage`]. It does not repeat what was given, which may be the secret itself.
    pub(crate) fn parse(given: &str) -> Result<(String, Self), Failure> {
        let Some((name, source)) = given.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(wrong("`--secret` takes `NAME=SOURCE`", None));
        };
        let source =
            Self::parse_place(source).ok_or_else(|| wrong("`--secret` does not take the secret itself", Some(name)))?;
        Ok((name.to_owned(), source))
    }

    /// Reads `SOURCE`; `None` if it is none.
    pub(crate) fn parse_place(source: &str) -> Option<Self> {
        Some(match source.split_once(':') {
            _ if source == "stdin" => Self::Stdin,
            Some(("env", variable)) if !variable.is_empty() => Self::Env(variable.to_owned()),
            Some(("file", path)) if !path.is_empty() => Self::File(path.to_owned()),
            Some(("cmd", command)) if !command.is_empty() => Self::Command(command.to_owned()),
            _ => return None,
        })
    }

    /// Reads the secret called `name`.
    pub(crate) fn read(&self, name: &str, deadline: &Deadline) -> Result<Secret, Failure> {
        let failed = |why: String| {
            Failure::from(Fault::new(FaultKind::Usage, format!("cannot read the secret `{name}`")).because(why))
        };
        let secret = match self {
            Self::Stdin => stdio::stdin(deadline)?,
            Self::Env(variable) => match std::env::var(variable) {
                Ok(value) => Secret::new(value),
                Err(std::env::VarError::NotPresent) => {
                    // Most often the shell knows it, and this program was not given it.
                    return Err(failed(format!("`${variable}` is not set")).hint(format!(
                        "`export {variable}` if only the shell has it; `file:PATH`, `stdin` and `cmd:COMMAND` are read as well"
                    )));
                }
                Err(_) => return Err(failed(format!("`${variable}` is not text (UTF-8)"))),
            },
            Self::File(path) => {
                let file = File::open(path).map_err(|e| failed(format!("`{path}`: {e}")))?;
                all_of(file).map_err(|why| failed(format!("`{path}` {why}")))?
            }
            Self::Command(command) => output_of(command).map_err(failed)?,
        };
        if secret.is_empty() { Err(failed("it is empty".to_owned())) } else { Ok(secret) }
    }
}

fn wrong(message: &str, name: Option<&str>) -> Failure {
    let name = name.unwrap_or("NAME");
    Fault::new(FaultKind::Usage, message)
        .because("a secret in the arguments is shown to everybody by `ps`, and kept in the shell's history")
        .hint(format!(
            "`--secret {name}=SOURCE`, where SOURCE is `env:VARIABLE`, `file:PATH`, `stdin` or `cmd:COMMAND`; \
             or leave it out and be asked"
        ))
        .into()
}

/// Everything in `from`, without its last line end.
fn all_of(from: impl Read) -> Result<Secret, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_INPUT + 64));
    from.take(MAX_INPUT as u64 + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() > MAX_INPUT {
        return Err(format!("holds more than {MAX_INPUT} bytes"));
    }
    stdio::one_secret(&bytes).map_err(str::to_owned)
}

/// What `command` prints. It keeps our stdin and stderr, so that it can ask for a passphrase.
fn output_of(command: &str) -> Result<Secret, String> {
    let (program, mut shell) = shell(command);
    let mut child = shell.stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot run `{program}`: {e}"))?;
    let read = child.stdout.take().map_or_else(|| Err("has no output".to_owned()), all_of);
    let status = child.wait().map_err(|e| format!("the command: {e}"))?;
    if !status.success() {
        return Err(format!("the command failed: {status}"));
    }
    read.map_err(|why| format!("the command's output {why}"))
}

#[cfg(unix)]
fn shell(command: &str) -> (&'static str, Command) {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    ("sh", shell)
}

#[cfg(windows)]
fn shell(command: &str) -> (&'static str, Command) {
    use std::os::windows::process::CommandExt as _;

    let mut shell = Command::new("cmd");
    // As it is: `cmd` has rules of its own for quotes. With `/s` it takes off the outer ones and nothing else. In one piece,
    // because a space between two pieces would end up in the secret.
    shell.raw_arg(format!("/d /s /c \"{command}\""));
    ("cmd", shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &str) -> Result<String, Failure> {
        let (name, source) = Source::parse(given)?;
        source.read(&name, &Deadline::after(crate::deadline::DEFAULT_TIMEOUT)).map(|s| s.expose().to_owned())
    }

    #[test]
    fn sources_are_told_apart_by_their_prefix() {
        for (given, source) in [
            ("password=env:PW", Source::Env("PW".into())),
            ("password=file:/a:b", Source::File("/a:b".into())),
            ("password=stdin", Source::Stdin),
            ("password=cmd:pass show x=y", Source::Command("pass show x=y".into())),
        ] {
            assert_eq!(Source::parse(given).unwrap(), ("password".to_owned(), source));
        }
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_with_the_reason_and_not_repeated() {
        for given in ["password=hunter2", "password=", "hunter2", "=hunter2", "password=env:", "password=hunter2:x"] {
            let failure = Source::parse(given).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
            assert!(failure.fault.causes[0].contains("ps"));
        }
    }

    #[test]
    fn files_and_commands_lose_one_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        assert_eq!(read(&format!("p=file:{}", file.path().display())).unwrap(), "hunter2");
        // `cmd` has no way to end a second line and nothing else.
        let (command, secret) = if cfg!(windows) { ("echo a", "a") } else { ("printf 'a\\n\\n'", "a\n") };
        assert_eq!(read(&format!("p=cmd:{command}")).unwrap(), secret);
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_read_says_why() {
        for (given, why) in [
            ("p=env:CLOUD_TOKEN_TEST_UNSET", "not set"),
            ("p=file:/nonexistent/x", "No such file"),
            ("p=cmd:exit 3", "failed"),
            ("p=cmd:true", "empty"),
            ("p=file:/dev/zero", "more than"),
        ] {
            let failure = read(given).unwrap_err();
            assert!(failure.fault.to_string().contains(why), "{given}: {}", failure.fault);
        }
    }
}
