//! The clouds that are known: those built in, and the user's own, which win.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cloud_agent_protocol::{Fault, FaultKind};

use super::Cloud;
use super::nearest::nearest;

include!(concat!(env!("OUT_DIR"), "/clouds.rs"));

/// The largest cloud file that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// The known clouds, by name.
#[derive(Debug, Clone)]
pub struct Clouds {
    clouds: BTreeMap<String, Result<Arc<Cloud>, Fault>>,
    /// What could not be read at all.
    directory: Option<Fault>,
}

impl Clouds {
    /// Those built in, and every `*.toml` in `user_dir`, if there is such a directory. A file that is wrong is a fault for
    /// its cloud alone.
    #[must_use]
    pub fn load(user_dir: Option<&Path>) -> Self {
        let mut clouds: BTreeMap<String, Result<Arc<Cloud>, Fault>> = BTreeMap::new();
        for (name, text) in BUILT_IN {
            let file = format!("{name}.toml (built in)");
            clouds.insert((*name).to_owned(), Cloud::parse(name, &file, text, true).map(Arc::new));
        }
        let mut directory = None;
        match user_dir.map(list) {
            None => {}
            Some(Err(fault)) => directory = Some(fault),
            Some(Ok(files)) => {
                for (name, path) in files {
                    let cloud = read(&path)
                        .and_then(|text| Cloud::parse(&name, &path.display().to_string(), &text, false))
                        .map(Arc::new);
                    clouds.insert(name.to_ascii_lowercase(), cloud);
                }
            }
        }
        Self { clouds, directory }
    }

    /// The cloud of that name, compared without case.
    ///
    /// # Errors
    /// `UnknownCloud` with the nearest name as a hint, `Config` if its file is wrong.
    pub fn get(&self, name: &str) -> Result<Arc<Cloud>, Fault> {
        if let Some(found) = self.clouds.get(&name.to_ascii_lowercase()) {
            return found.clone();
        }
        let fault = Fault::new(FaultKind::UnknownCloud, format!("no cloud `{}` is known", name.escape_debug()));
        let known = || self.clouds.keys().map(String::as_str);
        Err(match nearest(name, known()) {
            Some(near) => fault.hint(format!("did you mean `{near}`? `cloud-token clouds` lists them")),
            None => fault.hint("`cloud-token clouds` lists them"),
        })
    }

    /// Those that can be used, by name.
    pub fn list(&self) -> impl Iterator<Item = &Arc<Cloud>> {
        self.clouds.values().filter_map(|cloud| cloud.as_ref().ok())
    }

    /// What is wrong with those that cannot.
    pub fn broken(&self) -> impl Iterator<Item = &Fault> {
        self.directory.iter().chain(self.clouds.values().filter_map(|cloud| cloud.as_ref().err()))
    }
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

#[cfg(unix)]
fn ours(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Fault> {
    use std::os::unix::fs::MetadataExt as _;

    let shown = path.display();
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        let owner = metadata.uid();
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` belongs to uid {owner}, not to you (uid {me})")));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Fault::new(FaultKind::Config, format!("`{shown}` can be written by others"))
            .hint(format!("chmod go-w {shown}")));
    }
    Ok(())
}

#[cfg(not(unix))]
fn ours(_: &Path, _: &std::fs::Metadata) -> Result<(), Fault> {
    // The profile directory's access list is what guards it there.
    Ok(())
}
