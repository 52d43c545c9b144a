//! Our agent: built, started in the sandbox, and logged in at the fake cloud.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloud_agent_tests::bench::load::Framing;
use cloud_agent_tests::bench::wire;

use crate::context::{Context, Options, argv};
use crate::peers::{Peer, Target};
use crate::spawn::Client;

/// The account that everybody asks for.
pub(crate) const ACCOUNT: &str = "ecHome";

const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";

/// Agent and client of one build.
#[derive(Clone)]
pub(crate) struct Build {
    /// `glibc`, `musl` or `stand-in`.
    pub(crate) name: &'static str,
    /// The agent and, for the stand-in, the argument that makes the bench one.
    pub(crate) agent: Vec<String>,
    /// The client likewise.
    pub(crate) client: Vec<String>,
}

impl Build {
    /// The warm get.
    pub(crate) fn get(&self) -> Client {
        let mut argv = self.client.clone();
        argv.push(ACCOUNT.to_owned());
        Client { label: self.label(), argv, stdin: "/dev/null".into() }
    }

    /// Its name in tables.
    pub(crate) fn label(&self) -> String {
        format!("**ours ({})**", self.name)
    }
}

/// The builds that there are, the plain one first: from `BENCH_AGENT` and `BENCH_CLIENT` (and `…_MUSL`), else built now.
pub(crate) fn builds(options: &Options) -> Result<Vec<Build>, String> {
    if options.stand_in {
        let exe = env::current_exe().map_err(|e| e.to_string())?.to_string_lossy().into_owned();
        let (agent, client) = (argv([&*exe, "--stand-in-agent"]), argv([&*exe, "--stand-in-client"]));
        return Ok(vec![Build { name: "stand-in", agent, client }]);
    }
    let mut builds = vec![given("glibc", "").map_or_else(|| build("glibc", None), Ok)?];
    if let Some(build) = given("musl", "_MUSL") {
        builds.push(build);
    } else if has_musl() {
        match build("musl", Some(MUSL_TARGET)) {
            Ok(build) => builds.push(build),
            Err(why) => eprintln!("SKIPPED the musl build: {why}"),
        }
    } else {
        eprintln!("SKIPPED the musl build: the target {MUSL_TARGET} is not installed");
    }
    Ok(builds)
}

/// The last of `builds`: musl where it is there. The one that is meant where only one can be measured.
pub(crate) fn best(builds: &[Build]) -> &Build {
    &builds[builds.len() - 1]
}

fn given(name: &'static str, suffix: &str) -> Option<Build> {
    let path = |variable: &str| env::var(format!("{variable}{suffix}")).ok();
    Some(Build { name, agent: vec![path("BENCH_AGENT")?], client: vec![path("BENCH_CLIENT")?] })
}

/// Whether the target's standard library is there, or the environment says where to find one.
fn has_musl() -> bool {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", MUSL_TARGET]).output();
    let installed = output.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir());
    installed || env::var_os("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS").is_some()
}

fn build(name: &'static str, target: Option<&str>) -> Result<Build, String> {
    // This program is release/deps/agent-… in the target directory, wherever that is.
    let exe = env::current_exe().map_err(|e| e.to_string())?;
    let mut dir: PathBuf = exe.ancestors().nth(3).ok_or("the target directory is not where it should be")?.to_owned();
    // The client on its own, so that it has no feature that only the agent wants; and statically as it is released.
    let profile = if target.is_some() { "dist" } else { "release" };
    for (package, profile) in [("cloud-agent-daemon", "release"), ("cloud-token", profile)] {
        let mut command = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        command.args(["build", "-p", package, "--profile", profile, "--target-dir"]).arg(&dir);
        command.args(target.into_iter().flat_map(|target| ["--target", target]));
        let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().map_err(|e| format!("cargo: {e}"))?;
        if !status.success() {
            return Err(format!("`cargo build -p {package} --profile {profile}` for {name} failed"));
        }
    }
    dir.extend(target);
    Ok(Build { name, agent: install(&dir, "release", "cloud-agent")?, client: install(&dir, profile, "cloud-token")? })
}

