//! `vault.toml`: what the user says about the vault. It may name a program to run, so others must not be able to write it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind, configured};
use serde::Deserialize;
use toml_edit::{DocumentMut, value};

use super::disk;
use crate::accounts::parse_span;
#[cfg(windows)]
use crate::rights;

/// The program's time, if the user says nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// Which vault; `auto` and nothing are the same.
    pub(super) kind: Option<String>,
    /// Where the passphrase is.
    pub(super) passphrase: Option<PathBuf>,
    /// The program that keeps everything, its arguments, and how long it may take.
    pub(super) program: Option<(Vec<String>, Duration)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Option<String>,
    passphrase: Option<WrittenPassphrase>,
    command: Option<WrittenCommand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPassphrase {
    file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCommand {
    program: Vec<String>,
    timeout: Option<String>,
}

impl Config {
    /// What is in the file at `path`, which need not exist.
    ///
    /// # Errors
    /// `Config`, naming file and line.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let text = match configured::text(path) {
            Ok(text) => text,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(why) => return Err(unusable(path, why.to_string())),
        };
        trusted(path)?;
        let written: Written = toml::from_str(&text).map_err(|why| {
            let line = why.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            unusable(path, format!("line {line}: {}", why.message().trim()))
        })?;
        let absolute = |path: &Path| path.is_absolute();
        if written.passphrase.as_ref().is_some_and(|passphrase| !absolute(&passphrase.file)) {
            return Err(unusable(path, "`passphrase.file` is not an absolute path".into()));
        }
        let program = match written.command {
            None => None,
            Some(command) if command.program.first().is_none_or(|first| !absolute(Path::new(first))) => {
                return Err(unusable(path, "`command.program` does not begin with an absolute path".into()));
            }
            Some(WrittenCommand { program, timeout }) => {
                let patience = timeout.map(|text| parse_span(&text)).transpose();
                Some((program, patience.map_err(|why| unusable(path, why.to_string()))?.unwrap_or(PATIENCE)))
            }
        };
        let kind = written.kind.filter(|kind| kind != "auto");
        Ok(Self { kind, passphrase: written.passphrase.map(|passphrase| passphrase.file), program })
    }

    /// Writes down which kind it is from now on; everything else in the file stays as it is.
    ///
    /// # Errors
    /// `Config` if the file cannot be read or written.
    pub(super) fn write_kind(path: &Path, kind: &str) -> Result<(), Fault> {
        let failed = |why: String| unusable(path, why);
        let text = match configured::text(path) {
            Ok(text) => text,
            Err(why) if why.kind() == io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(failed(why.to_string())),
        };
        let mut document: DocumentMut =
            text.parse().map_err(|why: toml_edit::TomlError| failed(why.message().into()))?;
        document["kind"] = value(kind);
        let dir = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir)
            .and_then(|()| disk::replace(path, document.to_string().as_bytes()))
            .map_err(|why| failed(why.to_string()))
    }
}

fn trusted(path: &Path) -> Result<(), Fault> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        use cloud_agent_protocol::shell::quoted;

        let meta = fs::metadata(path).map_err(|why| unusable(path, why.to_string()))?;
        let own = rustix::process::geteuid().as_raw();
        if meta.uid() != own && meta.uid() != 0 {
            return Err(unusable(path, format!("it is owned by uid {}", meta.uid())));
        }
        if meta.mode() & 0o022 != 0 {
            return Err(unusable(path, "others may write it, and so have a program of theirs run".into())
                .hint(format!("`chmod go-w {}`", quoted(path.display()))));
        }
    }
    #[cfg(windows)]
    {
        let others = fs::File::open(path).and_then(|file| rights::who(&file, rights::WRITE));
        let others = others.map_err(|why| unusable(path, why.to_string()))?;
        if !others.is_empty() {
            let why = format!("others may write it, and so have a program of theirs run: {}", others.join(", "));
            return Err(unusable(path, why).hint(format!("`icacls \"{}\" /reset`", path.display())));
        }
    }
    Ok(())
}

fn unusable(path: &Path, why: String) -> Fault {
    Fault::new(FaultKind::Config, format!("`{}` cannot be used", path.display())).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.toml");
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        (dir, path)
    }

    #[test]
    fn no_file_says_nothing_and_auto_says_no_more() {
        assert_eq!(Config::read(Path::new("/nonexistent/vault.toml")).unwrap(), Config::default());
        assert_eq!(Config::read(&file("kind = \"auto\"\n").1).unwrap(), Config::default());
    }

    #[test]
    fn everything_in_it_is_read() {
        let (_dir, path) = file(
            "kind = \"command\"\n[passphrase]\nfile = \"/p\"\n[command]\nprogram = [\"/v\", \"x\"]\ntimeout = \"5s\"\n",
        );
        let config = Config::read(&path).unwrap();
        assert_eq!(config.kind.as_deref(), Some("command"));
        assert_eq!(config.passphrase.as_deref(), Some(Path::new("/p")));
        assert_eq!(config.program, Some((vec!["/v".into(), "x".into()], Duration::from_secs(5))));
    }

    #[test]
    fn what_makes_no_sense_is_a_fault_that_says_where() {
        for (text, says) in [
            ("kind = 1\n", "line 1"),
            ("\nkid = \"memory\"\n", "line 2"),
            ("[command]\nprogram = []\n", "absolute"),
            ("[command]\nprogram = [\"pass\"]\n", "absolute"),
            ("[passphrase]\nfile = \"p\"\n", "absolute"),
            ("[command]\nprogram = [\"/v\"]\ntimeout = \"soon\"\n", "soon"),
        ] {
            let fault = Config::read(&file(text).1).unwrap_err();
            assert!(fault.kind == FaultKind::Config && fault.to_string().contains(says), "{text}: {fault}");
        }
    }

    #[test]
    fn the_kind_is_written_and_the_rest_stays() {
        let text = "# mine\n[passphrase]\nfile = \"/p\" # here\n";
        let (_dir, path) = file(text);
        Config::write_kind(&path, "passphrase").unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.contains("# mine") && written.contains("# here"), "{written}");
        assert_eq!(Config::read(&path).unwrap().kind.as_deref(), Some("passphrase"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_not_believed() {
        let (_dir, path) = file("kind = \"memory\"\n");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let fault = Config::read(&path).unwrap_err();
        assert!(fault.hint.unwrap().contains("chmod"));
    }
}
