//! The agent's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand, ValueEnum};
use cloud_agent_protocol::suggest::hinted;

use crate::accounts::parse_span;
use crate::words;

/// Holds refresh tokens and keys, caches access tokens in memory and renews them, and answers over a private socket.
///
/// `cloud-token ACCOUNT` asks it, and starts it when there is none.
#[derive(Debug, Parser)]
#[command(name = "cloud-agent", version, after_help = AFTER)]
pub(crate) struct Cli {
    /// Listen here instead of at `$CLOUD_AGENT_SOCK` or `$XDG_RUNTIME_DIR/cloud-agent/agent.sock`
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Where the held secrets rest
    #[arg(long, value_name = "KIND", value_enum, default_value_t = VaultKind::Auto)]
    pub(crate) vault: VaultKind,
    /// Read `accounts.toml` and `clouds/` here instead of in `$CLOUD_AGENT_CONFIG` or `$XDG_CONFIG_HOME/cloud-agent`
    #[arg(long, value_name = "DIR")]
    pub(crate) config: Option<PathBuf>,
    /// Forget what is held of an account this long after its login: `8h`, `90m`; sooner if its `hold-for` says so
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub(crate) hold_for: Option<Duration>,
    /// Forget what is held of an account once nobody has asked for it for this long; sooner if its `hold-idle` says so
    #[arg(long, value_name = "DURATION", value_parser = span)]
    pub(crate) hold_idle: Option<Duration>,
    /// Run this when a human is needed, in place of a notification on the desktop; `none` for neither. Wins over `notify` in
    /// accounts.toml
    #[arg(long, value_name = "COMMAND")]
    pub(crate) notify_with: Option<String>,
    /// Start it in the background, and print the assignment that `eval` in sh takes, or in one of the two below
    #[arg(long, conflicts_with_all = ["detached", "program"])]
    pub(crate) fork: bool,
    /// … in csh
    #[arg(short = 'c', long, requires = "fork")]
    pub(crate) csh: bool,
    /// … in fish
    #[arg(long, requires = "fork", conflicts_with = "csh")]
    pub(crate) fish: bool,
    /// End when nobody has called for this long: `30m`, `8h`. Never while something is held in memory only, or locked
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    pub(crate) idle_exit: Option<Duration>,
    /// Say more; twice: everything. `$CLOUD_AGENT_LOG` (error, warn, info, debug, trace, off) wins
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Started by a client: leave its session, say `ready` on stdout, then let go of all it handed down
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
    /// Started for the program that this process's parent is about to become: end with it
    #[arg(long, hide = true)]
    pub(crate) bound: bool,
    /// Started by an agent that hands over all that it has, over stdin
    #[arg(long, hide = true)]
    pub(crate) successor: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Run this with an agent, which ends with it
    #[arg(value_name = "PROGRAM", last = true)]
    pub(crate) program: Vec<OsString>,
}

impl Cli {
    /// What the arguments of this process say. Else, what is wrong with them has been told, or the help that they ask for, and
    /// this is how it ends.
    pub(crate) fn of_process() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() {
                eprint!("{}", hinted(&error.render().to_string()));
                return ExitCode::from(2);
            }
            let _ = error.print();
            ExitCode::SUCCESS
        })
    }

    /// What an agent is to be started with that stands in for this one, but for where it listens. `config` is the directory that
    /// was given, whatever the working directory is by then.
    pub(crate) fn handed_down(&self, config: &Path) -> Vec<OsString> {
        let mut all =
            vec!["--vault".into(), self.vault.to_possible_value().expect("none is skipped").get_name().into()];
        if self.config.is_some() {
            all.extend(["--config".into(), config.into()]);
        }
        let spans = [("--idle-exit", self.idle_exit), ("--hold-for", self.hold_for), ("--hold-idle", self.hold_idle)];
        for (option, span) in spans.into_iter().filter_map(|(option, span)| Some((option, span?))) {
            all.extend([option.into(), format!("{}s", span.as_secs()).into()]);
        }
        if let Some(command) = &self.notify_with {
            all.extend(["--notify-with".into(), command.into()]);
        }
        all.extend((0..self.verbose).map(|_| "--verbose".into()));
        all
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    words::parse_duration(text)
        .filter(|patience| *patience >= Duration::from_secs(1))
        .ok_or_else(|| "a duration of a second or more, such as `30m` or `8h`".to_owned())
}

/// The whole command line, for whoever writes its manual.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Judge a cloud file and play its examples
    Check {
        /// The file
        file: PathBuf,
    },
    /// Ask the keyring for the key of a vault, keep it there, or erase it: for the agent, which runs this
    #[command(hide = true)]
    Keyring {
        /// get, set or erase
        what: String,
        /// The vault's name
        id: String,
    },
    /// Put a notice on the desktop, as the environment says: for the agent, which runs this
    #[command(hide = true)]
    Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VaultKind {
    /// As `vault.toml` says; else `keyring` if one answers in time, else `memory`
    Auto,
    /// In sealed files; their key is in the keyring of the desktop
    Keyring,
    /// In sealed files; their key comes from a passphrase, by `cloud-token unlock` or a file
    Passphrase,
    /// Where a program of your own puts them; `vault.toml` names it
    Command,
    /// In the agent's memory only; gone when it ends, as with ssh-agent
    Memory,
}

fn span(text: &str) -> Result<Duration, String> {
    parse_span(text)
        .map_err(|fault| fault.hint.map_or(fault.message.clone(), |hint| format!("{}: {hint}", fault.message)))
}

const AFTER: &str = "\
Examples:
  cloud-agent &                              run it in this session, its log on stderr
  eval \"$(cloud-agent --fork)\"               in the background; sh, bash, zsh
  eval \"`cloud-agent --fork -c`\"             csh
  cloud-agent --fork --fish | source         fish
  cloud-agent -- make deploy                 for one program, with whose exit code this ends
  cloud-agent --idle-exit 8h --fork
  cloud-agent --hold-idle 1h &               forget whatever nobody has asked for in an hour
  cloud-agent check clouds/acme.toml         judge a cloud file of your own

A second agent for the same socket finds the first, says so and exits 0.";
