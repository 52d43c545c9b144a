//! Links the unwinder statically where it would be a shared library of its own.
//!
//! On Linux with glibc every Rust program loads `libgcc_s.so` at each start, for panics that this one hopes never to
//! have. That is a tenth of a warm get: nine system calls and eight page faults. A linker script of that name, found first, names
//! the same code as archives.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|v| v == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    let Ok(out) = env::var("OUT_DIR") else { return };
    // Without the script the program is slower and just as right, so a failure is not worth a broken build.
    if fs::write(Path::new(&out).join("libgcc_s.so"), "GROUP ( libgcc_eh.a libgcc.a )\n").is_ok() {
        println!("cargo:rustc-link-search=native={out}");
    }
}
