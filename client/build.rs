//! Three things about linking that a warm get pays for at each start; without them it is slower and just as right. And the
//! manual pages, as a table.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    embed_pages();
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|v| v == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    // GNU ld gives headers, code and constants a mapping each; one mapping for all three saves two page faults of 26.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,noseparate-code");

    if is("CARGO_CFG_TARGET_ENV", "musl")
        && let Ok(root) = env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo:rerun-if-changed=warm.ld");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{root}/warm.ld");
    }

    // With glibc every Rust program loads `libgcc_s.so`, for panics that it hopes never to have: nine system calls and
    // eight page faults. A linker script of that name, found first, names the same code as archives.
    if is("CARGO_CFG_TARGET_ENV", "gnu")
        && let Ok(out) = env::var("OUT_DIR")
        && fs::write(Path::new(&out).join("libgcc_s.so"), "GROUP ( libgcc_eh.a libgcc.a )\n").is_ok()
    {
        println!("cargo:rustc-link-search=native={out}");
    }
}

/// Writes a table of all files in `man/`, by name.
fn embed_pages() {
    println!("cargo:rerun-if-changed=man");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let files = fs::read_dir(Path::new(&root).join("man")).expect("`man/` is a part of the package");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file of the package can be read").path()).collect();
    paths.sort();
    let row = |path: &PathBuf| {
        let (name, path) = (path.file_stem().unwrap_or_default().to_string_lossy(), path.display().to_string());
        format!("({name:?}, include_str!({path:?})),\n")
    };
    let rows: String = paths.iter().map(row).collect();
    let table = format!("/// Pages by name.\nconst PAGES: &[(&str, &str)] = &[\n{rows}];\n");
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("pages.rs"), table).expect("cargo's own directory can be written");
}
