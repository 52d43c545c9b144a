//! The clouds that are known: those built in, and the user's own, which win.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use cloud_agent_protocol::suggest::nearest;
use cloud_agent_protocol::{Fault, FaultKind};

use super::Cloud;

include!(concat!(env!("OUT_DIR"), "/clouds.rs"));

/// The largest cloud file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 256 * 1024;

/// The known clouds, by name.
#[derive(Debug)]
pub struct Clouds {
    /// The user's own, if there are any.
    directory: Option<PathBuf>,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    clouds: BTreeMap<String, Result<Arc<Cloud>, Fault>>,
    /// What the user's own were read from.
    texts: BTreeMap<String, String>,
    /// Why the directory or a file of it cannot be used, though its clouds may be in use as they were.
    broken: BTreeMap<String, Fault>,
    unread: Option<Fault>,
    /// The state of the directory that this is.
    stamp: Option<Vec<Stamp>>,
}

/// What tells one state of a file from another: its name, when it was written, its length.
type Stamp = (PathBuf, Option<SystemTime>, u64);

impl Clouds {
    /// Those built in, and every `*.toml` in `directory`, if there is such a directory. A file that is wrong is a fault for
    /// its cloud alone.
    #[must_use]
    pub fn load(directory: Option<&Path>) -> Self {
        let clouds = Self { directory: directory.map(Path::to_owned), known: RwLock::default() };
        clouds.refresh();
        clouds
    }

