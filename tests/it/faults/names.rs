//! A world in which names can be taken away from the agent: mounts of its own over the files that say how names resolve,
//! and a server of names that knows none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process;
use std::thread::{self, JoinHandle};

use cloud_agent_tests::sandbox::{AGENT, Run, Sandbox};
use cloud_agent_tests::skip;

use super::clouds::CLOUDS;
use super::table::Lookup;

/// Mounts each of the first three arguments over the file of that name, and becomes the rest.
const MOUNT: &str = r#"
for file in hosts resolv.conf nsswitch.conf; do mount --bind "$1" "/etc/$file" || exit; shift; done
exec "$@"
"#;

/// Before a name that resolves …
const LINE: &str = "127.0.0.1 ";

/// In a question for a name that is not answered, as it stands there: its length, and the label.
const SILENT: &[u8] = b"\x06silent";

/// Which names the agent finds, and so which it does not.
pub(super) struct Names {
    files: [PathBuf; 3],
    hosts: File,
    _dir: tempfile::TempDir,
    _server: Server,
}

impl Names {
    /// A world for the agents of any sandbox; none, and a word about it, where nobody may make one.
    pub(super) fn new(sandbox: &Sandbox) -> Option<Self> {
        let what = "a cloud whose name resolves no longer";
        skip::unless_tool(what, "unshare")?;
        let server = Server::start().map_err(|why| skip::skip(what, &format!("no names can be served: {why}"))).ok()?;
        let lines = all().map(|name| format!("{LINE}{name}\n")).collect::<Vec<_>>().concat();
        // Longer than any deadline of the agent's, which is to be the one that ends.
        let resolver = format!("nameserver {}\noptions timeout:30 attempts:1\n", server.address.ip());
        let texts = [("hosts", lines), ("resolv.conf", resolver), ("nsswitch.conf", "hosts: files dns\n".to_owned())];
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let files = texts.map(|(file, text)| {
            let path = dir.path().join(file);
            fs::write(&path, text).expect("a temporary file can be written");
            path
        });
        let hosts = File::options().write(true).open(&files[0]).expect("it was just written");
        let names = Self { files, hosts, _dir: dir, _server: server };
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

    /// Whether `name` resolves from now on. One byte tells, so no look-up sees half of a change.
    pub(super) fn set(&self, name: &str, resolves: bool) {
        let at = all().take_while(|other| other != name).map(|other| LINE.len() + other.len() + 1).sum::<usize>();
        let byte = if resolves { &LINE.as_bytes()[..1] } else { b"#" };
        self.hosts.write_all_at(byte, at as u64).expect("a temporary file can be written");
    }
}

/// The name of a cloud that can be taken away from it, of a kind that nobody else ever has (RFC 6761).
pub(super) fn name(cloud: &str, lookup: Lookup) -> String {
    match lookup {
        Lookup::Unknown => format!("{cloud}.unknown.invalid"),
        Lookup::Silent => format!("{cloud}.silent.invalid"),
    }
}

fn all() -> impl Iterator<Item = String> {
    let both = |cloud| [Lookup::Unknown, Lookup::Silent].map(|lookup| name(cloud, lookup));
    CLOUDS.iter().flat_map(move |cloud| both(cloud.name))
}

/// Says of every name that there is none (RFC 1035 §4.1), or nothing.
struct Server {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> std::io::Result<Self> {
        // The port is always this one, so each process of tests has an address of its own.
        let [.., high, low] = process::id().to_be_bytes();
        let socket = UdpSocket::bind(SocketAddr::from(([127, 53, high, low], 53)))?;
        let address = socket.local_addr()?;
        let thread = thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((count @ 12.., from)) = socket.recv_from(&mut packet) {
                let packet = &mut packet[..count];
                if packet.windows(SILENT.len()).all(|part| part != SILENT) {
                    // An answer; recursion is available; no such name. No records beyond the question.
                    (packet[2], packet[3]) = (packet[2] | 0x80, 0x83);
                    let end = 12 + question(&packet[12..]);
                    packet[6..12].fill(0);
                    let _ = socket.send_to(&packet[..end.min(count)], from);
                }
            }
        });
        Ok(Self { address, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Too short for a question: the thread ends.
        let wake = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"", self.address));
        if let Some(thread) = self.thread.take().filter(|_| wake.is_ok()) {
            let _ = thread.join();
        }
    }
}

/// The length of a question: labels up to the empty one, a type, a class.
fn question(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&length @ 1..) = bytes.get(at) {
        at += 1 + usize::from(length);
    }
    at + 5
}
