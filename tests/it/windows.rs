//! T37: the programs for Windows, under wine. `tests/windows/run` builds them and runs this; what wine cannot prove is in
//! docs/platforms.md.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cloud_agent_tests::fake::echome::{EcHome, Options, REFRESH};
use cloud_agent_tests::sandbox::kill;
use cloud_agent_tests::terminal::Terminal;
use cloud_agent_tests::wait::{until, value};
use rustix::process::Signal;

use crate::support::KEY;

/// Names the directory of the two programs.
const PROGRAMS: &str = "CLOUD_AGENT_WINDOWS";

/// Where Debian has it; `wine` itself wants the one of 32 bits as well.
const WINE: &str = "/usr/lib/wine/wine64";

/// More than wine takes to start anything on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A user of Windows: directories and a pipe of their own.
struct Wine {
    root: tempfile::TempDir,
    pipe: String,
}

impl Wine {
    fn new() -> Self {
        let root = tempfile::Builder::new().prefix("ca-wine-").tempdir_in("/tmp").unwrap();
        let name = root.path().file_name().unwrap().to_str().unwrap().to_owned();
        Self { root, pipe: format!(r"\\.\pipe\{name}") }
    }

    /// A path as a program under wine sees it.
    fn path(&self, name: &str) -> String {
        format!("Z:{}", self.root.path().join(name).display()).replace('/', r"\")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(WINE);
        command.arg(self.program(program)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.of_this_user(command)
    }

    fn program(&self, name: &str) -> PathBuf {
        let programs = std::env::var_os(PROGRAMS).unwrap_or_else(|| panic!("tests/windows/run sets {PROGRAMS}"));
        PathBuf::from(programs).join(name)
    }

    fn of_this_user(&self, mut command: Command) -> Command {
        command.current_dir(self.root.path());
        command.env("CLOUD_AGENT_SOCK", &self.pipe);
        command.env("CLOUD_AGENT_CONFIG", self.path("config")).env("CLOUD_AGENT_STATE", self.path("state"));
        command
    }

    #[track_caller]
    fn token(&self, arguments: &[&str]) -> Said {
        let words = tempfile::NamedTempFile::new_in(self.root.path()).unwrap();
        // A file, because under wine the agent that it may start has its stderr below that of Windows; not its stdout.
        let mut command = self.command("cloud-token.exe");
        command.args(arguments).args(["--timeout", "100s"]).stderr(words.reopen().unwrap());
        let mut said = finish(command.spawn().unwrap());
        said.output.stderr = std::fs::read(words.path()).unwrap();
        said
    }

    #[track_caller]
    fn login(&self, cloud: &EcHome, secret: &str) {
        let access_id = format!("access-id={KEY}");
        let mut command = self.command("cloud-token.exe");
        command.args(["login", "work", "--cloud", "echome", "--url", &cloud.url(), "--set", &access_id]);
        command.args(["--secret", "secret=env:IT_SECRET", "--no-input", "--timeout", "100s"]).env("IT_SECRET", secret);
        finish(command.spawn().unwrap()).ok();
    }

    /// An agent in the foreground, once it answers.
    #[track_caller]
    fn agent(&self, vault: &str) -> Agent {
        let log = std::fs::File::create(self.root.path().join("agent.log")).unwrap();
        let child =
            self.command("cloud-agent.exe").args(["-v", "--vault", vault]).stderr(log).stdout(Stdio::null()).spawn();
        let agent = Agent { child: child.unwrap(), log: self.root.path().join("agent.log") };
        let up = until(PATIENCE, || agent.log().contains("listening at"));
        assert!(up, "it does not come up: {}", agent.log());
        agent
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Whoever is left would keep the prefix busy.
        let _ = self.command("cloud-token.exe").args(["stop", "--timeout", "5s"]).output();
    }
}

struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit code, once it has ended by itself.
    #[track_caller]
    fn ended(&mut self) -> Option<i32> {
        let log = self.log();
        value(PATIENCE, || self.child.try_wait().unwrap()).unwrap_or_else(|| panic!("it goes on: {log}")).code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Said {
    output: Output,
}

impl Said {
    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).trim_end().to_owned()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    #[track_caller]
    fn ok(&self) -> String {
        assert!(self.output.status.success(), "{:?}: {}", self.output.status, self.stderr());
        self.stdout()
    }
}

/// A program that has ended, and with it its pipes: nobody it started has them.
#[track_caller]
fn finish(child: Child) -> Said {
    let id = child.id();
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let output = heard.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        kill(id, Signal::KILL);
        panic!("it does not end, or something that it started holds its pipes");
    });
    Said { output: output.unwrap() }
}

