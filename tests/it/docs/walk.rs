//! Every block that shows something to be typed is typed, or says who types it, or why nobody can.

use std::fs;
use std::thread;
use std::time::Duration;

use cloud_agent_tests::skip;
use cloud_agent_tests::terminal::Terminal;
use cloud_agent_tests::wait::until;

use super::blocks::{self, Block, Mark};
use super::scenes::{self, Scene};
use super::{Page, pages, root};

/// What a block is given.
const DEADLINE: Duration = Duration::from_mins(1);
/// How many are typed at once: a test of its own has the other cores.
const AT_ONCE: usize = 2;
/// Before the exit code of each line of a session.
const MARK: &str = "@@ended ";
/// Behind everything: what was written last may still be on its way when the shell has ended.
const OVER: &str = "@@over";

#[test]
fn every_command_that_the_manual_shows_runs_or_says_why_not() {
    let what = "every_command_that_the_manual_shows_runs_or_says_why_not";
    let Some(_) = skip::unless_tool(what, "setsid") else { return };
    let tests = tests();
    let pages = pages();
    let (mut wrong, mut to_type) = (Vec::new(), Vec::new());
    for page in &pages {
        for block in blocks::of(page) {
            let place = format!("{}:{}", page.name, block.line);
            match &block.mark {
                _ if !block.is_typed() => {}
                None => wrong.push(format!("{place}: the line above says neither `scene`, `test` nor `not run`")),
                Some(Mark::Test(name)) if !is_a_test(&tests, page, name) => {
                    wrong.push(format!("{place}: there is no test `{name}`"));
                }
                Some(Mark::NotRun(why)) if why.len() < 10 => wrong.push(format!("{place}: `{why}` is no reason")),
                Some(Mark::Scene { name, varies }) => to_type.push((place, *name, *varies, block)),
                Some(_) => {}
            }
        }
    }
    assert!(to_type.len() > 25, "{} blocks are typed", to_type.len());
    let share = to_type.len().div_ceil(AT_ONCE);
    thread::scope(|scope| {
        let shares: Vec<_> = to_type
            .chunks(share)
            .map(|share| {
                let type_it = |(place, name, varies, block): &(String, &str, bool, Block<'_>)| {
                    let scene = scenes::of(name, place)?;
                    let said = typed(&scene, block, *varies).err()?;
                    Some(format!("{place}: {said}"))
                };
                scope.spawn(move || share.iter().filter_map(type_it).collect::<Vec<_>>())
            })
            .collect();
        wrong.extend(shares.into_iter().flat_map(|share| share.join().expect("no scene breaks down")));
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The sources of all tests.
fn tests() -> String {
    let mut text = String::new();
    let mut stack = vec![root().join("tests/it")];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() {
                stack.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(entry.path()).unwrap();
            }
        }
    }
    text
}

fn is_a_test(tests: &str, page: &Page, name: &str) -> bool {
    // That each of these is run is held by a test there.
    let recipe = page.name == "docs/consumers.md" && tests.contains(&format!("\"{name}\""));
    recipe || tests.contains(&format!("#[test]\nfn {name}() {{"))
}

/// Types the block in its scene, and looks at what comes of it.
fn typed(scene: &Scene, block: &Block<'_>, varies: bool) -> Result<(), String> {
    let real = |text: &str| scene.places.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real));
    if block.language != "console" {
        let shell = block.language;
        if skip::unless_tool("a block of the manual", shell).is_none() {
            return Ok(());
        }
        let stops = if shell == "fish" { "" } else { "set -e\n" };
        let (code, shown) = at_a_terminal(scene, shell, &format!("{stops}{}", real(block.text)));
        return if code == 0 { Ok(()) } else { Err(format!("exit code {code}:\n{shown}")) };
    }
    let session = session(block.text);
    let lines = session.iter().map(|(typed, _)| real(typed) + &format!("\nprintf '\\n{MARK}%s\\n' $?\n"));
    let script = lines.collect::<Vec<_>>().concat();
    let (_, shown) = at_a_terminal(scene, "sh", &script);
    let mut answers = shown.split(MARK);
    let mut answer = answers.next().unwrap_or_default().to_owned();
    for (typed, promised) in session {
        let Some(next) = answers.next() else { return Err(format!("`{typed}` did not end:\n{shown}")) };
        let (code, rest) = next.split_once('\n').unwrap_or((next, ""));
        let said = std::mem::replace(&mut answer, rest.to_owned());
        if (code.trim() == "0") == promised.contains("error: ") {
            return Err(format!("`{typed}` ended with {code}:\n{said}"));
        }
        // What is shown without an answer has one that nobody needs to read.
        if promised.is_empty() {
            continue;
        }
        let (said, promised) = (comparable(&said), comparable(&real(&promised)));
        if said.is_empty() || !(varies || is_kept(&said, &promised)) {
            return Err(format!("`{typed}` prints\n{said}\nand not\n{promised}"));
        }
    }
    Ok(())
}

