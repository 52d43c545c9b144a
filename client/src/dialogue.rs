//! A login or an action as a conversation: the agent asks over the connection, the human answers at the terminal.

mod busy;

use std::time::Instant;

use cloud_agent_protocol::v1::{Answer, Done, Login, Question, Request, Response, Show};
use cloud_agent_protocol::{Fault, FaultKind, Secret};

use crate::client::{Client, answered, unexpected};
use crate::report::{Failure, printable};
use crate::tty::Human;

/// How often a question is put again when the answer cannot be one.
const ATTEMPTS: u8 = 3;

/// What is waited for where a cloud is asked.
pub(crate) const CLOUD: &str = "waiting for the cloud";
/// The same where only the agent has something to do.
pub(crate) const AGENT: &str = "waiting for the agent";

/// What is remembered of a dialogue by whoever may have to begin it anew.
pub(crate) trait Memory {
    /// A question was put, and answered; with `None` they gave up.
    fn hear(&mut self, question: &Question, said: Option<&Secret>);

    /// What an empty answer to `question` stands for.
    fn proposal(&self, question: &Question) -> Option<String>;
}

/// Remembers nothing.
impl Memory for () {
    fn hear(&mut self, _: &Question, _: Option<&Secret>) {}

    fn proposal(&self, _: &Question) -> Option<String> {
        None
    }
}

/// Logs in, with somebody to ask if `human` is there.
#[cold]
pub(crate) fn log_in(
    mut login: Login,
    human: Option<&mut dyn Human>,
    client: Client,
    memory: &mut dyn Memory,
) -> Result<Done, Failure> {
    login.interactive = human.is_some();
    login.deadline_ms = client.deadline.for_agent();
    match hold(Request::Login(login), human, client, CLOUD, memory)? {
        Response::Done(done) => Ok(done),
        other => Err(unexpected(&other)),
    }
}

/// Makes a request, answers what is asked in between, and returns what it comes to. `what` is waited for meanwhile.
#[cold]
pub(crate) fn converse(
    request: Request,
    human: Option<&mut dyn Human>,
    client: Client,
    what: &str,
) -> Result<Response, Failure> {
    hold(request, human, client, what, &mut ())
}

fn hold(
    mut request: Request,
    mut human: Option<&mut dyn Human>,
    mut client: Client,
    what: &str,
    memory: &mut dyn Memory,
) -> Result<Response, Failure> {
    let mut connection = client.connect()?;
    loop {
        // Never sent twice: a password that is tried again unasked may lock the login out.
        let answer = match &mut human {
            Some(human) => connection.ask_while(&request, &client.deadline, |connection| {
                busy::wait(connection, &client.deadline, *human, what);
            }),
            None => connection.ask(&request, &client.deadline),
        };
        let response = answered(answer)?;
        let asked = Instant::now();
        let value = match (&response, &mut human) {
            (Response::Question(_) | Response::Show(_), None) => Ok(None),
            (Response::Question(question), Some(human)) => put(question, memory.proposal(question).as_deref(), *human),
            (Response::Show(it), Some(human)) => show(it, *human).map(|()| Some(Secret::default())),
            _ => return Ok(response),
        };
        let value = value.map_err(|e| cannot_ask(&e))?;
        if let Response::Question(question) = &response {
            memory.hear(question, value.as_ref());
        }
        client.deadline.extend(asked.elapsed());
        request = Request::Answer(Answer { value });
    }
}

/// There is a terminal, and it does not do.
#[cold]
pub(crate) fn cannot_ask(why: &std::io::Error) -> Failure {
    Fault::new(FaultKind::NeedsHuman, "cannot ask at the terminal").because(why.to_string()).into()
}

