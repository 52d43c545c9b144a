//! The bill of materials and the licences, held against what cargo says by other ways.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{Release, WINDOWS, release, root, said, version};

/// The bill of materials of Linux, or of Windows.
fn bill(release: &Release, windows: bool) -> Value {
    let all = release.all(".cdx.json");
    let of_windows = |path: &str| path.ends_with(&format!("{WINDOWS}.cdx.json"));
    let path = all.iter().find(|path| of_windows(&path.to_string_lossy()) == windows).expect("there is one");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn components(bill: &Value) -> &Vec<Value> {
    bill["components"].as_array().expect("a list")
}

/// `name version` of those with this scope.
fn scoped(bill: &Value, scope: &str) -> BTreeSet<String> {
    let of_scope = components(bill).iter().filter(|component| component["scope"] == scope);
    of_scope.map(|one| format!("{} {}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap())).collect()
}

#[test]
fn the_bill_names_what_is_linked_with_the_lock_files_checksums() {
    let Some(release) = release("the_bill_names_what_is_linked_with_the_lock_files_checksums") else { return };
    let bill = bill(&release, false);
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    assert_eq!(bill["metadata"]["component"]["version"], version());
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let locked: BTreeSet<(&str, &str, &str)> = lock
        .split("\n[[package]]\n")
        .filter_map(|package| {
            let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix('"'));
            Some((value("name = \"")?, value("version = \"")?, value("checksum = \"")?))
        })
        .collect();
    let from_registry = components(&bill).iter().filter(|component| component["purl"].is_string());
    let mut seen = 0;
    for component in from_registry {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, version) = (text(&component["name"]), text(&component["version"]));
        let sum = text(&component["hashes"][0]["content"]);
        assert!(locked.contains(&(&*name, &*version, &*sum)), "{component}");
        assert_eq!(component["purl"], format!("pkg:cargo/{name}@{version}"));
        seen += 1;
    }
    assert!(seen > 100, "{seen}");

    let named = |scope: &str| -> BTreeSet<String> {
        scoped(&bill, scope).into_iter().map(|one| one.split(' ').next().unwrap().to_owned()).collect()
    };
    let (linked, only_built) = (named("required"), named("excluded"));
    for name in ["cloud-token", "cloud-agent-daemon", "cloud-agent-protocol", "rustls", "aws-lc-sys", "tokio", "clap"] {
        assert!(linked.contains(name), "{name}");
    }
    for name in ["serde_derive", "tokio-macros", "cc"] {
        assert!(only_built.contains(name) && !linked.contains(name), "{name}");
    }
    for name in ["axum", "rcgen", "proptest", "windows-sys", "cloud-agent-tests"] {
        assert!(!linked.contains(name) && !only_built.contains(name), "{name} is in no program for Linux");
    }
    assert!(components(&bill).iter().any(|component| component["name"] == "rust-std"));
}

#[test]
fn what_depends_on_what_leads_from_the_release_to_every_library() {
    let Some(release) = release("what_depends_on_what_leads_from_the_release_to_every_library") else { return };
    for bill in [bill(&release, false), bill(&release, true)] {
        let text = |value: &Value| value.as_str().expect("a reference").to_owned();
        let known: BTreeSet<String> = components(&bill).iter().map(|component| text(&component["bom-ref"])).collect();
        assert_eq!(known.len(), components(&bill).len(), "every reference is of one component");
        let edges: BTreeMap<String, Vec<String>> = bill["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["ref"]), one["dependsOn"].as_array().unwrap().iter().map(text).collect()))
            .collect();
        let mut reached = BTreeSet::new();
        let mut next = vec![text(&bill["metadata"]["component"]["bom-ref"])];
        while let Some(one) = next.pop() {
            for other in edges.get(&one).into_iter().flatten() {
                assert!(known.contains(other), "{one} depends on {other}, which is nowhere");
                if reached.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        let lost: Vec<_> = known.difference(&reached).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[test]
fn every_library_that_is_linked_is_listed_with_its_licence_and_the_text_is_there() {
    let what = "every_library_that_is_linked_is_listed_with_its_licence_and_the_text_is_there";
    let Some(release) = release(what) else { return };
    let tarballs = release.all(".tar.gz");
    let tarball = tarballs.iter().find(|path| path.to_string_lossy().contains("-linux-")).expect("one for Linux");
    let licences = said(Command::new("tar").arg("-xzOf").arg(tarball).args(["--wildcards", "*/THIRD-PARTY"]));
    let bill = bill(&release, false);
    let mut linked = 0;
    for component in components(&bill).iter().filter(|component| component["scope"] == "required") {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        if component["purl"].is_null() {
            continue;
        }
        linked += 1;
        let listed = format!("{name} {version}: {licence}");
        assert!(licences.lines().any(|line| line == listed || line.starts_with(&format!("{listed}, "))), "{listed}");
        // The head of a text names all whose text it is.
        let heads = format!("{name} {version} ({licence})");
        assert!(licences.lines().any(|line| line == heads), "no text for {heads}");
    }
    assert!(linked > 100, "{linked}");
    for words in ["Apache License", "Permission is hereby granted", "The Rust Project Contributors", "Project Nayuki"] {
        assert!(licences.contains(words), "{words}");
    }
}
