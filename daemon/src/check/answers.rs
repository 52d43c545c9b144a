//! The human of an example.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use cloud_agent_protocol::v1::{Question, Show};
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use crate::cloud::Example;
use crate::provider::{Ask, Boxed, Held, Keep};

/// Answers by name, each answer once; to anything else, nobody is there.
pub(super) struct Answers<'a> {
    left: Mutex<BTreeMap<&'a str, VecDeque<&'a str>>>,
    shown: Mutex<Vec<Show>>,
}

impl<'a> Answers<'a> {
    pub(super) fn of(example: &'a Example) -> Self {
        let left =
            example.answers.iter().map(|(name, said)| (name.as_str(), said.iter().map(String::as_str).collect()));
        Self { left: Mutex::new(left.collect()), shown: Mutex::default() }
    }

    /// The address that was shown last, if any was.
    pub(super) fn shown(&self) -> Option<String> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.last().and_then(|show| show.text.expose().lines().next().map(str::to_owned))
    }
}

impl Ask for Answers<'_> {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = left.get_mut(question.name.as_str()).and_then(VecDeque::pop_front).map(Secret::from);
        let nobody = || Fault::new(FaultKind::NeedsHuman, format!("the example does not answer `{}`", question.name));
        Box::pin(std::future::ready(answer.ok_or_else(nobody)))
    }

    fn is_anyone_there(&self) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).values().any(|said| !said.is_empty())
    }

    fn show(&self, show: Show) -> Boxed<'_, ()> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).push(show);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An example ends with what is held; what was kept on the way is lost with it.
pub(super) struct Lost;

impl Keep for Lost {
    fn keep(&self, _: Held) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
