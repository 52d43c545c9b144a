//! Whoever looks over a shoulder, and a terminal that must be left as it was found.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use cloud_agent_tests::sandbox::{Run, Running, Sandbox, TOKEN};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::Scene;

/// A terminal with nobody at it but the test.
struct Terminal {
    keys: File,
    line: File,
    name: String,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let no_controlling = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap();
        let line = OpenOptions::new().read(true).write(true).custom_flags(no_controlling).open(&name).unwrap();
        let keys = File::from(master);
        let (mut screen, shown) = (keys.try_clone().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let filled = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                filled.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { keys, line, name, shown }
    }

    /// Runs a program of ours at it.
    fn run<'a>(&self, sandbox: &'a Sandbox, program: &str, arguments: &[&str]) -> Run<'a> {
        let script = format!("exec setsid -c \"$@\" <>'{0}' >'{0}' 2>&1", self.name);
        let run = sandbox.command("sh").args(["-c", &script, "sh"]).arg(sandbox.program(program));
        run.args(arguments.iter().copied())
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    #[track_caller]
    fn shows(&self, words: &str) {
        assert!(until(PATIENCE, || self.shown().contains(words)), "no `{words}` in {:?}", self.shown());
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    fn types(&self, keys: &str) {
        (&self.keys).write_all(keys.as_bytes()).unwrap();
    }
}

fn asked_for_the_secret(scene: &Scene, terminal: &Terminal) -> Running {
    let arguments = ["login", "ecHome", "--url", &scene.cloud.url(), "--set", "access-id=AKIA1"];
    let running = terminal.run(&scene.sandbox, TOKEN, &arguments).spawn();
    terminal.shows("Secret of the access key");
    assert!(until(PATIENCE, || !terminal.echoes()), "the echo is off while a secret is typed");
    running
}

/// T21
#[test]
fn a_typed_secret_is_not_shown_and_the_echo_is_back_afterwards() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    let terminal = Terminal::open();
    let running = asked_for_the_secret(&scene, &terminal);
    terminal.types(&format!("{}\n", scene.secret));
    assert_eq!(running.finish().code(), 0, "{}", terminal.shown());
    terminal.shows("logged in");
    assert!(terminal.echoes());
    assert!(!terminal.shown().contains(&scene.secret));
}

/// T21
#[test]
fn a_signal_at_the_hidden_prompt_gives_the_terminal_its_echo_back() {
    for (name, keys) in [("^C", "\x03"), ("^\\", "\x1c"), ("^D", "\x04")] {
        let scene = Scene::new();
        let _agent = scene.sandbox.agent();
        let terminal = Terminal::open();
        let running = asked_for_the_secret(&scene, &terminal);
        terminal.types("half a sec");
        terminal.types(keys);
        if name == "^D" {
            // Ends a line that has begun; a second one would end the input.
            assert_eq!(running.finish().code(), 1);
        } else {
            assert_eq!(running.finish().code(), -1, "{name} ends it as ever");
        }
        assert!(terminal.echoes(), "{name}");
        assert!(!terminal.shown().contains("half a sec"), "{name}");
    }
}

/// T22
#[test]
fn a_token_on_a_terminal_is_printed_with_a_warning_and_in_a_pipe_without() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let piped = scene.get();
    assert_eq!((piped.code(), piped.stderr.as_str()), (0, ""));
    let terminal = Terminal::open();
    assert_eq!(terminal.run(&scene.sandbox, TOKEN, &["ecHome"]).finish().code(), 0);
    terminal.shows(piped.ok());
    terminal.shows("warning: this is now in the scrollback");
}