/// Shows something once. A picture is painted dark on light, whatever the terminal's colours are: not every camera reads
/// it the other way round.
fn show(it: &Show, human: &mut dyn Human) -> std::io::Result<()> {
    human.tell(&printable(&it.title))?;
    let mut too_wide = None;
    for line in it.text.expose().lines() {
        let width = line.chars().count();
        let is_picture = width > 20 && line.chars().all(|c| " ▀▄█".contains(c));
        if is_picture && width > human.columns() {
            too_wide = Some(width);
            continue;
        }
        let line =
            zeroize::Zeroizing::new(if is_picture { format!("\x1b[30;107m{line}\x1b[0m") } else { printable(line) });
        human.tell(&line)?;
    }
    // Broken into pieces no camera reads it.
    match too_wide {
        Some(width) => human
            .tell(&format!("the picture needs {width} columns, which this terminal does not have: copy the address")),
        None => Ok(()),
    }
}

/// Puts a question; an empty answer is the `proposal`, if there is one. `None` if the human gives up.
#[cold]
pub(crate) fn put(
    question: &Question,
    proposal: Option<&str>,
    human: &mut dyn Human,
) -> std::io::Result<Option<Secret>> {
    for (i, choice) in question.choices.iter().enumerate() {
        human.tell(&format!("  {}) {}", i + 1, printable(choice)))?;
    }
    let text = printable(question.prompt.trim_end_matches([':', ' ']));
    let detail = question.detail.as_deref().map(|detail| format!(" ({})", printable(detail))).unwrap_or_default();
    let empty = match proposal {
        Some(proposal) => format!(" [{}]", printable(proposal)),
        None if question.optional => " (may be empty)".to_owned(),
        None => String::new(),
    };
    let prompt = format!("{text}{detail}{empty}: ");
    for _ in 0..ATTEMPTS {
        let Some(answer) = human.ask(&prompt, question.secret)? else { return Ok(None) };
        let answer = match proposal {
            Some(proposal) if answer.is_empty() => Secret::from(proposal),
            _ => answer,
        };
        if answer.is_empty() {
            if question.optional {
                return Ok(Some(answer));
            }
            human.tell("an answer is needed; ^D gives up")?;
        } else if question.choices.is_empty() {
            return Ok(Some(answer));
        } else if let Some(choice) = chosen(&question.choices, answer.expose()) {
            return Ok(Some(Secret::from(choice)));
        } else {
            human.tell(&format!("answer with a number from 1 to {}", question.choices.len()))?;
        }
    }
    Ok(None)
}

