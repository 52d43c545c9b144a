//! What has to be there before a block of the manual is typed. CONTRIBUTING.md lists the scenes.

use std::any::Any;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use cloud_agent_tests::fake::cleura::{Cleura, Second};
use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::fake::{Reply, Request, Server};
use cloud_agent_tests::sandbox::{AGENT, Sandbox, TOKEN};

use crate::consumers::{Stage, git, is_authorised, site};
use crate::support::{put_script, sandbox};
use crate::tutorial;

/// The access key of the manual.
const KEY: &str = "AKIAEXAMPLE";
/// Whatever passphrase is asked for.
const PASSPHRASE: &str = "a passphrase of the manual";

/// A sandbox, and what its surroundings are called in the manual.
pub(super) struct Scene {
    pub(super) sandbox: Sandbox,
    /// What the manual writes, and what is there instead.
    pub(super) places: Vec<(String, String)>,
    pub(super) answers: Vec<Answer>,
    /// What runs until the scene is over.
    held: Vec<Box<dyn Any>>,
}

/// What is typed when somebody is asked.
pub(super) struct Answer {
    pub(super) prompt: &'static str,
    pub(super) text: String,
    pub(super) hidden: bool,
}

impl Answer {
    fn hidden(prompt: &'static str, text: &str) -> Self {
        Self { prompt, text: text.to_owned(), hidden: true }
    }

    fn shown(prompt: &'static str, text: &str) -> Self {
        Self { hidden: false, ..Self::hidden(prompt, text) }
    }
}

/// The scene of that name, or `None` if a tool is missing, which is said.
///
/// # Panics
/// If there is no scene of that name.
pub(super) fn of(name: &str, what: &str) -> Option<Scene> {
    Some(match name {
        "bare" => bare(),
        "new" => new(),
        "work" => work(),
        "cleura" => cleura(),
        "git" => repository(what)?,
        "lagoon" => lagoon(),
        "acme" => acme(),
        _ => panic!("{what}: there is no scene `{name}`"),
    })
}

impl Scene {
    fn new(sandbox: Sandbox) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        sandbox.set("PATH", format!("{}:{path}", sandbox.path("bin").display()));
        sandbox.set("TERM", "dumb");
        sandbox.set("USER", "me");
        sandbox.set("SHELL", "/bin/bash");
        // The longer ones first.
        let places = [
            ("/home/me/.config", "config"),
            ("~/.config", "config"),
            ("~/.local/state", "state"),
            ("/home/me", "home"),
            ("/run/user/1000", "run"),
        ];
        let places = places.map(|(shown, real)| (shown.to_owned(), sandbox.path(real).display().to_string())).into();
        let answers = ["New passphrase", "The same again"];
        let answers = answers.map(|prompt| Answer::hidden(prompt, PASSPHRASE)).into();
        Self { sandbox, places, answers, held: Vec::new() }
    }

    fn place(mut self, shown: &str, real: impl Into<String>) -> Self {
        self.places.push((shown.to_owned(), real.into()));
        self
    }

    fn holding(mut self, held: impl Any) -> Self {
        self.held.push(Box::new(held));
        self
    }

    /// An ecHome with one key, and what its secret is asked for by.
    fn with_cloud(mut self, cloud: &EcHome) -> Self {
        let secret = cloud.add_key(KEY);
        for variable in ["ECHOME_SECRET", "SECRET"] {
            self.sandbox.set(variable, &secret);
        }
        self.sandbox.set("api", format!("{}/api/v1", cloud.url()));
        self.answers.push(Answer::hidden("Secret of the access key", &secret));
        self.place("https://echome.example.org", cloud.url()).place("in keyring", "in memory")
    }
}

