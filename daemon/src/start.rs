//! From the command line to a running agent.

#[cfg(windows)]
mod windows;

#[cfg(unix)]
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use cloud_agent_protocol::{Fault, FaultKind, endpoint};

use crate::accounts::Accounts;
use crate::broker::{Broker, Surroundings};
use crate::cli::{Cli, Command, VaultKind};
use crate::clock::{Clock, SystemClock};
use crate::cloud::Clouds;
use crate::paths::Paths;
use crate::provider::Recipe;
use crate::server::socket::{self, Claim};
use crate::server::{self, Limits};
use crate::shutdown::Shutdown;
use crate::vault::{Choice, Kind};
use crate::{check, hardening, http, log, vault};
#[cfg(windows)]
use windows::{let_go, signals};

/// A log file that has grown beyond this is begun anew, so that an agent that runs for a year fills no disk.
const LONGEST_LOG: u64 = 1 << 20;

/// The whole program. Exit codes: 0 ended in good order, or found another agent; 1 a fault; 2 a wrong command line, or a
/// place that cannot be used.
#[must_use]
pub fn main() -> ExitCode {
    let open_doors = hardening::apply();
    let cli = Cli::parse();
    if cli.detached {
        hardening::let_go_of_inherited();
    }
    log::start(cli.verbose, std::env::var(log::ENV_LOG).ok().as_deref());
    for door in open_doors {
        tracing::warn!("{door}");
    }
    let result = match &cli.command {
        Some(Command::Check { file }) => return judge(file),
        Some(Command::Keyring { what, id }) => return vault::ask_keyring(what, id),
        None => run(&cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            say(&fault);
            ExitCode::from(if matches!(fault.kind, FaultKind::Config | FaultKind::Usage) { 2 } else { 1 })
        }
    }
}

