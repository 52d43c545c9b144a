//! The package of Debian: in good order, installed into a system of its own, used there, and removed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloud_agent_tests::skip;

use super::{HELPERS, Release, can_pack, files, release, root, said, version};
use crate::gates::{MUSL_TARGET, has_target};

/// A system without anything in it, into which packages are installed.
struct System(tempfile::TempDir);

impl System {
    fn new() -> Self {
        let root = tempfile::Builder::new().prefix("ca-system-").tempdir_in("/tmp").unwrap();
        for directory in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc", "tmp"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        Self(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What dpkg says. A program that is not static depends on a libc, which is not here and need not be.
    #[track_caller]
    fn dpkg(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", self.0.path().display())).args(["--log=/dev/null", "--force-depends"]);
        // dpkg insists on finding programs there that this package does not need.
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()));
        said(command.args(arguments))
    }

    /// All that is there but dpkg's own records: paths, and what they are.
    fn contents(&self) -> BTreeMap<PathBuf, String> {
        let ours = files(self.0.path()).into_iter().filter(|path| !path.starts_with("var/lib/dpkg"));
        ours.map(|path| {
            let whole = self.0.path().join(&path);
            let kind = match fs::read_link(&whole) {
                Ok(target) => format!("-> {}", target.display()),
                Err(_) => format!("{:o}", fs::metadata(&whole).unwrap().permissions().mode() & 0o7777),
            };
            (path, kind)
        })
        .collect()
    }

    /// One of the installed programs, of nobody's environment.
    fn run(&self, program: &str) -> Command {
        let mut command = Command::new(self.path("usr/bin").join(program));
        let path = format!("{}:{}", self.path("usr/bin").display(), std::env::var("PATH").unwrap());
        command.env_clear().env("PATH", path).env("HOME", self.path("tmp")).env("XDG_RUNTIME_DIR", self.path("tmp"));
        command.env("CLOUD_AGENT_NO_AUTOSTART", "1");
        command
    }
}

#[test]
fn lintian_finds_neither_errors_nor_warnings() {
    let what = "lintian_finds_neither_errors_nor_warnings";
    let (Some(release), Some(_)) = (release(what), skip::unless_tool(what, "lintian")) else { return };
    in_order(&release.one(".deb"));
}

/// Static programs are packed without dependencies, and lintian has other things to say of them; what they do is no matter.
#[test]
fn lintian_finds_neither_with_programs_as_they_are_released() {
    let what = "lintian_finds_neither_with_programs_as_they_are_released";
    if !can_pack(what) || skip::unless_tool(what, "lintian").is_none() {
        return;
    }
    if !has_target(MUSL_TARGET) {
        // Never a failure: a machine may not be able to get it, and what is released is built where it is.
        eprintln!("skipped: {what}: the target {MUSL_TARGET} is not installed");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("program.rs");
    fs::write(&source, "fn main() { println!(\"a program\") }").unwrap();
    for name in ["cloud-agent", "cloud-token"] {
        let mut rustc = Command::new("rustc");
        rustc.args(["--target", MUSL_TARGET, "-Cstrip=symbols", "-o"]).arg(scratch.path().join(name)).arg(&source);
        said(&mut rustc);
    }
    let out = scratch.path().join("dist");
    let mut pack = Command::new(root().join("packaging/pack"));
    said(pack.arg(&out).arg(format!("{MUSL_TARGET}={}", scratch.path().display())));
    let deb = Release(out).one(".deb");
    assert!(!said(Command::new("dpkg-deb").arg("--field").arg(&deb)).contains("Depends:"));
    in_order(&deb);
}

#[track_caller]
fn in_order(deb: &Path) {
    let mut command = Command::new("lintian");
    command.args(["--fail-on", "error,warning", "--display-level", ">=warning"]).arg(deb);
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !words.lines().any(|line| line.starts_with(['E', 'W'])), "{words}");
}

#[test]
fn the_package_is_installed_is_used_and_leaves_nothing_behind() {
    let what = "the_package_is_installed_is_used_and_leaves_nothing_behind";
    let Some(release) = release(what) else { return };
    if !rustix::process::geteuid().is_root() {
        return skip::skip(what, "only root installs packages");
    }
    let deb = release.one(".deb");
    let system = System::new();
    let before = system.contents();
    system.dpkg(&["--install", deb.to_str().unwrap()]);
    let installed = system.contents();
    assert_eq!(installed[Path::new("usr/bin/cloud-agent")], "755");
    assert_eq!(installed[Path::new("usr/lib/systemd/user/cloud-agent.socket")], "644");
    for helper in HELPERS {
        assert_eq!(installed[&Path::new("usr/bin").join(helper)], "-> cloud-token");
        assert!(installed.contains_key(&Path::new("usr/share/man/man1").join(format!("{helper}.1.gz"))));
    }
    assert_eq!(system.dpkg(&["--verify", "cloud-agent"]), "", "every file is what the package says it is");
    let scripts = ["preinst", "postinst", "prerm", "postrm"];
    let scripts = scripts.map(|script| system.path(&format!("var/lib/dpkg/info/cloud-agent.{script}")));
    assert!(scripts.iter().all(|script| !script.exists()), "nothing is done behind anybody's back");

    programs(&system);
    pages(what, &system);
    completions(&system);
    units(what, &system);

    system.dpkg(&["--remove", "cloud-agent"]);
    fs::remove_dir_all(system.path("tmp")).unwrap();
    assert_eq!(system.contents(), before);
    assert!(!system.path("usr").exists(), "nor an empty directory");
    assert!(!system.dpkg(&["--list"]).contains("cloud-agent"), "nothing is left to purge");
}

