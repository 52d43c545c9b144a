//! Questions on their way from a login or an action to the connection that started it.

use cloud_agent_protocol::v1::{Question, Response, Show};
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use tokio::sync::{mpsc, oneshot};

use crate::provider::{Ask, Boxed};

/// What the client is to ask or to show, and where the answer goes.
pub(super) struct Asked {
    pub(super) message: Response,
    pub(super) answer: oneshot::Sender<Option<Secret>>,
}

/// Asks the client of one connection.
pub(super) struct Asker {
    /// `None` if nobody is there.
    questions: Option<mpsc::Sender<Asked>>,
    /// What the human would type to be asked: `login work`.
    command: String,
}

impl Asker {
    pub(super) fn new(interactive: bool, command: String) -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { questions: interactive.then_some(sender), command }, receiver)
    }

    async fn put(&self, message: Response, what: String) -> Result<Secret, Fault> {
        let unanswered = |why: &str| {
            Fault::new(FaultKind::NeedsHuman, what.clone())
                .because(why)
                .hint(format!("`cloud-token {}` in a terminal", self.command))
        };
        let Some(questions) = &self.questions else { return Err(unanswered("nobody is there to be asked")) };
        let (answer, answered) = oneshot::channel();
        questions.send(Asked { message, answer }).await.map_err(|_| unanswered("the client has gone"))?;
        match answered.await {
            Ok(Some(said)) => Ok(said),
            Ok(None) => Err(unanswered("there was no answer")),
            Err(_) => Err(unanswered("the client has gone")),
        }
    }
}

impl Ask for Asker {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        let what = format!("`{}` is needed for `cloud-token {}`", question.name, self.command);
        Box::pin(self.put(Response::Question(question), what))
    }

    fn is_anyone_there(&self) -> bool {
        self.questions.as_ref().is_some_and(|questions| !questions.is_closed())
    }

    fn show(&self, show: Show) -> Boxed<'_, ()> {
        Box::pin(async move {
            let what = "what has to be shown on a terminal was not".to_owned();
            self.put(Response::Show(show), what).await.map(drop)
        })
    }
}
