//! Rules about who may have what, against real processes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cloud_agent_tests::sandbox::{AGENT, Outcome, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::terminal::Terminal;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{Desk, chain};

/// Runs the client as a program of its own does.
const ASKS: &str = "\"$0\" \"$@\"; exit $?";

impl Desk {
    /// Appends to accounts.toml; what stood there first stays.
    pub(super) fn rules(&self, text: &str) {
        let path = self.sandbox.config().join("accounts.toml");
        let stored = fs::read_to_string(&path).unwrap();
        let accounts = stored.split("\n# rules\n").next().unwrap();
        fs::write(&path, format!("{accounts}\n# rules\n{text}")).unwrap();
    }

    /// A program with a file of its own: a shell by another name.
    pub(super) fn tool(&self, name: &str) -> PathBuf {
        let path = self.sandbox.path("bin").join(name);
        // By another process: a test that forks meanwhile would hold our descriptor, and the program would be busy.
        assert!(Command::new("cp").args(["-L", "/bin/sh"]).arg(&path).status().unwrap().success());
        path
    }

    /// That program asks for `account` with the client.
    pub(super) fn asks(&self, tool: &std::path::Path, account: &str) -> Outcome {
        self.sandbox.command(tool).args(["-c", ASKS]).arg(self.sandbox.program(TOKEN)).arg(account).finish()
    }

    /// Waits until an edit counts: until `tool` is answered with `code`.
    #[track_caller]
    pub(super) fn becomes(&self, tool: &std::path::Path, code: i32) -> Outcome {
        assert!(until(PATIENCE, || self.asks(tool, "ecHome").code() == code), "{:?}", self.asks(tool, "ecHome"));
        self.asks(tool, "ecHome")
    }
}

#[test]
fn the_first_rule_that_names_the_program_decides_and_the_fault_says_where_it_stands() {
    let desk = Desk::new();
    let (good, bad) = (desk.tool("good"), desk.tool("bad"));
    desk.asks(&good, "ecHome").ok();
    desk.rules(&format!(
        "[[policy]]\naccount = \"echome\"\nprogram = \"{}\"\naction = \"allow\"\n\n[[policy]]\naccount = \"echome\"\naction = \"deny\"\n",
        good.display()
    ));
    let denied = desk.becomes(&bad, 1);
    let said = denied.fails(1);
    let text = fs::read_to_string(desk.sandbox.config().join("accounts.toml")).unwrap();
    let (line, _) = (1..).zip(text.lines()).filter(|(_, line)| *line == "[[policy]]").last().unwrap();
    assert!(said.contains(&format!("`ecHome` is not handed out to `{}`", bad.display())), "{said}");
    assert!(said.contains(&format!("accounts.toml:{line} denies it")) && said.contains("hint: edit "), "{said}");
    desk.asks(&good, "ecHome").ok();
    let log = desk.log();
    let outcomes: Vec<&str> = log.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!((outcomes[0], outcomes[outcomes.len() - 1], outcomes.contains(&"denied")), ("given", "given", true));
    let denied = log.iter().find(|entry| entry["outcome"] == "denied").unwrap();
    assert!(chain(denied)[1].ends_with("/bad") && denied["fingerprint"].is_null(), "{denied}");
    desk.login("other");
    desk.asks(&bad, "other").ok();
}

#[test]
fn a_program_is_told_by_what_it_holds_whatever_it_is_called() {
    let desk = Desk::new();
    let (good, bad) = (desk.tool("good"), desk.tool("bad"));
    let mut text = fs::read(&bad).unwrap();
    text.push(0);
    let other = desk.sandbox.path("bin/other");
    fs::write(&other, text).unwrap();
    assert!(Command::new("cp").arg(&other).arg(&bad).status().unwrap().success());
    let sum = Command::new("sha256sum").arg(&good).output().unwrap().stdout;
    let hash = String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned();
    desk.rules(&format!("[[policy]]\nsha256 = \"{hash}\"\naction = \"allow\"\n[[policy]]\naction = \"deny\"\n"));
    let _ = desk.becomes(&bad, 1);
    desk.asks(&good, "ecHome").ok();
    let renamed = desk.tool("renamed");
    desk.asks(&renamed, "ecHome").ok();
}

