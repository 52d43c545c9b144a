//! What a warm get may cost, in counts that are the same on a busy machine as on a quiet one.
//!
//! The client is built as it is released: the one of `cargo build --release`, and the static one where its target is there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloud_agent_tests::bench::gates::{self, Budget, GLIBC, MUSL};
use cloud_agent_tests::skip;

use cloud_agent_tests::fake::echome::EcHome;

use crate::support::{KEY, login, sandbox};

/// What a static program for Linux is built for.
pub(crate) const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";

/// Copies of a client that are counted.
const COPIES: u32 = 3;

#[test]
fn a_warm_get_keeps_its_budget_as_cargo_builds_it() {
    let client = built(&["--release"], "release");
    keeps("a_warm_get_keeps_its_budget_as_cargo_builds_it", &client, &GLIBC);
}

#[test]
fn a_warm_get_keeps_its_budget_as_a_static_program() {
    let name = "a_warm_get_keeps_its_budget_as_a_static_program";
    if !has_target(MUSL_TARGET) {
        // Never a failure: a machine may not be able to get it, and what is released is built where it is.
        eprintln!("skipped: {name}: the target {MUSL_TARGET} is not installed");
        return;
    }
    let client = built(&["--profile", "dist", "--target", MUSL_TARGET], &format!("{MUSL_TARGET}/dist"));
    keeps(name, &client, &MUSL);
}

fn keeps(name: &str, client: &Path, budget: &Budget) {
    for tool in ["strace", "valgrind", "cc"] {
        if skip::unless_tool(name, tool).is_none() {
            return;
        }
    }
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let _ = login(&sandbox, "ecHome", &cloud.url(), &secret).finish().ok();
    let scratch = sandbox.path("scratch");
    std::fs::create_dir(&scratch).expect("the sandbox can be written");
    let env = [(OsString::from("CLOUD_AGENT_SOCK"), sandbox.socket().into_os_string())];
    // How many pages of a file one fault brings in depends on how the file was written, and a linker writes here and there. So a
    // copy is counted, as it is on whoever's machine; and since copies differ by a fault or three, the best of some.
    let counted = (0..COPIES).map(|copy| {
        let installed = scratch.join(format!("installed-{copy}"));
        let copied = Command::new("cp").arg(client).arg(&installed).status();
        assert!(copied.expect("cp runs").success(), "the client is installed");
        let command = [installed.to_str().expect("a path of ours").to_owned(), "ecHome".to_owned()];
        gates::count(&command, &env, &scratch).expect("a warm get")
    });
    let counts = counted.min_by_key(|counts| counts.faults).expect("there are copies");
    // Resident memory is counted in batches by the kernel; the bench reports it, a test cannot judge it.
    let broken: Vec<String> = budget.broken(&counts).into_iter().filter(|line| !line.contains("RSS")).collect();
    assert!(broken.is_empty(), "{broken:#?}\n{counts:?}");
    assert!(counts.syscalls.is_some() && counts.faults.is_some() && counts.instructions.is_some(), "{counts:?}");
}

/// The client, built with these arguments into a directory of this test's own, so that nobody's `target` is locked.
fn built(arguments: &[&str], place: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gates");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "-p", "cloud-token", "--target-dir"]).arg(&target).args(arguments);
    // What the caller's cargo set for the tests must not make another program of it.
    cargo.env_remove("RUSTFLAGS").current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().expect("cargo runs").success(), "the client is built");
    target.join(place).join("cloud-token")
}

/// Whether programs for it can be built here.
pub(crate) fn has_target(target: &str) -> bool {
    let lib = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    lib.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir())
}
