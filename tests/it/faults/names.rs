//! A world in which names can be taken away from the agent: mounts of its own over the files that say how names resolve.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use cloud_agent_tests::sandbox::{AGENT, Run, Sandbox};
use cloud_agent_tests::skip;

use super::clouds::CLOUDS;

/// Mounts each of the first three arguments over the file of that name, and becomes the rest.
const MOUNT: &str = r#"
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$1" "/etc/$file" || exit; shift; done
exec "$@"
"#;

/// Before a name that resolves …
const LINE: &str = "127.0.0.1 ";

/// Which names the agent finds, and so which it does not.
pub(super) struct Names {
    files: [PathBuf; 3],
    hosts: File,
}

impl Names {
    /// A world for an agent in `sandbox`; none, and a word about it, where nobody may mount.
    pub(super) fn new(sandbox: &Sandbox) -> Option<Self> {
        let lines =
            CLOUDS.iter().map(|cloud| format!("{LINE}{}", name(cloud.name))).collect::<Vec<_>>().join("\n") + "\n";
        // Nobody serves names there, so whatever is in no file fails at once, and nothing is asked beyond this machine.
        let nameserver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n".to_owned();
        let texts = [("hosts", lines), ("resolv.conf", nameserver), ("nsswitch.conf", "hosts: files dns\n".to_owned())];
        let files = texts.map(|(file, text)| {
            let path = sandbox.path("home").join(file);
            fs::write(&path, text).expect("the sandbox can be written");
            path
        });
        let hosts = File::options().write(true).open(&files[0]).expect("it was just written");
        let names = Self { files, hosts };
        let what = "a cloud whose name resolves no longer";
        skip::unless_tool(what, "unshare")?;
        let outcome = names.wrap(sandbox, "true").finish();
        if !outcome.status.success() {
            skip::skip(what, &format!("nothing can be mounted here: {}", outcome.stderr.trim()));
            return None;
        }
        Some(names)
    }

    /// An agent in this world, about to run.
    pub(super) fn agent<'a>(&self, sandbox: &'a Sandbox) -> Run<'a> {
        self.wrap(sandbox, sandbox.program(AGENT))
    }

    fn wrap<'a>(&self, sandbox: &'a Sandbox, program: impl Into<OsString>) -> Run<'a> {
        let run = sandbox.command("unshare").args(["--mount", "--", "sh", "-c", MOUNT, "sh"]);
        run.args(&self.files).arg(program)
    }

    /// Whether the name of `cloud` resolves from now on. One byte tells, so no look-up sees half of a change.
    pub(super) fn set(&self, cloud: &str, resolves: bool) {
        let before = CLOUDS.iter().take_while(|row| row.name != cloud);
        let at = before.map(|row| LINE.len() + name(row.name).len() + 1).sum::<usize>();
        let byte = if resolves { &LINE.as_bytes()[..1] } else { b"#" };
        self.hosts.write_all_at(byte, at as u64).expect("the sandbox can be written");
    }
}

/// The name of a cloud that can be taken away from it, of a kind that nobody else ever has (RFC 6761).
pub(super) fn name(cloud: &str) -> String {
    format!("{cloud}.cloud.invalid")
}