/// A copy, as on whoever's machine it is used: how many pages of a file one fault brings in depends on how the file was
/// written, and a linker writes here and there. The same program costs some faults more where it was linked.
fn install(dir: &Path, profile: &str, name: &str) -> Result<Vec<String>, String> {
    let installed = dir.join(profile).join("installed");
    fs::create_dir_all(&installed).map_err(|e| format!("{}: {e}", installed.display()))?;
    let copied =
        Command::new("cp").arg("--remove-destination").arg(dir.join(profile).join(name)).arg(&installed).status();
    match copied {
        Ok(status) if status.success() => Ok(vec![installed.join(name).to_string_lossy().into_owned()]),
        _ => Err(format!("{name} could not be copied to {}", installed.display())),
    }
}

/// A running agent of ours.
pub(crate) struct Ours {
    /// It as a peer among peers.
    pub(crate) peer: Peer,
    /// Where it listens.
    pub(crate) socket: PathBuf,
    build: Build,
    env: Vec<(OsString, OsString)>,
}

impl Ours {
    /// Starts `build` in directory `instance` of the sandbox; `ours` is the one that the sandbox's environment names.
    pub(crate) fn start(context: &Context, build: &Build, instance: &str) -> Result<Self, String> {
        let dir = context.dir(instance)?;
        let (config, state) = (context.dir(&format!("{instance}/config"))?, context.dir(&format!("{instance}/state"))?);
        let (socket, config) = (dir.join("s"), config.to_string_lossy().into_owned());
        let env = vec![
            ("CLOUD_AGENT_SOCK".into(), socket.clone().into_os_string()),
            ("CLOUD_AGENT_CONFIG".into(), config.clone().into()),
            ("CLOUD_AGENT_STATE".into(), state.clone().into_os_string()),
            ("XDG_STATE_HOME".into(), state.into_os_string()),
            ("XDG_RUNTIME_DIR".into(), dir.into_os_string()), // several agents run at once, each the only one of its own
        ];
        let mut command = build.agent.clone();
        command.extend(argv(["--socket", &socket.to_string_lossy(), "--vault", "memory", "--config", &config]));
        let child = context.serve(&command, &env, &socket)?;
        let target = Target {
            socket: socket.clone(),
            request: wire::bytes(&wire::get(ACCOUNT, false))?,
            framing: Framing::Little,
            expect: [&[1, 0], wire::KIND_CREDENTIAL.to_le_bytes().as_slice()].concat(),
            half_close: false,
        };
        let peer = Peer::new(&build.label(), child, vec![build.get()], Some(target));
        Ok(Self { peer, socket, build: build.clone(), env })
    }

    /// Starts it and logs [`ACCOUNT`] in.
    pub(crate) fn start_with_account(context: &Context, build: &Build, instance: &str) -> Result<Self, String> {
        let ours = Self::start(context, build, instance)?;
        ours.prepare_account(context, ACCOUNT, &context.cloud.http)?;
        Ok(ours)
    }

    /// Sets `account` up at the fake cloud at `url` as a person would, and asks once for its token.
    pub(crate) fn prepare_account(&self, context: &Context, account: &str, url: &str) -> Result<(), String> {
        let id = format!("access-id=AK-{account}");
        let mut login = self.build.client.clone();
        #[rustfmt::skip]
        login.extend(argv(["login", account, "--cloud", "echome", "--url", url, "--set", &id,
            "--secret", "secret=env:BENCH_SECRET"]));
        context.run(&login, &self.env)?;
        self.get(context, &[account]).map(drop)
    }

    /// Runs the client with `args`.
    pub(crate) fn get(&self, context: &Context, args: &[&str]) -> Result<Vec<u8>, String> {
        let mut get = self.build.client.clone();
        get.extend(argv(args));
        context.run(&get, &self.env)
    }
}
