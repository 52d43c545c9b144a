//! One file per command. Each makes a request and shows what comes back; none knows another,
//! but that `doctor` asks `setup` how things stand.

pub(crate) mod act;
pub(crate) mod check;
pub(crate) mod clouds;
pub(crate) mod completions;
pub(crate) mod curl;
pub(crate) mod doctor;
pub(crate) mod drop;
pub(crate) mod exec;
pub(crate) mod forward;
mod given;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod metrics;
pub(crate) mod reject;
pub(crate) mod restart;
pub(crate) mod setup;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod unlock;
pub(crate) mod vault;

use cloud_agent_protocol::v1::{Done, Response};

use crate::client::unexpected;
use crate::report::{self, Failure};

/// Shows the agent's notes to the human. They are words, not data, so stdout stays empty.
fn tell(done: &Done) {
    done.notes.iter().for_each(|note| report::note(note));
}

/// Takes the answer of a command that only does something.
fn done(response: Response) -> Result<(), Failure> {
    match response {
        Response::Done(done) => {
            tell(&done);
            Ok(())
        }
        other => Err(unexpected(&other)),
    }
}
