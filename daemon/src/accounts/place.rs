//! The file as a file: how it is replaced, and who may write it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use cloud_agent_protocol::Fault;

use super::file::unusable;
#[cfg(windows)]
use crate::rights;

/// Writes `bytes` beside `path` and renames: a reader, or a crash, sees the old file or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    create_private(dir)?;
    let temp = path.with_extension(format!("toml.{}", std::process::id()));
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temp)?;
        #[cfg(windows)]
        rights::close(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        #[cfg(unix)]
        fs::File::open(dir)?.sync_all()?;
        Ok(())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written
}

/// One that is there may be open, as elsewhere: the files in it are looked at one by one.
#[cfg(windows)]
fn create_private(dir: &Path) -> io::Result<()> {
    cloud_agent_protocol::windows::make_private(dir).map(drop)
}

#[cfg(unix)]
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Who can write this file can send our secrets to a host of their choice.
pub(crate) fn trusted(path: &Path) -> Result<(), Fault> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        use cloud_agent_protocol::shell::quoted;

        let meta = fs::metadata(path).map_err(|e| unusable(path, None).because(e.to_string()))?;
        let own = rustix::process::geteuid().as_raw();
        if meta.uid() != own && meta.uid() != 0 {
            return Err(unusable(path, None).because(format!("it is owned by uid {}", meta.uid())));
        }
        if meta.mode() & 0o022 != 0 {
            return Err(unusable(path, None)
                .because("others may write it, and so send your secrets where they like")
                .hint(format!("`chmod go-w {}`", quoted(path.display()))));
        }
    }
    #[cfg(windows)]
    {
        let others = fs::File::open(path).and_then(|file| rights::who(&file, rights::WRITE));
        let others = others.map_err(|e| unusable(path, None).because(e.to_string()))?;
        if !others.is_empty() {
            return Err(unusable(path, None)
                .because(format!(
                    "others may write it, and so send your secrets where they like: {}",
                    others.join(", ")
                ))
                .hint(format!("`icacls \"{}\" /reset`", path.display())));
        }
    }
    Ok(())
}