    /// Reads the user's own again if somebody has edited them. The names of those that are not what they were. One that was in
    /// use and cannot be read any more stays as it was.
    pub fn refresh(&self) -> BTreeSet<String> {
        let stamp = self.directory.as_deref().map(stamp);
        if stamp == self.known().stamp && stamp.is_some() {
            return BTreeSet::new();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let edited = known.read_again(self.directory.as_deref());
        known.stamp = stamp;
        edited
    }

    /// The cloud of that name, compared without case.
    ///
    /// # Errors
    /// `UnknownCloud` with the nearest name as a hint, `Config` if its file is wrong.
    pub fn get(&self, name: &str) -> Result<Arc<Cloud>, Fault> {
        let known = self.known();
        if let Some(found) = known.clouds.get(&name.to_ascii_lowercase()) {
            return found.clone();
        }
        let fault = Fault::new(FaultKind::UnknownCloud, format!("no cloud `{}` is known", name.escape_debug()));
        // It may be described in the directory that nobody looked into.
        if let Some(why) = &known.unread {
            let fault = fault.because(why.message.clone());
            return Err(match &why.hint {
                Some(hint) => fault.hint(hint.clone()),
                None => fault,
            });
        }
        Err(match nearest(name, known.clouds.keys().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`? `cloud-token clouds` lists them")),
            None => fault.hint("`cloud-token clouds` lists them"),
        })
    }

    /// Those that can be used, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Cloud>> {
        self.known().clouds.values().filter_map(|cloud| cloud.as_ref().ok()).cloned().collect()
    }

    /// What is wrong with the files of those that cannot, or are used as they were.
    #[must_use]
    pub fn broken(&self) -> Vec<Fault> {
        let known = self.known();
        known.unread.iter().chain(known.broken.values()).cloned().collect()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn read_again(&mut self, directory: Option<&Path>) -> BTreeSet<String> {
        let before = std::mem::take(self);
        for (name, text) in BUILT_IN {
            let file = format!("{name}.toml (built in)");
            // Parsed once: it does not change while the agent runs.
            let parse = || Cloud::parse(name, &file, text, true).map(Arc::new);
            let cloud = before.clouds.get(*name).filter(|_| !before.texts.contains_key(*name)).cloned();
            self.clouds.insert((*name).to_owned(), cloud.unwrap_or_else(parse));
        }
        match directory.map(list) {
            None => {}
            Some(Err(fault)) => {
                // Nothing is known about any of them, so they stay.
                for (name, text) in &before.texts {
                    self.keep(name, text.clone(), &before);
                }
                self.unread = Some(fault);
            }
            Some(Ok(files)) => files.into_iter().for_each(|(name, path)| self.read(&name, &path, &before)),
        }
        let edited = |name: &&String| match (before.clouds.get(*name), self.clouds.get(*name)) {
            (Some(Ok(old)), Some(Ok(new))) => !Arc::ptr_eq(old, new),
            (old, new) => old.is_some_and(Result::is_ok) || new.is_some_and(Result::is_ok),
        };
        before.clouds.keys().chain(self.clouds.keys()).filter(edited).cloned().collect()
    }

    fn read(&mut self, name: &str, path: &Path, before: &Self) {
        let key = name.to_ascii_lowercase();
        let read = read(path).and_then(|text| {
            if before.texts.get(&key) == Some(&text) {
                return Ok((text, None));
            }
            let cloud = Cloud::parse(name, &path.display().to_string(), &text, false)?;
            Ok((text, Some(Arc::new(Cloud { examples: Vec::new(), ..cloud }))))
        });
        match read {
            Ok((text, None)) => self.keep(&key, text, before),
            Ok((text, Some(cloud))) => {
                self.clouds.insert(key.clone(), Ok(cloud));
                self.texts.insert(key, text);
            }
            Err(fault) => {
                let in_use = before.clouds.get(&key).filter(|cloud| cloud.is_ok());
                self.clouds.insert(key.clone(), in_use.cloned().unwrap_or_else(|| Err(fault.clone())));
                if let Some(text) = before.texts.get(&key) {
                    self.texts.insert(key.clone(), text.clone());
                }
                self.broken.insert(key, fault);
            }
        }
    }

    /// The cloud as it was, which came from `text`.
    fn keep(&mut self, key: &str, text: String, before: &Self) {
        if let Some(cloud) = before.clouds.get(key) {
            self.clouds.insert(key.to_owned(), cloud.clone());
            self.texts.insert(key.to_owned(), text);
        }
    }
}

/// The state of the directory and of what is in it.
fn stamp(directory: &Path) -> Vec<Stamp> {
    let of = |path: PathBuf| {
        let meta = std::fs::metadata(&path).ok();
        (path, meta.as_ref().and_then(|meta| meta.modified().ok()), meta.map_or(0, |meta| meta.len()))
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<Stamp> = entries.map(|entry| of(entry.path())).collect();
    all.sort();
    all.push(of(directory.to_owned()));
    all
}

fn list(directory: &Path) -> Result<Vec<(String, std::path::PathBuf)>, Fault> {
    let shown = directory.display();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => {
            return Err(Fault::new(FaultKind::Config, format!("`{shown}` cannot be read")).because(why.to_string()));
        }
    };
    // Whoever may write here could put a file beside the others that sends a password elsewhere.
    let metadata = std::fs::metadata(directory)
        .map_err(|why| Fault::new(FaultKind::Config, format!("`{shown}` cannot be read")).because(why.to_string()))?;
    ours(directory, &metadata)?;
    let mut files: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    files.sort();
    Ok(files)
}

/// Reads a cloud file that belongs to the user and that nobody else can write.
pub(crate) fn read(path: &Path) -> Result<String, Fault> {
    use std::io::Read as _;

    let shown = path.display();
    let fail = |why: std::io::Error| {
        Fault::new(FaultKind::Config, format!("`{shown}` cannot be read")).because(why.to_string())
    };
    // Judged by the open file, not by its name, which may mean another file a moment later. A pipe would never end.
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` is not a regular file")));
    }
    let file = std::fs::File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    ours(path, &metadata)?;
    if metadata.len() > MAX_FILE {
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` is longer than {} KiB", MAX_FILE / 1024)));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(fail)?;
    Ok(text)
}

/// Whether nobody but the user, and root, decides what is in a file or directory.
///
/// # Errors
/// `Config` with what mends it.
#[cfg(unix)]
pub(crate) fn ours(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Fault> {
    use std::os::unix::fs::MetadataExt as _;

    use cloud_agent_protocol::shell::quoted;

    let shown = path.display();
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        let owner = metadata.uid();
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` belongs to uid {owner}, not to you (uid {me})")));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` can be written by others"))
            .hint(format!("`chmod go-w {}`", quoted(shown))));
    }
    Ok(())
}

