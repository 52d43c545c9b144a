//! The configuration of git and others that ask us, and do not find us, or ask for what is nobody's.

use std::fs;
use std::os::unix::fs::symlink;

use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;
use serde_json::json;

use super::{Scene, Wrong, are_named};
use crate::support::put_script;

pub(super) const TABLE: [Wrong; 28] = [
    Wrong {
        name: "git runs a program that was removed",
        scene: || with_file(".gitconfig", "[credential]\n\thelper = /opt/old/cloud-token helper git\n"),
        arguments: &[],
        finding: "git.program",
        mend: "`cloud-token setup git`",
        code: 1,
    },
    Wrong {
        name: "git looks for a link that is not there",
        scene: || with_file(".gitconfig", "[credential]\n\thelper = cloud-token\n"),
        arguments: &[],
        finding: "git.program",
        mend: "`cloud-token setup git`",
        code: 1,
    },
    Wrong {
        name: "git cannot read its configuration",
        scene: || with_file(".gitconfig", "[credential\n"),
        arguments: &[],
        finding: "git.config",
        mend: "edit the line",
        code: 1,
    },
    Wrong {
        name: "git forgets its helpers again",
        scene: || {
            let scene = set_up("git");
            let before = fs::read_to_string(scene.sandbox.path("home/.gitconfig")).unwrap();
            scene.write(".gitconfig", &format!("{before}[credential]\n\thelper =\n"));
            Some(scene)
        },
        arguments: &[],
        finding: "git.reset",
        mend: "`git config --show-origin",
        code: 1,
    },
    Wrong {
        name: "git hangs",
        scene: || {
            let scene = Scene::healthy();
            put_script(&scene.sandbox.program("git"), "#!/bin/sh\nsleep 600\n");
            Some(scene)
        },
        arguments: &[],
        finding: "git.hangs",
        mend: "`git config --list",
        code: 1,
    },
    Wrong {
        name: "half of what setup has written to git is gone",
        scene: || {
            let scene = set_up("git");
            let before = fs::read_to_string(scene.sandbox.path("home/.gitconfig")).unwrap();
            let half: Vec<&str> = before.lines().filter(|line| !line.contains("<<<")).collect();
            scene.write(".gitconfig", &(half.join("\n") + "\n"));
            Some(scene)
        },
        arguments: &[],
        finding: "git.block",
        mend: "by hand",
        code: 1,
    },
    Wrong {
        name: "what setup has written to git is of another place",
        scene: || {
            let scene = set_up("git");
            let before = fs::read_to_string(scene.sandbox.path("home/.gitconfig")).unwrap();
            let program = scene.sandbox.program(TOKEN).display().to_string();
            scene.write(".gitconfig", &before.replace(&program, "/bin/sh -c :; # cloud-token"));
            Some(scene)
        },
        arguments: &[],
        finding: "git.outdated",
        mend: "`cloud-token setup git`",
        code: 1,
    },
    Wrong {
        name: "kubectl does not say which cluster it is",
        scene: || kubeconfig("cloud-token", "interactiveMode: IfAvailable"),
        arguments: &[],
        finding: "kubectl.cluster-info",
        mend: "`cloud-token setup kubectl`",
        code: 1,
    },
    Wrong {
        name: "kubectl runs a program that was removed",
        scene: || kubeconfig("/opt/old/cloud-token", "{interactiveMode: IfAvailable, provideClusterInfo: true}"),
        arguments: &[],
        finding: "kubectl.program",
        mend: "`cloud-token setup kubectl`",
        code: 1,
    },
    Wrong {
        name: "kubectl does not run the plug-in as it is configured",
        scene: || kubeconfig("cloud-token", "provideClusterInfo: true"),
        arguments: &[],
        finding: "kubectl.api",
        mend: "`cloud-token setup kubectl`",
        code: 1,
    },
    Wrong {
        name: "kubectl asks for an account that is not there",
        scene: || {
            let scene = kubeconfig("cloud-token", "interactiveMode: IfAvailable")?;
            let file = scene.sandbox.path("home/.kube/config");
            let text = fs::read_to_string(&file).unwrap().replace("[helper, kubectl]", "[helper, kubectl, nobody]");
            fs::write(file, text).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "kubectl.account",
        mend: "`cloud-token login nobody`",
        code: 6,
    },
    Wrong {
        name: "kubectl has no context for the user that is set up",
        scene: || kubeconfig("cloud-token", "{interactiveMode: IfAvailable, provideClusterInfo: true}"),
        arguments: &[],
        finding: "kubectl.unused",
        mend: "`kubectl config set-context NAME --cluster=CLUSTER --user='my cloud' && kubectl config use-context NAME`",
        code: 0,
    },
    Wrong {
        name: "kubectl's context uses another user than the one that is set up",
        scene: || {
            let scene = kubeconfig("cloud-token", "{interactiveMode: IfAvailable, provideClusterInfo: true}")?;
            let kubectl = |arguments: &[&str]| {
                scene.sandbox.command("kubectl").arg("config").args(arguments.iter().copied()).finish().ok().to_owned()
            };
            kubectl(&["set-context", "mine", "--cluster=mine", "--user=other"]);
            kubectl(&["use-context", "mine"]);
            Some(scene)
        },
        arguments: &[],
        finding: "kubectl.unused",
        mend: "`kubectl config set-context --current --user='my cloud'`",
        code: 0,
    },
    Wrong {
        name: "kubectl cannot read its configuration",
        scene: || {
            skip::unless_tool("kubectl cannot read its configuration", "kubectl")?;
            with_file(".kube/config", "users: [\n")
        },
        arguments: &[],
        finding: "kubectl.config",
        mend: "`kubectl config view`",
        code: 1,
    },
    Wrong {
        name: "docker's configuration is no JSON",
        scene: || with_file(".docker/config.json", "{\"credHelpers\": "),
        arguments: &[],
        finding: "docker.config",
        mend: "config.json",
        code: 1,
    },
    Wrong {
        name: "docker looks for a link that is not there",
        scene: || with_file(".docker/config.json", &docker("images.acme.example")),
        arguments: &[],
        finding: "docker.program",
        mend: "`cloud-token setup docker`",
        code: 1,
    },
    Wrong {
        name: "docker asks for a registry that no account answers for",
        scene: || {
            let scene = Scene::healthy();
            symlink(scene.sandbox.program(TOKEN), scene.sandbox.program("docker-credential-cloud-token")).unwrap();
            scene.write(".docker/config.json", &docker("images.acme.example"));
            Some(scene)
        },
        arguments: &[],
        finding: "docker.host",
        mend: "serves=https://images.acme.example",
        code: 1,
    },
    Wrong {
        name: "docker would have us store its passwords",
        scene: || with_file(".docker/config.json", &json!({"credsStore": "cloud-token"}).to_string()),
        arguments: &[],
        finding: "docker.store",
        mend: "take that line out",
        code: 1,
    },
    Wrong {
        name: "cargo looks for a link that is not there",
        scene: || {
            let provider = "[registries.mine]\ncredential-provider = [\"cargo-credential-cloud-token\"]\n";
            with_file(".cargo/config.toml", provider)
        },
        arguments: &[],
        finding: "cargo.program",
        mend: "`ln -sf ",
        code: 1,
    },
    Wrong {
        name: "terraform looks for a link that is not there",
        scene: || with_file(".terraformrc", "credentials_helper \"cloud-token\" {\n  args = []\n}\n"),
        arguments: &[],
        finding: "terraform.program",
        mend: "~/.terraform.d/plugins/",
        code: 1,
    },
    Wrong {
        name: "bazel looks for a link that is not there",
        scene: || with_file(".bazelrc", "common --credential_helper=cache.example=bazel-credential-cloud-token\n"),
        arguments: &[],
        finding: "bazel.program",
        mend: "`ln -sf ",
        code: 1,
    },
    Wrong {
        name: "the AWS tools ask for an account that is not there",
        scene: || with_file(".aws/config", "[default]\ncredential_process = cloud-token helper aws nobody\n"),
        arguments: &[],
        finding: "aws.account",
        mend: "`cloud-token login nobody`",
        code: 6,
    },
    Wrong {
        name: "the AWS tools run a program that was removed",
        scene: || with_file(".aws/config", "[default]\ncredential_process = /opt/old/cloud-token helper aws ecHome\n"),
        arguments: &[],
        finding: "aws.program",
        mend: ".aws/config",
        code: 1,
    },
    Wrong {
        name: "systemd starts an agent that is not the one that is installed",
        scene: || {
            let scene = set_up("systemd");
            let unit = scene.sandbox.path("config/systemd/user/cloud-agent.service");
            let text = fs::read_to_string(&unit).unwrap();
            let agent = scene.sandbox.program("cloud-agent").display().to_string();
            fs::write(unit, text.replace(&agent, "/opt/old/cloud-agent")).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "systemd.outdated",
        mend: "`cloud-token setup systemd && systemctl --user daemon-reload`",
        code: 1,
    },
    Wrong {
        name: "one of the two units that setup has written is somebody else's since",
        scene: || {
            let scene = set_up("systemd");
            let unit = scene.sandbox.path("config/systemd/user/cloud-agent.service");
            fs::write(unit, "[Service]\nExecStart=/usr/bin/cloud-agent\n").unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "systemd.block",
        mend: "move it away",
        code: 1,
    },
    Wrong {
        name: "half of what setup has written for the shell is gone",
        scene: || {
            let scene = set_up("shell");
            let before = fs::read_to_string(scene.sandbox.path("home/.profile")).unwrap();
            scene.write(".profile", &before.replace("# <<< cloud-agent <<<\n", ""));
            Some(scene)
        },
        arguments: &[],
        finding: "shell.block",
        mend: "by hand",
        code: 1,
    },
    Wrong {
        name: "what setup has written for the shell is of another release",
        scene: || {
            let scene = set_up("shell");
            let before = fs::read_to_string(scene.sandbox.path("home/.profile")).unwrap();
            scene.write(".profile", &before.replace("cloud_env", "cloud_env_of_old"));
            Some(scene)
        },
        arguments: &[],
        finding: "shell.outdated",
        mend: "`cloud-token setup shell`",
        code: 1,
    },
    Wrong {
        name: "systemd listens at another socket",
        scene: || {
            let scene = set_up("systemd");
            scene.sandbox.set("XDG_RUNTIME_DIR", scene.sandbox.path("home"));
            scene.sandbox.set("CLOUD_AGENT_SOCK", scene.sandbox.socket());
            Some(scene)
        },
        arguments: &[],
        finding: "systemd.place",
        mend: "unset CLOUD_AGENT_SOCK",
        code: 1,
    },
];

/// A healthy home with this file in it.
#[allow(clippy::unnecessary_wraps, reason = "it is what a scene is")]
pub(super) fn with_file(path: &str, text: &str) -> Option<Scene> {
    let scene = Scene::healthy();
    scene.sandbox.unset("CARGO_HOME");
    scene.write(path, text);
    Some(scene)
}

/// A healthy home where `setup` has done its work.
fn set_up(what: &str) -> Scene {
    let scene = Scene::healthy();
    scene.sandbox.command(TOKEN).args(["setup", what]).finish().ok();
    scene
}

/// One where kubectl runs `command`, with `more` in its entry.
fn kubeconfig(command: &str, more: &str) -> Option<Scene> {
    skip::unless_tool("kubectl and its plug-in", "kubectl")?;
    with_file(".kube/config", &plugged_in(command, more))
}

fn plugged_in(command: &str, more: &str) -> String {
    let more = more.trim_matches(['{', '}']).replace(", ", "\n      ");
    format!(
        "apiVersion: v1\nkind: Config\nusers:\n- name: my cloud\n  user:\n    exec:\n      \
         apiVersion: client.authentication.k8s.io/v1\n      command: {command}\n      args: [helper, kubectl]\n      {more}\n"
    )
}

fn docker(host: &str) -> String {
    json!({ "credHelpers": { host: "cloud-token" } }).to_string()
}

#[test]
fn what_is_wrong_with_a_consumers_configuration_is_named_with_its_mend() {
    are_named(&TABLE);
}

/// What is found of those that are set up as docs/consumers.md says.
pub(super) const READY: [&str; 6] =
    ["kubectl.ready", "docker.ready", "cargo.ready", "bazel.ready", "terraform.ready", "aws.ready"];

#[test]
fn consumers_that_are_set_up_as_the_page_says_are_well() {
    let scene = Scene::healthy();
    let with_kubectl = skip::unless_tool("kubectl that is set up", "kubectl").is_some();
    let context = "contexts:\n- name: mine\n  context:\n    cluster: mine\n    user: my cloud\n";
    scene.write(
        ".kube/config",
        &(plugged_in("cloud-token", "interactiveMode: IfAvailable, provideClusterInfo: true") + context),
    );
    let serves = ["--set", "serves=https://images.acme.example"];
    scene.login("ecHome", &serves);
    for name in ["docker-credential", "cargo-credential", "bazel-credential"] {
        symlink(scene.sandbox.program(TOKEN), scene.sandbox.program(&format!("{name}-cloud-token"))).unwrap();
    }
    scene.write(".docker/config.json", &docker("images.acme.example"));
    scene.write(".cargo/config.toml", "credential-provider = [\"cargo-credential-cloud-token\"]\n");
    scene.write(".bazelrc", "common --credential_helper=cache.example=bazel-credential-cloud-token\n");
    scene.write(".terraformrc", "credentials_helper \"cloud-token\" {\n  args = []\n}\n");
    fs::create_dir_all(scene.sandbox.path("home/.terraform.d/plugins")).unwrap();
    let plugin = scene.sandbox.path("home/.terraform.d/plugins/terraform-credentials-cloud-token");
    symlink(scene.sandbox.program(TOKEN), plugin).unwrap();
    scene.write(".aws/config", "[default]\ncredential_process = cloud-token helper aws ecHome\n");
    let (outcome, found) = scene.examined(&[]);
    assert_eq!((super::bad(&found), outcome.code()), (Vec::new(), 0));
    for id in READY.into_iter().filter(|id| with_kubectl || *id != "kubectl.ready") {
        assert!(super::findings(&found).iter().any(|finding| finding["id"] == id), "{id}: {found:#}");
    }
}
