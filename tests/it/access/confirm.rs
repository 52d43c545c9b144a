//! The human is asked, and what an answer is worth.

use std::fs;
use std::path::PathBuf;

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::v1::{Get, Request, Response};
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;
use cloud_agent_tests::terminal::Terminal;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::Desk;

impl Desk {
    /// A program to ask with.
    fn askpass(&self, script: &str) -> PathBuf {
        let path = self.sandbox.path("home/askpass");
        let script = format!("#!/bin/sh\ncd '{}'\n{script}\n", self.sandbox.path("home").display());
        crate::support::put_script(&path, &script);
        path
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.sandbox.path("home/asked")).unwrap_or_default()
    }

    /// From now on the human is asked for ecHome, in the way of `confirm`.
    fn confirms(&self, confirm: &str) {
        self.rules(&format!("[[policy]]\naccount = \"ecHome\"\naction = \"confirm\"\n[confirm]\n{confirm}"));
    }
}

#[test]
fn the_human_is_asked_once_with_the_real_chain_and_the_yes_is_remembered() {
    let desk = Desk::new();
    let tool = desk.tool("deploy");
    let askpass = desk.askpass("echo \"$SSH_ASKPASS_PROMPT: $1\" >>asked");
    desk.confirms(&format!("with = \"askpass\"\nprogram = \"{}\"\n", askpass.display()));
    assert!(until(PATIENCE, || {
        desk.asks(&tool, "ecHome").ok();
        !desk.asked().is_empty()
    }));
    let asked = desk.asked();
    assert!(asked.starts_with("confirm: Hand a token of `ecHome` to ") && asked.contains("/deploy?"), "{asked}");
    assert!(asked.contains("cloud-token [") && asked.contains("/deploy ["), "{asked}");
    desk.asks(&tool, "ecHome").ok();
    assert_eq!(desk.asked(), asked, "it is remembered");
    desk.asks(&desk.tool("another"), "ecHome").ok();
    assert!(desk.asked().contains("/another?"), "and for that program only");
}

#[test]
fn a_yes_and_a_limit_hold_at_the_next_agent_too() {
    let desk = Desk::new();
    let (tool, other) = (desk.tool("deploy"), desk.tool("other"));
    let askpass = desk.askpass("echo \"$1\" >>asked");
    desk.confirms(&format!(
        "with = \"askpass\"\nprogram = \"{}\"\n[[limit]]\naccount = \"ecHome\"\nhand-outs = 2\nwithin = \"1h\"\n",
        askpass.display()
    ));
    let _ = desk.becomes(&other, 5);
    desk.asks(&tool, "ecHome").ok();
    let asked = desk.asked();
    desk.sandbox.token(["restart"]).ok();
    desk.asks(&tool, "ecHome").ok();
    assert_eq!(desk.asked(), asked, "nobody notices that it is another agent");
    for program in [&tool, &other] {
        assert!(desk.asks(program, "ecHome").fails(5).contains("too often"), "nor gets around a limit by that");
    }
}

#[test]
fn nobody_is_asked_about_what_is_no_account_and_may_be_any_text() {
    let desk = Desk::new();
    let askpass = desk.askpass("echo \"$1\" >>asked");
    desk.rules(&format!(
        "[[policy]]\naction = \"confirm\"\n[confirm]\nwith = \"askpass\"\nprogram = \"{}\"\nremember = \"0\"\n",
        askpass.display()
    ));
    assert!(until(PATIENCE, || {
        desk.sandbox.token(["ecHome"]).ok();
        !desk.asked().is_empty()
    }));
    let asked = desk.asked();
    let hostile = "ecHome` to /usr/bin/git?\nasked by git [1]\n\x1b[8m";
    for (account, kind) in [(hostile, FaultKind::Usage), ("nobody", FaultKind::UnknownAccount)] {
        let get =
            Get { account: account.to_owned(), min_valid: None, fresh: false, environment: false, deadline_ms: 20_000 };
        let answer = desk.sandbox.raw().answer(&Request::Get(get));
        assert!(matches!(&answer, Response::Fault(fault) if fault.kind == kind), "{answer:?}");
    }
    assert_eq!(desk.asked(), asked);
}

#[test]
fn a_no_and_no_answer_are_refusals_that_hold_up_nobody_else() {
    let desk = Desk::new();
    desk.login("other");
    let tool = desk.tool("tool");
    let askpass = desk.askpass("echo >>asked; sleep 600");
    desk.confirms(&format!("with = \"askpass\"\nprogram = \"{}\"\npatience = \"2s\"\n", askpass.display()));
    assert!(until(PATIENCE, || {
        let asking = desk.sandbox.command(TOKEN).arg("ecHome").spawn();
        let asked = until(std::time::Duration::from_millis(1500), || !desk.asked().is_empty());
        desk.asks(&tool, "other").ok();
        let _ = asking.finish();
        asked
    }));
    let outcome = desk.asks(&tool, "ecHome");
    let said = outcome.fails(1);
    assert!(said.contains("nobody answered within 2 s") && said.contains("accounts.toml:"), "{said}");
    let askpass = desk.askpass("exit 1");
    desk.confirms(&format!("with = \"askpass\"\nprogram = \"{}\"\n", askpass.display()));
    assert!(until(PATIENCE, || desk.asks(&tool, "ecHome").fails(1).contains("the answer was no")));
}

#[test]
fn the_caller_s_terminal_can_be_asked_at_if_the_file_says_so() {
    let desk = Desk::new();
    desk.confirms("with = \"terminal\"\nremember = \"0\"\n");
    // Without a terminal there is nobody; it also tells when the edit counts.
    assert!(until(PATIENCE, || desk.sandbox.token(["ecHome"]).code() == 1));
    for (keys, code) in [("yes\n", 0), ("n\n", 1), ("\n", 1)] {
        let terminal = Terminal::open();
        let run = terminal.run(&desk.sandbox, TOKEN, &["ecHome"]).spawn();
        terminal.shows("[y/N");
        assert!(terminal.shown().contains("at the terminal /dev/pts/"), "{}", terminal.shown());
        terminal.types(keys);
        assert_eq!(run.finish().code(), code, "{keys:?}: {}", terminal.shown());
    }
}

#[test]
fn gnupg_s_pinentry_asks_at_the_caller_s_terminal() {
    let what = "gnupg_s_pinentry_asks_at_the_caller_s_terminal";
    let Some(pinentry) = skip::unless_tool(what, "pinentry-curses") else { return };
    let desk = Desk::new();
    desk.confirms(&format!(
        "with = \"pinentry\"\nprogram = \"{}\"\nremember = \"0\"\npatience = \"10s\"\n",
        pinentry.display()
    ));
    assert!(until(PATIENCE, || desk.sandbox.token(["ecHome"]).code() == 1));
    for (keys, code) in [("\r", 0), ("\x1b", 1)] {
        let terminal = Terminal::open();
        let run = terminal.run(&desk.sandbox, TOKEN, &["ecHome"]).spawn();
        terminal.shows("Refuse");
        terminal.types(keys);
        assert_eq!(run.finish().code(), code, "{}", terminal.shown());
    }
}
