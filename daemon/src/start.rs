//! From the command line to a running agent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind, endpoint};
use tokio::sync::{Notify, mpsc};

use crate::access::Access;
use crate::accounts::{self, Accounts};
use crate::broker::{Broker, Surroundings};
use crate::cli::{Cli, Command, VaultKind};
use crate::clock::{Clock, SystemClock};
use crate::cloud::Clouds;
use crate::life::bond::Bond;
use crate::life::detach::{detach, ready};
use crate::life::launch::{Failed, Launch};
use crate::life::manager::{Handed, Manager};
use crate::life::reload::reload;
use crate::life::signals::{drops, signals};
use crate::life::successor::{self, Estate};
use crate::life::{self, Begun, Inherited, Leaving, Shell};
use crate::paths::{self, Paths};
use crate::provider::Recipe;
use crate::server::socket::{self, Claim};
use crate::server::{self, Gate, Limits, Reins};
use crate::shutdown::Shutdown;
use crate::vault::{Choice, Kind};
use crate::{check, hardening, http, log, notice, vault};

/// The whole program. Exit codes: 0 ended in good order, or found another agent; 1 a fault; 2 a wrong command line, or a
/// place that cannot be used.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(ended) => return ended,
    };
    if let Some(ended) = started_behind(&cli) {
        return ended.unwrap_or_else(|failed| match failed {
            Failed::Said(code) => code,
            Failed::Fault(fault) => failure(&fault),
        });
    }
    let (manager, handed) = Manager::take();
    let origin = life::origin();
    let open_doors = hardening::apply();
    if cli.detached {
        hardening::let_go_of_inherited();
    }
    let bond = cli.bound.then(Bond::of_parent);
    log::start(cli.verbose, std::env::var(log::ENV_LOG).ok().as_deref());
    for door in open_doors {
        tracing::warn!("{door}");
    }
    let result = match &cli.command {
        Some(Command::Check { file }) => return judge(file),
        Some(Command::Keyring { what, id }) => return vault::ask_keyring(what, id),
        Some(Command::Notify) => return notice::show(),
        None => run(&cli, Inherited { bond, manager, handed, origin }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => failure(&fault),
    }
}

fn failure(fault: &Fault) -> ExitCode {
    say(fault);
    ExitCode::from(if matches!(fault.kind, FaultKind::Config | FaultKind::Usage) { 2 } else { 1 })
}

/// How this process ends if it only starts an agent and is none.
fn started_behind(cli: &Cli) -> Option<Result<ExitCode, Failed>> {
    if cli.command.is_some() || (!cli.fork && cli.program.is_empty()) {
        return None;
    }
    let started = || {
        let launch = Launch { cli, socket: &place(cli)? };
        match (cli.fork, cli.csh, cli.fish) {
            (false, ..) => launch.become_program(&cli.program),
            (true, true, _) => launch.print(Shell::Csh),
            (true, _, true) => launch.print(Shell::Fish),
            (true, ..) => launch.print(Shell::Sh),
        }
    };
    Some(started())
}

