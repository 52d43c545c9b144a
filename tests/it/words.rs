//! One voice: the rules of CONTRIBUTING.md, as far as they can be looked for, over every text that people read; and whatever
//! names a command names one that there is.

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::account::RESERVED;
use cloud_agent_tests::words::{self, Kind, Words};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace").to_owned()
}

/// What a message may begin with although it is a capital: names, and what is spelt so.
const NAMES: [&str; 4] = ["Bazel", "Terraform", "JSON", "TLS"];

/// What no text says, and what it says instead.
const SAID_OTHERWISE: [(&str, &str); 16] = [
    ("...", "…"),
    ("can't", "cannot"),
    ("can not ", "cannot"),
    ("couldn't", "could not"),
    ("doesn't", "does not"),
    ("don't", "do not"),
    ("isn't", "is not"),
    ("won't", "will not"),
    ("unable to", "cannot"),
    ("failed to", "cannot, could not"),
    ("please", "the command alone"),
    ("sorry", "what happened"),
    ("oops", "what happened"),
    ("!\n", "a full stop, or nothing"),
    ("e.g.", "such as"),
    ("i.e.", "that is"),
];

#[test]
fn every_text_keeps_the_rules_of_the_house() {
    let all = words::all(&root());
    assert!(all.len() > 1200, "{} texts were found", all.len());
    let mut broken = Vec::new();
    for words in &all {
        let text = words.text.trim_end();
        let mut breaks = |rule: &str| broken.push(format!("{rule}: {words}"));
        for (no, yes) in SAID_OTHERWISE {
            if text.to_lowercase().contains(no) {
                breaks(&format!("`{no}` is said as `{yes}`"));
            }
        }
        let parts = matches!(words.kind, Kind::Error | Kind::Cause | Kind::Hint | Kind::Log);
        if parts && text.starts_with(char::is_uppercase) && !NAMES.iter().any(|name| text.starts_with(name)) {
            breaks("it begins with a capital");
        }
        if words.kind != Kind::Text && words.kind != Kind::Cloud && !text.contains('\n') && text.ends_with(['.', '!']) {
            breaks("it ends like a sentence");
        }
        if parts && text.contains("  ") {
            breaks("two blanks");
        }
        if parts && text.matches('`').count() % 2 == 1 {
            breaks("a backtick is open");
        }
        if words.kind == Kind::Help && !text.starts_with(|c: char| !c.is_lowercase()) && !begins_with_a_word(text) {
            breaks("help begins with a capital, or with what is typed");
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What is typed is written as it is typed: `get, set or erase`, `keyring, passphrase …`, `token · headers …`.
fn begins_with_a_word(text: &str) -> bool {
    text.split([',', ' ']).next().is_some_and(|word| ["get", "keyring", "token"].contains(&word))
}

/// What mends it is no command: it is done with a file, or elsewhere.
const WITHOUT_A_COMMAND: [&str; 14] = [
    "move it, or name another path",
    "take both lines, and what belongs between them, out by hand",
    "docs/consumers.md shows the lines to write by hand",
    "install it under a plain path",
    "move it away, or keep it and do without this",
    "ask from outside of the container, or run an agent inside of it",
    "keep the token for as long as it is good, or raise the limit",
    "name every host by itself; there are no patterns",
    "make room, or make the directory writable; it is tried again by itself",
    "put it back as it was; or move its directory away, and log in again",
    "put it back; or move the directory away, and log in again",
    "set CLOUD_AGENT_SOCK to a path below your own home or runtime directory",
    "set CLOUD_AGENT_SOCK to a path in a directory of your own that nobody else may enter (mode 0700)",
    "move it, or set CLOUD_AGENT_SOCK to another path",
];

#[test]
fn every_hint_ends_in_something_to_type_or_to_edit() {
    let hints: Vec<Words> = words::all(&root()).into_iter().filter(|words| words.kind == Kind::Hint).collect();
    assert!(hints.len() > 100, "{} hints", hints.len());
    let bare = hints.iter().filter(|hint| !hint.text.contains('`') && !hint.text.contains('{'));
    let bare = bare.filter(|hint| !WITHOUT_A_COMMAND.contains(&hint.text.as_str()));
    let bare: Vec<String> = bare.map(ToString::to_string).collect();
    assert!(bare.is_empty(), "{}", bare.join("\n"));
}

#[test]
fn every_kind_of_fault_has_a_command_of_its_own_where_the_fault_names_none() {
    let kinds: Vec<FaultKind> = (1..=13).map(FaultKind::from).collect();
    assert!(matches!(kinds[..], [.., FaultKind::Internal, FaultKind::Other(13)]), "{kinds:?}: a kind is missing here");
    for kind in kinds {
        let commands: Vec<&str> = commands_in(kind.mend()).collect();
        assert!(!commands.is_empty(), "{kind:?}: {}", kind.mend());
        for command in commands {
            assert_eq!(parsed(command), Ok(()), "{kind:?}");
        }
    }
}

#[test]
fn every_command_that_a_text_or_a_page_names_is_one() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let mut look = |place: &str, command: &str| {
        seen += 1;
        if let Err(why) = parsed(command) {
            wrong.push(format!("{place}: `{command}`: {why}"));
        }
    };
    for words in words::all(&root()) {
        commands_in(&words.text).for_each(|command| look(&words.place, command));
    }
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let further = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name));
    for path in docs.filter(|path| path.extension().is_some_and(|is| is == "md")).chain(further) {
        let text = fs::read_to_string(&path).unwrap();
        let mut fenced = false;
        // By paragraph: what is between backticks may be broken by a line's end.
        let prose: Vec<&str> = text
            .lines()
            .filter(|line| {
                let fence = line.trim_start().starts_with("```");
                fenced ^= fence;
                !fenced && !fence
            })
            .collect();
        for paragraph in prose.split(|line| line.is_empty()) {
            for line in paragraph.join(" ").split(" | ") {
                commands_in(line).for_each(|command| look(&path.display().to_string(), command));
            }
        }
    }
    assert!(seen > 300, "{seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands between backticks and is typed for one of the programs.
fn commands_in(text: &str) -> impl Iterator<Item = &str> {
    let coded = text.split('`').skip(1).step_by(2);
    coded.filter(|code| ["cloud-token ", "cloud-agent "].iter().any(|program| code.starts_with(program)))
}

/// What stands for something else in a text, and a thing that it may stand for.
const STANDS_FOR: [(&str, &str); 14] = [
    ("DURATION", "1h"),
    ("DUR", "1h"),
    ("FORMAT", "json"),
    ("KIND", "memory"),
    ("SHELL", "fish"),
    ("CONSUMER", "git"),
    ("SOURCE", "env:X"),
    ("NAME=SOURCE", "x=env:X"),
    ("NAME=VALUE", "x=y"),
    ("{flag}", "--no-input"),
    ("{command}", "login"),
    ("{}", "x"),
    ("…", ""),
    ("...", ""),
];

/// Whether the program would take that command line. What is only named, without what it needs, is taken as well.
fn parsed(command: &str) -> Result<(), String> {
    let mut typed = Vec::new();
    for word in shell_words(command) {
        if ["|", "\\|", "||", "&&", "&", ">", "<", ";"].contains(&word.as_str()) {
            break;
        }
        let ends = word.ends_with(';');
        let bare = word.trim_end_matches(';').trim_matches(|c| "[]".contains(c)).trim_end_matches('…');
        // Which consumer, the program fills in.
        let bare = if typed.last().is_some_and(|last| last == "setup") && bare.starts_with('{') { "git" } else { bare };
        let known = STANDS_FOR.iter().find(|(stands, _)| *stands == bare || *stands == word);
        let meant = known.map_or(bare, |(_, meant)| meant);
        if !meant.is_empty() {
            typed.push(meant.to_owned());
        }
        if ends {
            break;
        }
    }
    let program = if typed[0] == "cloud-agent" { cloud_agent_daemon::command() } else { cloud_token::command() };
    if typed[0] == "cloud-token"
        && typed.get(1).is_some_and(|first| !first.starts_with('-') && !RESERVED.contains(&first.as_str()))
    {
        typed.insert(1, "token".to_owned());
    }
    match program.try_get_matches_from(typed) {
        Err(error)
            if ![
                ErrorKind::DisplayHelp,
                ErrorKind::DisplayVersion,
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                ErrorKind::MissingRequiredArgument,
                ErrorKind::MissingSubcommand,
            ]
            .contains(&error.kind())
                // An option is named, and not what it is given.
                && !error.to_string().contains("but none was supplied") =>
        {
            Err(error.to_string().lines().next().unwrap_or_default().to_owned())
        }
        _ => Ok(()),
    }
}

/// Words as a shell would have them, quotes aside.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (c, _) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn a_command_that_is_none_is_noticed() {
    for (command, taken) in [
        ("cloud-token work -o headers | curl", true),
        ("cloud-token login ACCOUNT --set 'a=b c'", true),
        ("cloud-token forward", true),
        ("cloud-token login ACCOUNT --cluod x", false),
        ("cloud-token vault mvoe KIND", false),
        ("cloud-agent --vualt KIND", false),
    ] {
        assert_eq!(parsed(command).is_ok(), taken, "{command}");
    }
}
