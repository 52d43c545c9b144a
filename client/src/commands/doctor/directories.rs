//! The agent's files: that they are the user's own, that nobody else may write them, and that agent and environment mean the same.

use std::env;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use cloud_agent_protocol::FaultKind;
use cloud_agent_protocol::shell::quoted;
use cloud_agent_protocol::v1::{Examined, Finding, Level};

use crate::places::{self, out_of_the_way};

/// The two, with the variable that names each, the one that names the directory above it, and where that is else.
const ALL: [(&str, &str, &str, &str); 2] = [
    ("configuration", "CLOUD_AGENT_CONFIG", "XDG_CONFIG_HOME", ".config"),
    ("state", "CLOUD_AGENT_STATE", "XDG_STATE_HOME", ".local/state"),
];

/// What lies in the configuration directory and decides where secrets go, or which program gets them.
const FILES: [&str; 3] = ["accounts.toml", "vault.toml", "clouds"];

#[cold]
pub(super) fn look(examined: Option<&Examined>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let told = examined.map(|examined| [&examined.config, &examined.state].map(PathBuf::from));
    for (at, (name, own, base, below)) in ALL.into_iter().enumerate() {
        let meant = named(own, base, below);
        let told = told.as_ref().map(|told| told[at].clone());
        if let (Some(told), Some(meant), true) =
            (&told, &meant, env::var_os(own).is_some_and(|value| !value.is_empty()))
            && told != meant
        {
            findings.push(other(name, own, told, meant));
        }
        let Some(directory) = told.or(meant) else {
            findings.push(
                Finding::new("directory.unknown", Level::Error, format!("it is not known where the {name} is"))
                    .seen(format!("neither `{own}`, `{base}` nor the home directory is set to an absolute path"))
                    .kind(FaultKind::Config)
                    .mend(format!("set `{own}` to a directory of your own")),
            );
            continue;
        };
        findings.push(judged(name, &directory, true));
        if at == 0 {
            let files = FILES.iter().map(|file| directory.join(file)).filter(|path| path.exists());
            findings.extend(files.map(|path| judged(name, &path, path.ends_with("clouds"))).filter(is_bad));
        }
    }
    findings
}

/// What root left behind is most often the user's own doing, by `sudo`. What another user put there may be meant for them to find:
/// whoever takes it over uses its addresses.
#[cfg(unix)]
fn repossess(owner: u32, own: u32, path: &Path) -> String {
    if owner == 0 {
        format!("`sudo chown -R {own} {}`", quoted(path.display()))
    } else {
        out_of_the_way(path, "foreign")
    }
}

/// Why its owner may not write to `path`, and what mends it.
#[cfg(unix)]
fn unwritable(mode: u32, path: &Path) -> (String, String) {
    let (mode, shown) = (mode & 0o7777, quoted(path.display()));
    if mode & 0o200 == 0 {
        return (format!("its mode is {mode:04o}"), format!("`chmod u+w {shown}`"));
    }
    let elsewhere = "have it writable, or name a directory on another one";
    (format!("its mode is {mode:04o}, so its file system is read-only"), format!("`df {shown}` names it: {elsewhere}"))
}

fn is_bad(found: &Finding) -> bool {
    found.level() > Level::Note
}

/// Where the environment says that it is.
fn named(own: &str, base: &str, below: &str) -> Option<PathBuf> {
    // On Windows people's programs have other places, which only the agent is asked for.
    if cfg!(windows) {
        return places::directory(own);
    }
    let usual = || places::directory(base).or_else(|| Some(places::home().ok()?.join(below)));
    places::directory(own).or_else(|| Some(usual()?.join("cloud-agent")))
}

fn other(name: &str, variable: &str, told: &Path, meant: &Path) -> Finding {
    let what = format!("the agent has another {name} directory than {variable} names");
    Finding::new("directory.other", Level::Warning, what)
        .about(told.display().to_string())
        .seen(format!("the agent: `{}`; here: `{}`", told.display(), meant.display()))
        .kind(FaultKind::Config)
        .mend(format!("unset {variable}, or `cloud-token stop`: the next use starts an agent with it"))
}