/// Where it listens.
fn place(cli: &Cli) -> Result<PathBuf, Fault> {
    match &cli.socket {
        Some(given) => endpoint::check(std::path::absolute(given).unwrap_or_else(|_| given.clone())),
        None => endpoint::resolve(),
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

fn run(cli: &Cli, inherited: Inherited) -> Result<(), Fault> {
    let path = place(cli)?;
    let paths = Paths::resolve(cli.config.clone(), |name| std::env::var_os(name))?;
    let files = hardening::raise_open_files();
    let runtime = runtime()?;
    // What is left on the blocking pool (a name look-up that hangs) must not hold up the end.
    let result = runtime.block_on(serve(cli, path, &paths, files, inherited));
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

/// `None` if another agent is there already.
async fn begin(cli: &Cli, path: PathBuf, handed: Handed, bond: Option<Bond>) -> Result<Option<Begun>, Fault> {
    if cli.successor {
        return successor::meet().await.map(Some);
    }
    let (path, claim) = if let Some(adopted) = socket::adopt(handed).await? {
        adopted
    } else {
        let claim = socket::claim(&path).await?;
        (path, claim)
    };
    match claim {
        Claim::Taken(place, listener) => Ok(Some(Begun { path, place, listener, bond, estate: None })),
        Claim::AlreadyRunning => {
            eprintln!("cloud-agent: another agent is already running at {}", path.display());
            if cli.detached {
                ready();
            }
            Ok(None)
        }
    }
}

/// A broker with all that it begins with, and what is wrong with the user's clouds. `None` if the agent is to `end` before, or the
/// one that this is to replace stays after all.
async fn equip(
    cli: &Cli,
    paths: &Paths,
    clock: Arc<dyn Clock>,
    estate: Option<&Estate>,
    end: impl Future<Output = ()>,
) -> Result<Option<(Arc<Broker>, Vec<Fault>)>, Fault> {
    let clouds = Clouds::load(Some(&paths.clouds()));
    let unusable = clouds.broken();
    let transport = http::Circuit::new(http::HttpClient::default(), clock.clone());
    let provider = Arc::new(Recipe::new(Arc::new(transport), clock.clone()));
    let choose = async {
        match estate {
            Some(estate) => estate.vault(paths, clock.clone()),
            None => Choice::at_start(kind(cli.vault), paths, clock.clone()).await,
        }
    };
    // A keyring may take its time, and the agent may be told to end meanwhile.
    let vault = tokio::select! {
        vault = choose => vault,
        () = end => return Ok(None),
    };
    let made = vault.and_then(|vault| {
        let accounts = Accounts::open(paths.accounts());
        let broker = Broker::new(clock, accounts, clouds, provider, Arc::new(vault));
        broker.hold_at_most(accounts::Limits::new(cli.hold_for, cli.hold_idle));
        let told = cli.notify_with.as_deref().and_then(notice::Way::parse);
        broker.tell_by(Arc::new(notice::Ways::new(told, paths.session)));
        estate.map_or(Ok(()), |estate| estate.give_to(&broker))?;
        Ok(broker)
    });
    match (made, estate) {
        (Ok(broker), None) => Ok(Some((broker, unusable))),
        (Ok(broker), Some(estate)) => Ok(estate.is_to_serve().await.then_some((broker, unusable))),
        (Err(fault), estate) => {
            if let Some(estate) = estate {
                estate.refuse(&fault).await;
            }
            Err(fault)
        }
    }
}

async fn serve(cli: &Cli, path: PathBuf, paths: &Paths, files: usize, inherited: Inherited) -> Result<(), Fault> {
    let Inherited { bond, manager, handed, origin } = inherited;
    // Before there is anything to tidy up: whoever sees the socket may want it gone.
    let shutdown = Shutdown::default();
    let told_to_reload = Arc::new(Notify::new());
    let mut again = std::pin::pin!(signals(shutdown.clone(), told_to_reload.clone(), cli.detached)?);
    let drops = drops()?;
    let Some(begun) = begin(cli, path, handed, bond).await? else { return Ok(()) };
    let Begun { path, place, listener, bond, estate } = begun;
    let kept_bond = bond.as_ref().and_then(Bond::duplicate);
    if let Some(bond) = bond {
        tokio::spawn(bond.watch(shutdown.clone()));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let surroundings = Surroundings {
        started_at: clock.now(),
        socket: path.display().to_string(),
        config: paths.config.display().to_string(),
        state: paths.state.display().to_string(),
        network: paths::network(|name| std::env::var_os(name)),
    };
    let end = async {
        tokio::select! {
            () = shutdown.requested() => {}
            () = &mut again => {}
        }
    };
    let equipped = equip(cli, paths, clock.clone(), estate.as_ref(), end).await?;
    let Some((broker, unusable)) = equipped else { return Ok(()) };
    place.take_over();
    let access = Access::new(clock.clone(), &paths.state, paths.accounts());
    if let Some(estate) = &estate {
        estate.tell(&access);
    }
    if cli.detached {
        detach(&paths.log());
    }
    // Only now, so that it is in the log of a detached agent.
    tracing::info!("listening at {}", path.display());
    for fault in &unusable {
        tracing::warn!("{fault}");
    }
    let place = Arc::new(place);
    let gate = Arc::new(Gate::default());
    let (control, told) = mpsc::channel(1);
    let (renewals, asked) = mpsc::channel(1);
    let leaving = Leaving {
        origin,
        arguments: cli.handed_down(&paths.config),
        broker: broker.clone(),
        access: access.clone(),
        gate: gate.clone(),
        place: place.clone(),
        server: control.clone(),
        manager: manager.clone(),
        shutdown: shutdown.clone(),
        bond: kept_bond,
    };
    let leaving = tokio::spawn(leaving.serve(asked));
    tokio::spawn(broker.clone().keep_fresh());
    tokio::spawn(drops.serve(broker.clone()));
    tokio::spawn(access.journal().clone().keep(clock.clone(), hardening::give_back_the_rest));
    let directories = [paths.config.clone(), paths.clouds()];
    tokio::spawn(reload(broker.clone(), directories, told_to_reload, manager.clone()));
    tokio::spawn(manager.clone().tell_of_the_end(shutdown.clone()));
    tokio::spawn(manager.clone().keep_the_watchdog_quiet(clock));
    let guard = tokio::spawn(socket::guard(place.clone(), control.clone(), shutdown.clone()));
    if let Some(estate) = estate {
        broker.take_up();
        tokio::spawn(estate.take_callers(control));
    }
    // A task like the sessions, which takes its turn among them. What the runtime itself blocks on goes first whenever it can
    // run: under load it would accept faster than ended sessions can leave.
    let limits = Limits { idle_exit: cli.idle_exit, ..Limits::for_files(files) };
    let reins = Reins { control: told, gate: gate.clone(), renewals };
    let server = tokio::spawn(server::run(listener, reins, broker, access, limits, surroundings, shutdown));
    manager.ready();
    // Most of what a start runs through is never run again.
    tokio::spawn(async {
        hardening::others_first().await;
        hardening::give_back();
    });
    let result = tokio::select! {
        result = server => result.unwrap_or_else(|e| Err(defect(&e))),
        () = &mut again => {
            tracing::warn!("told twice to end: ending at once");
            Ok(())
        }
    };
    guard.abort();
    gate.close();
    if gate.is_gone() {
        // Until the last connection has moved.
        let _ = leaving.await;
    }
    place.give_back();
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

fn say(fault: &Fault) {
    eprintln!("error: {}", fault.message);
    for cause in &fault.causes {
        eprintln!("caused by: {cause}");
    }
    if let Some(hint) = &fault.hint {
        eprintln!("hint: {hint}");
    }
}
