//! The command line beyond the plain get, and the words of `--help`.

mod accounts;
mod completing;
mod consumers;
mod custody;
mod doctor;
mod watch;

use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use cloud_agent_protocol::account::RESERVED;
use cloud_agent_protocol::suggest::{hinted, nearest};

use crate::commands::{check, clouds, completions, curl, drop, exec, man, metrics, reject, restart, status, stop};
use crate::deadline::{parse_seconds, parse_timeout};
use crate::frontend;
use crate::get;
use crate::output::Format;
use crate::report::Failure;
use crate::shell::Shell;
use crate::stdio;
use accounts::{DO_EXAMPLES, Do, LOGIN_EXAMPLES, LOGOUT_EXAMPLES, Login, Logout};
use consumers::{CURL_EXAMPLES, Curl, EXEC_EXAMPLES, Exec, HELPER_HELP, Helper, SETUP_EXAMPLES, Setup};
use custody::{LOCK_EXAMPLES, Opener, RESTART_EXAMPLES, UNLOCK_EXAMPLES, VAULT_EXAMPLES, Vault};
use doctor::{DOCTOR_EXAMPLES, Doctor};
use watch::{FORWARD_EXAMPLES, Forward, LOG_EXAMPLES, Log};

const EXAMPLES: &str = "\
Examples:
  cloud-token login                          set an account up and log in; asks which cloud, and for all it takes
  cloud-token login work --cloud CLOUD       the same for the account `work`; asks for what is missing
  cloud-token work                           print its token, renewed if need be
  curl -H @<(cloud-token work -o headers) URL
  cloud-token work -o curl | curl -K - URL   the token appears in no argument and on no screen
  eval \"$(cloud-token work -o env)\"          for programs that read the environment
  cloud-token status                         every account, until when it is good, and what went wrong

Exit codes:
  0  given                                   4  needs you: a login, a code, an unlock
  1  refused, or another fault               5  the cloud cannot be reached; try later
  2  wrong usage                             6  no such account or cloud
  3  no agent, or none that can be trusted

Environment:
  CLOUD_AGENT_SOCK           where the agent listens
  CLOUD_AGENT_NO_AUTOSTART   if not empty, no agent is started where none answers
  CLOUD_AGENT_WAIT           what `--wait` is if it is not given, for helpers as well

stdout carries data only; everything else goes to stderr.";

