//! Files of configuration that are none: pipes that nobody writes to, and devices without an end. Whoever reads one as a file waits
//! for ever, or until there is no memory left.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::consumers::with_file;
use super::{Scene, Wrong, are_named};

pub(super) const TABLE: [Wrong; 9] = [
    Wrong {
        name: "accounts.toml is a pipe that nobody writes to",
        scene: || {
            let scene = Scene::healthy();
            make_pipe(&scene, &scene.sandbox.config().join("accounts.toml"));
            Some(scene)
        },
        arguments: &[],
        finding: "config.accounts",
        mend: "accounts.toml",
        code: 1,
    },
    Wrong {
        name: "vault.toml has no end",
        scene: || {
            let scene = Scene::healthy();
            symlink("/dev/zero", scene.sandbox.config().join("vault.toml")).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "config.vault",
        mend: "vault.toml",
        code: 1,
    },
    Wrong {
        name: "docker's configuration is a pipe that nobody writes to",
        scene: || with_pipe(".docker/config.json"),
        arguments: &[],
        finding: "docker.config",
        mend: "`mv ",
        code: 1,
    },
    Wrong {
        name: "cargo's is",
        scene: || with_pipe(".cargo/config.toml"),
        arguments: &[],
        finding: "cargo.config",
        mend: "`mv ",
        code: 1,
    },
    Wrong {
        name: "Terraform's is",
        scene: || with_pipe(".terraformrc"),
        arguments: &[],
        finding: "terraform.config",
        mend: "`mv ",
        code: 1,
    },
    Wrong {
        name: "Bazel's is",
        scene: || with_pipe(".bazelrc"),
        arguments: &[],
        finding: "bazel.config",
        mend: "`mv ",
        code: 1,
    },
    Wrong {
        name: "the configuration of the AWS tools has no end",
        scene: || {
            let scene = with_file(".aws/other", "")?;
            symlink("/dev/zero", scene.sandbox.path("home/.aws/config")).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "aws.config",
        mend: "`mv ",
        code: 1,
    },
    Wrong {
        name: "git's configuration is a pipe that nobody writes to",
        scene: || with_pipe(".gitconfig"),
        arguments: &[],
        finding: "git.hangs",
        mend: "`git config --list",
        code: 1,
    },
    Wrong {
        name: "what the shell reads at its start is a pipe",
        scene: || with_pipe(".profile"),
        arguments: &[],
        finding: "shell.block",
        mend: "`mv ",
        code: 1,
    },
];

/// A healthy home where this file is a pipe.
fn with_pipe(path: &str) -> Option<Scene> {
    let scene = with_file(path, "")?;
    make_pipe(&scene, &scene.sandbox.path("home").join(path));
    Some(scene)
}

/// Makes the file at `path` a pipe to which nobody ever writes.
fn make_pipe(scene: &Scene, path: &Path) {
    fs::remove_file(path).unwrap();
    scene.sandbox.command("mkfifo").args(["-m", "600"]).arg(path).finish().ok();
}

#[test]
fn what_is_no_file_where_one_should_be_holds_up_neither_doctor_nor_the_agent() {
    are_named(&TABLE);
}
