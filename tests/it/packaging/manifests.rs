//! What Homebrew and winget read: well formed, and about the files of this release.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use cloud_agent_tests::skip;

use super::{HELPERS, Release, WINDOWS, release, root, said, version};

/// What a formula may call, each of which notes that it was called; then what it notes is printed.
const BREW: &str = r##"
class Formula
  def self.method_missing(name, *words) = puts("#{name} #{words.inspect}")
  def self.respond_to_missing?(*) = true
  def self.service(&block) = instance_eval(&block)
  def self.test(&block) = puts("test")
  def self.opt_bin = Place.new("opt")
end
class Place < Struct.new(:name)
  def /(other) = Place.new("#{name}/#{other}")
  def inspect = name
  def install_symlink(link) = puts("link #{link.inspect}")
  def install(files) = puts("man #{files.sort.inspect}")
end
load ARGV[0]
class CloudAgent
  def method_missing(name, *words, **options) = puts("#{name} #{words.inspect}")
  def std_cargo_args(path:) = [path]
  def bin = Place.new("bin")
  def man1 = Place.new("man1")
  def system(*words) = puts("system #{words.inspect}")
end
CloudAgent.new.install
"##;

/// The SHA-256 of a file of the release, as `SHA256SUMS` has it.
fn sum(release: &Release, name: &str) -> String {
    let sums = release.text("SHA256SUMS");
    let line = sums.lines().find(|line| line.ends_with(&format!("  {name}")));
    line.and_then(|line| line.split_once(' ')).unwrap_or_else(|| panic!("{name}: {sums}")).0.to_owned()
}

#[test]
fn the_formula_is_ruby_and_installs_programs_names_and_pages_from_the_source_archive() {
    let what = "the_formula_is_ruby_and_installs_programs_names_and_pages_from_the_source_archive";
    let (Some(release), Some(_)) = (release(what), skip::unless_tool(what, "ruby")) else { return };
    let formula = release.one("homebrew/cloud-agent.rb");
    let checked = Command::new("ruby").arg("-wc").arg(&formula).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let notes = said(Command::new("ruby").args(["-e", BREW]).arg(&formula).current_dir(root()));
    let archive = format!("cloud-agent-{}.tar.gz", version());
    let has = |line: &str| assert!(notes.lines().any(|noted| noted == line), "{line}\n{notes}");
    has(&format!("sha256 [{:?}]", sum(&release, &archive)));
    assert!(notes.lines().any(|line| line.starts_with("url ") && line.ends_with(&format!("/{archive}\"]"))), "{notes}");
    for package in ["daemon", "client"] {
        has(&format!("system [\"cargo\", \"install\", {package:?}]"));
    }
    for helper in HELPERS {
        assert!(notes.lines().any(|line| line.starts_with("link ") && line.contains(helper)), "{helper}\n{notes}");
    }
    assert!(notes.contains("client/man/cloud-token.1") && notes.contains("daemon/man/cloud-agent.1"), "{notes}");
    has("test");
}

/// The keys at the left margin, and the lines of each list or text below. These manifests use no more of YAML than that.
fn keys(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut keys = BTreeMap::new();
    let mut last = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once(':').filter(|_| !line.starts_with([' ', '-'])) {
            assert!(keys.insert(key, Vec::new()).is_none(), "{key} twice");
            assert!(key.starts_with(char::is_uppercase), "{line}");
            last = key;
            if !value.is_empty() {
                keys.get_mut(key).expect("it was just put there").push(value.strip_prefix(' ').expect("a blank"));
            }
        } else {
            keys.get_mut(last).unwrap_or_else(|| panic!("{line} is below nothing")).push(line);
        }
    }
    keys
}

#[test]
fn wingets_manifests_have_what_its_schema_wants_and_name_what_the_archive_holds() {
    let what = "wingets_manifests_have_what_its_schema_wants_and_name_what_the_archive_holds";
    let Some(release) = release(what) else { return };
    // What the schemas of 1.10.0 require, beside the three keys of all.
    for (kind, ending, required) in [
        ("version", "CloudAgent.CloudAgent.yaml", &["DefaultLocale"][..]),
        ("installer", ".installer.yaml", &["Installers"]),
        (
            "defaultLocale",
            ".locale.en-US.yaml",
            &["PackageLocale", "Publisher", "PackageName", "License", "ShortDescription"],
        ),
    ] {
        let text = release.text(ending);
        let keys = keys(&text);
        assert_eq!(keys["PackageIdentifier"], ["CloudAgent.CloudAgent"], "{kind}");
        assert_eq!((&keys["PackageVersion"], &keys["ManifestType"]), (&vec![version()], &vec![kind]));
        assert_eq!(keys["ManifestVersion"], ["1.10.0"]);
        assert!(required.iter().all(|key| keys.contains_key(key)), "{kind}: {text}");
    }

    let text = release.text(".installer.yaml");
    let keys = keys(&text);
    assert_eq!((&keys["InstallerType"], &keys["NestedInstallerType"]), (&vec!["zip"], &vec!["portable"]));
    let archive = format!("cloud-agent-{}-{WINDOWS}.zip", version());
    let installer = keys["Installers"].join("\n");
    assert!(installer.contains(&format!("InstallerSha256: {}", sum(&release, &archive).to_uppercase())), "{text}");
    assert!(installer.lines().any(|line| line.ends_with(&format!("/{archive}"))), "{text}");
    if skip::unless_tool(what, "python3").is_none() {
        return;
    }
    let listed = said(Command::new("python3").args(["-m", "zipfile", "--list"]).arg(release.one(".zip")));
    let nested = keys["NestedInstallerFiles"].iter().filter_map(|line| line.split_once("RelativeFilePath: "));
    let nested: Vec<String> = nested.map(|(_, path)| path.replace('\\', "/")).collect();
    assert_eq!(nested.len(), 2);
    for path in nested {
        assert!(listed.lines().any(|line| line.starts_with(&format!("{path} "))), "{path}: {listed}");
    }
}

#[test]
fn where_a_release_is_had_is_said_once() {
    let Some(release) = release("where_a_release_is_had_is_said_once") else { return };
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let home = manifest.lines().find_map(|line| line.strip_prefix("repository   = \"")?.strip_suffix('"')).unwrap();
    let base = format!("{home}/releases/download/v{}", version());
    for path in [release.one("homebrew/cloud-agent.rb"), release.one(".installer.yaml")] {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(&base), "{}: {text}", path.display());
    }
    let templates = [Path::new("packaging/homebrew"), Path::new("packaging/winget"), Path::new("packaging/debian")];
    for path in templates.iter().flat_map(|directory| fs::read_dir(root().join(directory)).unwrap().flatten()) {
        let text = fs::read_to_string(path.path()).unwrap();
        assert!(!text.contains(home), "{}", path.path().display());
    }
}
