//! The findings for people: a line each, in groups; below what is wrong, what says so and what mends it.

use cloud_agent_protocol::v1::{Finding, Level};

use super::verdict;
use crate::paint::{Paint, Tone};
use crate::report::printable;

/// No line is longer, so that it can be pasted into a mail. But a command or a path stays in one piece.
const WIDTH: usize = 80;
/// Before a finding's level; the widest of those, and a gap.
const INDENT: usize = 2;
const LEVEL: usize = 9;

pub(super) fn write(findings: &[Finding], paint: &Paint) -> String {
    let paint = paint.at_most(WIDTH);
    let mut text = String::new();
    for (name, of_it) in verdict::grouped(findings) {
        if of_it.is_empty() {
            continue;
        }
        text = text + &paint.tint(Tone::Heading, name) + "\n";
        for found in of_it {
            write_finding(found, &paint, &mut text);
        }
        text.push('\n');
    }
    text + &paint.wrapped(&summary(findings), 0)
}

fn write_finding(found: &Finding, paint: &Paint, text: &mut String) {
    let level = found.level();
    let tone = match level {
        Level::Ok => Tone::Good,
        Level::Note => Tone::Heading,
        Level::Warning => Tone::Waits,
        Level::Error => Tone::Bad,
    };
    let below = INDENT + LEVEL;
    let words = paint.wrapped(&printable(&found.what), below);
    *text = std::mem::take(text) + &" ".repeat(INDENT) + &paint.tint(tone, &format!("{:LEVEL$}", level.word()));
    text.push_str(words.trim_start());
    if level == Level::Ok {
        return;
    }
    for line in &found.evidence {
        text.push_str(&paint.wrapped(&printable(line), below));
    }
    if let Some(mend) = &found.mend {
        let label = "mend: ";
        let words = paint.wrapped(&printable(mend), below + label.len());
        *text = std::mem::take(text) + &" ".repeat(below) + &paint.tint(Tone::Heading, label) + words.trim_start();
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |level: Level| findings.iter().filter(|found| found.level() == level).count();
    let named = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}s")),
    };
    let bad: Vec<String> =
        [named(count(Level::Error), "error"), named(count(Level::Warning), "warning")].into_iter().flatten().collect();
    let looked = format!("{} things looked at", findings.len());
    if bad.is_empty() { format!("{looked}, nothing to mend") } else { format!("{looked}: {}", bad.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::new("account.needs-login", Level::Warning, "`work` is not logged in")
                .seen("`acme` by `password` at https://api.acme.example; state `needs-login`")
                .mend("`cloud-token login work`"),
            Finding::new("agent.answers", Level::Ok, "the agent answers").seen("pid 1"),
        ]
    }

    #[test]
    fn what_is_well_is_a_line_and_what_is_not_says_why_and_what_mends_it() {
        assert_eq!(
            write(&findings(), &Paint::PLAIN),
            "agent\n\
             \x20 ok       the agent answers\n\
             \n\
             accounts\n\
             \x20 warning  `work` is not logged in\n\
             \x20          `acme` by `password` at https://api.acme.example; state `needs-login`\n\
             \x20          mend: `cloud-token login work`\n\
             \n\
             2 things looked at: 1 warning\n"
        );
    }

    #[test]
    fn colours_are_for_terminals_that_want_them_and_no_line_is_too_long() {
        let terminal = |variables: &'static [(&str, &str)]| {
            let said = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
            Paint::of_terminal(200, said)
        };
        assert!(write(&findings(), &terminal(&[("TERM", "xterm")])).contains("\x1b[33mwarning"));
        let bare = write(&findings(), &terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!bare.contains('\x1b'));
        let mut long = findings();
        long[0].what = "word ".repeat(60);
        assert!(write(&long, &Paint::PLAIN).lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn what_a_cloud_says_does_not_steer_the_terminal() {
        let mut hostile = findings();
        hostile[0].evidence.push("\x1b[2J\rgone".into());
        let text = write(&hostile, &Paint::PLAIN);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
