//! The login dialogue, on a real terminal.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};

use cloud_agent_protocol::v1::{Done, Login, Question, Request, Response};
use cloud_agent_protocol::{Fault, FaultKind};
use common::{Sandbox, credential, until};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A client on a terminal of its own, and everything the terminal showed.
struct Terminal {
    master: File,
    slave: File,
    shown: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    /// Runs the client as the leader of a session whose terminal this is.
    fn run(sandbox: &Sandbox, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = Path::new(OsStr::from_bytes(name.as_bytes()));
        let slave = File::options().read(true).write(true).open(path).unwrap();
        let client = env!("CARGO_BIN_EXE_cloud-token");
        // util-linux: a new session, and stdin as its terminal. It becomes the client by exec, so the pid is the client's.
        let mut command = sandbox.program(Path::new("setsid"), &[&["--ctty", client], args].concat());
        let child = command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut reader, sink) = (master.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut chunk = [0; 1024];
            while let Ok(n @ 1..) = reader.read(&mut chunk) {
                sink.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..n]));
            }
        });
        Self { master, slave, shown, child }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn wait_for(&self, text: &str) {
        until(&format!("the terminal shows `{text}`"), || self.shown().contains(text));
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, or the negative of the signal that ended it.
    fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;

        let mut ended = None;
        until("the client ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        let status = ended.unwrap();
        status.code().unwrap_or_else(|| -status.signal().unwrap())
    }
}

fn question(name: &str, secret: bool) -> Question {
    Question {
        name: name.into(),
        prompt: format!("{name} of work"),
        detail: None,
        secret,
        optional: false,
        choices: vec![],
    }
}

/// An agent that asks for a name and a password, and keeps what it ears.
fn asking(sandbox: &Sandbox) -> Arc<Mutex<Vec<Option<String>>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let logged_in = Mutex::new(false);
    sandbox.serve(move |conversation| {
        while let Some(request) = conversation.request() {
            let response = match request {
                Request::Get(_) if *logged_in.lock().unwrap() => Response::Credential(credential("t0k")),
                Request::Get(_) | Request::Login(Login { interactive: false, .. }) => Response::Fault(
                    Fault::new(FaultKind::NeedsHuman, "`work` needs a login").hint("`cloud-token login work`"),
                ),
                Request::Login(_) => Response::Question(question("user", false)),
                Request::Answer(answer) => {
                    assert_eq!(conversation.hellos, 1, "the dialogue stays on one connection");
                    let value = answer.value.map(|value| value.expose().to_owned());
                    let gave_up = value.is_none();
                    ears.lock().unwrap().push(value);
                    match ears.lock().unwrap().len() {
                        _ if gave_up => Response::Fault(Fault::new(FaultKind::NeedsHuman, "nobody answered")),
                        1 => Response::Question(question("password", true)),
                        _ => {
                            *logged_in.lock().unwrap() = true;
                            Response::Done(Done { notes: vec!["logged in".into()] })
                        }
                    }
                }
                Request::Status | Request::Clouds(_) => Response::Fault(Fault::new(FaultKind::Unsupported, "not here")),
                other => panic!("{other:?}"),
            };
            conversation.respond(&response);
        }
    });
    heard
}

#[test]
fn a_secret_is_asked_without_echo_and_the_echo_comes_back() {
    let sandbox = Sandbox::new();
    let heard = asking(&sandbox);
    let mut terminal = Terminal::run(&sandbox, &["login", "work"]);
    terminal.wait_for("user of work: ");
    assert!(terminal.echoes());
    terminal.type_in("alice\n");
    terminal.wait_for("password of work: ");
    assert!(!terminal.echoes());
    terminal.type_in("hunter2\n");
    assert_eq!(terminal.end(), 0, "{}", terminal.shown());
    terminal.wait_for("logged in");
    assert!(terminal.echoes());
    assert!(terminal.shown().contains("alice") && !terminal.shown().contains("hunter2"), "{}", terminal.shown());
    assert_eq!(*heard.lock().unwrap(), [Some("alice".to_owned()), Some("hunter2".to_owned())]);
}

#[test]
fn every_signal_that_ends_a_hidden_prompt_gives_the_echo_back() {
    let fatal = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::ALARM];
    for signal in fatal.into_iter().chain([Signal::USR1, Signal::USR2, Signal::VTALARM, Signal::XCPU]) {
        let sandbox = Sandbox::new();
        asking(&sandbox);
        let mut terminal = Terminal::run(&sandbox, &["login", "work"]);
        terminal.wait_for("user of work: ");
        terminal.type_in("alice\n");
        terminal.wait_for("password of work: ");
        if signal == Signal::INT {
            terminal.type_in("\x03");
        } else {
            terminal.signal(signal);
        }
        assert_eq!(terminal.end(), -signal.as_raw(), "{signal:?}");
        assert!(terminal.echoes(), "{signal:?}");
    }
}

