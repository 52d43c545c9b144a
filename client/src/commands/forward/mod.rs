//! `forward`: a restricted socket of one's own, for `ssh -R` and containers.
//!
//! This program owns the socket and passes connections on; what they may is the agent's to decide, which is told of each that it comes by
//! here. So there is no message that names a place for the agent to act on, and the socket lives no longer than this program.

#[cfg(unix)]
mod place;
#[cfg(unix)]
mod relay;

use std::path::PathBuf;
use std::time::Duration;

#[cfg(not(unix))]
use crate::report::Failure;

/// What to forward.
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing is forwarded there"))]
pub(crate) struct Options {
    /// Which accounts.
    pub(crate) accounts: Vec<String>,
    /// For how long.
    pub(crate) lifetime: Option<Duration>,
    /// Ask the human before anything is handed out.
    pub(crate) confirm: bool,
    /// Where.
    pub(crate) path: PathBuf,
    /// How long to wait for the agent.
    pub(crate) timeout: Duration,
}

/// Forwards until the lifetime is over or somebody ends it.
#[cfg(not(unix))]
pub(crate) fn run(_options: &Options) -> Result<(), Failure> {
    use cloud_agent_protocol::{Fault, FaultKind};

    Err(Fault::new(FaultKind::Unsupported, "forwarding needs Unix sockets, which this system does not have").into())
}

#[cfg(unix)]
pub(crate) use unix::run;

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use cloud_agent_protocol::v1::{Forward, Forwarding, Request, Response};
    use cloud_agent_protocol::{Fault, FaultKind, endpoint};
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::{Errno, ioctl_fionbio};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    use super::place::Place;
    use super::{Options, relay};
    use crate::client::{Client, answered, unexpected};
    use crate::moment;
    use crate::report::{self, Failure};

    /// After a failed accept nothing is gained by trying at once.
    const PAUSE: Duration = Duration::from_millis(50);

    /// Forwards until the lifetime is over or somebody ends it.
    #[cold]
    pub(crate) fn run(options: &Options) -> Result<(), Failure> {
        let client = Client::new(options.timeout)?;
        let path = std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone());
        let path = endpoint::check(path)?;
        // Caught before there is anything to tidy up.
        let ended = ended_by_signal().map_err(|e| failed("signals cannot be handled", &e))?;
        let (mut owner, mut forwarding) = open(&client, options, options.lifetime, &path.display().to_string())?;
        let place = Place::claim(&path)?;
        report::note(&told(&forwarding, &path.display().to_string()));
        let gate = relay::Gate::new(client.socket().to_owned(), forwarding.id.clone(), options.timeout);
        loop {
            let mut waits = [
                PollFd::new(&ended, PollFlags::IN),
                PollFd::new(&owner, PollFlags::IN),
                PollFd::from_borrowed_fd(place.listener().as_fd(), PollFlags::IN),
            ];
            match poll(&mut waits, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(failed("callers cannot be waited for", &e.into())),
            }
            let [signal, agent, caller] = waits.map(|wait| !wait.revents().is_empty());
            if signal {
                return Ok(());
            }
            if agent {
                match again(options, forwarding.until, &path.display().to_string())? {
                    Some(next) => (owner, forwarding) = next,
                    None => return Ok(()),
                }
                gate.renew(forwarding.id.clone());
            }
            if caller {
                match place.listener().accept() {
                    Ok((stream, _)) => gate.admit(stream),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => std::thread::sleep(PAUSE),
                }
            }
        }
    }

    /// The connection that owns what was opened, and what that is.
    fn open(
        client: &Client,
        options: &Options,
        lifetime: Option<Duration>,
        name: &str,
    ) -> Result<(UnixStream, Forwarding), Failure> {
        let lifetime = lifetime.map(|lifetime| u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
        let request = Request::Forward(Forward {
            accounts: options.accounts.clone(),
            lifetime,
            confirm: options.confirm,
            name: name.to_owned(),
        });
        let mut connection = client.connect()?;
        match answered(connection.ask(&request, &client.deadline))? {
            Response::Forwarding(forwarding) => {
                let owner = connection.into_stream().map_err(|e| failed("the connection to the agent", &e))?;
                Ok((owner, forwarding))
            }
            other => Err(unexpected(&other)),
        }
    }

    fn told(forwarding: &Forwarding, path: &str) -> String {
        let names = forwarding.accounts.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let until = forwarding.until.map_or_else(|| "this program ends".to_owned(), moment::rfc3339);
        format!("{path} hands out tokens of {names} until {until}")
    }

    /// The agent let go: the time is over (`None`), or it ended. If another has taken its place, as after `cloud-token restart`, that
    /// one is asked for the rest of the time.
    fn again(options: &Options, until: Option<i64>, name: &str) -> Result<Option<(UnixStream, Forwarding)>, Failure> {
        let left = until.map(|until| u64::try_from(until.saturating_sub(moment::now())).unwrap_or(0));
        if left == Some(0) {
            report::note("the forwarded socket's lifetime is over");
            return Ok(None);
        }
        let ended = || Fault::new(FaultKind::Internal, "the agent has ended, and the forwarded socket with it");
        let client = Client::new(options.timeout)?.without_autostart();
        match open(&client, options, left.map(Duration::from_secs), name) {
            Err(failure) if failure.is_of_no_agent() => Err(Failure::no_agent(ended())),
            opened => opened.map(Some),
        }
    }

    fn ended_by_signal() -> io::Result<OwnedFd> {
        let (ended, notify) = io::pipe()?;
        ioctl_fionbio(&ended, true)?;
        ioctl_fionbio(&notify, true)?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::low_level::pipe::register(signal, notify.try_clone()?)?;
        }
        // Kept open by the handlers.
        Ok(ended.into())
    }

    fn failed(what: &str, why: &io::Error) -> Failure {
        Fault::new(FaultKind::Internal, what.to_owned()).because(why.to_string()).into()
    }
}
