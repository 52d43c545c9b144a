//! What only a try finds.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::thread;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::MACHINES;
use cloud_agent_tests::sandbox::TOKEN;
use cloud_agent_tests::skip;

use super::{Scene, Wrong, are_named, findings};
use crate::support::{KEY, put_script};

pub(super) const TABLE: [Wrong; 6] = [
    Wrong {
        name: "the cloud does not take the token",
        scene: || {
            let scene = Scene::healthy();
            scene.cloud.revoke_access_tokens();
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "account.dead",
        mend: "`cloud-token ecHome`",
        code: 1,
    },
    Wrong {
        name: "the cloud cannot be asked",
        scene: || {
            let scene = Scene::healthy();
            scene.cloud.break_always(MACHINES, Fault::Reset);
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "account.unreachable",
        mend: "`cloud-token check ecHome`",
        code: 5,
    },
    Wrong {
        name: "a cloud offers no way to ask whether a token is alive",
        scene: || {
            let scene = Scene::healthy();
            // The same cloud without its own call for that, and without the examples of it.
            let text =
                fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/clouds/echome.toml")).unwrap();
            let text = text.split("\n[method.check]").next().unwrap();
            fs::create_dir_all(scene.sandbox.config().join("clouds")).unwrap();
            fs::write(scene.sandbox.config().join("clouds/mute.toml"), text).unwrap();
            let login = scene.sandbox.command(TOKEN).args(["login", "mute", "--no-input", "--url", &scene.cloud.url()]);
            let login = login.args(["--set", &format!("access-id={KEY}"), "--secret", "secret=env:IT_SECRET"]);
            login.env("IT_SECRET", &scene.secret).finish().ok();
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "account.unproved",
        mend: "",
        code: 0,
    },
    Wrong {
        name: "the vault forgets what it is given",
        scene: || Some(with_vault("case $1 in load|list) exit 0 ;; *) cat >/dev/null ;; esac")),
        arguments: &["--prove"],
        finding: "vault.round-trip",
        mend: "`cloud-token vault move KIND`",
        code: 1,
    },
    Wrong {
        name: "the vault fails",
        scene: || Some(with_vault("echo 'no such store' >&2; exit 3")),
        arguments: &["--prove"],
        finding: "vault.unreadable",
        mend: "run it by hand",
        code: 1,
    },
    Wrong {
        name: "another user is answered",
        scene: || {
            if !skip::unless_root("another user is answered") {
                return None;
            }
            let scene = Scene::empty();
            let directory = scene.sandbox.path("run/cloud-agent");
            fs::create_dir(&directory).unwrap();
            let listener = UnixListener::bind(scene.sandbox.socket()).unwrap();
            for open in [scene.sandbox.path("run"), directory, scene.sandbox.socket()] {
                fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
            }
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let _ = stream.read(&mut [0; 64]).and_then(|_| stream.write_all(b"anything"));
                }
            });
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "peer.second-user",
        mend: "`chmod 700 ",
        code: 3,
    },
];

/// With an agent whose vault is a program of the user's, which does this.
pub(super) fn with_vault(script: &str) -> Scene {
    let mut scene = Scene::empty();
    let program = scene.sandbox.path("vault.sh");
    put_script(&program, &format!("#!/bin/sh\n{script}\n"));
    fs::create_dir_all(scene.sandbox.config()).unwrap();
    let text = format!("kind = \"command\"\n[command]\nprogram = [\"{}\"]\n", program.display());
    fs::write(scene.sandbox.config().join("vault.toml"), text).unwrap();
    scene.agent = Some(scene.sandbox.agent_with::<[&str; 0]>([]));
    scene
}

#[test]
fn what_only_a_try_finds_is_named_with_its_mend() {
    are_named(&TABLE);
}

#[test]
fn a_sudo_that_hangs_and_cannot_be_ended_is_a_note() {
    let what = "a_sudo_that_hangs_and_cannot_be_ended_is_a_note";
    if !skip::unless_root(what) || skip::unless_tool(what, "cc").is_none() {
        return;
    }
    let mut scene = Scene::empty();
    // It belongs to root from its start, as the real one does; and is gone some time after this test.
    scene.write("sudo.c", "#include <unistd.h>\nint main(void) { setuid(0); alarm(60); for (;;) pause(); }\n");
    let sudo = scene.sandbox.program("sudo");
    let source = scene.sandbox.path("home/sudo.c");
    scene.sandbox.command("cc").arg("-o").arg(&sudo).arg(source).finish().ok();
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o4755)).unwrap();
    let directory = scene.sandbox.path("run/cloud-agent");
    fs::create_dir(&directory).unwrap();
    let _listener = UnixListener::bind(scene.sandbox.socket()).unwrap();
    for open in [scene.sandbox.path("run"), directory, scene.sandbox.socket()] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
    }
    scene.user = Some(1000);
    let (_, found) = scene.examined(&["--prove"]);
    let tried = findings(&found).iter().find(|finding| finding["id"] == "peer.second-user-untried");
    let tried = tried.unwrap_or_else(|| panic!("{found:#}"));
    assert_eq!(tried["evidence"][0], "it did not end in time");
}

#[test]
fn another_user_who_tries_is_turned_away() {
    let what = "another_user_who_tries_is_turned_away";
    if !skip::unless_root(what) {
        return;
    }
    let scene = Scene::healthy();
    let (_, found) = scene.examined(&["--prove"]);
    let tried = findings(&found).iter().find(|finding| finding["id"] == "peer.second-user").expect("root can try it");
    assert_eq!(tried["level"], "ok");
    assert!(tried["evidence"][0].as_str().unwrap().starts_with("as uid 65534: "), "{tried}");
}
