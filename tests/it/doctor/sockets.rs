//! The programs, the socket, and who listens there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use cloud_agent_protocol::frame::MAX_REQUEST;
use cloud_agent_protocol::v1::{Request, Response, Status};
use cloud_agent_protocol::{Fault, FaultKind, Frame, hello};
use cloud_agent_tests::sandbox::{AGENT, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use rustix::process::Signal;

use super::directories::{STRANGER, private, somebodys};
use super::{Scene, Wrong, are_named};
use crate::support::put_script;
use crate::threats::as_user;

pub(super) const TABLE: [Wrong; 16] = [
    Wrong {
        name: "no agent runs",
        scene: || Some(Scene::empty()),
        arguments: &[],
        finding: "agent.absent",
        mend: "`cloud-token status`",
        code: 3,
    },
    Wrong {
        name: "no agent runs, and none may be started",
        scene: || {
            let scene = Scene::empty();
            scene.sandbox.set("CLOUD_AGENT_NO_AUTOSTART", "1");
            Some(scene)
        },
        arguments: &[],
        finding: "agent.absent",
        mend: "unset CLOUD_AGENT_NO_AUTOSTART",
        code: 3,
    },
    Wrong {
        name: "the agent is not installed",
        scene: || {
            let scene = Scene::empty();
            fs::remove_file(scene.sandbox.program(AGENT)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "program.agent",
        mend: "install `cloud-agent` beside",
        code: 3,
    },
    Wrong {
        name: "a shell finds another program",
        scene: || {
            let scene = Scene::healthy();
            let other = scene.sandbox.path("home/other");
            fs::create_dir(&other).unwrap();
            put_script(&other.join(TOKEN), "#!/bin/sh\n");
            let path = format!("{}:{}", other.display(), std::env::var("PATH").unwrap());
            scene.sandbox.set("PATH", path);
            Some(scene)
        },
        arguments: &[],
        finding: "program.other",
        mend: "remove",
        code: 1,
    },
    Wrong {
        name: "the socket's path is relative",
        scene: || {
            let scene = Scene::empty();
            scene.sandbox.set("CLOUD_AGENT_SOCK", "agent.sock");
            Some(scene)
        },
        arguments: &[],
        finding: "socket.path",
        mend: "absolute path",
        code: 3,
    },
    Wrong {
        name: "others may enter the socket's directory",
        scene: || {
            let scene = Scene::healthy();
            fs::set_permissions(scene.sandbox.path("run/cloud-agent"), fs::Permissions::from_mode(0o755)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "socket.directory",
        mend: "`chmod 700 ",
        code: 3,
    },
    Wrong {
        name: "a file is where the socket should be",
        scene: || {
            let scene = Scene::empty();
            private(&scene.sandbox.path("run/cloud-agent"));
            fs::write(scene.sandbox.socket(), "precious").unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "socket.obstacle",
        mend: "`mv ",
        code: 3,
    },
    Wrong {
        name: "the agent is stopped",
        scene: || {
            let scene = Scene::healthy();
            scene.agent.as_ref().unwrap().signal(Signal::STOP);
            Some(scene)
        },
        arguments: &["--timeout", "1s"],
        finding: "agent.silent",
        mend: "`pkill -CONT -x cloud-agent`",
        code: 3,
    },
    Wrong {
        name: "somebody else listens at the socket",
        scene: || {
            if !skip::unless_root("somebody else listens at the socket") {
                return None;
            }
            let mut scene = Scene::empty();
            private(&scene.sandbox.path("run/cloud-agent"));
            let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
            bind(&listener, &SocketAddrUnix::new(scene.sandbox.socket()).unwrap()).unwrap();
            // The kernel names whoever began to listen.
            as_user(STRANGER, || listen(&listener, 8).unwrap());
            scene.kept.push(Box::new(listener));
            Some(scene)
        },
        arguments: &[],
        finding: "peer.foreign",
        mend: "CLOUD_AGENT_SOCK",
        code: 3,
    },
    Wrong {
        name: "the agent is of another release",
        scene: || Some(of_old(Scene::empty())),
        arguments: &[],
        finding: "agent.other-release",
        mend: "`cloud-token restart`",
        code: 1,
    },
    Wrong {
        name: "the agent does not know how to be examined",
        scene: || Some(of_old(Scene::empty())),
        arguments: &[],
        finding: "agent.unexamined",
        mend: "`cloud-token restart`",
        code: 1,
    },
    Wrong {
        name: "agent and client have no version of the protocol in common",
        scene: || Some(answered_by(Scene::empty(), |_| Frame::version_refused(&[9]).encode().to_vec())),
        arguments: &[],
        finding: "agent.other-version",
        mend: "the next use starts the one that is installed",
        code: 1,
    },
    Wrong {
        name: "the agent answers what makes no sense",
        scene: || Some(answered_by(Scene::empty(), |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        arguments: &[],
        finding: "agent.failed",
        mend: "`pkill -x cloud-agent`",
        code: 3,
    },
    Wrong {
        name: "the socket is a forwarded one",
        scene: || {
            let mut scene = Scene::healthy();
            let directory = scene.sandbox.path("home/forward");
            private(&directory);
            let socket = directory.join("agent.sock");
            let run = scene.sandbox.command(TOKEN).args(["forward", "--only", "ecHome"]).arg(&socket);
            let mut forward = run.spawn();
            assert!(until(PATIENCE, || socket.exists() || !forward.runs()));
            scene.sandbox.set("CLOUD_AGENT_SOCK", &socket);
            scene.kept.push(Box::new(forward));
            Some(scene)
        },
        arguments: &[],
        finding: "agent.forwarded",
        mend: "where the agent runs",
        code: 0,
    },
    Wrong {
        name: "a shell finds no `cloud-token`",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.set("PATH", scene.sandbox.path("home"));
            Some(scene)
        },
        arguments: &[],
        finding: "program.path",
        mend: "PATH",
        code: 0,
    },
    Wrong {
        name: "nobody can become another user",
        scene: || {
            let what = "nobody can become another user";
            if !skip::unless_root(what) {
                return None;
            }
            let mut scene = somebodys(what, "home/state")?;
            let run = scene.sandbox.command(AGENT).args(["--vault", "memory"]).as_user(STRANGER);
            scene.agent = Some(scene.sandbox.agent_from(run));
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "peer.second-user-untried",
        mend: "",
        code: 0,
    },
];

/// With an agent that is older than this program: it answers a status, and knows of no examination.
fn of_old(scene: Scene) -> Scene {
    answered_by(scene, |frame| {
        let response = match Request::decode(frame) {
            Ok(Request::Status) => Response::Status(old_status()),
            _ => Response::Fault(Fault::new(FaultKind::Unsupported, "the agent does not know request 0x001b")),
        };
        response.encode().unwrap().encode().to_vec()
    })
}

/// With something at the socket that answers so.
fn answered_by(scene: Scene, answer: fn(&Frame) -> Vec<u8>) -> Scene {
    use std::io::Write as _;

    private(&scene.sandbox.path("run/cloud-agent"));
    let listener = std::os::unix::net::UnixListener::bind(scene.sandbox.socket()).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut greeting = vec![0; hello::encode(&[1]).len()];
            if std::io::Read::read_exact(&mut stream, &mut greeting).is_err() {
                continue;
            }
            while let Ok(frame) = Frame::read(&mut stream, MAX_REQUEST) {
                if stream.write_all(&answer(&frame)).is_err() {
                    break;
                }
            }
        }
    });
    scene
}

fn old_status() -> Status {
    Status {
        version: "0.0.9".into(),
        pid: 1,
        started_at: 0,
        socket: String::new(),
        config: String::new(),
        vault: "memory".into(),
        vault_reason: "chosen".into(),
        warnings: Vec::new(),
        accounts: Vec::new(),
    }
}

#[test]
fn what_is_wrong_with_programs_and_socket_is_named_with_its_mend() {
    are_named(&TABLE);
}
