//! Starting the agent: once, whoever asks, and never holding the caller's pipes.
//!
//! The agent is this test's own program, behind a script beside a copy of the client.
#![cfg(unix)]

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cloud_agent_protocol::v1::Response;
use common::{Conversation, PATIENCE, Sandbox, credential, outcome};

/// A sandbox whose `cloud-agent` is `script`, which sees the test's program as `$AGENT`.
fn sandbox(script: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let client = sandbox.path("cloud-token");
    Sandbox::put_client(&client);
    let agent = sandbox.path("cloud-agent");
    let own = std::env::current_exe().unwrap();
    let start = "exec \"$AGENT\" --exact acts_as_the_agent --nocapture";
    let text = format!(
        "#!/bin/sh\nAGENT='{}'\necho \"$@\" >>'{}'\n{}\n",
        own.display(),
        sandbox.path("starts").display(),
        script.replace("START", start)
    );
    Sandbox::put_script(&agent, &text);
    (sandbox, client)
}

fn spawn(sandbox: &Sandbox, client: &Path, args: &[&str]) -> Child {
    let mut command = sandbox.program(client, args);
    command.env_remove("CLOUD_AGENT_NO_AUTOSTART").env("ACT_AS_THE_AGENT", &sandbox.socket);
    command.env("SECRET_OF_THE_CALLER", "hunter2");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn starts(sandbox: &Sandbox) -> Vec<String> {
    std::fs::read_to_string(sandbox.path("starts")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Ends the agents of a sandbox: they end with their directory.
const LINGER: Duration = Duration::from_millis(50);

/// Not a test: what the script runs. Listens, says so, lets go of the caller's streams, and serves.
#[test]
fn acts_as_the_agent() {
    let Some(socket) = std::env::var_os("ACT_AS_THE_AGENT").map(PathBuf::from) else { return };
    rustix::process::setsid().expect("the client must not make the agent a group leader");
    if std::env::var_os("SECRET_OF_THE_CALLER").is_some() && std::env::var_os("EXPECT_WITHHELD").is_some() {
        eprintln!("error: the secret was passed on");
        std::process::exit(1);
    }
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::io::stdout().write_all(b"\nready\n").unwrap();
    std::io::stdout().flush().unwrap();
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    rustix::stdio::dup2_stdout(&null).unwrap();
    rustix::stdio::dup2_stderr(&null).unwrap();
    let end = Instant::now() + PATIENCE;
    while socket.exists() && Instant::now() < end {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                let mut conversation = Conversation::new(stream);
                while conversation.request().is_some() {
                    conversation.respond(&Response::Credential(credential("t0k")));
                }
            }
            Err(_) => std::thread::sleep(LINGER / 25),
        }
    }
    std::process::exit(0);
}

#[test]
fn a_missing_agent_is_started_and_the_callers_pipes_end_with_the_client() {
    let (sandbox, client) = sandbox("START");
    // `wait_with_output` reads to the end of both pipes: an agent that kept one would hang it.
    let out = outcome(spawn(&sandbox, &client, &["work"]).wait_with_output().unwrap());
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "t0k\n", ""));
    assert_eq!(starts(&sandbox), [format!("--socket {} --detached", sandbox.socket.display())]);
    let again = outcome(spawn(&sandbox, &client, &["work"]).wait_with_output().unwrap());
    assert_eq!((again.code, starts(&sandbox).len()), (Some(0), 1));
}

#[test]
fn fifty_clients_at_once_start_one_agent_and_all_get_their_answer() {
    let (sandbox, client) = sandbox("START");
    let clients: Vec<_> = (0..50).map(|_| spawn(&sandbox, &client, &["work"])).collect();
    for client in clients {
        let out = outcome(client.wait_with_output().unwrap());
        assert_eq!((out.code, out.stdout.as_str()), (Some(0), "t0k\n"), "{}", out.stderr);
    }
    assert_eq!(starts(&sandbox).len(), 1);
}

#[test]
fn the_socket_directory_is_made_private() {
    let (mut sandbox, client) = sandbox("START");
    sandbox.socket = sandbox.path("run/cloud-agent/agent.sock");
    let out = outcome(spawn(&sandbox, &client, &["work"]).wait_with_output().unwrap());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let mode = std::fs::metadata(sandbox.socket.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn an_agent_that_gives_up_is_exit_3_with_its_own_words() {
    let (sandbox, client) = sandbox("echo 'error: the vault is broken' >&2; echo 'hint: mend it' >&2; exit 1");
    let out = outcome(spawn(&sandbox, &client, &["work"]).wait_with_output().unwrap());
    assert_eq!((out.code, out.stdout.as_str()), (Some(3), ""));
    assert!(out.stderr.contains("caused by: the vault is broken\nhint: mend it\n"), "{}", out.stderr);
}

#[test]
fn an_agent_that_never_gets_ready_ends_at_the_deadline() {
    let (sandbox, client) = sandbox("exec sleep 3");
    let start = Instant::now();
    let out = outcome(spawn(&sandbox, &client, &["work", "--timeout", "300ms"]).wait_with_output().unwrap());
    assert_eq!(out.code, Some(3), "{}", out.stderr);
    assert!(out.stderr.contains("not ready in time"), "{}", out.stderr);
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
}

#[test]
fn no_agent_beside_the_client_or_in_path_is_exit_3_with_a_hint() {
    let sandbox = Sandbox::new();
    let client = sandbox.path("cloud-token");
    Sandbox::put_client(&client);
    let mut command = sandbox.program(&client, &["work"]);
    command.env_remove("CLOUD_AGENT_NO_AUTOSTART").env("PATH", sandbox.dir.path());
    let out = outcome(command.output().unwrap());
    assert_eq!(out.code, Some(3));
    assert!(out.stderr.contains("hint: install `cloud-agent`"), "{}", out.stderr);
}

#[test]
fn an_agent_does_not_inherit_a_variable_that_held_a_secret() {
    let (sandbox, client) = sandbox("EXPECT_WITHHELD=1; export EXPECT_WITHHELD; START");
    let args = ["login", "work", "--secret", "password=env:SECRET_OF_THE_CALLER", "--no-input"];
    let out = outcome(spawn(&sandbox, &client, &args).wait_with_output().unwrap());
    // The agent of this test answers everything with a credential, which is no answer to a login.
    assert!(out.stderr.contains("something other than what was asked"), "{}", out.stderr);
}

#[test]
fn stop_does_not_start_an_agent() {
    let (sandbox, client) = sandbox("START");
    let out = outcome(spawn(&sandbox, &client, &["stop"]).wait_with_output().unwrap());
    assert_eq!((out.code, starts(&sandbox).len()), (Some(3), 0), "{}", out.stderr);
}