fn cloud() -> (EcHome, String) {
    let cloud = EcHome::with(Options { blacklist: true, ..Options::default() });
    let secret = cloud.add_key(KEY);
    (cloud, secret)
}

#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn a_login_gives_tokens_that_work_and_are_renewed() {
    let (cloud, secret) = cloud();
    let wine = Wine::new();
    let mut agent = wine.agent("memory");
    wine.login(&cloud, &secret);
    let first = wine.token(&["work"]).ok();
    assert!(cloud.accepts(&first), "{first}");
    assert_eq!(wine.token(&["work"]).ok(), first, "out of the cache");
    let fresh = wine.token(&["work", "--fresh"]).ok();
    assert!(fresh != first && cloud.accepts(&fresh));
    assert_eq!(cloud.requests_to(REFRESH).len(), 1);
    assert_eq!(cloud.violations(), Vec::<String>::new());
    assert!(wine.token(&["status"]).ok().contains("valid"));
    let unknown = wine.token(&["nobody"]);
    assert_eq!((unknown.output.status.code(), unknown.stdout().as_str()), (Some(6), ""), "{}", unknown.stderr());
    wine.token(&["stop"]).ok();
    assert_eq!(agent.ended(), Some(0), "{}", agent.log());
    assert!(!agent.log().contains("turned away"), "{}", agent.log());
    // Nothing that a login needs is in what the agent says.
    assert!(!agent.log().contains(&secret) && !agent.log().contains(&fresh));
}

#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn clients_that_come_at_once_are_all_served() {
    let (cloud, secret) = cloud();
    let wine = Wine::new();
    let _agent = wine.agent("memory");
    wine.login(&cloud, &secret);
    // Between one caller and the next there is a moment in which the pipe has no room.
    let clients: Vec<_> = (0..24).map(|_| wine.command("cloud-token.exe").arg("work").spawn().unwrap()).collect();
    let tokens: Vec<_> = clients.into_iter().map(|client| finish(client).ok()).collect();
    assert!(cloud.accepts(&tokens[0]) && tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn a_client_starts_the_agent_which_lets_go_of_the_callers_pipes() {
    let wine = Wine::new();
    let said = wine.token(&["status", "--json"]);
    assert!(said.ok().contains(&wine.pipe.replace('\\', r"\\")), "{}", said.stdout());
    assert!(wine.root.path().join("state/agent.log").is_file(), "a detached agent has a log");
    // The same one, which has outlived its client.
    let pid = |text: &str| text.split("\"pid\":").nth(1).and_then(|rest| rest.split(',').next()).map(str::to_owned);
    assert_eq!(pid(&wine.token(&["status", "--json"]).ok()), pid(&said.stdout()));
    wine.token(&["stop"]).ok();
    let absent = wine.command("cloud-token.exe").arg("work").env("CLOUD_AGENT_NO_AUTOSTART", "1").spawn().unwrap();
    let absent = finish(absent);
    assert_eq!(absent.output.status.code(), Some(3), "{}", absent.stderr());
}

#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn a_second_agent_finds_the_first_and_ctrl_c_ends_that_in_good_order() {
    let wine = Wine::new();
    let mut agent = wine.agent("memory");
    let second = finish(wine.command("cloud-agent.exe").args(["--vault", "memory"]).spawn().unwrap());
    second.ok();
    assert!(second.stderr().contains("already running"), "{}", second.stderr());
    kill(agent.child.id(), Signal::INT);
    assert_eq!(agent.ended(), Some(0), "{}", agent.log());
    assert!(agent.log().contains("told to end"), "{}", agent.log());
}

