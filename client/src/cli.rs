//! The command line beyond the plain get, and the words of `--help`.

mod consumers;
mod custody;
mod watch;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use cloud_agent_protocol::account::RESERVED;

use crate::commands::{act, check, clouds, curl, drop, exec, login, logout, reject, restart, status, stop};
use crate::deadline::{parse_seconds, parse_timeout};
use crate::frontend;
use crate::get;
use crate::output::Format;
use crate::report::Failure;
use crate::shell::Shell;
use consumers::{CURL_EXAMPLES, Curl, EXEC_EXAMPLES, Exec, HELPER_HELP, Helper, Setup};
use custody::{LOCK_EXAMPLES, Opener, RESTART_EXAMPLES, UNLOCK_EXAMPLES, VAULT_EXAMPLES, Vault};
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
    Logout(Logout),
    /// How agent and accounts are
    Status {
        /// As one JSON object; times are seconds since the Unix epoch
        #[arg(long)]
        json: bool,
        /// Go on: redraw it on a terminal, else print it again whenever it has changed
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// The clouds that are known; with a name, what that one asks
    Clouds {
        /// Only this one, in full
        #[arg(value_name = "CLOUD")]
        name: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Ask the cloud itself whether the account's token is alive: exit 0 if it is, 1 if not
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
    #[command(after_help = "The token is read from stdin, so that another one that was renewed meanwhile is kept:\n  \
        printf %s \"$token\" | cloud-token reject work\nWith a terminal or nothing on stdin, the cached one is meant.")]
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
    Setup(Setup),
    /// Seal everything behind a passphrase: nothing is handed out or renewed until `unlock`
    #[command(after_help = LOCK_EXAMPLES)]
    Lock(Opener),
    /// Open what is locked: the agent, or its vault; with a passphrase, which is asked for hidden, or once its keyring is unlocked
    #[command(after_help = UNLOCK_EXAMPLES)]
    Unlock(Opener),
    /// Forget all cached tokens now; what is held is kept, and the next use renews
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
    /// Start the agent anew, as it is installed now; it keeps all that it has, and turns no caller away
    #[command(after_help = RESTART_EXAMPLES)]
    Restart {
        #[command(flatten)]
        wait: Wait,
    },
    /// End the agent; what it keeps in memory only is gone
    Stop {
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Args)]
struct Wait {
    /// How long to wait, for everything together: `5`, `500ms`, `1m30s`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_timeout)]
    timeout: Duration,
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
    wait: Wait,
}

const LOGIN_EXAMPLES: &str = "\
Examples:
  cloud-token login                          asks for everything
  cloud-token login work --cloud CLOUD
  cloud-token login ci --cloud CLOUD --set username=ci --secret password=env:CI_PASSWORD --no-input
  cloud-token login ci --cloud CLOUD --secret 'password=cmd:pass show cloud/ci'

`cloud-token clouds CLOUD` shows the names that --set, --secret and --url take.
SOURCE is env:VARIABLE, file:PATH, stdin or cmd:COMMAND (run by sh); the last line end is dropped.
A secret itself is never an argument: `ps` would show it to everybody.";

#[derive(Args)]
struct Login {
    /// What to call it: letters, digits, `.`, `_`, `-`, `@`; asked for if left out
    #[arg(value_name = "ACCOUNT")]
    account: Option<String>,
    /// Which cloud; not needed for an account that has one or is named after it
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<String>,
    /// Which way in; the cloud's first if not given
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Where the API is, or one of its further origins by name
    #[arg(long, value_name = "URL|NAME=URL")]
    url: Vec<String>,
    /// A setting that is no secret
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Where to read a secret from
    #[arg(long, value_name = "NAME=SOURCE")]
    secret: Vec<String>,
    /// Let the agent keep what a login needs, so that it can log in again by itself
    #[arg(long, conflicts_with = "ephemeral")]
    remember: bool,
    /// Keep nothing beyond the agent's life
    #[arg(long)]
    ephemeral: bool,
    /// Never ask at the terminal; exit 4 instead
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    wait: Wait,
}

const DO_EXAMPLES: &str = "\
Examples:
  cloud-token do work                        what can be done, and what each asks
  cloud-token do work 2fa-enable             shows a QR code, asks for a code, and answers codes from then on
  cloud-token do CLOUD register              before there is an account; nothing is set up by it

Data goes to stdout, columns apart by a tab. SOURCE is as with `cloud-token login`.";

#[derive(Args)]
struct Do {
    /// Whose; or the name of a cloud, for what needs no login
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// What to do
    #[arg(value_name = "ACTION")]
    action: Option<String>,
    /// Which cloud, for an account that is not set up
    #[arg(long, value_name = "CLOUD")]
    cloud: Option<String>,
    /// Where the API is, for an account that is not set up
    #[arg(long, value_name = "URL|NAME=URL")]
    url: Vec<String>,
    /// A setting that is no secret
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Where to read a secret from
    #[arg(long, value_name = "NAME=SOURCE")]
    secret: Vec<String>,
    /// Never ask at the terminal; exit 4 instead
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Args)]
struct Logout {
    /// Which accounts
    #[arg(value_name = "ACCOUNT", required_unless_present = "all", conflicts_with = "all")]
    accounts: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Forget the settings too
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    wait: Wait,
}

fn format(name: &str) -> Result<Format, String> {
    Format::parse(name).ok_or_else(|| {
        let known = Format::ALL.map(|(name, _)| format!("`{name}`")).join(", ");
        format!("the formats are {known}")
    })
}

fn shell(name: &str) -> Result<Shell, String> {
    Shell::parse(name).ok_or_else(|| {
        let known = Shell::ALL.map(|(name, _)| format!("`{name}`")).join(", ");
        format!("the shells are {known}")
    })
}

/// Does what `args`, without the program's name, say.
#[cold]
pub(crate) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    if let Some((consumer, arguments)) = consumers::helper(&args) {
        return frontend::run(consumer, arguments);
    }
    let parsed = match Cli::try_parse_from(with_command(args)) {
        Ok(cli) => cli.command,
        Err(error) => {
            // Its own words and streams: help on stdout with 0, a mistake on stderr with 2.
            let _ = error.print();
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
        }),
        Command::Login(login) => login::run(login::Options {
            account: login.account,
            cloud: login.cloud,
            method: login.method,
            urls: login.url,
            settings: login.set,
            secrets: login.secret,
            remember: login.remember,
            ephemeral: login.ephemeral,
            no_input: login.no_input,
            timeout: login.wait.timeout,
        }),
        Command::Logout(logout) => logout::run(logout.accounts, logout.all, logout.forget, logout.wait.timeout),
        Command::Status { json, watch, wait } => status::run(status::Options { json, watch, timeout: wait.timeout }),
        Command::Clouds { name, wait } => clouds::run(name, wait.timeout),
        Command::Check { account, wait } => check::run(account, wait.timeout),
        Command::Do(act) => act::run(act::Options {
            account: act.account,
            action: act.action,
            cloud: act.cloud,
            urls: act.url,
            settings: act.set,
            secrets: act.secret,
            no_input: act.no_input,
            timeout: act.wait.timeout,
        }),
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
        Command::Drop { wait } => drop::run(wait.timeout),
        Command::Restart { wait } => restart::run(wait.timeout),
        Command::Stop { wait } => stop::run(wait.timeout),
    }
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
