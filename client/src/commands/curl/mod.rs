//! `curl`: the real curl with an account's headers, which are in no argument, and once more if the API refused the token.

mod address;
mod arguments;
#[cfg(unix)]
mod child;
mod options;
mod status;

use std::ffi::OsString;

use cloud_agent_protocol::v1::{RejectFor, Request, Response};
use cloud_agent_protocol::{Credential, Fault, FaultKind, Secret};

use crate::client::{Client, unexpected};
use crate::report::{self, Failure};
use crate::{get, stdio};
use address::Address;
use arguments::Plan;

/// The status by which an API says that it does not take a token.
const REFUSED: u16 = 401;

/// Runs curl with `arguments`; its exit code becomes ours.
#[cold]
pub(crate) fn run(want: &get::Options, arguments: &[OsString]) -> Result<(), Failure> {
    let plan = Plan::of(arguments)?;
    refuse_plain(want, &plan)?;
    let credential = get::credential(want)?;
    let plan = stay_here(&credential, plan)?;
    let first = once(&credential, &plan, arguments, plan.repeatable.is_ok())?;
    if first.status != Some(REFUSED) {
        std::process::exit(first.code);
    }
    let refused = tell(want, &credential, &plan);
    let again = match (refused, &plan.repeatable) {
        (Err(why), _) => Err(why),
        (Ok(()), Err(why)) => Err(format!("it is renewed on the next use, and the request was not repeated: {why}")),
        (Ok(()), Ok(())) if first.shown => {
            Err("it is renewed on the next use; the reply was too long to be held back for a second try".to_owned())
        }
        (Ok(()), Ok(())) => renewed(want, &credential),
    };
    match again {
        Ok(credential) => {
            let second = once(&credential, &plan, arguments, false)?;
            std::process::exit(second.code)
        }
        Err(why) => {
            stdio::stdout(&first.held)?;
            report::note(&format!("cloud-token: the API answered {REFUSED} to the token of `{}`; {why}", want.account));
            std::process::exit(first.code)
        }
    }
}

/// What became of a run.
struct Ran {
    code: i32,
    /// Of the first response that was final.
    status: Option<u16>,
    /// Its body, if it was held back.
    held: Vec<u8>,
    /// It was too long for that.
    shown: bool,
}

/// What is not encrypted is sent only on this machine, and to the account's own address if its login has allowed that.
#[cold]
fn refuse_plain(want: &get::Options, plan: &Plan) -> Result<(), Failure> {
    let in_clear = |address: &&Address| address.is_plain() && !address.is_loopback();
    let Some(first) = plan.addresses.iter().find(in_clear) else { return Ok(()) };
    let accounts = match Client::new(want.timeout)?.ask(&Request::Status)? {
        Response::Status(status) => status.accounts,
        other => return Err(unexpected(&other)),
    };
    let own = accounts.iter().find(|account| account.name.eq_ignore_ascii_case(&want.account));
    let is_own = |address: &Address| own.is_some_and(|own| address.is_at(&own.origin));
    if is_own(first) && plan.addresses.iter().filter(in_clear).all(is_own) {
        Ok(())
    } else {
        Err(Address::refuse(&want.account).into())
    }
}

/// A redirect takes the headers that curl was given along to wherever it leads, all but `Authorization`.
#[cold]
fn stay_here(credential: &Credential, plan: Plan) -> Result<Plan, Failure> {
    let other = credential.headers.iter().find(|header| !header.name.eq_ignore_ascii_case("authorization"));
    match other {
        Some(header) if plan.follows => {
            let message = format!("with `--location`, curl would take `{}` along to another host", header.name);
            Err(Fault::new(FaultKind::Usage, message)
                .hint("leave `--location` out, and look where the redirect leads")
                .into())
        }
        other => Ok(Plan { stays: other.is_some(), ..plan }),
    }
}

/// Tells the agent which token was refused, if the account answers for the address: what a stranger says of it means nothing.
///
/// # Errors
/// Why the token is kept, in words.
#[cold]
fn tell(want: &get::Options, credential: &Credential, plan: &Plan) -> Result<(), String> {
    let kept = || "it is kept, because the account does not answer for that address".to_owned();
    let (Some(url), Some(token)) = (plan.addresses.first().map(|first| first.url.clone()), sent(credential)) else {
        return Err(kept());
    };
    let client = Client::new(want.timeout).map_err(|failure| failure.fault.to_string())?;
    let reject = Request::RejectFor(RejectFor { url, account: Some(want.account.clone()), token });
    match client.ask(&reject) {
        Ok(_) => Ok(()),
        Err(failure) if failure.fault.kind == FaultKind::UnknownAccount => Err(kept()),
        Err(failure) => Err(failure.fault.to_string()),
    }
}

/// What the agent knows a credential by.
fn sent(credential: &Credential) -> Option<Secret> {
    credential.token.clone().or_else(|| credential.headers.first().map(|header| header.value.clone()))
}

/// Another credential than the one that was refused.
#[cold]
fn renewed(want: &get::Options, refused: &Credential) -> Result<Credential, String> {
    let credential = get::credential(want).map_err(|failure| failure.fault.to_string())?;
    if credential.headers == refused.headers { Err("there is no other one".to_owned()) } else { Ok(credential) }
}

#[cfg(unix)]
fn once(credential: &Credential, plan: &Plan, arguments: &[OsString], hold: bool) -> Result<Ran, Failure> {
    let headers = crate::output::curl(credential)?;
    child::run(&headers, plan, arguments, hold).map_err(|error| {
        let fault = Fault::new(FaultKind::Config, "cannot run `curl`").because(error.to_string());
        fault.hint(format!("`cloud-token {} -o headers` gives the headers to any program", credential.account)).into()
    })
}

/// Headers reach curl through a descriptor that it inherits; there is none here.
#[cfg(not(unix))]
fn once(credential: &Credential, _: &Plan, _: &[OsString], _: bool) -> Result<Ran, Failure> {
    let fault = Fault::new(FaultKind::Unsupported, "`cloud-token curl` does not work on this platform");
    Err(fault.hint(format!("`cloud-token {} -o curl | curl -K - URL`", credential.account)).into())
}