#[test]
fn a_stopped_prompt_gives_the_echo_back_and_asks_again_when_it_goes_on() {
    let sandbox = Sandbox::new();
    let heard = asking(&sandbox);
    let mut terminal = Terminal::run(&sandbox, &["login", "work"]);
    terminal.wait_for("user of work: ");
    terminal.type_in("alice\n");
    terminal.wait_for("password of work: ");
    terminal.signal(Signal::TSTP);
    until("the echo is back", || terminal.echoes());
    terminal.signal(Signal::CONT);
    until("the prompt is shown again", || terminal.shown().matches("password of work: ").count() == 2);
    assert!(!terminal.echoes());
    terminal.type_in("hunter2\n");
    assert_eq!(terminal.end(), 0, "{}", terminal.shown());
    assert_eq!(heard.lock().unwrap().last().unwrap().as_deref(), Some("hunter2"));
    assert!(terminal.echoes());
}

#[test]
fn the_end_of_input_gives_up_with_exit_4() {
    let sandbox = Sandbox::new();
    let heard = asking(&sandbox);
    let mut terminal = Terminal::run(&sandbox, &["login", "work"]);
    terminal.wait_for("user of work: ");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 4, "{}", terminal.shown());
    assert_eq!(*heard.lock().unwrap(), [None]);
}

#[test]
fn a_get_at_a_terminal_logs_in_and_then_answers_with_one_warning() {
    let sandbox = Sandbox::new();
    asking(&sandbox);
    let mut terminal = Terminal::run(&sandbox, &["work"]);
    terminal.wait_for("user of work: ");
    terminal.type_in("alice\n");
    terminal.wait_for("password of work: ");
    terminal.type_in("hunter2\n");
    assert_eq!(terminal.end(), 0, "{}", terminal.shown());
    terminal.wait_for("scrollback");
    assert!(terminal.shown().contains("t0k\r\n"), "{}", terminal.shown());
}

#[test]
fn without_a_terminal_or_with_no_input_nobody_is_asked() {
    let sandbox = Sandbox::new();
    let heard = asking(&sandbox);
    for args in [&["work", "--no-input"][..], &["login", "work", "--no-input"]] {
        let mut terminal = Terminal::run(&sandbox, args);
        assert_eq!(terminal.end(), 4, "{args:?}");
    }
    // A session without a terminal has no /dev/tty.
    for args in [&["work"][..], &["login", "work"]] {
        let client = env!("CARGO_BIN_EXE_cloud-token");
        let args = [&["--wait", client], args].concat();
        let out = common::outcome(sandbox.program(Path::new("setsid"), &args).output().unwrap());
        assert_eq!(out.code, Some(4), "{args:?} {}", out.stderr);
        assert!(out.stderr.contains("hint: `cloud-token login work`"));
    }
    assert!(heard.lock().unwrap().is_empty());
}

#[test]
fn secrets_come_from_where_the_command_line_says_and_never_from_it() {
    let sandbox = Sandbox::new();
    let requests = sandbox.answer(|_| Response::Done(Done { notes: vec![] }));
    let file = sandbox.path("secret");
    std::fs::write(&file, "from-file\n").unwrap();
    let from_file = format!("b=file:{}", file.display());
    let mut command = sandbox.client(&[
        "login",
        "work",
        "--cloud",
        "acme",
        "--method",
        "m",
        "--url",
        "https://a.example",
        "--url",
        "iam=https://b.example",
        "--set",
        "username=alice",
        "--secret",
        "a=env:CANARY",
        "--secret",
        &from_file,
        "--secret",
        "c=cmd:echo from-cmd",
        "--secret",
        "d=stdin",
        "--remember",
        "--no-input",
    ]);
    command.env("CANARY", "from-env").stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"from-stdin\n").unwrap();
    let out = common::outcome(child.wait_with_output().unwrap());
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let [Request::Login(login)] = &requests.all()[..] else { panic!("{:?}", requests.all()) };
    let secrets: Vec<_> = login.secrets.iter().map(|s| (s.name.as_str(), s.value.expose())).collect();
    assert_eq!(secrets, [("a", "from-env"), ("b", "from-file"), ("c", "from-cmd"), ("d", "from-stdin")]);
    let origins: Vec<_> = login.origins.iter().map(|o| (o.name.as_str(), o.value.as_str())).collect();
    assert_eq!(origins, [("", "https://a.example"), ("iam", "https://b.example")]);
    assert!(login.remember && !login.ephemeral && !login.interactive);

    let out = sandbox.run(&["login", "work", "--secret", "password=hunter2"]);
    assert_eq!(out.code, Some(2));
    assert!(!out.stderr.contains("hunter2") && out.stderr.contains("shown to everybody"), "{}", out.stderr);
}
