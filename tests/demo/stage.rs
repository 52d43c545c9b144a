//! What the demo is shown on: a sandbox, and lines as a user would type and see them.

use std::cell::RefCell;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;

use cloud_agent_tests::picture;
use cloud_agent_tests::sandbox::{Outcome, Sandbox, TOKEN};
use cloud_agent_tests::terminal::Terminal;

/// Words longer than this are shortened where that was said: tokens.
const LONG: usize = 60;
/// To so much.
const SHORT: usize = 24;

pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    colour: bool,
    /// Whether long tokens are shown whole.
    whole: bool,
    /// What was shown so far, without colours.
    shown: RefCell<Vec<String>>,
}

impl Stage {
    pub(crate) fn new(whole: bool) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_it-agent"), env!("CARGO_BIN_EXE_it-token"));
        Self { sandbox, colour, whole, shown: RefCell::default() }
    }

    /// A remark.
    pub(crate) fn say(&self, words: &str) {
        let (dim, plain) = if self.colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        println!("\n{dim}# {words}{plain}");
        self.shown.borrow_mut().extend([String::new(), format!("# {words}")]);
    }

    /// A line that no program has printed.
    pub(crate) fn remark(&self, words: &str) {
        println!("{words}");
        self.shown.borrow_mut().push(words.to_owned());
    }

    /// A line as it would be typed.
    pub(crate) fn show(&self, line: &str) {
        let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        println!("{bold}$ {line}{plain}");
        self.shown.borrow_mut().push(format!("$ {line}"));
    }

    /// Runs the client, which has to succeed, and returns what it printed.
    pub(crate) fn works(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok().to_owned()
    }

    /// Runs the client.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.show(&format!("{TOKEN} {}", arguments.join(" ")));
        let outcome = self.sandbox.token(arguments.iter().copied());
        self.print(&outcome);
        outcome
    }

    /// That the picture in the manual is of what was shown, with `places` called as they are there. `PICTURE=write` draws it.
    pub(crate) fn is_pictured(&self, places: &[(String, &str)]) {
        let of_the_sandbox = self.sandbox.path("").display().to_string();
        let named = |line: &String| {
            let line = places.iter().fold(line.clone(), |line, (real, shown)| line.replace(real, shown));
            let line = line.replace(&format!("{of_the_sandbox}run"), "/run/user/1000");
            line.replace(&format!("{of_the_sandbox}config"), "/home/me/.config")
                .replace("started now", "started 1 s ago")
        };
        // The first line is an empty one.
        let lines: Vec<String> = self.shown.borrow().iter().skip(1).map(named).collect();
        let drawn = picture::recording(&lines);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/demo.svg");
        if std::env::var("PICTURE").is_ok_and(|value| value == "write") {
            fs::write(path, drawn).expect("the manual can be written");
        } else {
            let there = fs::read_to_string(path).expect("the manual has it");
            assert!(
                picture::alike(&there, &drawn),
                "`PICTURE=write cargo demo` draws docs/images/demo.svg anew:\n{drawn}"
            );
        }
    }

    /// Runs the client at a terminal, where somebody answers its question for a code. It says `done` in the end.
    pub(crate) fn typed(&self, arguments: &[&str], code: impl FnOnce(&str) -> String, done: &str) {
        self.show(&format!("{TOKEN} {}", arguments.join(" ")));
        let terminal = Terminal::open();
        let running = terminal.run(&self.sandbox, TOKEN, arguments).spawn();
        terminal.shows("Code");
        let code = code(&terminal.shown());
        terminal.types(&format!("{code}\n"));
        running.finish().ok();
        // The last line that it wrote may still be on its way.
        terminal.shows(done);
        let text = terminal.shown().replace('\r', "");
        // The colours of the picture.
        print!("{}", if self.colour { text } else { text.replace("\x1b[30;107m", "").replace("\x1b[0m", "") });
    }

    pub(crate) fn print(&self, outcome: &Outcome) {
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        let text = if self.whole { text } else { shorten(&text) };
        print!("{text}");
        self.shown.borrow_mut().extend(text.lines().map(str::to_owned));
    }
}

fn shorten(text: &str) -> String {
    let word = |word: &str| match word.len() {
        0..=LONG => word.to_owned(),
        _ => word.char_indices().nth(SHORT).map_or(word.to_owned(), |(end, _)| format!("{}…", &word[..end])),
    };
    text.split('\n').map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}