/// The same by owner and access list of a file. Those of the directory are not asked for: what somebody else puts into it is
/// theirs.
#[cfg(windows)]
pub(crate) fn ours(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Fault> {
    use crate::rights;

    if metadata.is_dir() {
        return Ok(());
    }
    let fail = |why: String| Fault::new(FaultKind::Config, format!("`{}` {why}", path.display()));
    let others = std::fs::File::open(path).and_then(|file| rights::who(&file, rights::WRITE));
    let others = others.map_err(|e| fail(format!("cannot be read: {e}")))?;
    if others.is_empty() {
        return Ok(());
    }
    Err(fail(format!("can be written by others: {}", others.join(", ")))
        .hint(format!("`icacls \"{}\" /reset`", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: &str = "title = \"Acme\"\ndocs = \"https://a.example\"\n[[origin]]\nprompt = \"Address\"\n[[method]]\n\
        name = \"token\"\ntitle = \"Token\"\nheaders = [\"X: {t}\"]\nask = [{ name = \"t\", prompt = \"T\", secret = true }]\n";

    /// A directory of this test's own, gone at the end.
    struct Directory(std::path::PathBuf);

    impl Directory {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cloud-agent-{test}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_built_in_cloud_is_a_good_one() {
        let clouds = Clouds::load(None);
        assert_eq!(clouds.broken().iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(clouds.list().len(), BUILT_IN.len());
        assert!(clouds.list().iter().all(|cloud| cloud.built_in));
    }

    #[test]
    fn a_cloud_is_found_without_case_and_a_slip_is_met_with_the_nearest() {
        let directory = Directory::new("nearest");
        directory.write("acme.toml", ACME);
        let clouds = Clouds::load(Some(&directory.0));
        let acme = clouds.get("AcMe").unwrap();
        assert_eq!((acme.name.as_str(), acme.built_in), ("acme", false));
        let fault = clouds.get("akme").unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnknownCloud);
        assert!(fault.hint.unwrap().contains("`acme`"));
        assert_eq!(clouds.get("\u{1b}[31m").unwrap_err().message, "no cloud `\\u{1b}[31m` is known");
    }

    #[test]
    fn a_users_file_wins_over_one_that_is_built_in() {
        let (name, _) = BUILT_IN[0];
        let directory = Directory::new("wins");
        directory.write(&format!("{name}.toml"), ACME);
        let cloud = Clouds::load(Some(&directory.0)).get(name).unwrap();
        assert_eq!((cloud.title.as_str(), cloud.built_in), ("Acme", false));
    }

    #[test]
    fn a_broken_file_is_a_fault_of_its_cloud_alone() {
        let directory = Directory::new("broken");
        directory.write("acme.toml", ACME);
        directory.write("broken.toml", "titel = 1");
        directory.write("binary.toml", "\0\0");
        directory.write("Bad Name.toml", ACME);
        directory.write("README.md", "not a cloud");
        std::fs::create_dir(directory.0.join("folder.toml")).unwrap();
        let clouds = Clouds::load(Some(&directory.0));
        assert!(clouds.get("acme").is_ok());
        let fault = clouds.get("broken").unwrap_err();
        assert_eq!(fault.kind, FaultKind::Config);
        assert!(fault.message.contains("broken.toml`, line 1"), "{fault}");
        assert_eq!(clouds.broken().len(), 4);
    }

    #[test]
    fn an_edit_is_read_a_bad_one_keeps_what_was_there_and_what_is_as_it_was_is_the_same() {
        let directory = Directory::new("edits");
        let path = directory.write("acme.toml", ACME);
        directory.write("other.toml", ACME);
        let clouds = Clouds::load(Some(&directory.0));
        let (acme, other) = (clouds.get("acme").unwrap(), clouds.get("other").unwrap());
        assert!(clouds.refresh().is_empty());
        std::fs::write(&path, ACME.replace("title = \"Acme\"", "titel = \"Acme\"")).unwrap();
        assert!(clouds.refresh().is_empty(), "it is in use as it was");
        assert!(Arc::ptr_eq(&clouds.get("acme").unwrap(), &acme));
        let said = clouds.broken()[0].to_string();
        assert!(said.contains("acme.toml`, line 1") && said.contains("titel"), "{said}");
        std::fs::write(&path, ACME.replace("\"Acme\"", "\"New\"")).unwrap();
        assert_eq!(clouds.refresh().into_iter().collect::<Vec<_>>(), ["acme"]);
        assert!(clouds.get("acme").unwrap().title == "New" && clouds.broken().is_empty());
        assert!(Arc::ptr_eq(&clouds.get("other").unwrap(), &other));
        std::fs::remove_file(&path).unwrap();
        directory.write("third.toml", ACME);
        assert_eq!(clouds.refresh().into_iter().collect::<Vec<_>>(), ["acme", "third"]);
        assert_eq!(clouds.get("acme").unwrap_err().kind, FaultKind::UnknownCloud);
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_fault() {
        assert_eq!(Clouds::load(Some(Path::new("/nonexistent/clouds"))).broken().len(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_or_directory_that_others_can_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = Directory::new("writable");
        let path = directory.write("acme.toml", ACME);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        let fault = Clouds::load(Some(&directory.0)).get("acme").unwrap_err();
        assert!(fault.message.contains("written by others") && fault.hint.unwrap().contains("chmod"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Clouds::load(Some(&directory.0)).get("acme").is_ok());
        std::fs::set_permissions(&directory.0, std::fs::Permissions::from_mode(0o777)).unwrap();
        let clouds = Clouds::load(Some(&directory.0));
        let fault = clouds.get("acme").unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnknownCloud);
        assert!(fault.to_string().contains("written by others") && fault.hint.unwrap().contains("chmod"));
        assert_eq!(clouds.broken().len(), 1);
    }
}
