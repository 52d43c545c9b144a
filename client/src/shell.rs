//! Assignments for a shell, quoted by its own rules: what is printed is evaluated next.

use cloud_agent_protocol::{Credential, Fault, FaultKind, Header};
use zeroize::Zeroizing;

use crate::json;
use crate::output::{buffer, nothing, unprintable};

/// Whose rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Shell {
    /// POSIX sh, and with it bash, zsh, dash and ksh.
    #[default]
    Sh,
    /// fish.
    Fish,
    /// `PowerShell`, on every platform.
    Power,
    /// Nushell, which evaluates no text: it gets a record, for `from json | load-env`.
    Nu,
    /// cmd.exe.
    Cmd,
}

impl Shell {
    /// Every shell by name, in the order that help lists them.
    pub(crate) const ALL: [(&'static str, Self); 5] =
        [("sh", Self::Sh), ("fish", Self::Fish), ("powershell", Self::Power), ("nu", Self::Nu), ("cmd", Self::Cmd)];

    /// The shell of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, shell)| *shell)
    }
}

/// The variables of `credential`, as `shell` reads them.
///
/// # Errors
/// [`FaultKind::Unsupported`] if it has none, or one that this shell cannot be given; [`FaultKind::MalformedReply`] for what
/// is no variable.
#[cold]
pub(crate) fn assignments(credential: &Credential, shell: Shell) -> Result<Zeroizing<String>, Fault> {
    let variables = variables(credential)?;
    let size: usize = variables.iter().map(|v| v.name.len() + 6 * v.value.len() + 32).sum();
    let mut text = buffer(size);
    if shell == Shell::Nu {
        json::Writer::new(&mut text).object(|record| {
            for variable in variables {
                record.key(&variable.name).string(variable.value.expose());
            }
        });
        text.push('\n');
        return Ok(text);
    }
    for variable in variables {
        let (name, value) = (variable.name.as_str(), variable.value.expose());
        match shell {
            Shell::Sh | Shell::Nu => quote(&mut text, ["export ", name, "='"], value, "'\n", |c| match c {
                '\'' => Some(r"'\''"),
                _ => None,
            }),
            Shell::Fish => quote(&mut text, ["set -gx ", name, " '"], value, "'\n", |c| match c {
                '\'' => Some(r"\'"),
                '\\' => Some(r"\\"),
                _ => None,
            }),
            Shell::Power => {
                // `Invoke-Expression` at the end of a pipe gets line by line.
                if value.contains(['\n', '\r']) {
                    return Err(cannot(credential, name, "PowerShell"));
                }
                // Typographic quotes are quotes there, too.
                quote(&mut text, ["$env:", name, " = '"], value, "'\n", |c| match c {
                    '\'' => Some("''"),
                    '\u{2018}' => Some("\u{2018}\u{2018}"),
                    '\u{2019}' => Some("\u{2019}\u{2019}"),
                    '\u{201a}' => Some("\u{201a}\u{201a}"),
                    '\u{201b}' => Some("\u{201b}\u{201b}"),
                    _ => None,
                });
            }
            Shell::Cmd => {
                // Between quotes these are special all the same, and nothing takes that from them.
                if value.contains(['"', '%', '!', '\n', '\r']) {
                    return Err(cannot(credential, name, "cmd"));
                }
                quote(&mut text, ["set \"", name, "="], value, "\"\r\n", |_| None);
            }
        }
    }
    Ok(text)
}

/// The variables of `credential`, if they are all what a shell takes for one.
///
/// # Errors
/// As [`assignments`].
#[cold]
pub(crate) fn variables(credential: &Credential) -> Result<&[Header], Fault> {
    if credential.environment.is_empty() {
        return Err(nothing(credential, "names no environment variables")
            .hint(format!("`cloud-token {} -o headers`", credential.account)));
    }
    for variable in &credential.environment {
        // The name ends up before the `=` of an `eval`: it must be a name and nothing else.
        let mut bytes = variable.name.bytes();
        let plain = |b: u8| b.is_ascii_alphabetic() || b == b'_';
        let is_name = bytes.next().is_some_and(plain) && bytes.all(|b| plain(b) || b.is_ascii_digit());
        if !is_name || variable.value.expose().contains('\0') {
            return Err(unprintable(credential, "an environment variable"));
        }
    }
    Ok(&credential.environment)
}

#[cold]
fn quote(
    text: &mut String,
    before: [&str; 3],
    value: &str,
    after: &str,
    escape: impl Fn(char) -> Option<&'static str>,
) {
    for part in before {
        text.push_str(part);
    }
    for c in value.chars() {
        match escape(c) {
            Some(escaped) => text.push_str(escaped),
            None => text.push(c),
        }
    }
    text.push_str(after);
}

#[cold]
fn cannot(credential: &Credential, name: &str, shell: &str) -> Fault {
    Fault::new(FaultKind::Unsupported, format!("`{name}` of `{}` cannot be written for {shell}", credential.account))
        .because("it holds a character that no quoting there takes the meaning from")
        .hint(format!("`cloud-token exec {} -- PROGRAM` needs no quoting", credential.account))
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::ExpirySource;

    use super::*;

    fn credential(value: &str) -> Credential {
        Credential {
            account: "work".into(),
            cloud: "acme".into(),
            token: None,
            headers: Vec::new(),
            environment: vec![Header { name: "X".into(), value: value.into() }],
            expires_at: None,
            expiry_source: ExpirySource::Unknown,
        }
    }

    fn written(value: &str, shell: Shell) -> String {
        assignments(&credential(value), shell).unwrap_or_else(|fault| panic!("{fault}")).to_string()
    }

    #[test]
    fn every_shell_has_its_own_quotes() {
        for (shell, text) in [
            (Shell::Sh, "export X='it'\\''s \\ $y'\n"),
            (Shell::Fish, "set -gx X 'it\\'s \\\\ $y'\n"),
            (Shell::Power, "$env:X = 'it''s \\ $y'\n"),
            (Shell::Nu, "{\"X\":\"it's \\\\ $y\"}\n"),
            (Shell::Cmd, "set \"X=it's \\ $y\"\r\n"),
        ] {
            assert_eq!(written("it's \\ $y", shell), text);
        }
        assert_eq!(written("a\u{2019}b", Shell::Power), "$env:X = 'a\u{2019}\u{2019}b'\n");
    }

    #[test]
    fn what_a_shell_cannot_be_given_is_refused_and_not_mangled() {
        for (value, shell) in [
            ("a\"b", Shell::Cmd),
            ("%PATH%", Shell::Cmd),
            ("a!b", Shell::Cmd),
            ("a\nb", Shell::Cmd),
            ("a\nb", Shell::Power),
        ] {
            let fault = assignments(&credential(value), shell).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Unsupported);
            assert!(fault.hint.unwrap().contains("exec work"));
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused_for_every_shell() {
        for name in ["", "A B", "A;id", "1A", "A=B", "PÄTH", "A'"] {
            let odd =
                Credential { environment: vec![Header { name: name.into(), value: "x".into() }], ..credential("x") };
            for (_, shell) in Shell::ALL {
                assert!(assignments(&odd, shell).is_err(), "{name}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn sh_reads_back_what_was_written() {
        let hostile = "a'b\"c$d`e\\f\ng;h&i|j k\tü";
        let script = format!("{}printf %s \"$X\"", written(hostile, Shell::Sh));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), hostile);
    }
}
