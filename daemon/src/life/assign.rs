//! The assignment that `eval` takes from `cloud-agent --fork`. What a path holds must stay a path there.

use std::path::Path;

use cloud_agent_protocol::endpoint::ENV_SOCKET;
use cloud_agent_protocol::{Fault, FaultKind};

/// Whose rules of quoting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    /// POSIX sh and its kin.
    Sh,
    /// csh and tcsh.
    Csh,
    /// fish.
    Fish,
}

/// One line that has `shell` export where the agent listens.
///
/// # Errors
/// `Config` if the path holds what no shell can be trusted to leave alone: a control character, or what is no UTF-8.
pub(super) fn assignment(shell: Shell, socket: &Path) -> Result<String, Fault> {
    let path = socket.to_str().filter(|path| !path.contains(char::is_control)).ok_or_else(|| {
        let shown = socket.display().to_string().escape_debug().to_string();
        Fault::new(FaultKind::Config, format!("the socket path `{shown}` cannot be given to a shell"))
            .hint(format!("set {ENV_SOCKET} to a path of plain characters"))
    })?;
    Ok(match shell {
        Shell::Sh => format!("{ENV_SOCKET}='{}'; export {ENV_SOCKET};\n", path.replace('\'', r"'\''")),
        // History is looked for even between single quotes.
        Shell::Csh => {
            format!("setenv {ENV_SOCKET} '{}';\n", path.replace('\'', r"'\''").replace('!', r"\!"))
        }
        Shell::Fish => {
            format!("set -gx {ENV_SOCKET} '{}';\n", path.replace('\\', r"\\").replace('\'', r"\'"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(shell: Shell, path: &str) -> String {
        assignment(shell, Path::new(path)).unwrap()
    }

    #[test]
    fn a_path_stays_a_path_in_every_shell() {
        assert_eq!(line(Shell::Sh, "/run/a"), "CLOUD_AGENT_SOCK='/run/a'; export CLOUD_AGENT_SOCK;\n");
        assert_eq!(line(Shell::Sh, "/a'; b #"), "CLOUD_AGENT_SOCK='/a'\\''; b #'; export CLOUD_AGENT_SOCK;\n");
        assert_eq!(line(Shell::Csh, "/a'b!c"), "setenv CLOUD_AGENT_SOCK '/a'\\''b\\!c';\n");
        assert_eq!(line(Shell::Fish, r"/a'b\c"), "set -gx CLOUD_AGENT_SOCK '/a\\'b\\\\c';\n");
    }

    #[test]
    fn what_no_quoting_can_hold_is_refused() {
        for path in ["/a\nb", "/a\rb", "/a\u{1b}[31m", "/a\u{85}b"] {
            for shell in [Shell::Sh, Shell::Csh, Shell::Fish] {
                let fault = assignment(shell, Path::new(path)).unwrap_err();
                assert!(fault.kind == FaultKind::Config && !fault.to_string().contains(char::is_control), "{fault}");
            }
        }
    }
}
