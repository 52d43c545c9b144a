//! Whoever wants to be taken for another process.

use std::fs;

use cloud_agent_tests::sandbox::{AGENT, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::Value;

use super::Scene;

/// Has a child connect, pass its connection on and end; gives its id to `sleep`; and asks on the connection. Prints the id, and
/// the kind of the answer.
const SCRIPT: &str = r"
import os, socket, subprocess, sys, time
path, status, get = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
def answer(s):
    data = b''
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], 'little'):
        more = s.recv(65536)
        if not more: sys.exit('closed')
        data += more
    return int.from_bytes(data[6:8], 'little')
for _ in range(50):
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(status)
        answer(s)  # so that the agent has taken the connection
        socket.send_fds(theirs, [b'x'], [s.fileno()])
        os._exit(0)
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(child, 0)
    time.sleep(0.1)  # the kernel tells a start in hundredths of a second
    with open('/proc/sys/kernel/ns_last_pid', 'w') as last: last.write(str(child - 1))
    other = subprocess.Popen(['sleep', '60'])
    try:
        if other.pid == child:  # else somebody else's process was faster
            s = socket.socket(fileno=fds[0])
            s.sendall(get)
            print(child, answer(s))
            sys.exit(0)
    finally:
        other.kill()
        other.wait()
sys.exit('the id was never free')
";

const CREDENTIAL: &str = "32769";
const FAULT: &str = "32774";

/// T11
#[test]
fn a_process_that_has_ended_is_not_taken_for_the_one_that_has_its_id_now() {
    let what = "a process id that is used again";
    if !skip::unless_root(what) || skip::unless_tool(what, "python3").is_none() {
        return;
    }
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let _agent = sandbox.agent_from(sandbox.command(AGENT).args(["--vault", "memory"]));
    scene.login().finish().ok();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/golden/v1/request-");
    let hex = |name: &str| {
        let bytes = fs::read(format!("{golden}{name}.bin")).unwrap();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    };
    let run = || {
        let run = sandbox.command("python3").args(["-c", SCRIPT]).arg(sandbox.socket());
        run.args([hex("status"), hex("get")]).finish().ok().to_owned()
    };
    let said = run();
    let (child, kind) = said.split_once(' ').unwrap();
    assert_eq!(
        kind, CREDENTIAL,
        "without a rule it is handed out: a token is worth no more than whoever runs as the user"
    );
    let log = sandbox.token(["log", "--json"]).ok().to_owned();
    let entry: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let caller = &entry["caller"];
    assert_eq!(caller.as_array().unwrap().len(), 1, "{entry}");
    assert_eq!((caller[0]["pid"].to_string().as_str(), &caller[0]["name"]), (child, &"exited".into()));

    // Whose id it is now would be allowed.
    let sleep = fs::canonicalize(skip::find("sleep").unwrap()).unwrap();
    let path = sandbox.config().join("accounts.toml");
    let text = fs::read_to_string(&path).unwrap();
    let rules =
        format!("[[policy]]\nprogram = \"{}\"\naction = \"allow\"\n[[policy]]\naction = \"deny\"\n", sleep.display());
    fs::write(&path, format!("{text}\n{rules}")).unwrap();
    assert!(until(PATIENCE, || sandbox.command(TOKEN).arg("ecHome").finish().code() == 1));
    assert!(run().ends_with(FAULT));
}
