//! What a mend has to type is pasted into a shell, where directories are called as people call theirs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use cloud_agent_tests::sandbox::{Run, TOKEN};
use cloud_agent_tests::skip;
use serde_json::Value;

use super::directories::{STRANGER, private, somebodys};
use super::{Scene, findings};

/// What a shell would take apart.
const NAME: &str = "Joe's own things";

/// With configuration and state below a directory of that name.
fn below_an_odd_name() -> Scene {
    let scene = Scene::empty();
    private(&things(&scene));
    for (variable, name) in [("CLOUD_AGENT_CONFIG", "config"), ("CLOUD_AGENT_STATE", "state")] {
        private(&things(&scene).join(name));
        scene.sandbox.set(variable, things(&scene).join(name));
    }
    scene
}

/// The same with a place for the socket.
fn with_its_socket() -> (Scene, PathBuf) {
    let scene = below_an_odd_name();
    let directory = things(&scene).join("run");
    private(&directory);
    scene.sandbox.set("CLOUD_AGENT_SOCK", directory.join("agent.sock"));
    (scene, directory)
}

fn things(scene: &Scene) -> PathBuf {
    scene.sandbox.path("home").join(NAME)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What is wrong there, by the finding that names it; `None` if it cannot be made here, which was said.
type Case = (&'static str, fn() -> Option<Scene>);

const CASES: [Case; 8] = [
    ("socket.directory", || {
        let (scene, directory) = with_its_socket();
        set_mode(&directory, 0o755);
        Some(scene)
    }),
    ("socket.obstacle", || {
        let (scene, directory) = with_its_socket();
        fs::write(directory.join("agent.sock"), "precious").unwrap();
        Some(scene)
    }),
    ("directory.open", || {
        let scene = below_an_odd_name();
        set_mode(&things(&scene).join("config"), 0o777);
        Some(scene)
    }),
    ("directory.obstacle", || {
        let scene = below_an_odd_name();
        fs::remove_dir(things(&scene).join("state")).unwrap();
        fs::write(things(&scene).join("state"), "").unwrap();
        Some(scene)
    }),
    ("directory.unusable", || {
        let scene = below_an_odd_name();
        fs::write(things(&scene).join("data"), "").unwrap();
        scene.sandbox.set("CLOUD_AGENT_STATE", things(&scene).join("data/state"));
        Some(scene)
    }),
    ("directory.read-only", || {
        let state = format!("home/{NAME}");
        let scene = somebodys("a directory of an odd name that may not be written", &state)?;
        set_mode(&things(&scene), 0o500);
        Some(scene)
    }),
    ("directory.foreign", || {
        if !skip::unless_root("a directory of an odd name that is somebody else's") {
            return None;
        }
        let scene = below_an_odd_name();
        chown(things(&scene).join("config"), Some(STRANGER), None).unwrap();
        Some(scene)
    }),
    ("config.vault", || {
        let mut scene = below_an_odd_name();
        scene.agent = Some(scene.sandbox.agent());
        // It has read that file by then.
        scene.login("ecHome", &[]);
        let file = things(&scene).join("config/vault.toml");
        fs::write(&file, "kind = \"memory\"\n").unwrap();
        set_mode(&file, 0o666);
        Some(scene)
    }),
];

fn named(scene: &Scene, id: &str) -> Option<Value> {
    let (_, found) = scene.examined(&[]);
    findings(&found).iter().find(|finding| finding["id"] == id && finding["level"] != "ok").cloned()
}

#[test]
fn what_mends_it_can_be_pasted_whatever_a_directory_is_called() {
    for (id, scene) in CASES {
        let Some(scene) = scene() else { continue };
        let finding = named(&scene, id).unwrap_or_else(|| panic!("`{id}` is not named: {:#}", scene.examined(&[]).1));
        let mend = finding["mend"].as_str().unwrap();
        let Some(command) = mend.split('`').nth(1) else { panic!("{id}: nothing to type: {mend}") };
        assert!(command.contains(r"Joe'\''s own things"), "{id}: {command}");
        let shell = scene.sandbox.command("sh").args(["-c", command]);
        scene.user.into_iter().fold(shell, Run::as_user).finish().ok();
        assert_eq!(named(&scene, id), None, "{id}: `{command}` mends nothing");
    }
}

#[test]
fn a_program_in_a_directory_of_an_odd_name_is_found_where_setup_wrote_it() {
    let scene = Scene::empty();
    private(&things(&scene));
    let program = things(&scene).join(TOKEN);
    fs::hard_link(scene.sandbox.program(TOKEN), &program).unwrap();
    fs::hard_link(scene.sandbox.program("cloud-agent"), things(&scene).join("cloud-agent")).unwrap();
    scene.sandbox.command(&program).args(["setup", "git"]).finish().ok();
    let outcome = scene.sandbox.command(&program).args(["doctor", "--json"]).finish();
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let ids: Vec<&str> = findings(&found).iter().filter_map(|finding| finding["id"].as_str()).collect();
    assert!(ids.contains(&"git.ready"), "{found:#}");
}
