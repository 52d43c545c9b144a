//! The blocks of a page, and the mark above each that says how it is run.
//!
//! | mark, in a comment in the line above the block | means |
//! |---|---|
//! | `scene: NAME` | it is run as it stands, in that scene; what it shows as printed is what is printed, numbers aside |
//! | `scene: NAME; the output varies` | the same, but only that something is printed is looked at |
//! | `test: NAME` | the test of that name, or the recipe of that name in `consumers/recipes.rs`, runs it |
//! | `not run: REASON` | no test can run it |

use super::Page;

/// What is typed into a shell.
const SHELLS: [&str; 8] = ["sh", "bash", "console", "csh", "fish", "zsh", "powershell", "bat"];

/// A fenced block.
pub(super) struct Block<'a> {
    /// What follows the fence.
    pub(super) language: &'a str,
    pub(super) text: &'a str,
    /// Of its fence, from 1.
    pub(super) line: usize,
    /// What the comment above says.
    pub(super) mark: Option<Mark<'a>>,
}

/// How a block is run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    /// In the scene of that name.
    Scene { name: &'a str, varies: bool },
    /// By the test of that name.
    Test(&'a str),
    /// Not, for this reason.
    NotRun(&'a str),
}

impl Block<'_> {
    /// Whether somebody is meant to type it.
    pub(super) fn is_typed(&self) -> bool {
        SHELLS.contains(&self.language)
    }
}

/// The blocks of a page.
///
/// # Panics
/// If one does not end.
pub(super) fn of(page: &Page) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut lines = page.text.split_inclusive('\n').enumerate();
    let (mut above, mut at) = ("", 0);
    while let Some((number, line)) = lines.next() {
        at += line.len();
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let start = at;
            let end = loop {
                let (_, inner) = lines.next().unwrap_or_else(|| panic!("{}:{}: no end", page.name, number + 1));
                let before = at;
                at += inner.len();
                if inner.trim() == "```" {
                    break before;
                }
            };
            let (language, text) = (language.trim(), &page.text[start..end]);
            found.push(Block { language, text, line: number + 1, mark: mark(above) });
        }
        above = line;
    }
    found
}

fn mark(line: &str) -> Option<Mark<'_>> {
    let inner = line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let (kind, rest) = inner.split_once(": ")?;
    match kind {
        "scene" => {
            let (name, varies) = rest.strip_suffix("; the output varies").map_or((rest, false), |name| (name, true));
            Some(Mark::Scene { name, varies })
        }
        "test" => Some(Mark::Test(rest)),
        "not run" => Some(Mark::NotRun(rest)),
        _ => None,
    }
}

#[test]
fn a_mark_stands_in_the_line_above_its_block() {
    let text =
        "<!-- scene: work -->\n```sh\na\n```\n<!-- not run: no -->\n\n```sh\nb\n```\n<!-- test: t -->\n```toml\n```\n";
    let page = Page { name: "p".into(), text: text.into() };
    let found: Vec<_> =
        of(&page).into_iter().map(|block| (block.text.to_owned(), block.line, block.mark.is_some())).collect();
    assert_eq!(found, [("a\n".to_owned(), 2, true), ("b\n".to_owned(), 7, false), (String::new(), 11, true)]);
    assert_eq!(mark("<!-- scene: w; the output varies -->"), Some(Mark::Scene { name: "w", varies: true }));
}
