//! The agent's files: whose they are, and who may write them.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt, chown};
use std::path::Path;

use cloud_agent_tests::skip;

use super::{Scene, Wrong, are_named};

/// A user that nobody is.
pub(super) const STRANGER: u32 = 4003;

pub(super) const TABLE: [Wrong; 9] = [
    Wrong {
        name: "others may write the configuration",
        scene: || {
            let scene = Scene::healthy();
            fs::set_permissions(scene.sandbox.config(), fs::Permissions::from_mode(0o777)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "directory.open",
        mend: "`chmod go-w ",
        code: 1,
    },
    Wrong {
        name: "a group of others may write the configuration",
        scene: || {
            if !skip::unless_root("a group of others may write the configuration") {
                return None;
            }
            let scene = Scene::healthy();
            chown(scene.sandbox.config(), None, Some(STRANGER)).unwrap();
            fs::set_permissions(scene.sandbox.config(), fs::Permissions::from_mode(0o770)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "directory.open",
        mend: "`chmod go-w ",
        code: 1,
    },
    Wrong {
        name: "the state directory is a file",
        scene: || {
            let scene = Scene::healthy();
            let _ = fs::remove_dir_all(scene.sandbox.state());
            fs::write(scene.sandbox.state(), "").unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "directory.obstacle",
        mend: "`mv ",
        code: 1,
    },
    Wrong {
        name: "a directory above the state is a file",
        scene: || {
            let scene = Scene::empty();
            scene.write("data", "");
            scene.sandbox.set("CLOUD_AGENT_STATE", scene.sandbox.path("home/data/of/mine"));
            Some(scene)
        },
        arguments: &[],
        finding: "directory.unusable",
        mend: "/home/data ",
        code: 1,
    },
    Wrong {
        name: "a directory above the state is closed",
        scene: || {
            let scene = somebodys("a directory above the state is closed", "home/closed/state")?;
            fs::set_permissions(scene.sandbox.path("home/closed"), fs::Permissions::from_mode(0o600)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "directory.unusable",
        mend: "`chmod u+x ",
        code: 1,
    },
    Wrong {
        name: "the state may not be written",
        scene: || {
            let scene = somebodys("the state may not be written", "home/state")?;
            fs::set_permissions(scene.sandbox.path("home/state"), fs::Permissions::from_mode(0o500)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "directory.read-only",
        mend: "`chmod u+w ",
        code: 1,
    },
    Wrong {
        name: "the configuration is somebody else's",
        scene: || {
            if !skip::unless_root("the configuration is somebody else's") {
                return None;
            }
            let scene = Scene::healthy();
            chown(scene.sandbox.config(), Some(STRANGER), None).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "directory.foreign",
        mend: ".foreign`",
        code: 1,
    },
    Wrong {
        name: "the agent has another configuration than this shell names",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.set("CLOUD_AGENT_CONFIG", scene.sandbox.path("home/elsewhere"));
            Some(scene)
        },
        arguments: &[],
        finding: "directory.other",
        mend: "unset CLOUD_AGENT_CONFIG",
        code: 1,
    },
    Wrong {
        name: "nobody knows where the configuration is",
        scene: || {
            let scene = Scene::empty();
            for name in ["HOME", "XDG_CONFIG_HOME"] {
                scene.sandbox.unset(name);
            }
            Some(scene)
        },
        arguments: &[],
        finding: "directory.unknown",
        mend: "set `CLOUD_AGENT_CONFIG`",
        code: 1,
    },
];

/// An empty home of somebody who is bound by the modes of files, as root is not, with the state there; `None` if it cannot be.
pub(super) fn somebodys(what: &str, state: &str) -> Option<Scene> {
    let mut scene = Scene::empty();
    let state = scene.sandbox.path(state);
    fs::DirBuilder::new().mode(0o700).recursive(true).create(&state).unwrap();
    scene.sandbox.set("CLOUD_AGENT_STATE", state);
    if rustix::process::geteuid().is_root() {
        skip::unless_tool(what, "setpriv")?;
        scene.sandbox.give_to(STRANGER);
        scene.user = Some(STRANGER);
    }
    Some(scene)
}

pub(super) fn private(directory: &Path) {
    fs::DirBuilder::new().mode(0o700).create(directory).unwrap();
}

#[test]
fn what_is_wrong_with_directories_is_named_with_its_mend() {
    are_named(&TABLE);
}