/// The programs, on `PATH` and where cargo installs them, and nothing that runs.
fn bare() -> Scene {
    let scene = Scene::new(sandbox());
    let cargo = scene.sandbox.path("home/.cargo/bin");
    fs::create_dir_all(&cargo).unwrap();
    for program in [AGENT, TOKEN] {
        symlink(scene.sandbox.program(program), cargo.join(program)).unwrap();
    }
    scene
}

/// An agent that knows nobody, and a cloud that waits for `ecHome`.
fn new() -> Scene {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let cloud = EcHome::start();
    Scene::new(sandbox).with_cloud(&cloud).place(" keyring", " memory").holding((agent, cloud))
}

/// The accounts `work` and `ecHome`, an API that takes the tokens of `work`, and some files at hand.
fn work() -> Scene {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let cloud = Arc::new(EcHome::start());
    let known = Arc::clone(&cloud);
    let api = site(false, move |request: &Request| {
        if is_authorised(&known, request) { Reply::typed(200, "text/plain", "[]\n") } else { Reply::empty(401) }
    });
    let scene = Scene::new(sandbox).with_cloud(&cloud).place("https://api.example.org", api.url());
    for (account, serves) in [("work", api.url().as_str()), ("ecHome", "none")] {
        let (access, serves) = (format!("access-id={KEY}"), format!("serves={serves}"));
        let login = ["login", account, "--cloud", "echome", "--url", &cloud.url(), "--set", &access, "--set", &serves];
        let login = scene.sandbox.command(TOKEN).args(login);
        login.args(["--secret", "secret=env:ECHOME_SECRET", "--no-input"]).finish().ok();
        scene.sandbox.token([account]).ok();
    }
    put_script(&scene.sandbox.path("home/deploy"), "#!/bin/sh\n[ -n \"$ECHOME_TOKEN\" ] && [ -n \"$ECHOME_URL\" ]\n");
    fs::write(scene.sandbox.path("home/thing.json"), "{}").unwrap();
    scene.holding((agent, cloud, api))
}

/// The account `cleura`.
fn cleura() -> Scene {
    let sandbox = sandbox();
    let agent = sandbox.agent();
    let cloud = Cleura::start();
    sandbox.set("CLEURA_PASSWORD", cloud.add("alice@example.com", Second::None));
    let login = ["login", "cleura", "--url", &cloud.url(), "--set", "username=alice@example.com"];
    let login = sandbox.command(TOKEN).args(login).args(["--secret", "password=env:CLEURA_PASSWORD", "--no-input"]);
    login.finish().ok();
    Scene::new(sandbox).holding((agent, cloud))
}

/// A repository at a server that takes the tokens of `ecHome`.
fn repository(what: &str) -> Option<Scene> {
    let git::Repository { stage, server } = git::Repository::new(what)?;
    let Stage { cloud, secret, sandbox, agent } = stage;
    sandbox.set("GIT_SSL_CAINFO", server.ca());
    sandbox.set("GIT_TERMINAL_PROMPT", "0");
    let mut scene = Scene::new(sandbox).place("https://git.example.org", server.url());
    scene.answers.push(Answer::hidden("Secret of the access key", &secret));
    Some(scene.holding((cloud, agent, server)))
}

/// The cloud of the tutorial, and its file where it is to be.
fn lagoon() -> Scene {
    let cloud = Server::start(tutorial::Lagoon::default());
    let sandbox = tutorial::given();
    let mut scene = Scene::new(sandbox);
    scene.answers.extend([
        Answer::shown("Address of your lagoon", &cloud.url()),
        Answer::shown("User name", "alice"),
        Answer::hidden("Password", tutorial::PASSWORD),
    ]);
    scene.holding(cloud)
}

/// The small cloud of CONTRIBUTING.md, in a file at hand.
fn acme() -> Scene {
    let scene = bare();
    let text = fs::read_to_string(super::root().join("CONTRIBUTING.md")).unwrap();
    let file = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("there is a file");
    fs::write(scene.sandbox.path("home/acme.toml"), file).unwrap();
    scene
}
