//! A conversation with the agent as a client at a terminal has it: it asks, somebody answers.

use cloud_agent_protocol::v1::{Acted, Answer, Do, Login, NamedSecret, Question, Request, Response, Setting};
use cloud_agent_protocol::{Fault, Frame, Secret, frame};

use crate::fake::totp::STEP;
use crate::raw::Raw;
use crate::wait::PATIENCE;

/// How long the agent may wait for the cloud.
const DEADLINE_MS: u32 = 60_000;

/// A conversation that has not ended.
#[derive(Debug)]
pub struct Dialogue {
    raw: Raw,
    /// What the agent said last.
    pub said: Response,
}

impl Dialogue {
    /// Begins with `request`.
    ///
    /// # Panics
    /// If the agent does not answer.
    #[track_caller]
    #[must_use]
    pub fn begin(mut raw: Raw, request: &Request) -> Self {
        // The agent may have to wait for the next code of a held seed.
        raw.stream().set_read_timeout(Some(PATIENCE + STEP)).expect("it is no zero");
        let said = raw.answer(request);
        Self { raw, said }
    }

    /// The question that is open.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn question(&self) -> &Question {
        match &self.said {
            Response::Question(question) => question,
            other => panic!("the agent asks nothing; it said {other:?}"),
        }
    }

    /// Answers the open question, whose name has to be `name`.
    ///
    /// # Panics
    /// If another one is open, or none.
    #[track_caller]
    #[must_use]
    pub fn answer(self, name: &str, value: &str) -> Self {
        assert_eq!(self.question().name, name, "{:?}", self.said);
        self.say(&Request::Answer(Answer { value: Some(Secret::from(value)) }))
    }

    /// Leaves the open question unanswered, as ^D does.
    ///
    /// # Panics
    /// If the agent does not answer.
    #[track_caller]
    #[must_use]
    pub fn give_up(self) -> Self {
        self.say(&Request::Answer(Answer { value: None }))
    }

    /// What was done, in words.
    ///
    /// # Panics
    /// If it is not done.
    #[track_caller]
    #[must_use]
    pub fn done(&self) -> String {
        match &self.said {
            Response::Done(done) => done.notes.join("\n"),
            other => panic!("it is not done; the agent said {other:?}"),
        }
    }

    /// What is to be shown; it is answered by [`Self::seen`].
    ///
    /// # Panics
    /// If there is nothing.
    #[track_caller]
    #[must_use]
    pub fn shown(&self) -> &str {
        match &self.said {
            Response::Show(show) => show.text.expose(),
            other => panic!("there is nothing to show; the agent said {other:?}"),
        }
    }

    /// Says that it has been shown.
    ///
    /// # Panics
    /// If there is nothing to show.
    #[track_caller]
    #[must_use]
    pub fn seen(self) -> Self {
        let _ = self.shown();
        self.say(&Request::Answer(Answer { value: Some(Secret::from("")) }))
    }

    /// What an action did.
    ///
    /// # Panics
    /// If it is not done.
    #[track_caller]
    #[must_use]
    pub fn acted(&self) -> &Acted {
        match &self.said {
            Response::Acted(acted) => acted,
            other => panic!("it is not done; the agent said {other:?}"),
        }
    }

    /// What went wrong.
    ///
    /// # Panics
    /// If nothing did.
    #[track_caller]
    #[must_use]
    pub fn fault(&self) -> &Fault {
        match &self.said {
            Response::Fault(fault) => fault,
            other => panic!("nothing went wrong; the agent said {other:?}"),
        }
    }

    #[track_caller]
    fn say(mut self, request: &Request) -> Self {
        // The hello went ahead of the first request.
        let bytes = request.encode().expect("requests of tests fit a frame").encode();
        self.raw.send(&bytes).expect("the agent takes an answer");
        let frame: Frame = self.raw.frame().expect("the agent answers with a frame");
        debug_assert!(frame.body.len() <= frame::MAX_RESPONSE);
        self.said = Response::decode(&frame).expect("the agent answers with a message of version 1");
        self
    }
}

/// A login with somebody at the terminal.
#[must_use]
pub fn login(account: &str, url: &str, settings: &[(&str, &str)], secrets: &[(&str, &str)]) -> Login {
    Login {
        account: account.into(),
        cloud: None,
        method: None,
        origins: named(&[("", url)]),
        settings: named(settings),
        secrets: secret(secrets),
        remember: false,
        ephemeral: false,
        interactive: true,
        deadline_ms: DEADLINE_MS,
    }
}

/// An action at the cloud of an account that is set up, with somebody at the terminal.
#[must_use]
pub fn action(account: &str, action: &str, settings: &[(&str, &str)], secrets: &[(&str, &str)]) -> Do {
    Do {
        account: account.into(),
        action: Some(action.into()),
        cloud: None,
        origins: Vec::new(),
        settings: named(settings),
        secrets: secret(secrets),
        interactive: true,
        deadline_ms: DEADLINE_MS,
    }
}

/// Settings by name.
#[must_use]
pub fn named(pairs: &[(&str, &str)]) -> Vec<Setting> {
    pairs.iter().map(|(name, value)| Setting { name: (*name).into(), value: (*value).into() }).collect()
}

fn secret(pairs: &[(&str, &str)]) -> Vec<NamedSecret> {
    pairs.iter().map(|(name, value)| NamedSecret { name: (*name).into(), value: Secret::from(*value) }).collect()
}
