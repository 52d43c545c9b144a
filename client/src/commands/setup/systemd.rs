//! systemd: a socket of the user's manager, whose first caller starts the agent.

use std::env;
use std::path::Path;

use cloud_agent_protocol::endpoint::ENV_SOCKET;
use cloud_agent_protocol::{Fault, FaultKind};

use super::{Plan, owned};
use crate::places::{agent_program, user_units};
use crate::report::{Failure, printable};

/// The units as they are packaged, for an agent at [`PACKAGED`].
const SOCKET: &str = include_str!("../../../../packaging/systemd/cloud-agent.socket");
const SERVICE: &str = include_str!("../../../../packaging/systemd/cloud-agent.service");
const PACKAGED: &str = "/usr/bin/cloud-agent";

/// What the user's manager does not know of this shell, and an agent that it starts would not either.
const OWN_PLACES: [&str; 3] = [ENV_SOCKET, "CLOUD_AGENT_CONFIG", "CLOUD_AGENT_STATE"];

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let units = user_units()?;
    let text = |unit: &str| -> Result<Option<String>, Failure> {
        if remove {
            return Ok(None);
        }
        let head = format!("# {} systemd`, which takes it away again with `--remove`.\n", owned::MARK);
        Ok(Some(head + &unit.replace(PACKAGED, &quoted(&agent_program()?)?)))
    };
    let edits = vec![
        owned::edit(&units.join("cloud-agent.socket"), text(SOCKET)?)?,
        owned::edit(&units.join("cloud-agent.service"), text(SERVICE)?)?,
    ];
    let mut notes = Vec::new();
    if remove {
        notes.push("stop what runs of it: `systemctl --user stop cloud-agent.socket cloud-agent.service`".to_owned());
        notes.push("then `systemctl --user daemon-reload`".to_owned());
    } else {
        notes.push("an agent that runs already is ended by `cloud-token stop`".to_owned());
        notes.push(
            "then `systemctl --user daemon-reload && systemctl --user enable --now cloud-agent.socket`".to_owned(),
        );
        let set = |name: &&&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        for name in OWN_PLACES.iter().filter(set) {
            notes.push(format!(
                "`{name}` is set here, and systemd does not know it: `systemctl --user edit cloud-agent`"
            ));
        }
    }
    Ok(Plan { edits, notes })
}

/// A path as `ExecStart=` takes the program (systemd.service(5), "Command lines"): no variables are looked for in it, and no
/// quoting is, but around it as a whole.
fn quoted(program: &Path) -> Result<String, Fault> {
    let unsafe_in_units = |c: char| c.is_control() || ['"', '\'', '\\'].contains(&c);
    let path = program.to_str().filter(|path| !path.contains(unsafe_in_units));
    let path = path.ok_or_else(|| {
        let shown = printable(&program.display().to_string());
        Fault::new(FaultKind::Config, format!("systemd cannot run `{shown}`")).hint("install it under a plain path")
    })?;
    Ok(format!("\"{}\"", path.replace('%', "%%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_as_a_unit_takes_it() {
        assert_eq!(quoted(Path::new("/my $b%in/a")).unwrap(), r#""/my $b%%in/a""#);
        for path in ["/a\nExecStartPre=/bin/x", "/a\"b", "/a'b", "/a\\b"] {
            assert!(quoted(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn the_packaged_unit_names_the_program_once() {
        let command = format!("ExecStart={PACKAGED}\n");
        assert_eq!((SERVICE.matches(PACKAGED).count(), SERVICE.matches(&command).count()), (1, 1));
    }
}
