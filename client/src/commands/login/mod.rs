//! `login`: sets an account up, and asks the human for what is missing.

mod choose;
mod closing;
mod intro;
mod mend;
mod talk;
mod tries;

use std::time::Duration;

use cloud_agent_protocol::v1::Login;
use cloud_agent_protocol::{AccountName, Fault, FaultKind};

use super::{given, unlock};
use crate::dialogue;
use crate::report::{Failure, printable};
use crate::tty::{Human, Tty};

/// What the command line said.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Asked for if nobody says.
    pub(crate) account: Option<String>,
    pub(crate) cloud: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) urls: Vec<String>,
    pub(crate) settings: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) remember: bool,
    pub(crate) ephemeral: bool,
    pub(crate) no_input: bool,
    pub(crate) timeout: Duration,
}

/// Logs in.
#[cold]
pub(crate) fn run(mut options: Options) -> Result<(), Failure> {
    if let Some(account) = &options.account {
        AccountName::parse(account)?;
    }
    let sources = given::sources(&options.secrets)?;
    let origins = options.urls.iter().map(|url| given::origin(url)).collect();
    let settings = options.settings.iter().map(|setting| given::pair(setting)).collect::<Result<_, _>>()?;
    let mut tty = if options.no_input { None } else { Tty::open().ok() };
    let mut unsaid = None;
    let account = match (options.account.take(), &mut tty) {
        (Some(account), _) => {
            unsaid = Some(options.cloud.clone().unwrap_or_else(|| account.clone()));
            account
        }
        (None, Some(tty)) => opened(tty, options.timeout, |tty| choose::account(&mut options, tty))?,
        (None, None) => return Err(nobody_named()),
    };
    let mut login = Login { origins, settings, ..again(&account) };
    login.cloud = options.cloud;
    login.method = options.method;
    login.remember = options.remember;
    login.ephemeral = options.ephemeral;

    let (secrets, withheld) = given::read(sources, options.timeout)?;
    login.secrets = secrets;
    let mut talk = talk::Talk::new(&login, &options.secrets);
    // The time that a program or a pipe took to hand a secret over is not the cloud's: every try has a clock of its own.
    let timeout = options.timeout;
    let done = match &mut tty {
        Some(tty) => opened(tty, timeout, |tty| {
            let mut human = intro::Introduced::new(tty, unsaid.clone(), timeout);
            tries::log_in(login.clone(), &mut talk, Some(&mut human), timeout, &withheld)
        }),
        None => tries::log_in(login, &mut talk, None, timeout, &withheld),
    };
    super::tell(&done.map_err(|failure| talk.mend(failure))?);
    if let Some(tty) = &mut tty {
        talk.close(tty);
    }
    Ok(())
}

/// Does `act`. If it finds the agent or its vault locked, whoever sits at `tty` opens it first: a login is refused by both.
fn opened<T>(
    tty: &mut Tty,
    timeout: Duration,
    mut act: impl FnMut(&mut Tty) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match act(tty) {
        Err(failure) if failure.is_of_a_lock() => {
            tty.tell(&printable(&failure.fault.to_string())).map_err(|e| dialogue::cannot_ask(&e))?;
            unlock::by(tty, timeout)?;
            act(tty)
        }
        other => other,
    }
}

fn nobody_named() -> Failure {
    let fault = Fault::new(FaultKind::Usage, "no account is named, and nobody is there to be asked");
    fault.hint("`cloud-token login ACCOUNT --cloud CLOUD`; `cloud-token clouds` lists the clouds").into()
}

/// A login of an account with the settings it already has.
pub(crate) fn again(account: &str) -> Login {
    Login {
        account: account.to_owned(),
        cloud: None,
        method: None,
        origins: Vec::new(),
        settings: Vec::new(),
        secrets: Vec::new(),
        remember: false,
        ephemeral: false,
        interactive: false,
        deadline_ms: 0,
    }
}

/// Such a login, at the terminal, in the middle of something else.
#[cold]
pub(crate) fn at_terminal(account: &str, mut tty: Tty, timeout: Duration) -> Result<(), Failure> {
    let login = again(account);
    let mut talk = talk::Talk::new(&login, &[]);
    let done = tries::log_in(login, &mut talk, Some(&mut tty), timeout, &[]);
    super::tell(&done.map_err(|failure| talk.mend(failure))?);
    Ok(())
}
