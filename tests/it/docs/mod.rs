//! The manual, held against the programs: what it shows to be typed is typed, and where it points there is something.

mod blocks;
mod links;
mod scenes;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};

/// Pages beside those of `docs/`.
const FURTHER: [&str; 5] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "protocol/PROTOCOL.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace").to_owned()
}

/// A page that people read.
struct Page {
    /// Its path below the root.
    name: String,
    text: String,
}

/// All of them.
fn pages() -> Vec<Page> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.map(|name| format!("docs/{}", name.display()));
    let mut names: Vec<String> = docs.filter(|name| Path::new(name).extension().is_some_and(|is| is == "md")).collect();
    names.sort();
    let all = FURTHER.map(str::to_owned).into_iter().chain(names);
    all.map(|name| Page { text: fs::read_to_string(root().join(&name)).unwrap(), name }).collect()
}
