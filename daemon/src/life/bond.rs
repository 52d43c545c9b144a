//! An agent that was started for one program ends with it.

use crate::shutdown::Shutdown;

/// The program that the agent was started for, as it stood when the agent began.
#[derive(Debug)]
pub(crate) struct Bond(os::Bond);

impl Bond {
    /// Of the process that started this one. Called before the agent lets go of what it was handed down.
    pub(crate) fn of_parent() -> Self {
        Self(os::Bond::of_parent())
    }

    /// As the agent before held it.
    #[cfg(target_os = "linux")]
    pub(crate) fn inherited(held: std::os::fd::OwnedFd) -> Self {
        Self(os::Bond::inherited(held))
    }

    /// Another hold of the same program, if there is one.
    pub(crate) fn duplicate(&self) -> Option<Self> {
        self.0.duplicate().map(Self)
    }

    /// For the agent that comes after.
    #[cfg(target_os = "linux")]
    pub(crate) fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.0.descriptor()
    }

    /// Ends the agent in good order when that program has ended.
    pub(crate) async fn watch(self, shutdown: Shutdown) {
        self.0.ended().await;
        tracing::info!("the program that the agent was started for has ended");
        shutdown.request();
    }
}

/// Linux tells of the end of any process, once, to whoever holds it by a descriptor: nothing is polled, and no process id
/// can be somebody else's by then.
#[cfg(target_os = "linux")]
mod os {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
    use tokio::net::unix::pipe::Receiver;

    #[derive(Debug)]
    pub(super) struct Bond(Option<OwnedFd>);

    impl Bond {
        pub(super) fn of_parent() -> Self {
            let parent: Option<Pid> = getppid();
            let held = parent.and_then(|parent| pidfd_open(parent, PidfdFlags::NONBLOCK).ok());
            // Had it ended in between, its id might be another's; then this process has another parent, too.
            Self(held.filter(|_| getppid() == parent))
        }

        pub(super) fn inherited(held: OwnedFd) -> Self {
            Self(Some(held))
        }

        pub(super) fn duplicate(&self) -> Option<Self> {
            Some(Self(Some(self.0.as_ref()?.try_clone().ok()?)))
        }

        pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
            self.0.as_ref().map(AsFd::as_fd)
        }

        /// At once for one that has ended already.
        pub(super) async fn ended(self) {
            // As with a timer: the type for a pipe's reading end does what is needed with any descriptor that becomes readable.
            let Some(Ok(held)) = self.0.map(Receiver::from_owned_fd_unchecked) else { return };
            let _ = held.readable().await;
        }
    }
}

/// Elsewhere the program holds the other end of what is stdin here, and so does whatever inherits it: the agent ends with the
/// last of them.
#[cfg(all(unix, not(target_os = "linux")))]
mod os {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::unix::pipe::Receiver;

    #[derive(Debug)]
    pub(super) struct Bond(Option<std::os::fd::OwnedFd>);

    impl Bond {
        pub(super) fn of_parent() -> Self {
            Self(rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).ok())
        }

        pub(super) fn duplicate(&self) -> Option<Self> {
            Some(Self(Some(self.0.as_ref()?.try_clone().ok()?)))
        }

        pub(super) async fn ended(self) {
            let Some(Ok(mut pipe)) = self.0.map(Receiver::from_owned_fd) else { return };
            let _ = pipe.read(&mut [0; 1]).await;
        }
    }
}

#[cfg(not(unix))]
mod os {
    #[derive(Debug)]
    pub(super) struct Bond;

    impl Bond {
        pub(super) fn of_parent() -> Self {
            Self
        }

        pub(super) fn duplicate(&self) -> Option<Self> {
            None
        }

        pub(super) async fn ended(self) {
            std::future::pending::<()>().await;
        }
    }
}
