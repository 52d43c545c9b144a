//! The arguments of what is done with an account at its cloud.

use clap::Args;

use super::Wait;
use crate::commands::{act, login, logout};
use crate::report::Failure;

pub(super) const LOGIN_EXAMPLES: &str = "\
Examples:
  cloud-token login                          asks for everything
  cloud-token login work --cloud CLOUD
  cloud-token login ci --cloud CLOUD --set username=ci --secret password=env:CI_PASSWORD --no-input
  cloud-token login ci --cloud CLOUD --secret 'password=cmd:pass show cloud/ci'

`cloud-token clouds CLOUD` shows the names that --set, --secret and --url take.
What the cloud refuses of what was typed is asked for again, three times in all; what was given by an option is not.
SOURCE is env:VARIABLE, file:PATH, stdin or cmd:COMMAND (run by sh); the last line end is dropped.
A secret itself is never an argument: `ps` would show it to everybody.";

#[derive(Args)]
pub(super) struct Login {
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

impl Login {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        login::run(login::Options {
            account: self.account,
            cloud: self.cloud,
            method: self.method,
            urls: self.url,
            settings: self.set,
            secrets: self.secret,
            remember: self.remember,
            ephemeral: self.ephemeral,
            no_input: self.no_input,
            timeout: self.wait.timeout,
        })
    }
}

pub(super) const DO_EXAMPLES: &str = "\
Examples:
  cloud-token do work                        what can be done, and what each asks
  cloud-token do work 2fa-enable             shows a QR code, asks for a code, and answers codes from then on
  cloud-token do CLOUD register              before there is an account; nothing is set up by it

Data goes to stdout, columns apart by a tab. SOURCE is as with `cloud-token login`.";

#[derive(Args)]
pub(super) struct Do {
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

impl Do {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        act::run(act::Options {
            account: self.account,
            action: self.action,
            cloud: self.cloud,
            urls: self.url,
            settings: self.set,
            secrets: self.secret,
            no_input: self.no_input,
            timeout: self.wait.timeout,
        })
    }
}

pub(super) const LOGOUT_EXAMPLES: &str = "\
Examples:
  cloud-token logout work                    `cloud-token login work` asks for secrets only
  cloud-token logout work --forget           and for everything after this
  cloud-token logout --all";

#[derive(Args)]
pub(super) struct Logout {
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

impl Logout {
    /// Does it.
    pub(super) fn run(self) -> Result<(), Failure> {
        logout::run(self.accounts, self.all, self.forget, self.wait.timeout)
    }
}