/// What bars the way to `path`, from what can be looked at above it, and what opens it.
fn barred(path: &Path) -> (String, String) {
    let elsewhere = "name a directory that you may enter";
    let above = path.ancestors().skip(1).find_map(|above| Some((above, above.metadata().ok()?)));
    let Some((above, meta)) = above else { return ("nor can anything above it".to_owned(), elsewhere.to_owned()) };
    let shown = above.display();
    let (evidence, opens) = if meta.is_dir() {
        (format!("the way there ends at `{shown}`"), format!("`chmod u+x {}`", quoted(&shown)))
    } else {
        (format!("`{shown}` is no directory"), out_of_the_way(above, "moved"))
    };
    (evidence, if is_own(&meta) { format!("{opens}, or {elsewhere}") } else { elsewhere.to_owned() })
}

#[cfg(unix)]
fn is_own(meta: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    meta.uid() == rustix::process::geteuid().as_raw()
}

/// Its attributes do not say whose it is.
#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    false
}

fn judged(name: &str, path: &Path, directory: bool) -> Finding {
    let shown = path.display();
    let bad = |id: &str, what: String, evidence: String, mend: String| {
        Finding::new(id, Level::Error, what).about(shown.to_string()).seen(evidence).kind(FaultKind::Config).mend(mend)
    };
    let meta = match path.metadata() {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Finding::new(
                "directory.fresh",
                Level::Ok,
                format!("the {name} directory is made when it is needed"),
            )
            .about(shown.to_string())
            .seen(format!("`{shown}` is not there"));
        }
        Err(e) => {
            let (evidence, mend) = barred(path);
            let what = format!("`{shown}` cannot be looked at");
            return bad("directory.unusable", what, e.to_string(), mend).seen(evidence);
        }
    };
    if directory && !meta.is_dir() {
        let evidence = "a directory is needed there".to_owned();
        return bad(
            "directory.obstacle",
            format!("`{shown}` is no directory"),
            evidence,
            out_of_the_way(path, "moved"),
        );
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let own = rustix::process::geteuid().as_raw();
        if meta.uid() != own && (directory || meta.uid() != 0) {
            let evidence = format!("it is owned by uid {}, and you are uid {own}", meta.uid());
            let what = format!("`{shown}` is somebody else's");
            return bad("directory.foreign", what, evidence, repossess(meta.uid(), own, path));
        }
        // A group of the user's own is nobody else; by custom it has the user's number, and may write what the user makes.
        let others = if meta.gid() == own { 0o002 } else { 0o022 };
        if meta.mode() & others != 0 {
            let evidence = format!("its mode is {:04o}", meta.mode() & 0o7777);
            let what = format!("others may write `{shown}`, and so say where your secrets go");
            return bad("directory.open", what, evidence, format!("`chmod go-w {}`", quoted(&shown)));
        }
        if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
            let what = format!("`{shown}` cannot be written");
            let (evidence, mend) = unwritable(meta.mode(), path);
            return bad("directory.read-only", what, evidence, mend);
        }
    }
    Finding::new("directory.own", Level::Ok, format!("the {name} directory is yours, and nobody else may write it"))
        .about(shown.to_string())
        .seen(format!("`{shown}`"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_another_user_has_put_there_is_moved_away_and_never_taken_over() {
        assert_eq!(repossess(0, 1000, Path::new("/my c")), "`sudo chown -R 1000 '/my c'`");
        assert_eq!(repossess(1001, 1000, Path::new("/c")), "`mv /c /c.foreign`");
    }

    #[test]
    fn what_is_on_a_read_only_file_system_is_not_to_be_mended_by_a_mode() {
        let mend = |mode| unwritable(mode, Path::new("/my c")).1;
        assert_eq!(mend(0o40_500), "`chmod u+w '/my c'`");
        assert!(mend(0o40_700).starts_with("`df '/my c'`"));
    }
}
