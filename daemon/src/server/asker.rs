//! Questions on their way from a login to the connection that started it.

use cloud_agent_protocol::v1::Question;
use cloud_agent_protocol::{Fault, FaultKind, Secret};
use tokio::sync::{mpsc, oneshot};

use crate::provider::{Ask, Boxed};

/// A question, and where its answer goes.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Option<Secret>>,
}

/// Asks the client of one connection.
pub(super) struct Asker {
    /// `None` if nobody is there.
    questions: Option<mpsc::Sender<Asked>>,
    account: String,
}

impl Asker {
    pub(super) fn new(interactive: bool, account: &str) -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { questions: interactive.then_some(sender), account: account.to_owned() }, receiver)
    }
}

impl Ask for Asker {
    fn ask(&self, question: Question) -> Boxed<'_, Secret> {
        Box::pin(async move {
            let unanswered = |why: &str| {
                Fault::new(
                    FaultKind::NeedsHuman,
                    format!("`{}` is needed to log in to `{}`", question.name, self.account),
                )
                .because(why)
                .hint(format!("`cloud-token login {}` in a terminal", self.account))
            };
            let Some(questions) = &self.questions else { return Err(unanswered("nobody is there to be asked")) };
            let (answer, answered) = oneshot::channel();
            let asked = Asked { question: question.clone(), answer };
            questions.send(asked).await.map_err(|_| unanswered("the client has gone"))?;
            match answered.await {
                Ok(Some(said)) => Ok(said),
                Ok(None) => Err(unanswered("the question was not answered")),
                Err(_) => Err(unanswered("the client has gone")),
            }
        })
    }
}
