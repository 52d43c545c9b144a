//! The arguments of what runs other programs, and of what they run.

use std::ffi::{OsStr, OsString};

use clap::Args;

use super::{ForHuman, Wait};
use crate::commands::setup;
use crate::deadline::parse_seconds;
use crate::frontend::{self, Consumer};
use crate::get;
use crate::report::Failure;

pub(super) const HELPER_HELP: &str = "\
Options:
      --account NAME        only this account answers; also as the first word
      --min-valid DURATION  at least this long the token must live on; 15m for aws
      --timeout DURATION    how long to wait, for everything together; 10s by default
      --no-input            never ask at the terminal
      --wait DURATION       if you are needed, wait this long until you have logged in, typed a code or unlocked

The account is found by the address that the consumer names: `serves` in accounts.toml, else the account's own addresses.
Also run as git-credential-cloud-token, docker-credential-cloud-token, terraform-credentials-cloud-token,
cargo-credential-cloud-token and bazel-credential-cloud-token, which are links to this program.";

pub(super) const EXEC_EXAMPLES: &str = "\
Examples:
  cloud-token exec work -- terraform plan
  cloud-token exec work other -- make deploy

The program takes this one's place: its exit code and its signals are its own. It gets the token that is good now; one
that runs for longer than the token lives has to ask again by itself. 127: there is no such program; 126: it cannot be run.";

pub(super) const CURL_EXAMPLES: &str = "\
Examples:
  cloud-token curl work -- -sS https://api.example/v1/things
  cloud-token curl work -- -X PUT -d @thing.json https://api.example/v1/things/7

The exit code is curl's own. If the API answers 401 at an address of the account's own, the token is renewed; the request
is repeated once where that is safe: GET, HEAD, OPTIONS, PUT and DELETE whose body is not on stdin.";

/// What `exec` and `curl` want of a credential.
#[derive(Args)]
pub(super) struct Want {
    /// At least this long the token must live on; without it, the agent judges
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    min_valid: Option<u32>,
    /// Never ask at the terminal; exit 4 instead
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    human: ForHuman,
    #[command(flatten)]
    wait: Wait,
}

impl Want {
    /// The same as options of a get.
    pub(super) fn of(self, account: String) -> get::Options {
        let Self { min_valid, no_input, human, wait } = self;
        let (timeout, wait) = (wait.timeout, human.patience);
        get::Options { account, min_valid, no_input, timeout, wait, ..get::Options::default() }
    }
}

#[derive(Args)]
pub(super) struct Exec {
    /// Whose environment
    #[arg(value_name = "ACCOUNT", required = true)]
    pub(super) accounts: Vec<String>,
    /// What to run
    #[arg(value_name = "PROGRAM", last = true, required = true)]
    pub(super) command: Vec<OsString>,
    #[command(flatten)]
    pub(super) want: Want,
}

#[derive(Args)]
pub(super) struct Curl {
    /// Whose headers
    #[arg(value_name = "ACCOUNT")]
    pub(super) account: String,
    /// What curl is given
    #[arg(value_name = "ARGUMENT", last = true, required = true)]
    pub(super) arguments: Vec<OsString>,
    #[command(flatten)]
    pub(super) want: Want,
}

#[derive(Args)]
pub(super) struct Helper {
    /// Whose protocol
    #[arg(value_name = "CONSUMER", value_parser = Consumer::ALL.map(|(word, _)| word))]
    consumer: String,
    /// What it gives along
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Helper {
    /// Answers the consumer.
    pub(super) fn run(self) -> Result<(), Failure> {
        let consumer = Consumer::of_word(OsStr::new(&self.consumer)).expect("clap takes no other word");
        frontend::run(consumer, self.arguments)
    }
}

pub(super) const SETUP_EXAMPLES: &str = "\
Examples:
  cloud-token setup git --print              what would change
  cloud-token setup git                      git asks for tokens from then on
  cloud-token setup git --remove             as it was before
  cloud-token setup systemd                  the agent starts at the first call

An account answers for its own addresses, or for those that `cloud-token login ACCOUNT --set serves=URL,…` lists.";

#[derive(Args)]
pub(super) struct Setup {
    /// Whose configuration
    #[arg(value_name = "CONSUMER", value_parser = setup::Target::ALL.map(|(word, _)| word))]
    consumer: String,
    /// Only show what would change
    #[arg(long)]
    print: bool,
    /// Take out what it wrote
    #[arg(long)]
    remove: bool,
}

impl Setup {
    /// Does it, or shows it.
    pub(super) fn run(self) -> Result<(), Failure> {
        let target = setup::Target::parse(&self.consumer).expect("clap takes no other word");
        setup::run(target, setup::Options { print: self.print, remove: self.remove })
    }
}

/// A helper's call that is plainly right. Helpers are run by programs, again and again, and do not pay for clap unless
/// somebody wants its help.
pub(super) fn helper(args: &[OsString]) -> Option<(Consumer, Vec<OsString>)> {
    let [command, consumer, arguments @ ..] = args else { return None };
    let consumer = Consumer::of_word(consumer).filter(|_| command == "helper")?;
    let wants_help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    (!wants_help).then(|| (consumer, arguments.to_vec()))
}
