//! `do`: what a cloud names that is no login, such as enrolling a second factor; and the list of it.

use std::fmt::Write;
use std::time::Duration;

use cloud_agent_protocol::AccountName;
use cloud_agent_protocol::v1::{Acted, Actions, AskInfo, Do, Request, Response};

use super::given;
use crate::client::{Client, unexpected};
use crate::dialogue;
use crate::report::{self, Failure, printable};
use crate::stdio;
use crate::tty::{Human, Tty};

/// What the command line said.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) account: String,
    pub(crate) action: Option<String>,
    pub(crate) cloud: Option<String>,
    pub(crate) urls: Vec<String>,
    pub(crate) settings: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) no_input: bool,
    pub(crate) timeout: Duration,
}

/// Does it, or lists what can be done.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    AccountName::parse(&options.account)?;
    let sources = given::sources(&options.secrets)?;
    let mut request = Do {
        account: options.account,
        action: options.action,
        cloud: options.cloud,
        origins: options.urls.iter().map(|url| given::origin(url)).collect(),
        settings: options.settings.iter().map(|setting| given::pair(setting)).collect::<Result<_, _>>()?,
        secrets: Vec::new(),
        interactive: false,
        deadline_ms: 0,
    };
    let (secrets, withheld) = given::read(sources, options.timeout)?;
    request.secrets = secrets;
    let mut tty = if options.no_input { None } else { Tty::open().ok() };
    let client = Client::new(options.timeout)?.withhold(withheld);
    request.interactive = tty.is_some();
    request.deadline_ms = client.deadline.for_agent();
    let account = request.account.clone();
    let human = tty.as_mut().map(|tty| tty as &mut dyn Human);
    match dialogue::converse(Request::Do(request), human, client, dialogue::CLOUD)? {
        Response::Acted(acted) => show(&acted),
        Response::Actions(actions) => stdio::stdout(list(&account, &actions).as_bytes()),
        other => Err(unexpected(&other)),
    }
}

/// Rows are data and go to stdout, words to the human.
fn show(acted: &Acted) -> Result<(), Failure> {
    acted.notes.iter().for_each(|note| report::note(note));
    if acted.rows.is_empty() { Ok(()) } else { stdio::stdout(table(&acted.rows).as_bytes()) }
}

/// A line each, cells apart by a tab, which no cell holds.
fn table(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| row.iter().map(|cell| printable(cell)).collect::<Vec<_>>().join("\t") + "\n";
    rows.iter().map(line).collect()
}

fn list(account: &str, actions: &Actions) -> String {
    if actions.actions.is_empty() {
        return format!("{} offers nothing but logins\n", printable(&actions.cloud));
    }
    let mut text = String::new();
    for action in &actions.actions {
        let login = if action.needs_login { "" } else { " (before a login too)" };
        writeln!(text, "cloud-token do {account} {}  {}{login}", printable(&action.name), printable(&action.title))
            .expect("a string takes every write");
        for ask in &action.asks {
            writeln!(text, "  {}", asked(ask)).expect("a string takes every write");
        }
    }
    text
}

fn asked(ask: &AskInfo) -> String {
    let name = printable(&ask.name);
    let option = match (ask.at_login, ask.secret) {
        (true, _) => format!("asked: {name}"),
        (false, true) => format!("--secret {name}=SOURCE"),
        (false, false) => format!("--set {name}=VALUE"),
    };
    format!("{option}  {}{}", printable(&ask.prompt), if ask.optional { " (optional)" } else { "" })
}

#[cfg(test)]
mod tests {
    use cloud_agent_protocol::v1::ActionInfo;

    use super::*;

    #[test]
    fn actions_are_listed_as_what_to_type() {
        let ask = |name: &str, secret, at_login| AskInfo {
            name: name.into(),
            prompt: format!("the {name}"),
            secret,
            optional: at_login,
            at_login,
        };
        let actions = Actions {
            cloud: "acme".into(),
            actions: vec![
                ActionInfo {
                    name: "register".into(),
                    title: "make a login".into(),
                    needs_login: false,
                    asks: vec![ask("mail", false, false), ask("password", true, false)],
                },
                ActionInfo {
                    name: "2fa".into(),
                    title: "second\x1b[2J factor".into(),
                    needs_login: true,
                    asks: vec![ask("code", true, true)],
                },
            ],
        };
        assert_eq!(
            list("work", &actions),
            "cloud-token do work register  make a login (before a login too)\n  \
               --set mail=VALUE  the mail\n  \
               --secret password=SOURCE  the password\n\
             cloud-token do work 2fa  second\u{fffd}[2J factor\n  \
               asked: code  the code (optional)\n"
        );
        assert_eq!(list("work", &Actions { actions: vec![], ..actions }), "acme offers nothing but logins\n");
    }

    #[test]
    fn rows_are_for_programs() {
        let rows = [vec!["a".into(), "b c".into()], vec!["d\te".into(), String::new()]];
        assert_eq!(table(&rows), "a\tb c\nd\u{fffd}e\t\n");
    }
}
