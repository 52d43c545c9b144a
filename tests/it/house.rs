//! Rules of the house that no compiler keeps, held against the whole repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What the thin client must not link.
const TOO_HEAVY: [&str; 12] = [
    "tokio",
    "reqwest",
    "hyper",
    "rustls",
    "aws-lc-rs",
    "keyring",
    "keyring-core",
    "zbus",
    "serde_json",
    "toml",
    "tracing",
    "cloud-agent-daemon",
];
/// Lines of a file before its tests.
const LONGEST: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace").to_owned()
}

/// What cargo prints. The network is asked only where the manifests of other platforms were never needed before.
fn cargo(arguments: &[&str]) -> String {
    let run = |further: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).args(further).current_dir(root()).output().expect("cargo runs the tests")
    };
    let mut output = run(&["--locked", "--offline"]);
    if !output.status.success() {
        output = run(&["--locked"]);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The Rust sources below these directories, with their paths from the root.
fn sources(directories: &[&str]) -> Vec<(String, String)> {
    let mut stack: Vec<PathBuf> = directories.iter().map(|directory| root().join(directory)).collect();
    let mut found = Vec::new();
    while let Some(dir) = stack.pop() {
        for path in fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.ends_with("target") {
                stack.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 3, "there are sources in {directories:?}");
    found
}

/// The packages that anything here depends on, as cargo resolved them.
fn packages() -> Vec<Value> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1"])).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The texts of an array in deny.toml that begins at `key`: what is between its first quotes on each entry.
fn denied(key: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let list =
        text.split_once(&format!("\n{key} = [")).unwrap_or_else(|| panic!("no `{key}`")).1.split_once(']').unwrap().0;
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    match key {
        "deny" => list.lines().filter_map(quoted).collect(),
        _ => list.split(',').filter_map(quoted).collect(),
    }
}

#[test]
fn the_client_links_neither_a_runtime_nor_tls_nor_json() {
    let tree = cargo(&["tree", "-p", "cloud-token", "-e", "normal", "--prefix", "none", "--format", "{p}"]);
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("interprocess") && names.contains("cloud-agent-protocol"), "{names:?}");
    let heavy: Vec<_> = TOO_HEAVY.iter().filter(|name| names.contains(**name)).collect();
    assert!(heavy.is_empty(), "the client links {heavy:?}");
}

#[test]
fn no_source_of_the_three_programs_knows_a_cloud_by_name() {
    let files = fs::read_dir(root().join("daemon/clouds")).unwrap().map(|entry| entry.unwrap().path());
    let clouds: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(clouds.iter().any(|cloud| cloud == "cleura") && clouds.len() > 5, "{clouds:?}");
    for (name, text) in sources(&["protocol/src", "client", "daemon"]) {
        let lower = text.to_lowercase();
        let known: Vec<_> = clouds.iter().filter(|cloud| lower.contains(cloud.as_str())).collect();
        assert!(known.is_empty(), "{name} knows {known:?}: a cloud is a file in daemon/clouds/");
    }
}

#[test]
fn unsafe_code_is_in_one_module_and_one_for_each_crate_on_windows() {
    let block = ["unsafe", " "].concat();
    let uses = |text: &str| text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(&block));
    let files: Vec<_> =
        sources(&["protocol", "client", "daemon", "tests"]).into_iter().filter(|(_, text)| uses(text)).collect();
    let mut names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let hardening = ["allocator", "footprint", "inherited", "macos", "pages", "pidfd", "watched", "windows"];
    let mut expected = vec!["client/src/windows.rs".to_owned()];
    expected.extend(hardening.map(|name| format!("daemon/src/hardening/{name}.rs")));
    expected.push("protocol/src/windows.rs".to_owned());
    assert_eq!(names, expected);
    let allowed = ["allow(", "unsafe_code", ")"].concat();
    for (name, text) in sources(&["protocol", "client", "daemon", "tests"]) {
        assert!(!text.contains(&allowed) || names.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn one_file_names_the_codec() {
    let codec = ["bin", "code"].concat();
    for (name, text) in sources(&["protocol", "client", "daemon", "tests"]) {
        let names = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(&codec));
        assert!(!names || name == "protocol/src/codec.rs" || name == "tests/it/house.rs", "{name}");
    }
}

/// T13: `GenericNamespaced` is a name without permissions on Linux.
#[test]
fn sockets_are_named_by_path_and_by_nothing_else() {
    let namespaced = ["Generic", "Namespaced"].concat();
    let overwriting = ["try_", "overwrite("].concat();
    for (name, text) in sources(&["protocol", "client", "daemon"]) {
        assert!(!text.contains(&namespaced) && !text.contains(&overwriting), "{name}");
    }
}

/// T40: what a message names, the agent must not open, run or listen at. What is only written down is called a name.
#[test]
fn no_request_names_a_place_or_a_command_for_the_agent_to_act_on() {
    let files = sources(&["protocol/src/v1"]);
    let root_file = fs::read_to_string(root().join("protocol/src/v1.rs")).unwrap();
    let texts: Vec<&str> = files.iter().map(|(_, text)| text.as_str()).chain([root_file.as_str()]).collect();
    let requests = root_file.split_once("pub enum Request {").unwrap().1.split_once("\n}").unwrap().0;
    let types = requests.lines().filter_map(|line| line.split_once('(')?.1.strip_suffix("),"));
    let mut seen = 0;
    for name in types {
        let opening = format!("pub struct {name} {{");
        let body = texts.iter().find_map(|text| text.split_once(&opening)).unwrap_or_else(|| panic!("no `{name}`")).1;
        for field in body.split_once("\n}").unwrap().0.lines().filter_map(|line| line.trim().strip_prefix("pub ")) {
            let field = field.split(':').next().unwrap();
            let acts = ["path", "file", "dir", "directory", "place", "socket", "command", "program", "exec", "library"];
            assert!(!acts.contains(&field), "{name} has a `{field}`");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} fields");
}

#[test]
fn no_file_is_too_long_to_be_read_in_one_sitting() {
    // Unit tests beside the code may be a long list of cases.
    let of_tests = |name: &str| name.ends_with("tests.rs") || name.contains("/tests/");
    for (name, text) in sources(&["protocol", "client", "daemon", "tests"]) {
        if of_tests(&name) {
            continue;
        }
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= LONGEST, "{name} has {lines} lines before its tests");
    }
}

#[test]
fn every_dependency_is_licensed_as_allowed() {
    let allowed = denied("allow");
    assert!(allowed.contains("MIT") && allowed.len() > 5, "{allowed:?}");
    for package in packages() {
        let license = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        assert!(satisfied(&license, &allowed), "{}: `{license}`", package["name"]);
    }
}

/// Whether an SPDX expression can be met by the licences in `allowed`.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let text = expression.trim();
    // `AND` binds tighter than `OR`, so what is split last is asked first; parentheses hold their own together.
    for (operator, all) in [(" OR ", false), (" AND ", true)] {
        let parts = split(text, operator);
        if parts.len() > 1 {
            return if all {
                parts.iter().all(|part| satisfied(part, allowed))
            } else {
                parts.iter().any(|part| satisfied(part, allowed))
            };
        }
    }
    match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => satisfied(inner, allowed),
        None => allowed.contains(text),
    }
}