/// `cloud-agent check FILE`: what was found goes to stdout, what is wrong to stderr.
fn judge(file: &Path) -> ExitCode {
    match check::check_file(file) {
        Ok(report) => {
            println!("{}: `{}` ({}) is in order", file.display(), report.cloud.name, report.cloud.title);
            for title in &report.examples {
                println!("  played: {title}");
            }
            for note in &report.notes {
                println!("  note: {note}");
            }
            ExitCode::SUCCESS
        }
        Err(faults) => {
            faults.iter().for_each(say);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Fault> {
    let path = match &cli.socket {
        Some(given) => endpoint::check(std::path::absolute(given).unwrap_or_else(|_| given.clone()))?,
        None => endpoint::resolve()?,
    };
    let paths = Paths::resolve(cli.config.clone(), |name| std::env::var_os(name))?;
    let files = hardening::raise_open_files();
    let runtime = runtime()?;
    // What is left on the blocking pool (a name look-up that hangs) must not hold up the end.
    let result = runtime.block_on(serve(cli, &path, &paths, files));
    runtime.shutdown_background();
    result
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Name look-ups run on threads of their own; one that lingers would wake an idle agent to end itself.
        .thread_keep_alive(Duration::from_millis(1))
        .max_blocking_threads(8)
        .build()
        .map_err(|e| Fault::new(FaultKind::Internal, "the agent cannot start").because(e.to_string()))
}

async fn serve(cli: &Cli, path: &Path, paths: &Paths, files: usize) -> Result<(), Fault> {
    // Before there is anything to tidy up: whoever sees the socket may want it gone.
    let shutdown = Shutdown::default();
    let mut again = std::pin::pin!(signals(shutdown.clone())?);
    let drops = drops()?;
    let (place, listener) = match socket::claim(path)? {
        Claim::Taken(place, listener) => (place, listener),
        Claim::AlreadyRunning => {
            eprintln!("cloud-agent: another agent is already running at {}", path.display());
            if cli.detached {
                ready();
            }
            return Ok(());
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let surroundings = Surroundings {
        started_at: clock.now(),
        socket: path.display().to_string(),
        config: paths.config.display().to_string(),
    };
    let clouds = Clouds::load(Some(&paths.clouds()));
    let unusable: Vec<Fault> = clouds.broken().cloned().collect();
    let transport = http::Circuit::new(http::HttpClient::default(), clock.clone());
    let provider = Arc::new(Recipe::new(Arc::new(transport), clock.clone()));
    // A keyring may take its time, and the agent may be told to end meanwhile.
    let vault = tokio::select! {
        vault = Choice::at_start(kind(cli.vault), paths, clock.clone()) => Arc::new(vault?),
        () = shutdown.requested() => return Ok(()),
        () = &mut again => return Ok(()),
    };
    let broker = Broker::new(clock, Accounts::open(paths.accounts()), clouds, provider, vault);
    if cli.detached {
        detach(&paths.log());
    }
    // Only now, so that it is in the log of a detached agent.
    tracing::info!("listening at {}", path.display());
    for fault in &unusable {
        tracing::warn!("{fault}");
    }
    // Most of what a start runs through is never run again.
    hardening::let_go_of_code();
    tokio::spawn(broker.clone().keep_fresh());
    tokio::spawn(drops.serve(broker.clone()));
    // A task like the sessions, which takes its turn among them. What the runtime itself blocks on goes first whenever it can
    // run: under load it would accept faster than ended sessions can leave.
    let server = tokio::spawn(server::run(listener, broker, Limits::for_files(files), surroundings, shutdown));
    let result = tokio::select! {
        result = server => result.unwrap_or_else(|e| Err(defect(&e))),
        () = &mut again => {
            tracing::warn!("told twice to end: ending at once");
            Ok(())
        }
    };
    drop(place);
    tracing::info!("ended");
    result
}

fn defect(e: &tokio::task::JoinError) -> Fault {
    Fault::new(FaultKind::Internal, "the agent ended by a defect").because(e.to_string())
}

fn kind(flag: VaultKind) -> Option<Kind> {
    match flag {
        VaultKind::Auto => None,
        VaultKind::Keyring => Some(Kind::Keyring),
        VaultKind::Passphrase => Some(Kind::Passphrase),
        VaultKind::Command => Some(Kind::Command),
        VaultKind::Memory => Some(Kind::Memory),
    }
}

/// Ends the agent at the first signal in good order. The returned future ends at the second.
#[cfg(unix)]
fn signals(shutdown: Shutdown) -> Result<impl Future<Output = ()>, Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |e: io::Error| Fault::new(FaultKind::Internal, "signals cannot be handled").because(e.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    Ok(async move {
        for times in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {}
            }
            if times == 0 {
                tracing::info!("told to end");
                shutdown.request();
            }
        }
    })
}

/// The signal that has every cached token forgotten, as `drop` does. It is caught from the start on: by default it ends
/// whoever gets it.
struct Drops(#[cfg(unix)] tokio::signal::unix::Signal);

#[cfg(unix)]
fn drops() -> Result<Drops, Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::user_defined1())
        .map(Drops)
        .map_err(|e| Fault::new(FaultKind::Internal, "signals cannot be handled").because(e.to_string()))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as where there is such a signal")]
fn drops() -> Result<Drops, Fault> {
    Ok(Drops())
}

impl Drops {
    #[cfg_attr(not(unix), expect(clippy::unused_async, reason = "as where there is such a signal"))]
    async fn serve(self, broker: Arc<Broker>) {
        #[cfg(unix)]
        {
            let Self(mut signal) = self;
            while signal.recv().await.is_some() {
                broker.drop_cached();
            }
        }
        #[cfg(not(unix))]
        let _ = broker;
    }
}

/// Leaves the client that started us: its session, its directory, its pipes. A shell that waits for the end of our
/// output (`token=$(cloud-token …)`) would otherwise wait for the end of the agent.
fn detach(log: &Path) {
    #[cfg(unix)]
    if let Err(e) = rustix::process::setsid() {
        tracing::debug!("no session of its own: {e}");
    }
    let _ = std::env::set_current_dir("/");
    ready();
    if let Err(e) = let_go(log) {
        tracing::warn!("the log file cannot be used: {e}");
    }
}

fn ready() {
    let mut out = io::stdout();
    let _ = out.write_all(b"ready\n").and_then(|()| out.flush());
}

#[cfg(unix)]
fn let_go(log: &Path) -> io::Result<()> {
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    match open_log(log) {
        Ok(file) => rustix::stdio::dup2_stderr(&file)?,
        Err(e) => {
            rustix::stdio::dup2_stderr(&null)?;
            return Err(e);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn open_log(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let anew = fs::symlink_metadata(path).is_ok_and(|meta| meta.len() > LONGEST_LOG);
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("open flags fit an int");
    let mut options = fs::OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(no_follow);
    if anew {
        options.write(true).truncate(true).open(path)?;
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(no_follow).open(path)
}

fn say(fault: &Fault) {
    eprintln!("error: {}", fault.message);
    for cause in &fault.causes {
        eprintln!("caused by: {cause}");
    }
    if let Some(hint) = &fault.hint {
        eprintln!("hint: {hint}");
    }
}