/// The choice that `answer` names, by its text or its number. The text wins, because a choice may be a number.
fn chosen<'a>(choices: &'a [String], answer: &str) -> Option<&'a str> {
    let by_text = choices.iter().find(|choice| *choice == answer);
    let by_number = || choices.get(answer.trim().parse::<usize>().ok()?.checked_sub(1)?);
    by_text.or_else(by_number).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers from a list; the end of the list is the end of the input.
    #[derive(Default)]
    struct Script {
        answers: Vec<&'static str>,
        shown: Vec<String>,
        hidden: Vec<bool>,
        columns: Option<usize>,
    }

    impl Script {
        fn answering(answers: &[&'static str]) -> Self {
            Self { answers: answers.iter().rev().copied().collect(), ..Self::default() }
        }
    }

    impl Human for Script {
        fn tell(&mut self, line: &str) -> std::io::Result<()> {
            self.shown.push(line.to_owned());
            Ok(())
        }

        fn ask(&mut self, prompt: &str, hidden: bool) -> std::io::Result<Option<Secret>> {
            self.shown.push(prompt.to_owned());
            self.hidden.push(hidden);
            Ok(self.answers.pop().map(Secret::from))
        }

        fn columns(&self) -> usize {
            self.columns.unwrap_or(80)
        }
    }

    fn question() -> Question {
        Question {
            name: "password".into(),
            prompt: "Password:".into(),
            detail: None,
            secret: true,
            optional: false,
            choices: vec![],
        }
    }

    fn answer(question: &Question, script: &mut Script) -> Option<String> {
        put(question, None, script).unwrap().map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn secrets_are_asked_hidden_and_the_prompt_ends_in_one_colon() {
        let mut script = Script::answering(&["hunter2"]);
        assert_eq!(answer(&question(), &mut script).as_deref(), Some("hunter2"));
        assert_eq!((script.shown, script.hidden), (vec!["Password: ".to_owned()], vec![true]));
    }

    #[test]
    fn an_empty_answer_is_one_only_where_it_may_be() {
        let mut script = Script::answering(&["", "x"]);
        assert_eq!(answer(&question(), &mut script).as_deref(), Some("x"));
        let optional = Question { optional: true, ..question() };
        assert_eq!(answer(&optional, &mut Script::answering(&[""])).as_deref(), Some(""));
    }

    #[test]
    fn an_empty_answer_is_what_was_proposed() {
        for (typed, said) in [("", "me"), ("you", "you")] {
            let mut script = Script::answering(&[typed]);
            let visible = Question { secret: false, optional: true, ..question() };
            let answer = put(&visible, Some("me"), &mut script).unwrap().unwrap();
            assert_eq!((answer.expose(), script.shown), (said, vec!["Password [me]: ".to_owned()]));
        }
    }

    #[test]
    fn the_end_of_input_and_three_useless_answers_give_up() {
        assert_eq!(answer(&question(), &mut Script::answering(&[])), None);
        assert_eq!(answer(&question(), &mut Script::answering(&["", "", "", "late"])), None);
    }

    #[test]
    fn choices_are_listed_and_taken_by_number_or_text() {
        let choices = Question { choices: vec!["eu".into(), "us".into(), "1".into()], ..question() };
        for (typed, choice) in [("2", "us"), ("eu", "eu"), ("1", "1"), ("3", "1")] {
            assert_eq!(answer(&choices, &mut Script::answering(&[typed])).as_deref(), Some(choice), "{typed}");
        }
        let mut script = Script::answering(&["9", "0", "mars"]);
        assert_eq!(answer(&choices, &mut script), None);
        assert_eq!(script.shown[0], "  1) eu");
    }

    #[test]
    fn what_a_cloud_says_cannot_steer_the_terminal() {
        let mut script = Script::answering(&["x"]);
        let hostile = Question { prompt: "a\x1b[2Jb".into(), detail: Some("c\x07d".into()), ..question() };
        answer(&hostile, &mut script);
        assert!(script.shown.iter().all(|line| !line.contains(char::is_control)), "{:?}", script.shown);
    }

    #[test]
    fn a_picture_is_dark_on_light_and_everything_else_cannot_steer_the_terminal() {
        let mut script = Script::default();
        let picture = format!("  {} ", "█▀▄".repeat(8));
        let text = format!("otpauth://totp/a:b?secret=\x1b[2J\n\n{picture}\n▀▄");
        show(&Show { title: "Scan\x07".into(), text: text.as_str().into() }, &mut script).unwrap();
        assert_eq!(
            script.shown,
            [
                "Scan\u{fffd}",
                "otpauth://totp/a:b?secret=\u{fffd}[2J",
                "",
                &format!("\x1b[30;107m{picture}\x1b[0m"),
                "▀▄",
            ]
        );
    }

    #[test]
    fn a_picture_that_a_narrow_terminal_would_break_is_left_out_and_said_to_be() {
        let mut script = Script { columns: Some(40), ..Script::default() };
        let picture = "█▀▄ ".repeat(11);
        let text = format!("otpauth://totp/a:b\n\n{picture}\n{picture}");
        show(&Show { title: "Scan".into(), text: text.as_str().into() }, &mut script).unwrap();
        assert_eq!(script.shown[..3], ["Scan", "otpauth://totp/a:b", ""]);
        assert!(script.shown.len() == 4 && script.shown[3].contains("44 columns"), "{:?}", script.shown);
    }
}