fn programs(system: &System) {
    for program in ["cloud-agent", "cloud-token"] {
        let words = said(system.run(program).arg("--version"));
        assert_eq!(words.trim_end(), format!("{program} {}", version()));
    }
    // git runs it by its name, and is told that nobody answers.
    let mut git = system.run("git-credential-cloud-token");
    let output = git.arg("get").output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && !words.contains("usage") && !words.contains("panicked"), "{output:?}");
    if said(Command::new("readelf").arg("-d").arg(system.path("usr/bin/cloud-agent"))).contains("NEEDED") {
        return;
    }
    // A static program runs where there is nothing else.
    for program in ["/usr/bin/cloud-agent", "/usr/bin/cloud-token"] {
        let words =
            said(Command::new("/usr/sbin/chroot").arg(system.path("")).args([program, "--version"]).env_clear());
        assert!(words.contains(version()), "{words}");
    }
}

fn pages(what: &str, system: &System) {
    if skip::unless_tool(what, "man").is_none() {
        return;
    }
    let man = system.path("usr/share/man");
    for page in ["cloud-agent", "cloud-token", "cloud-token-login", "docker-credential-cloud-token"] {
        let found = said(Command::new("man").arg("-M").arg(&man).args(["-w", page]));
        assert!(Path::new(found.trim_end()).starts_with(&man), "{found}");
        let shown = said(Command::new("man").arg("-M").arg(&man).arg(page).env("MANPAGER", "cat"));
        assert!(shown.contains("SYNOPSIS"), "{shown}");
    }
}

/// Each shell reads its file where it looks for it, and then knows what may follow.
fn completions(system: &System) {
    let share = system.path("usr/share");
    let bash = format!(
        "source {}/bash-completion/completions/cloud-token\ncomplete -p cloud-token\nCOMP_WORDS=(cloud-token logo)\n\
         COMP_CWORD=1\nCOMP_TYPE=9\n_clap_complete_cloud_token cloud-token logo ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        share.display()
    );
    let shell = |name: &str, script: &str| {
        let mut ask = Command::new(name);
        let of_system = system.run("cloud-token");
        ask.args(["-c", script]).env_clear();
        ask.envs(of_system.get_envs().filter_map(|(name, value)| Some((name, value?))));
        said(ask.env("XDG_DATA_DIRS", &share))
    };
    let answer = shell("bash", &bash);
    assert!(answer.contains("complete ") && answer.lines().any(|line| line == "logout"), "{answer}");
    if skip::unless_tool("completions for fish", "fish").is_some() {
        let answer = shell("fish", "complete -C 'cloud-token logo'");
        assert!(answer.lines().any(|line| line.starts_with("logout")), "{answer}");
    }
    if skip::unless_tool("completions for zsh", "zsh").is_some() {
        let script = "fpath=($XDG_DATA_DIRS/zsh/vendor-completions $fpath)\nautoload -Uz compinit\ncompinit -D -u\n\
                      print $_comps[cloud-token]";
        let answer = shell("zsh", script);
        assert_eq!(answer.trim_end(), "_cloud-token");
    }
}

fn units(what: &str, system: &System) {
    if skip::unless_tool(what, "systemctl").is_none() {
        return;
    }
    let systemctl = |verb: &str| {
        let root = format!("--root={}", system.path("").display());
        said(Command::new("systemctl").args([&root, "--global", verb, "cloud-agent.socket"]));
    };
    let wanted = system.path("etc/systemd/user/sockets.target.wants/cloud-agent.socket");
    assert!(fs::symlink_metadata(&wanted).is_err(), "nothing is enabled by itself");
    systemctl("enable");
    let target = fs::read_link(&wanted).unwrap();
    assert!(target.ends_with("usr/lib/systemd/user/cloud-agent.socket"), "{}", target.display());
    systemctl("disable");
    fs::remove_dir_all(system.path("etc/systemd")).unwrap();
    let service = fs::read_to_string(system.path("usr/lib/systemd/user/cloud-agent.service")).unwrap();
    let program = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    assert!(system.path(program.trim_start_matches('/')).exists(), "{program}");
}
