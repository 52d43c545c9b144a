//! Archives: the same bytes whoever packs them, and an installation once they are unpacked.

use std::fs;
use std::path::Path;
use std::process::Command;

use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;

use super::{HELPERS, Release, WINDOWS, can_pack, files, pack, program, release, root, said, version};
use crate::support::{KEY, login, sandbox, token};

#[test]
fn the_same_programs_packed_by_somebody_else_are_the_same_bytes() {
    if !can_pack("the_same_programs_packed_by_somebody_else_are_the_same_bytes") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let packed = |who: &str, habits: &str| {
        let home = scratch.path().join(who);
        for name in ["linux/cloud-agent", "linux/cloud-token", "windows/cloud-agent.exe", "windows/cloud-token.exe"] {
            // The small one twice: what is packed makes no difference to how.
            program("strip", env!("CARGO_BIN_EXE_it-token"), &home.join(name));
        }
        let command = pack(&home.join("dist"), &home.join("linux"), &home.join("windows"));
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(format!("{habits}; exec \"$@\"")).arg("bash").arg(command.get_program());
        said(shell.args(command.get_args()).current_dir(&home));
        home.join("dist")
    };
    let one = packed("one", "umask 022; export TZ=UTC LANG=C.UTF-8");
    let other = packed("other", "umask 077; export TZ=Pacific/Kiritimati LANG=de_DE.UTF-8 GZIP=-1 ZIPOPT=-0");
    assert_eq!(files(&one), files(&other));
    assert!(files(&one).len() > 8, "{:?}", files(&one));
    for file in files(&one) {
        assert!(fs::read(one.join(&file)).unwrap() == fs::read(other.join(&file)).unwrap(), "{}", file.display());
    }
}

#[test]
fn every_file_of_a_release_has_its_checksum() {
    let Some(Release(directory)) = release("every_file_of_a_release_has_its_checksum") else { return };
    said(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&directory));
    let sums = fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    for file in files(&directory).iter().map(|path| path.display().to_string()).filter(|name| name != "SHA256SUMS") {
        assert!(sums.lines().any(|line| line.split_once("  ").is_some_and(|(_, name)| name == file)), "{file}\n{sums}");
    }
}

#[test]
fn packing_replaces_no_directory_that_is_not_a_release() {
    if !can_pack("packing_replaces_no_directory_that_is_not_a_release") {
        return;
    }
    let theirs = tempfile::tempdir().unwrap();
    fs::write(theirs.path().join("thesis.txt"), "ten years of work").unwrap();
    let output = Command::new(root().join("packaging/pack")).arg(theirs.path()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && words.contains("is no release"), "{words}");
    assert_eq!(files(theirs.path()), [Path::new("thesis.txt")]);
}

#[test]
fn a_tarball_over_a_prefix_is_an_installation_that_git_finds() {
    let what = "a_tarball_over_a_prefix_is_an_installation_that_git_finds";
    let Some(release) = release(what) else { return };
    let tarballs = release.all(".tar.gz");
    let tarball = tarballs.iter().find(|path| path.to_string_lossy().contains("-linux-")).expect("one for Linux");
    let sandbox = sandbox();
    let bin = sandbox.path("bin");
    fs::remove_dir_all(&bin).unwrap();
    said(Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(sandbox.path("")).arg("--strip-components=1"));
    for helper in HELPERS {
        assert_eq!(fs::read_link(bin.join(helper)).unwrap(), Path::new("cloud-token"));
    }
    assert_eq!(sandbox.token(["--version"]).ok(), format!("cloud-token {}", version()));
    let documents = sandbox.path("share/doc/cloud-agent");
    let readme = fs::read_to_string(documents.join("README.md")).unwrap();
    let pictures: Vec<&str> =
        readme.split("](docs/images/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(pictures.len() > 1 && pictures.iter().all(|name| documents.join("docs/images").join(name).is_file()));

    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    sandbox.set("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    // What starts the agent is what was unpacked, and so is the agent.
    let serves = ["--set", "serves=https://git.example.org", "--ephemeral"];
    login(&sandbox, "ecHome", &cloud.url(), &secret).args(serves).finish().ok();
    assert_eq!(sandbox.agents().len(), 1);
    if skip::unless_tool(what, "git").is_some() {
        let asked = sandbox.command("git").args(["-c", "credential.helper=cloud-token", "credential", "fill"]);
        let filled = asked.env("GIT_TERMINAL_PROMPT", "0").stdin("protocol=https\nhost=git.example.org\n\n").finish();
        let expected = token(&sandbox, "ecHome");
        assert!(filled.ok().lines().any(|line| line.ends_with(&expected)), "{filled:?}");
    }
    if skip::unless_tool(what, "man").is_some() {
        for page in ["cloud-agent", "cloud-token-login", "git-credential-cloud-token"] {
            let found = sandbox.command("man").args(["-M".into(), sandbox.path("share/man")]).args(["-w", page]);
            let found = found.finish();
            assert!(Path::new(found.ok()).starts_with(sandbox.path("share/man")), "{found:?}");
        }
    }
    sandbox.command(TOKEN).arg("stop").finish().ok();
}

#[test]
fn the_archive_for_windows_has_both_programs_in_one_directory() {
    let what = "the_archive_for_windows_has_both_programs_in_one_directory";
    let Some(release) = release(what) else { return };
    if skip::unless_tool(what, "python3").is_none() {
        return;
    }
    let listed = said(Command::new("python3").args(["-m", "zipfile", "--list"]).arg(release.one(".zip")));
    for name in ["cloud-agent.exe", "cloud-token.exe", "cloud-agent.xml", "README.md", "LICENSE-MIT", "THIRD-PARTY"] {
        let path = format!("cloud-agent-{}-{WINDOWS}/{name} ", version());
        assert!(listed.lines().any(|line| line.starts_with(&path)), "{path}: {listed}");
    }
}

#[test]
fn the_source_archive_is_the_commit() {
    let Some(release) = release("the_source_archive_is_the_commit") else { return };
    let archive = release.one(&format!("cloud-agent-{}.tar.gz", version()));
    let listed = said(Command::new("tar").arg("-tzf").arg(archive));
    let prefix = format!("cloud-agent-{}/", version());
    for name in ["Cargo.lock", "LICENSE-MIT", "packaging/build", "daemon/clouds/echome.toml"] {
        assert!(listed.lines().any(|line| line.strip_prefix(&prefix) == Some(name)), "{name}: {listed}");
    }
}
