//! A desktop's keyring without a desktop: a session bus of the test's own, and gnome-keyring unlocked without a human.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

use crate::sandbox::{Sandbox, kill};
use crate::wait::{PATIENCE, until};

/// A session bus, which ends with this value, and whatever joined it with it.
#[derive(Debug)]
pub struct Bus {
    daemon: Child,
    address: String,
    home: PathBuf,
}

impl Bus {
    /// A bus for the programs of this sandbox, with nothing on it.
    ///
    /// # Panics
    /// If there is no `dbus-daemon`.
    #[must_use]
    pub fn start(sandbox: &Sandbox) -> Self {
        let home = sandbox.path("home");
        // Its own configuration would start services by name, such as a keyring that asks at a display.
        let config = sandbox.path("bus.conf");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            sandbox.path("run").display()
        );
        std::fs::write(&config, text).expect("the sandbox can be written");
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon starts");
        let mut address = String::new();
        let stdout = daemon.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut address).expect("it says where it listens");
        let address = address.trim().to_owned();
        sandbox.set("DBUS_SESSION_BUS_ADDRESS", &address);
        Self { daemon, address, home }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A program on this bus.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("XDG_RUNTIME_DIR", self.home.with_file_name("run"))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command
    }

    /// Whether somebody has the name of the Secret Service.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        let asked =
            ["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.GetNameOwner"];
        let asked = self.command("dbus-send").args(asked).arg("string:org.freedesktop.secrets").output();
        asked.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What kind of keyring there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// With a collection that is open.
    Unlocked,
    /// Just started: with the collection locked if it was there before, and with none else.
    AsItIs,
}

/// gnome-keyring.
#[derive(Debug)]
pub struct Keyring(Child);

impl Keyring {
    /// Starts it on `bus`, and waits until it has its name.
    ///
    /// # Panics
    /// If it does not get it.
    #[must_use]
    pub fn start(bus: &Bus, state: State) -> Self {
        let mut command = bus.command("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]);
        if state == State::Unlocked {
            command.arg("--unlock");
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(b"login-password").expect("it reads the password");
        drop(stdin);
        assert!(until(PATIENCE, || bus.has_secrets()), "gnome-keyring has no name on the bus");
        Self(child)
    }

    /// It dies.
    ///
    /// # Panics
    /// If the bus does not notice.
    pub fn dies(mut self, bus: &Bus) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        assert!(until(PATIENCE, || !bus.has_secrets()), "its name outlives it");
    }

    /// It stops answering, and lives.
    pub fn hangs(&self) {
        kill(self.0.id(), Signal::STOP);
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Secret Service with one item, which is locked behind a prompt that nobody ever answers.
pub struct Prompter {
    _connection: zbus::blocking::Connection,
    prompts: Arc<AtomicUsize>,
}

impl Prompter {
    /// Puts it on `bus`.
    ///
    /// # Panics
    /// If it does not get the name.
    #[must_use]
    pub fn start(bus: &Bus) -> Self {
        let prompts = Arc::new(AtomicUsize::new(0));
        let builder =
            zbus::blocking::connection::Builder::address(bus.address.as_str()).expect("the bus has an address");
        let connection = builder
            .name("org.freedesktop.secrets")
            .and_then(|builder| builder.serve_at("/org/freedesktop/secrets", Secrets))
            .and_then(|builder| builder.serve_at(PROMPT, Prompt(prompts.clone())))
            .and_then(zbus::blocking::connection::Builder::build)
            .expect("nobody else has the name");
        Self { _connection: connection, prompts }
    }

    /// How often somebody was to be asked.
    #[must_use]
    pub fn prompts(&self) -> usize {
        self.prompts.load(Ordering::SeqCst)
    }
}

const PROMPT: &str = "/org/freedesktop/secrets/prompt/1";

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text).expect("it is a path")
}

struct Secrets;

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Secrets {
    fn open_session(&self, algorithm: &str, input: Value<'_>) -> (OwnedValue, OwnedObjectPath) {
        let _ = (algorithm, input);
        // A public key as good as any: nothing is ever encrypted with what comes of it.
        let key = Value::from(vec![7_u8; 128]).try_to_owned().expect("there is no descriptor in it");
        (key, path("/org/freedesktop/secrets/session/1"))
    }

    fn search_items(&self, attributes: HashMap<String, String>) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        drop(attributes);
        (Vec::new(), vec![path("/org/freedesktop/secrets/collection/login/1")])
    }

    fn unlock(&self, objects: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        drop(objects);
        (Vec::new(), path(PROMPT))
    }
}

struct Prompt(Arc<AtomicUsize>);

#[zbus::interface(name = "org.freedesktop.Secret.Prompt")]
impl Prompt {
    fn prompt(&self, window: &str) {
        let _ = window;
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn dismiss(&self) {}
}
