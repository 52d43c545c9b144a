//! Where a cloud documents what is about to be asked: said once, before the first question, and not if there is none.

use std::io;
use std::time::Duration;

use cloud_agent_protocol::Secret;
use cloud_agent_protocol::v1::{ListClouds, Request, Response};

use crate::client::Client;
use crate::report::printable;
use crate::tty::Human;

/// Somebody who is told that first.
pub(super) struct Introduced<'a> {
    human: &'a mut dyn Human,
    /// Which cloud, until it is said.
    cloud: Option<String>,
    timeout: Duration,
}

impl<'a> Introduced<'a> {
    /// `cloud` may be none that is known; nothing is said then.
    pub(super) fn new(human: &'a mut dyn Human, cloud: Option<String>, timeout: Duration) -> Self {
        Self { human, cloud, timeout }
    }

    /// What goes wrong here is not worth a word: the login itself will say it.
    fn words(&self, cloud: String) -> Option<String> {
        let only = Request::Clouds(ListClouds { name: Some(cloud) });
        let Response::Clouds(clouds) = Client::new(self.timeout).ok()?.ask(&only).ok()? else { return None };
        let cloud = clouds.clouds.into_iter().next()?;
        Some(format!("{}: {}", printable(&cloud.title), printable(&cloud.docs)))
    }
}

impl Human for Introduced<'_> {
    fn tell(&mut self, line: &str) -> io::Result<()> {
        self.human.tell(line)
    }

    fn ask(&mut self, prompt: &str, hidden: bool) -> io::Result<Option<Secret>> {
        if let Some(words) = self.cloud.take().and_then(|cloud| self.words(cloud)) {
            self.human.tell(&words)?;
        }
        self.human.ask(prompt, hidden)
    }

    fn pass_time(&mut self, line: &str) {
        self.human.pass_time(line);
    }

    fn forget_typed(&mut self) {
        self.human.forget_typed();
    }
}
