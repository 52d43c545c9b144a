//! Three things about linking that a warm get pays for at each start; without them it is slower and just as right. And the
//! manual pages, as one text.

use std::path::Path;
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

    if let Ok(root) = env::var("CARGO_MANIFEST_DIR") {
        println!("cargo:rerun-if-changed=warm.ld");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{root}/warm.ld");
    }
    if is("CARGO_CFG_TARGET_ENV", "musl") {
        // The addresses that are mended at the start, in a hundredth of the room: a page fault or two less. Only here, because
        // glibc knows that form only from 2.36 on.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
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

/// Writes all files of `man/` into one, each behind its name.
fn embed_pages() {
    println!("cargo:rerun-if-changed=man");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let files = fs::read_dir(Path::new(&root).join("man")).expect("`man/` is a part of the package");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file of the package can be read").path()).collect();
    paths.sort();
    let mut pages = String::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a page is a text");
        for part in [path.file_stem().unwrap_or_default().to_string_lossy().as_ref(), &text] {
            assert!(!part.contains('\0'), "{}: no page has a zero in it", path.display());
            pages.push_str(part);
            pages.push('\0');
        }
    }
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("pages"), pages).expect("cargo's own directory can be written");
}
