//! Embeds the cloud files: every `clouds/*.toml` is in the program, and a further one needs no line of code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let directory = root.join("clouds");
    println!("cargo::rerun-if-changed=clouds");
    println!("cargo::rerun-if-changed=build.rs");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("the directory of cloud files can be read")
        .map(|entry| entry.expect("an entry of it can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let mut code = String::from(
        "/// The cloud files of this build: name and text.\npub(crate) const BUILT_IN: &[(&str, &str)] = &[\n",
    );
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a cloud file's name is UTF-8");
        let text = std::fs::read_to_string(file).expect("a cloud file can be read");
        writeln!(code, "    ({name:?}, {:?}),", without_examples(name, &text)).expect("a string takes what is written");
    }
    code.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("clouds.rs"), code).expect("the output directory can be written");
}

/// An agent does not need the examples: they are three quarters of the text, and a megabyte of memory once read. Tests and
/// `cloud-agent check` play them from the files.
fn without_examples<'a>(name: &str, text: &'a str) -> &'a str {
    let Some((description, examples)) = text.split_once("\n[[example]]") else { return text };
    let late =
        examples.lines().find(|line| line.starts_with('[') && !line.trim_start_matches('[').starts_with("example"));
    assert!(
        late.is_none(),
        "clouds/{name}.toml: examples come last, but behind them is `{}`",
        late.unwrap_or_default()
    );
    description
}