/// Prints a fresh access token of a cloud account. The agent keeps the secrets, and renews the token ahead of time.
#[derive(Parser)]
#[command(
    name = "cloud-token",
    version,
    after_help = EXAMPLES,
    override_usage = "cloud-token ACCOUNT [OPTIONS]\n       cloud-token COMMAND …",
    arg_required_else_help = true,
    disable_help_subcommand = false,
    max_term_width = 120
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print an account's credential; `cloud-token ACCOUNT` is short for it
    #[command(override_usage = "cloud-token ACCOUNT [OPTIONS]", after_help = EXAMPLES)]
    Token(Token),
    /// Set an account up and log in; asks for what is missing, secrets hidden
    #[command(after_help = LOGIN_EXAMPLES)]
    Login(Box<Login>),
    /// Revoke at the cloud where it can be done, and forget here in any case
    #[command(after_help = LOGOUT_EXAMPLES)]
    Logout(Logout),
    /// How agent and accounts are
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// As one JSON object; times are seconds since the Unix epoch
        #[arg(long)]
        json: bool,
        /// Go on: redraw it on a terminal, else print it again whenever it has changed
        #[arg(long)]
        watch: bool,
        /// What the agent has counted, as OpenMetrics text; starts no agent
        #[arg(long, conflicts_with_all = ["json", "watch"])]
        metrics: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// The clouds that are known; with a name, what that one asks
    #[command(after_help = CLOUDS_EXAMPLES)]
    Clouds {
        /// Only this one, in full
        #[arg(value_name = "CLOUD")]
        name: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Ask the cloud itself whether the account's token is alive: exit 0 if it is, 1 if not
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// Whose token
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Do what the cloud names that is no login; without ACTION, list it
    #[command(after_help = DO_EXAMPLES)]
    Do(Box<Do>),
    /// Run a program with the accounts' environment, in place of this one
    #[command(after_help = EXEC_EXAMPLES, override_usage = "cloud-token exec ACCOUNT… [OPTIONS] -- PROGRAM [ARGUMENT …]")]
    Exec(Box<Exec>),
    /// Run curl with the account's headers, which are in no argument; a refused token is renewed, and the request repeated
    #[command(after_help = CURL_EXAMPLES, override_usage = "cloud-token curl ACCOUNT [OPTIONS] -- [CURL'S ARGUMENT …]")]
    Curl(Box<Curl>),
    /// Tell that the API answered 401: the token is forgotten and renewed on next use
    #[command(
        after_help = "Examples:\n  printf %s \"$token\" | cloud-token reject work   another one that was renewed meanwhile is kept\n  \
        cloud-token reject work                           with a terminal or nothing on stdin, the cached one is meant"
    )]
    Reject {
        /// Whose token
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Answer git, kubectl and other programs, each in its own protocol; they run this, people do not
    #[command(after_help = HELPER_HELP, override_usage = "cloud-token helper CONSUMER [ACCOUNT] [OPTIONS] [VERB …]")]
    Helper(Helper),
    /// Make a consumer ask this program, or systemd or launchd run the agent; what it did not write it does not touch
    #[command(after_help = SETUP_EXAMPLES)]
    Setup(Setup),
    /// Seal everything behind a passphrase: nothing is handed out or renewed until `unlock`
    #[command(after_help = LOCK_EXAMPLES)]
    Lock(Opener),
    /// Open what is locked: the agent, or its vault; with a passphrase, which is asked for hidden, or once its keyring is unlocked
    #[command(after_help = UNLOCK_EXAMPLES)]
    Unlock(Opener),
    /// Forget all cached tokens now; what is held is kept, and the next use renews
    #[command(
        after_help = "Examples:\n  cloud-token drop                           after the rights at a cloud have changed"
    )]
    Drop {
        #[command(flatten)]
        wait: Wait,
    },
    /// Which vault holds the secrets, and why; `vault move KIND` copies all to another, looks, then erases the old one
    #[command(after_help = VAULT_EXAMPLES)]
    Vault(Vault),
    /// A second, restricted socket, for `ssh -R` and containers; in the foreground
    #[command(after_help = FORWARD_EXAMPLES)]
    Forward(Box<Forward>),
    /// Who got which account's token, and when
    #[command(after_help = LOG_EXAMPLES)]
    Log(Log),
    /// Whether all is as it should be: what is wrong, what says so, and what mends it
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Doctor),
    /// Start the agent anew, as it is installed now; it keeps all that it has, and turns no caller away
    #[command(after_help = RESTART_EXAMPLES)]
    Restart {
        #[command(flatten)]
        wait: Wait,
    },
    /// End the agent; what it keeps in memory only is gone
    #[command(
        after_help = "Examples:\n  cloud-token stop                           the next `cloud-token ACCOUNT` starts another one"
    )]
    Stop {
        #[command(flatten)]
        wait: Wait,
    },
    /// Print what teaches a shell to complete commands, options, and the names of accounts and clouds
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL", value_parser = completions::SHELLS)]
        shell: String,
    },
    /// Print the manual, or the page of a command, for `man -l -`
    #[command(after_help = "Examples:\n  cloud-token man | man -l -\n  cloud-token man login | man -l -")]
    Man {
        /// Which command's page
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

const STATUS_EXAMPLES: &str = "\
Examples:
  cloud-token status                         a glance
  cloud-token status --watch                 until ^C
  cloud-token status --json | jq -r '.accounts[] | select(.fault != null).name'
  cloud-token status --metrics               for a collector

RENEWS IN is before the end of a token that somebody has asked for since it came. Another is left to end, and only what renews it is
kept alive, which may be later. Whoever asks gets a token in either case.

It starts an agent where there is none, --metrics aside; CLOUD_AGENT_NO_AUTOSTART=1 keeps it from that.";

const CLOUDS_EXAMPLES: &str = "\
Examples:
  cloud-token clouds                         all of them, and the ways in
  cloud-token clouds CLOUD                   what that one asks, as `cloud-token login` takes it

A cloud of your own is one file in `clouds/` of the configuration directory; `cloud-agent check FILE` judges it.";

const CHECK_EXAMPLES: &str = "\
Examples:
  cloud-token check work                     prints `alive`, or `not alive` and why
  cloud-token check work >/dev/null && ./deploy

A token that is found dead is forgotten, and renewed by whoever asks next.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(cloud-token completions bash)                           in ~/.bashrc
  source <(cloud-token completions zsh)                            in ~/.zshrc, behind compinit
  cloud-token completions fish | source                            in ~/.config/fish/config.fish
  cloud-token completions powershell | Out-String | Invoke-Expression

The shell then asks this program at each press of the key; names come from the agent, if one runs.";

#[derive(Args)]
struct Wait {
    /// How long to wait, for everything together: `5`, `500ms`, `1m30s`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_timeout)]
    timeout: Duration,
}

#[derive(Args)]
struct ForHuman {
    /// If you are needed, wait this long for a login, a code or an unlock, wherever that is done: `10m`, `1h`
    #[arg(long = "wait", value_name = "DURATION", value_parser = parse_timeout)]
    patience: Option<Duration>,
}

#[derive(Args)]
struct Token {
    /// Whose credential; names compare without case
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// At least this long it must live on; without it, the agent judges
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    min_valid: Option<u32>,
    /// Renew even if a valid one is cached
    #[arg(long)]
    fresh: bool,
    /// token · headers (`Name: value` lines) · curl (for `curl -K -`) · json · env (for `eval`)
    #[arg(short, long, value_name = "FORMAT", default_value = "token", value_parser = format)]
    output: Format,
    /// The shell that `-o env` writes for: sh (bash, zsh, dash, ksh) · fish · powershell · nu (`from json | load-env`) · cmd
    #[arg(long, value_name = "SHELL", default_value = "sh", value_parser = shell)]
    shell: Shell,
    /// Never ask at the terminal; exit 4 instead
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    human: ForHuman,
    #[command(flatten)]
    wait: Wait,
}

fn format(name: &str) -> Result<Format, String> {
    Format::parse(name).ok_or_else(|| one_of("the formats", name, &Format::ALL.map(|(name, _)| name)))
}

fn shell(name: &str) -> Result<Shell, String> {
    Shell::parse(name).ok_or_else(|| one_of("the shells", name, &Shell::ALL.map(|(name, _)| name)))
}

fn one_of(what: &str, given: &str, known: &[&str]) -> String {
    let near = nearest(given, known.iter().copied()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("{near}{what} are {}", known.join(", "))
}

/// The whole command line, for whoever writes its manual.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what `args`, without the program's name, say.
#[cold]
pub(crate) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    if let Some(shell) = std::env::var_os(completions::VARIABLE) {
        return completions::answer(&shell, completing::command(), args);
    }
    if let Some((consumer, arguments)) = consumers::helper(&args) {
        return frontend::run(consumer, arguments);
    }
    let word = |n: usize| args.get(n).and_then(|arg| arg.to_str()).unwrap_or_default().to_owned();
    let (first, second) = (word(0), word(1));
    let parsed = match Cli::try_parse_from(with_command(args)) {
        Ok(cli) => cli.command,
        Err(error) => {
            let (word, help) = if first == "help" { (second, "help ") } else { (first, "") };
            let is_no_command = [ErrorKind::UnknownArgument, ErrorKind::InvalidSubcommand].contains(&error.kind());
            if let Some(near) = nearest_command(&word).filter(|_| is_no_command) {
                let failure = Failure::usage(format!("no command `{}`", word.escape_debug()));
                return Err(failure.hint(format!("did you mean `cloud-token {help}{near}`?")));
            }
            // Its own words and streams: help on stdout with 0, a mistake on stderr with 2.
            if error.use_stderr() {
                stdio::stderr(&hinted(&error.render().to_string()));
            } else {
                let _ = error.print();
            }
            std::process::exit(error.exit_code());
        }
    };
    match parsed {
        Command::Token(token) => get::run(&get::Options {
            account: token.account,
            min_valid: token.min_valid,
            fresh: token.fresh,
            format: token.output,
            shell: token.shell,
            no_input: token.no_input,
            timeout: token.wait.timeout,
            wait: token.human.patience,
        }),
        Command::Login(login) => login.run(),
        Command::Logout(logout) => logout.run(),
        Command::Status { metrics: true, wait, .. } => metrics::run(wait.timeout),
        Command::Status { json, watch, wait, .. } => {
            status::run(status::Options { json, watch, timeout: wait.timeout })
        }
        Command::Clouds { name, wait } => clouds::run(name, wait.timeout),
        Command::Check { account, wait } => check::run(account, wait.timeout),
        Command::Do(act) => act.run(),
        Command::Exec(run) => exec::run(&run.accounts, run.command, &run.want.of(String::new())),
        Command::Curl(run) => curl::run(&run.want.of(run.account), &run.arguments),
        Command::Helper(helper) => helper.run(),
        Command::Setup(setup) => setup.run(),
        Command::Reject { account, wait } => reject::run(account, wait.timeout),
        Command::Lock(opener) => opener.lock(),
        Command::Unlock(opener) => opener.unlock(),
        Command::Vault(vault) => vault.run(),
        Command::Forward(forward) => forward.run(),
        Command::Log(log) => log.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Drop { wait } => drop::run(wait.timeout),
        Command::Restart { wait } => restart::run(wait.timeout),
        Command::Stop { wait } => stop::run(wait.timeout),
        Command::Completions { shell } => completions::register(&shell),
        Command::Man { command } => man::run(command.as_deref()),
    }
}

/// No account of that name: perhaps it was meant as a command.
#[cold]
pub(crate) fn or_a_command(account: &str, failure: Failure) -> Failure {
    let Some(near) = nearest_command(account) else { return failure };
    let otherwise = failure.fault.hint.as_ref().map(|hint| format!(" else {hint}")).unwrap_or_default();
    failure.hint(format!("did you mean the command `cloud-token {near}`?{otherwise}"))
}

/// The command that is nearest to a word which is none.
#[cold]
fn nearest_command(word: &str) -> Option<String> {
    let command = command();
    let names = command.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "token");
    nearest(word, names).filter(|near| *near != word).map(str::to_owned)
}

/// The arguments as clap takes them: the program's name first, and `token` where the command is left out, which is
/// whenever the first word is no command of any version of this program.
fn with_command(args: Vec<OsString>) -> Vec<OsString> {
    let mut all = vec![OsString::from("cloud-token")];
    let first = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
    let of_the_program = ["", "-h", "--help", "-V", "--version"].contains(&first.as_str());
    if !of_the_program && !RESERVED.contains(&first.to_ascii_lowercase().as_str()) {
        all.push(OsString::from("token"));
    }
    all.extend(args);
    all
}

#[cfg(test)]
mod tests;