fn split<'a>(text: &'a str, operator: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth == 0 && at >= start && text[at..].starts_with(operator) => {
                parts.push(&text[start..at]);
                start = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[test]
fn a_licence_expression_is_read_by_its_own_rules() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR ISC) AND MIT", true),
        ("ISC AND (GPL-3.0 OR BSD)", false),
        ("GPL-3.0 AND ISC OR MIT", true),
        ("", false),
    ] {
        assert_eq!(satisfied(expression, &allowed), holds, "{expression}");
    }
}

#[test]
fn no_banned_crate_is_built_and_no_source_but_the_registry_is_used() {
    let banned = denied("deny");
    assert!(banned.contains("openssl") && banned.contains("ring"), "{banned:?}");
    // What is built anywhere; the lock file also names what only a feature that is off would bring.
    let tree = cargo(&["tree", "--workspace", "--target", "all", "-e", "all", "--prefix", "none", "--format", "{p}"]);
    for line in tree.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(Some(version))) = (words.next(), words.next().map(|word| word.strip_prefix('v'))) else {
            continue;
        };
        for ban in &banned {
            let forbidden = match ban.split_once("@>=") {
                Some((of, from)) => {
                    of == name && version.split('.').next().unwrap().parse::<u32>().unwrap() >= from.parse().unwrap()
                }
                None => ban == name,
            };
            assert!(!forbidden, "{name} {version} is banned as `{ban}`");
        }
    }
    for package in packages() {
        let source = package["source"].as_str().unwrap_or("registry+ or our own");
        assert!(source.starts_with("registry+"), "{} comes from {source}", package["name"]);
    }
}
