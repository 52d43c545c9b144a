//! Whoever asks finds the one agent, however little its environment says.

use cloud_agent_tests::sandbox::{AGENT, TOKEN};
use cloud_agent_tests::skip;

use crate::support::sandbox;

/// Runs in namespaces of its own: the places that an agent looks at without variables are those of the whole machine. `$1` is
/// `session` for a machine where a login session has its directory, and `bare` for one without. Each line that it prints is a way
/// to ask and the id of the agent that answered.
const SCRIPT: &str = r#"
set -eu
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/bin /run/sshd /run/home
cp "$AGENT" /run/bin/cloud-agent
cp "$TOKEN" /run/bin/cloud-token
mount -t tmpfs -o mode=1777 none /tmp
export HOME=/run/home
if [ "$1" = session ]; then
    mkdir -p /run/user
    mkdir -m 700 /run/user/0
    export XDG_RUNTIME_DIR=/run/user/0
fi
/run/bin/cloud-agent --vault memory 2>/run/log &
agent=$!
until env CLOUD_AGENT_NO_AUTOSTART=1 /run/bin/cloud-token status >/dev/null 2>&1; do sleep 0.02; done
ask="/run/bin/cloud-token status --json"
show() { printf '%s %s\n' "$1" "$(grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$')"; }
printf 'started %s\n' "$agent"
$ask | show session
env -i HOME=$HOME $ask | show env-i
env -i $ask | show nothing
env -i HOME=$HOME LOGNAME=root SHELL=/bin/sh PATH=/usr/bin:/bin sh -c "$ask" | show cron
setsid --wait $ask </dev/null | show setsid
if command -v tmux >/dev/null; then
    env -i HOME=$HOME PATH=$PATH TERM=xterm tmux -S /run/tmux -f /dev/null new-session -d "$ask >/run/asked; touch /run/done"
    until [ -e /run/done ]; do sleep 0.02; done
    show tmux </run/asked
fi
if command -v sshd >/dev/null && command -v ssh >/dev/null; then
    ssh-keygen -q -t ed25519 -N '' -f /run/home/host
    ssh-keygen -q -t ed25519 -N '' -f /run/home/key
    printf '%s\n' "HostKey /run/home/host" "AuthorizedKeysFile /run/home/key.pub" "StrictModes no" "UsePAM no" \
        "PermitRootLogin yes" "PidFile none" "ListenAddress 127.0.0.1:2222" >/run/home/config
    ip link set lo up
    "$(command -v sshd)" -f /run/home/config
    until ssh -i /run/home/key -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        root@127.0.0.1 "$ask" </dev/null >/run/asked 2>/run/complaint; do sleep 0.1; done
    show ssh </run/asked
fi
"#;

/// What the script printed: each way, and who answered.
fn ways(place: &str) -> Option<Vec<(String, String)>> {
    let what = "finding the agent from everywhere";
    if !skip::unless_root(what) || skip::unless_tool(what, "unshare").is_none() {
        return None;
    }
    let sandbox = sandbox();
    for name in ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "TMPDIR"] {
        sandbox.unset(name);
    }
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let namespaces = ["-m", "-n", "-p", "-f", "--kill-child", "--mount-proc"];
    let run = sandbox.command("unshare").args(namespaces).args(["sh", "-c", SCRIPT, "sh", place]);
    let run = run.env("AGENT", sandbox.program(AGENT)).env("TOKEN", sandbox.program(TOKEN)).env("PATH", path);
    let outcome = run.finish();
    let lines = outcome.ok().lines();
    Some(lines.filter_map(|line| line.split_once(' ')).map(|(way, pid)| (way.to_owned(), pid.to_owned())).collect())
}

#[test]
fn cron_tmux_ssh_and_an_empty_environment_find_the_agent_of_the_session() {
    for place in ["session", "bare"] {
        let Some(ways) = ways(place) else { return };
        let started = &ways[0].1;
        assert!(ways.iter().all(|(_, pid)| pid == started), "{place}: {ways:?}");
        let names: Vec<_> = ways.iter().map(|(way, _)| way.as_str()).collect();
        assert_eq!(names[1..6], ["session", "env-i", "nothing", "cron", "setsid"], "{place}");
        for (way, tool) in [("tmux", "tmux"), ("ssh", "ssh")] {
            if !names.contains(&way) {
                skip::skip(&format!("finding the agent from {way}"), &format!("there is no `{tool}` or its server"));
            }
        }
    }
}
