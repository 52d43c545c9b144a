//! Where a run lives: its options, its sandbox, its fake cloud and its compiled helpers.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cloud_agent_tests::bench::cloud::Cloud;
use cloud_agent_tests::bench::gates::SPAWN;
use cloud_agent_tests::bench::tools::{Linkage, compile};
use tempfile::TempDir;

/// What was asked for.
pub(crate) struct Options {
    /// The steps, in order.
    pub(crate) steps: Vec<String>,
    /// Where the report goes besides stdout.
    pub(crate) out: Option<PathBuf>,
    /// Fewer and shorter rounds: to see that everything runs, not to quote figures.
    pub(crate) quick: bool,
    /// The bench's own agent in the place of ours.
    pub(crate) stand_in: bool,
    /// Everything under real-time scheduling.
    pub(crate) realtime: bool,
}

impl Options {
    /// `careful`, or `quick` when a quick run was asked for.
    pub(crate) fn of<T>(&self, careful: T, quick: T) -> T {
        if self.quick { quick } else { careful }
    }

    /// The seconds in environment variable `name`, else the default.
    pub(crate) fn seconds(&self, name: &str, careful: u64, quick: u64) -> Duration {
        let given = env::var(name).ok().and_then(|value| value.parse().ok());
        Duration::from_secs(given.unwrap_or_else(|| self.of(careful, quick)))
    }
}

/// A run.
pub(crate) struct Context {
    /// What was asked for.
    pub(crate) options: Options,
    /// The fake cloud.
    pub(crate) cloud: Cloud,
    root: TempDir,
    env: Vec<(OsString, OsString)>,
}

impl Context {
    /// Makes the sandbox, starts the fake cloud and compiles the floor.
    pub(crate) fn new(options: Options) -> Result<Self, String> {
        // Short, because a socket's path has to fit 107 bytes.
        let root = tempfile::Builder::new().prefix("ca-").tempdir_in("/tmp").map_err(|e| e.to_string())?;
        let authority = root.path().join("ca.pem");
        let cloud = Cloud::start(&authority)?;
        let at = |name: &str| root.path().join(name).into_os_string();
        let path = env::var_os("PATH").unwrap_or_default();
        // One environment for everybody: its size is part of what starting a process costs.
        let env = vec![
            ("PATH".into(), path),
            ("HOME".into(), at("home")),
            ("XDG_RUNTIME_DIR".into(), at("run")),
            ("XDG_CONFIG_HOME".into(), at("config")),
            ("XDG_STATE_HOME".into(), at("state")),
            ("SSL_CERT_FILE".into(), authority.into_os_string()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("SSH_AUTH_SOCK".into(), at("ssh/s")),
            ("OIDC_SOCK".into(), at("oidc/s")),
            ("OIDC_CONFIG_DIR".into(), at("oidc")),
            ("CLOUD_AGENT_SOCK".into(), at("ours/s")),
            ("CLOUD_AGENT_NO_AUTOSTART".into(), "1".into()), // an agent that is gone is a failure, not a start
            ("BENCH_SECRET".into(), "bench-secret".into()),
        ];
        let context = Self { options, cloud, root, env };
        for dir in ["home", "run", "config", "state", "bin"] {
            context.dir(dir)?;
        }
        for (name, source, linkage) in [
            ("floor-client", include_str!("floor/client.c"), Linkage::Static),
            ("floor-server", include_str!("floor/server.c"), Linkage::Static),
            ("floor-true", include_str!("floor/true.c"), Linkage::Static),
            ("spawn", SPAWN, Linkage::Static),
        ] {
            compile(source, &context.tool(name), linkage).map_err(|why| format!("{name}.c: {why}"))?;
        }
        Ok(context)
    }

    /// A compiled helper.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.root.path().join("bin").join(name)
    }

    /// A file in the sandbox.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A fresh private directory in the sandbox.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf, String> {
        let dir = self.file(name);
        let _ = fs::remove_dir_all(&dir);
        DirBuilder::new().mode(0o700).create(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        Ok(dir)
    }

    /// The sandbox's environment with `extra` in it.
    pub(crate) fn env(&self, extra: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let mut env = self.env.clone();
        env.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
        env.extend_from_slice(extra);
        env
    }

    /// `argv` in the sandbox, under real-time scheduling if that was asked for.
    pub(crate) fn command(&self, argv: &[String], extra: &[(OsString, OsString)]) -> Command {
        let mut argv = argv.to_vec();
        if self.options.realtime {
            argv.splice(0..0, ["chrt", "-r", "1"].map(str::to_owned));
        }
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(self.env(extra)).stdin(Stdio::null());
        command
    }

    /// Starts `argv` as a server that listens at `socket` in the end; what it says goes to a file beside the socket.
    pub(crate) fn serve(
        &self,
        argv: &[String],
        extra: &[(OsString, OsString)],
        socket: &Path,
    ) -> Result<Child, String> {
        let log = socket.with_extension("log");
        let out = File::create(&log).map_err(|e| e.to_string())?;
        let err = out.try_clone().map_err(|e| e.to_string())?;
        let mut command = self.command(argv, extra);
        let mut child = command.stdout(out).stderr(err).spawn().map_err(|e| format!("{}: {e}", argv[0]))?;
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return Ok(child);
            }
            if matches!(child.try_wait(), Ok(Some(_))) {
                break;
            }
            pause(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("{} does not listen: {}", argv[0], fs::read_to_string(log).unwrap_or_default()))
    }

    /// Runs `argv` to its end and returns what it printed.
    pub(crate) fn run(&self, argv: &[String], extra: &[(OsString, OsString)]) -> Result<Vec<u8>, String> {
        let output = self.command(argv, extra).output().map_err(|e| format!("{}: {e}", argv[0]))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(format!("{argv:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

/// Lets time pass: what is measured here is what happens in it.
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Words as an argument vector.
pub(crate) fn argv<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Vec<String> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}