/// What is typed in a session, and what is printed after each.
fn session(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(typed), _) => found.push((typed.to_owned(), String::new())),
            (None, Some((_, printed))) => printed.extend([line, "\n"]),
            (None, None) => panic!("a session begins with `$ `, not with `{line}`"),
        }
    }
    found
}

/// Whether that is printed; `…` in a line of its own stands for any lines.
fn is_kept(said: &str, promised: &str) -> bool {
    let Some((before, after)) = promised.split_once("…\n") else { return said == promised };
    said.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
}

/// Without what is another one each time: numbers, blanks, and empty lines.
fn comparable(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words = line.split_whitespace().map(|word| {
            let mut digits = false;
            word.chars()
                .filter_map(move |c| match (c.is_ascii_digit(), std::mem::replace(&mut digits, c.is_ascii_digit())) {
                    (true, true) => None,
                    (true, false) => Some('0'),
                    (false, _) => Some(c),
                })
                .collect::<String>()
        });
        plain += &words.collect::<Vec<_>>().join(" ");
        plain.push('\n');
    }
    plain
}

/// Runs `script` at a terminal with somebody who answers what the scene has answers for: its exit code, and what was shown.
fn at_a_terminal(scene: &Scene, shell: &str, script: &str) -> (i32, String) {
    let terminal = Terminal::open().of_width(200);
    let then = format!("\"$@\"; code=$?; printf '{OVER}'; exit $code");
    let run = scene.sandbox.command("sh").args(["-c", &terminal.script(), "sh", "sh", "-c", &then, "sh"]);
    let run = run.args([shell, "-c", script]);
    let mut running = run.deadline(DEADLINE).spawn();
    let mut answered = vec![0; scene.answers.len()];
    let _ = until(DEADLINE, || {
        let shown = terminal.shown();
        for (answer, answered) in scene.answers.iter().zip(&mut answered) {
            // Typed before the echo is off, it would be thrown away with it.
            let ready = !answer.hidden || !terminal.echoes();
            if ready && shown.matches(answer.prompt).count() > *answered {
                *answered += 1;
                terminal.types(&format!("{}\n", answer.text));
            }
        }
        !running.runs()
    });
    let code = running.finish().code();
    terminal.shows(OVER);
    (code, terminal.shown().replace('\r', "").replace(OVER, ""))
}

#[test]
fn what_is_another_one_each_time_is_not_compared() {
    assert_eq!(comparable("a  12 min\n\n 7x89 \n"), "a 0 min\n0x0\n");
    assert!(is_kept("a\nb\nc\n", "…\nc\n") && is_kept("a\nc\n", "a\n…\nc\n") && !is_kept("a\nc\n", "…\nb\n"));
    assert_eq!(session("$ a\nb\n$ c\n"), [("a".to_owned(), "b\n".to_owned()), ("c".to_owned(), String::new())]);
}
