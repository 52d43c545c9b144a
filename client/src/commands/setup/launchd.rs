//! launchd: the agent in the foreground, from the login on. launchd could make its socket, too, but only a call of its own
//! library hands that over; an agent that starts with the session needs none of that.

use std::path::Path;

use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::{Fault, FaultKind};

use super::{Plan, owned};
use crate::places::{agent_program, home};
use crate::report::{Failure, printable};

/// The property list as it is packaged, for an agent at [`PACKAGED`].
const AGENT: &str = include_str!("../../../../packaging/launchd/cloud-agent.plist");
const PACKAGED: &str = "/usr/local/bin/cloud-agent";

#[cold]
pub(super) fn plan(remove: bool) -> Result<Plan, Failure> {
    let path = home()?.join("Library/LaunchAgents/cloud-agent.plist");
    let text = if remove { None } else { Some(plist(&agent_program()?)?) };
    let edit = owned::edit(&path, text)?;
    let shown = printable(&quoted(path.display()));
    let notes = if remove {
        vec!["stop what runs of it: `launchctl bootout gui/$(id -u)/cloud-agent`".to_owned()]
    } else {
        vec![
            "an agent that runs already is ended by `cloud-token stop`".to_owned(),
            format!("then `launchctl bootstrap gui/$(id -u) {shown}`; from the next login on it starts by itself"),
        ]
    };
    Ok(Plan { edits: vec![edit], notes })
}

fn plist(program: &Path) -> Result<String, Fault> {
    let path = program.to_str().filter(|path| !path.contains(char::is_control));
    let path = path.ok_or_else(|| {
        let shown = printable(&program.display().to_string());
        Fault::new(FaultKind::Config, format!("a property list cannot name `{shown}`"))
            .hint("install it under a plain path")
    })?;
    let escaped = path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mark = format!("<!-- {} launchd`, which takes it away again. -->\n<plist", owned::MARK);
    Ok(AGENT.replace(PACKAGED, &escaped).replacen("<plist", &mark, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped_and_the_file_says_whose_it_is() {
        let text = plist(Path::new("/a&b/<x>")).unwrap();
        assert!(text.contains("<string>/a&amp;b/&lt;x&gt;</string>") && !text.contains(PACKAGED), "{text}");
        assert!(text.lines().take(5).any(|line| line.contains(owned::MARK)), "{text}");
        assert!(plist(Path::new("/a\nb")).is_err());
    }
}
