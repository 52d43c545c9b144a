//! What people install: packed from the programs of this build, looked at, installed, used and removed.
//!
//! `CLOUD_AGENT_DIST` names a directory that `packaging/build` has filled: then it is that release which all this is about.
//!
//! | module | what |
//! |---|---|
//! | `archives` | the same bytes each time, checksums, and what is unpacked by hand |
//! | `bill` | the bill of materials, and the licences |
//! | `debian` | the package of Debian |
//! | `manifests` | what Homebrew and winget read |
//! | `sources` | `cargo install` |

mod archives;
mod bill;
mod debian;
mod manifests;
mod sources;

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cloud_agent_tests::skip;

/// Names a release that is there already.
const DIST: &str = "CLOUD_AGENT_DIST";
/// The target whose archive Windows has.
const WINDOWS: &str = "x86_64-pc-windows-gnu";
/// The names under which other programs look for the client.
const HELPERS: [&str; 5] = [
    "bazel-credential-cloud-token",
    "cargo-credential-cloud-token",
    "docker-credential-cloud-token",
    "git-credential-cloud-token",
    "terraform-credentials-cloud-token",
];
/// What `packaging/pack` cannot do without.
const TOOLS: [&str; 8] =
    ["git", "jq", "zip", "strip", "dpkg-deb", "dpkg-shlibdeps", "sha256sum", "x86_64-w64-mingw32-gcc"];

/// A directory with a release.
struct Release(PathBuf);

impl Release {
    /// The files whose names end so, each by its path in the release.
    fn all(&self, ending: &str) -> Vec<PathBuf> {
        let mut found: Vec<_> = files(&self.0).into_iter().map(|path| self.0.join(path)).collect();
        found.retain(|path| path.to_string_lossy().ends_with(ending));
        found
    }

    /// The only one whose name ends so.
    #[track_caller]
    fn one(&self, ending: &str) -> PathBuf {
        let [one] = &self.all(ending)[..] else { panic!("{ending}: {:?}", files(&self.0)) };
        one.clone()
    }

    #[track_caller]
    fn text(&self, ending: &str) -> String {
        fs::read_to_string(self.one(ending)).expect("it is text")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace")
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The release, packed once for all tests; or a report that `what` is skipped.
fn release(what: &str) -> Option<Release> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if let Some(given) = std::env::var_os(DIST) {
        return Some(Release(root().join(given)));
    }
    can_pack(what).then(|| {
        let made = MADE.get_or_init(|| {
            let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaging");
            let (linux, windows) = (scratch.join("linux"), scratch.join("windows"));
            // As the profile of a release does it.
            program("strip", env!("CARGO_BIN_EXE_it-agent"), &linux.join("cloud-agent"));
            program("strip", env!("CARGO_BIN_EXE_it-token"), &linux.join("cloud-token"));
            // Windows runs no program of this build; for what packs them one is as good as another.
            program("cp", env!("CARGO_BIN_EXE_it-token"), &windows.join("cloud-agent.exe"));
            program("cp", env!("CARGO_BIN_EXE_it-token"), &windows.join("cloud-token.exe"));
            let out = scratch.join("dist");
            let mut pack = pack(&out, &linux, &windows);
            // Debug programs are large, and nobody downloads these.
            said(pack.env("DPKG_DEB_COMPRESSOR_LEVEL", "0"));
            out
        });
        Release(made.clone())
    })
}

/// Whether a release can be packed here; else a report that `what` is skipped.
fn can_pack(what: &str) -> bool {
    if !root().join(".git").exists() {
        skip::skip(what, "a release is made of a commit, and this is no checkout");
        return false;
    }
    TOOLS.iter().all(|tool| skip::unless_tool(what, tool).is_some())
}

/// `packaging/pack`, for programs in these directories.
fn pack(out: &Path, linux: &Path, windows: &Path) -> Command {
    let mut command = Command::new(root().join("packaging/pack"));
    command.arg(out).arg(format!("{ARCH}-unknown-linux-gnu={}", linux.display()));
    command.arg(format!("{WINDOWS}={}", windows.display()));
    command
}

/// Puts a program at `to`, by `strip` or `cp`.
#[track_caller]
fn program(how: &str, from: &str, to: &Path) {
    fs::create_dir_all(to.parent().expect("a path below a directory")).expect("the build's own directory");
    let mut command = Command::new(how);
    if how == "strip" {
        command.arg("-o").arg(to).arg(from);
    } else {
        command.arg(from).arg(to);
    }
    said(&mut command);
}

/// What a program wrote to stdout, which has to succeed.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// All that is in a directory and is not one, by its path from there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut stack = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(dir) = stack.pop() {
        for path in fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).flatten() {
            let kind = path.file_type().expect("it is there");
            if kind.is_dir() {
                stack.push(path.path());
            } else {
                found.push(path.path().strip_prefix(directory).expect("it is below").to_owned());
            }
        }
    }
    found.sort();
    found
}
