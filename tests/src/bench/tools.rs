//! Compilers and programs that may or may not be there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a C program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// With musl where it is there, else whatever `cc -static` gives.
    Static,
    /// As the system's programs are.
    Dynamic,
}

/// Where `program` is on `PATH`.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Compiles the C program `source` to `program`.
///
/// # Errors
/// What is missing, or what the compiler says.
pub fn compile(source: &str, program: &Path, linkage: Linkage) -> Result<(), String> {
    let file = program.with_extension("c");
    std::fs::write(&file, source).map_err(|e| format!("{}: {e}", file.display()))?;
    let (compiler, flag) = match linkage {
        Linkage::Static if find("musl-gcc").is_some() => ("musl-gcc", Some("-static")),
        Linkage::Static => ("cc", Some("-static")),
        Linkage::Dynamic => ("cc", None),
    };
    let output = Command::new(compiler)
        .args(["-O2", "-s", "-Wall", "-Wextra", "-o"])
        .arg(program)
        .arg(&file)
        .args(flag)
        .output()
        .map_err(|e| format!("`{compiler}` cannot be run: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The first line that `program` prints on either stream, which for `--version` and the like is its version.
#[must_use]
pub fn first_line(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}