#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn what_is_held_outlives_the_agent_with_its_key_in_the_credential_manager() {
    let (cloud, secret) = cloud();
    let wine = Wine::new();
    let mut agent = wine.agent("keyring");
    wine.login(&cloud, &secret);
    wine.token(&["stop"]).ok();
    assert_eq!(agent.ended(), Some(0), "{}", agent.log());
    let sealed = wine.root.path().join("state/vault/keyring/work.sealed");
    assert!(sealed.is_file(), "{}", agent.log());
    private(&sealed);
    let _agent = wine.agent("keyring");
    let token = wine.token(&["work"]).ok();
    assert!(cloud.accepts(&token));
    assert_eq!((cloud.logins(), cloud.requests_to(REFRESH).len()), (1, 1), "it was renewed, without another login");
}

/// A login at a console, when it asks for the secret.
fn asked_at_a_console(wine: &Wine, cloud: &EcHome, console: &Terminal) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", &console.script(), "sh", WINE]).arg(wine.program("cloud-token.exe"));
    command.args(["login", "work", "--cloud", "echome", "--url", &cloud.url(), "--set", &format!("access-id={KEY}")]);
    let child = wine.of_this_user(command).env("TERM", "xterm").spawn().unwrap();
    console.shows("Secret of the access key");
    // wine's own: it takes the echo off the terminal below its console a moment after that has shown the prompt.
    assert!(until(PATIENCE, || !console.echoes()), "the echo is off while a secret is typed");
    child
}

/// T21
#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn a_secret_typed_at_the_console_is_not_shown_and_the_question_may_be_left() {
    let (cloud, secret) = cloud();
    let wine = Wine::new();
    let _agent = wine.agent("memory");
    let console = Terminal::open();
    let given_up = asked_at_a_console(&wine, &cloud, &console);
    // Taken back as a whole, and then the end of the input.
    console.types("half a sec\u{15}\u{4}");
    assert_ne!(finish(given_up).output.status.code(), Some(0), "{}", console.shown());
    assert_eq!(cloud.requests().len(), 0);

    let again = Terminal::open();
    let asked = asked_at_a_console(&wine, &cloud, &again);
    // A slip of the finger, taken back.
    again.types(&format!("{secret}x\u{7f}\r"));
    assert_eq!(finish(asked).output.status.code(), Some(0), "{}", again.shown());
    assert!(cloud.accepts(&wine.token(&["work"]).ok()));
    for shown in [console.shown(), again.shown()] {
        assert!(!shown.contains("half") && !shown.contains(&secret), "{shown}");
    }
}

/// wine keeps an access list as the mode of the file, and takes the owner for a group of one.
#[track_caller]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    for place in [path, path.parent().unwrap()] {
        let mode = std::fs::metadata(place).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{}: {mode:o}", place.display());
    }
}

#[test]
#[ignore = "tests/windows/run builds for Windows and runs it under wine"]
fn a_path_that_is_no_pipe_of_this_machine_is_refused() {
    let wine = Wine::new();
    for place in [r"\\elsewhere\pipe\agent", r"C:\agent.sock"] {
        let said = finish(wine.command("cloud-token.exe").arg("work").env("CLOUD_AGENT_SOCK", place).spawn().unwrap());
        assert_eq!(said.output.status.code(), Some(2), "{place}: {}", said.stderr());
        assert!(said.stderr().contains("no pipe of this machine"), "{place}: {}", said.stderr());
    }
}
