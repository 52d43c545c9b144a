//! Three things about linking that a warm get pays for at each start; without them it is slower and just as right.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
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