#[test]
fn what_runs_below_a_program_and_where_it_runs_can_be_named() {
    let desk = Desk::new();
    let (editor, tool) = (desk.tool("editor"), desk.tool("tool"));
    desk.rules(&format!("[[policy]]\nunder = \"{}\"\naction = \"deny\"\n", editor.display()));
    let _ = desk.becomes(&editor, 1);
    desk.asks(&tool, "ecHome").ok();
    let below = format!("'{}' -c '\"$0\" ecHome; exit $?' \"$0\"; exit $?", tool.display());
    desk.sandbox.command(&editor).args(["-c", &below]).arg(desk.sandbox.program(TOKEN)).finish().fails(1);

    desk.rules("[[policy]]\nterminal = \"none\"\naction = \"deny\"\n");
    let _ = desk.becomes(&tool, 1);
    let terminal = Terminal::open();
    let at = terminal.run(&desk.sandbox, TOKEN, &["ecHome"]);
    assert_eq!(at.finish().code(), 0, "{}", terminal.shown());
}

#[test]
fn an_edit_counts_without_a_restart_and_a_slip_takes_no_rule_away() {
    let desk = Desk::new();
    let tool = desk.tool("tool");
    desk.rules("[[policy]]\naction = \"deny\"\n");
    let _ = desk.becomes(&tool, 1);
    desk.rules("[[policy]]\naction = \"denny\"\n");
    assert!(
        until(PATIENCE, || {
            desk.asks(&tool, "ecHome").fails(1);
            desk.agent.log().contains("`denny` is not known; the rules from before the edit stay in force")
        }),
        "{}",
        desk.agent.log()
    );
    let status = desk.sandbox.token(["status"]).ok().to_owned();
    assert!(status.contains("warning: ") && status.contains("`action`: `denny` is not known"), "{status}");
    desk.rules("");
    let _ = desk.becomes(&tool, 0);
}

#[test]
fn a_rule_about_no_account_is_a_warning() {
    let desk = Desk::new();
    desk.rules("[[policy]]\naccount = \"ecHom\"\naction = \"deny\"\n");
    let status = || desk.sandbox.token(["status"]).ok().to_owned();
    assert!(until(PATIENCE, || status().contains("is about `echom`, which is no account")), "{}", status());
}

#[test]
fn an_agent_that_starts_with_rules_it_cannot_read_hands_out_nothing() {
    let mut desk = Desk::new();
    assert!(desk.agent.stop(PATIENCE).success());
    desk.rules("[[polcy]]\naction = \"deny\"\n");
    desk.agent = desk.sandbox.agent();
    let outcome = desk.sandbox.token(["ecHome"]);
    let said = outcome.fails(1);
    assert!(said.contains("accounts.toml:") && said.contains("did you mean `policy`?"), "{said}");
}

#[test]
fn a_program_that_asks_too_often_is_told_when_to_come_back() {
    let desk = Desk::new();
    let (tool, other) = (desk.tool("tool"), desk.tool("other"));
    desk.rules("[[limit]]\naccount = \"ecHome\"\nhand-outs = 2\nwithin = \"1h\"\n");
    let limited = desk.becomes(&tool, 5);
    let said = limited.fails(5);
    assert!(
        said.contains("too often") && said.contains("allows 2 times in 60 min") && said.contains("next try: "),
        "{said}"
    );
    desk.asks(&other, "ecHome").ok();
}

/// The client hides what it runs from everybody but root, so that what started it is who asks.
#[test]
fn the_program_behind_the_client_is_found_without_the_rights_of_root() {
    let what = "the_program_behind_the_client_is_found_without_the_rights_of_root";
    if !skip::unless_root(what) || skip::unless_tool(what, "setpriv").is_none() {
        return;
    }
    let mut desk = Desk::new();
    let (good, bad) = (desk.tool("good"), desk.tool("bad"));
    assert!(desk.agent.stop(PATIENCE).success());
    desk.sandbox.give_to(4001);
    desk.agent = desk.sandbox.agent_from(desk.sandbox.command(AGENT).args(["--vault", "memory"]).as_user(4001));
    let login = crate::support::login(&desk.sandbox, "ecHome", &desk.cloud.url(), &desk.secret);
    let _ = login.as_user(4001).finish().ok();
    let path = desk.sandbox.config().join("accounts.toml");
    let text = fs::read_to_string(&path).unwrap();
    let rule =
        format!("[[policy]]\nprogram = \"{}\"\naction = \"allow\"\n[[policy]]\naction = \"deny\"\n", good.display());
    fs::write(&path, format!("{text}\n{rule}")).unwrap();
    let asks = |tool: &PathBuf| {
        let run = desk.sandbox.command(tool).args(["-c", ASKS]).arg(desk.sandbox.program(TOKEN)).arg("ecHome");
        run.as_user(4001).finish()
    };
    assert!(until(PATIENCE, || asks(&bad).code() == 1), "{:?}", asks(&bad));
    asks(&good).ok();
}
