//! The one question that matters: an account's credential, in a format, on stdout.

use std::mem::ManuallyDrop;
use std::time::Duration;

use cloud_agent_protocol::v1::{Get, Request, Response};
use cloud_agent_protocol::{AccountName, Credential, FaultKind};

use crate::cli;
use crate::client::{Client, unexpected};
use crate::commands::{login, unlock};
use crate::output::{self, Format};
use crate::report::{self, Failure};
use crate::shell::Shell;
use crate::{stdio, tty, waiting};

/// What `cloud-token ACCOUNT` may be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whose credential.
    pub(crate) account: String,
    /// How many seconds it must at least live on.
    pub(crate) min_valid: Option<u32>,
    /// Renew even if a valid one is cached.
    pub(crate) fresh: bool,
    /// How it is printed.
    pub(crate) format: Format,
    /// For an environment: whose rules its lines follow.
    pub(crate) shell: Shell,
    /// Never ask the human.
    pub(crate) no_input: bool,
    /// How long to wait, for everything together.
    pub(crate) timeout: Duration,
    /// How long to wait for a human besides, if one is needed.
    pub(crate) wait: Option<Duration>,
}

/// Asks and prints.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    // Never dropped: the process is about to end, and the kernel wipes its pages before anybody gets them. To wipe them
    // here first and give them back one by one would be a fifth of all instructions.
    let credential = ManuallyDrop::new(credential(options)?);
    let text = ManuallyDrop::new(output::render(&credential, options.format, options.shell)?);
    let seen_by_human = stdio::stdout_is_tty();
    stdio::stdout_parts(text.parts())?;
    if seen_by_human {
        let account = &options.account;
        report::note(&format!(
            "warning: this is now in the scrollback of your terminal; \
             `cloud-token {account} -o curl | curl -K - URL` shows it to nobody"
        ));
    }
    Ok(())
}

/// The credential, after a login if somebody is there to log in, or is waited for.
#[inline]
pub(crate) fn credential(options: &Options) -> Result<Credential, Failure> {
    AccountName::parse(&options.account)?;
    match ask(options) {
        Err(failure) if waiting::may_help(&failure) => ask_after_human(options, failure),
        Err(failure) if failure.fault.kind == FaultKind::UnknownAccount => {
            Err(cli::or_a_command(&options.account, failure))
        }
        other => other,
    }
}

fn ask(options: &Options) -> Result<Credential, Failure> {
    let client = Client::new(options.timeout)?;
    // Not dropped either; nothing secret is in it.
    let request = ManuallyDrop::new(Request::Get(Get {
        account: options.account.clone(),
        min_valid: options.min_valid,
        fresh: options.fresh,
        environment: options.format == Format::Env,
        deadline_ms: client.deadline.for_agent(),
    }));
    match client.ask(&request)? {
        Response::Credential(credential) => Ok(credential),
        other => Err(unexpected(&other)),
    }
}

/// Whoever sits at a terminal is asked at once, instead of being told which command would ask them. Where nobody does, somebody
/// may be waited for.
#[cold]
fn ask_after_human(options: &Options, failure: Failure) -> Result<Credential, Failure> {
    let asks = failure.fault.kind == FaultKind::NeedsHuman && !options.no_input && stdio::stderr_is_tty();
    if let Some(mut tty) = asks.then(tty::Tty::open).and_then(Result::ok) {
        report::note(&failure.fault.message);
        if failure.is_of_a_lock() {
            // A login is refused as well while the agent or its vault is locked.
            unlock::by(&mut tty, options.timeout)?;
        } else {
            login::at_terminal(&options.account, tty, options.timeout)?;
        }
    } else {
        waiting::for_human(&options.account, failure, options.wait, options.timeout)?;
    }
    // What was just mended has brought a credential; `--fresh` would throw it away.
    ask(&Options { account: options.account.clone(), fresh: false, ..*options })
}
