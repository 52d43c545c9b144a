//! What only the agent knows: configuration, vault, network.

use std::any::Any;
use std::fs;
use std::net::TcpListener;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::REFRESH;
use cloud_agent_tests::keyring::{Bus, Keyring, State};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::json;

use super::proofs::with_vault;
use super::{Scene, Wrong, are_named, bad, findings};

pub(super) const TABLE: [Wrong; 19] = [
    Wrong {
        name: "the agent is locked",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.command("cloud-token").args(["lock", "--passphrase", "env:PW"]).env("PW", "x").finish().ok();
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "agent.locked",
        mend: "`cloud-token unlock`",
        code: 4,
    },
    Wrong {
        name: "accounts.toml is no TOML",
        scene: || {
            let scene = Scene::healthy();
            scene.configure("\n[accounts\n");
            Some(scene)
        },
        arguments: &[],
        finding: "config.accounts",
        mend: "accounts.toml",
        code: 1,
    },
    Wrong {
        name: "a file of a cloud is wrong",
        scene: || {
            let scene = Scene::healthy();
            fs::create_dir_all(scene.sandbox.config().join("clouds")).unwrap();
            fs::write(scene.sandbox.config().join("clouds/mine.toml"), "titel = \"Mine\"\n").unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "config.cloud",
        mend: "`cloud-agent check ",
        code: 1,
    },
    Wrong {
        name: "vault.toml names no vault that there is",
        scene: || {
            let scene = Scene::healthy();
            fs::write(scene.sandbox.config().join("vault.toml"), "kind = \"drawer\"\n").unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "config.vault",
        mend: "`keyring`",
        code: 1,
    },
    Wrong {
        name: "vault.toml can be written by others",
        scene: || {
            let scene = Scene::healthy();
            let file = scene.sandbox.config().join("vault.toml");
            fs::write(&file, "kind = \"memory\"\n").unwrap();
            fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "config.vault",
        mend: "`chmod go-w ",
        code: 1,
    },
    Wrong {
        name: "a rule is about no account",
        scene: || {
            let scene = Scene::healthy();
            scene.configure("\n[[policy]]\naccount = \"nobody\"\naction = \"deny\"\n");
            // An edit of rules counts within a second.
            let counts = || scene.sandbox.token(["status"]).ok().contains("which is no account");
            assert!(until(PATIENCE, counts));
            Some(scene)
        },
        arguments: &[],
        finding: "config.access",
        mend: "edit that rule",
        code: 1,
    },
    Wrong {
        name: "there is no keyring, and what is held goes with the agent",
        scene: || {
            let mut scene = Scene::empty();
            scene.agent = Some(scene.sandbox.agent_with(["--vault", "auto"]));
            scene.login("ecHome", &[]);
            Some(scene)
        },
        arguments: &[],
        finding: "vault.memory",
        mend: "`cloud-token vault move passphrase`",
        code: 1,
    },
    Wrong {
        name: "the vault waits for its passphrase",
        scene: || {
            let mut scene = Scene::empty();
            scene.agent = Some(scene.sandbox.agent_with(["--vault", "passphrase"]));
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "vault.locked",
        mend: "`cloud-token unlock`",
        code: 4,
    },
    Wrong {
        name: "the keyring has died since the agent started",
        scene: || {
            with_keyring("the keyring has died since the agent started", |keyring, bus| {
                keyring.dies(bus);
                Box::new(())
            })
        },
        arguments: &[],
        finding: "vault.keyring",
        mend: "unlock the session's keyring",
        code: 4,
    },
    Wrong {
        name: "the keyring hangs",
        scene: || {
            with_keyring("the keyring hangs", |keyring, _| {
                keyring.hangs();
                Box::new(keyring)
            })
        },
        arguments: &[],
        finding: "vault.keyring",
        mend: "unlock the session's keyring",
        code: 4,
    },
    Wrong {
        name: "what is held of an account was damaged",
        scene: || {
            let mut scene = Scene::empty();
            scene.write("passphrase", "open sesame\n");
            fs::create_dir_all(scene.sandbox.config()).unwrap();
            let file = scene.sandbox.path("home/passphrase");
            let text = format!("kind = \"passphrase\"\n[passphrase]\nfile = \"{}\"\n", file.display());
            fs::write(scene.sandbox.config().join("vault.toml"), text).unwrap();
            fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            scene.agent = Some(scene.sandbox.agent_with::<[&str; 0]>([]));
            scene.login("ecHome", &[]);
            let sealed = scene.sandbox.state().join("vault/passphrase/echome.sealed");
            let mut bytes = fs::read(&sealed).unwrap();
            bytes[100] ^= 1;
            fs::write(&sealed, bytes).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "vault.warning",
        mend: "`cloud-token vault`",
        code: 1,
    },
    Wrong {
        name: "the vault takes no more",
        scene: || {
            let scene = with_vault(KEEPS);
            scene.login("ecHome", &[]);
            scene.write("full", "");
            // What it was to keep is in memory by then.
            scene.login("ecHome", &[]);
            Some(scene)
        },
        arguments: &[],
        finding: "vault.unsaved",
        mend: "`cloud-token vault`",
        code: 1,
    },
    Wrong {
        name: "the clock is wrong",
        scene: || {
            let scene = Scene::healthy();
            let date = Fault::Header("Date".into(), "Thu, 01 Jan 2015 00:00:00 GMT".into());
            scene.cloud.break_next(1, REFRESH, date);
            scene.sandbox.token(["ecHome", "--fresh"]).ok();
            Some(scene)
        },
        arguments: &[],
        finding: "clock.wrong",
        mend: "set",
        code: 1,
    },
    Wrong {
        name: "nobody is trusted",
        scene: || {
            let mut scene = Scene::empty();
            scene.sandbox.set("SSL_CERT_FILE", scene.sandbox.path("home/none.pem"));
            scene.sandbox.set("SSL_CERT_DIR", scene.sandbox.path("home"));
            scene.agent = Some(scene.sandbox.agent());
            Some(scene)
        },
        arguments: &[],
        finding: "tls.roots",
        mend: "`ca-certificates`",
        code: 1,
    },
    Wrong {
        name: "the agent trusts others than this shell says",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.set("SSL_CERT_FILE", "/etc/ssl/mine.pem");
            Some(scene)
        },
        arguments: &[],
        finding: "tls.differs",
        mend: "`cloud-token stop`",
        code: 1,
    },
    Wrong {
        name: "the agent was started before the proxy was set",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.set("HTTPS_PROXY", "http://alice:secret@proxy.example:3128");
            Some(scene)
        },
        arguments: &[],
        finding: "proxy.differs",
        mend: "`cloud-token stop`",
        code: 1,
    },
    Wrong {
        name: "systemd starts the agent, and knows nothing of the proxy",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.command("cloud-token").args(["setup", "systemd"]).finish().ok();
            scene.sandbox.set("https_proxy", "http://proxy.example:3128");
            Some(scene)
        },
        arguments: &[],
        finding: "proxy.differs",
        mend: "`systemctl --user import-environment https_proxy && cloud-token stop`",
        code: 1,
    },
    Wrong {
        name: "nobody answers at the proxy",
        scene: || {
            let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            Some(behind(&format!("http://{closed}")))
        },
        arguments: &[],
        finding: "proxy.silent",
        mend: "HTTPS_PROXY",
        code: 5,
    },
    Wrong {
        name: "the proxy is none of HTTP",
        scene: || Some(behind("socks5://127.0.0.1:1080")),
        arguments: &[],
        finding: "proxy.unusable",
        mend: "HTTPS_PROXY",
        code: 1,
    },
];

/// A vault that keeps what it is given, until there is a file `full` in the home.
const KEEPS: &str = "cd \"$HOME\"
case $1 in
    load) cat \"$2.record\" 2>/dev/null; exit 0 ;;
    save) cat >new; [ ! -e full ] || { echo 'no room' >&2; exit 1; }; mv new \"$2.record\" ;;
    erase) rm -f \"$2.record\" ;;
    list) for record in *.record; do [ ! -e \"$record\" ] || echo \"${record%.record}\"; done ;;
esac";

/// With an agent whose way leads over a proxy.
fn behind(proxy: &str) -> Scene {
    let mut scene = Scene::empty();
    scene.sandbox.set("HTTPS_PROXY", proxy);
    scene.agent = Some(scene.sandbox.agent());
    scene
}

/// With an account whose vault's key is in a keyring, to which something happens.
fn with_keyring(what: &str, happens: impl FnOnce(Keyring, &Bus) -> Box<dyn Any>) -> Option<Scene> {
    if ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"].iter().any(|tool| skip::unless_tool(what, tool).is_none()) {
        return None;
    }
    let mut scene = Scene::empty();
    let bus = Bus::start(&scene.sandbox);
    let keyring = Keyring::start(&bus, State::Unlocked);
    scene.agent = Some(scene.sandbox.agent_with(["--vault", "keyring"]));
    scene.login("ecHome", &[]);
    let left = happens(keyring, &bus);
    scene.kept.extend([left, Box::new(bus)]);
    Some(scene)
}

/// Something that is well, by the finding that says so.
type Well = (&'static str, fn() -> Scene);

pub(super) const WELL: [Well; 3] = [
    ("vault.open", || with_vault(KEEPS)),
    ("account.renewable", || {
        let scene = Scene::healthy();
        scene.sandbox.token(["drop"]).ok();
        scene
    }),
    ("proxy.answers", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut scene = behind(&format!("http://{}", listener.local_addr().unwrap()));
        scene.kept.push(Box::new(listener));
        scene
    }),
];

#[test]
fn what_is_well_is_said_and_is_no_trouble() {
    for (id, scene) in WELL {
        let (outcome, found) = scene().examined(&[]);
        let said = findings(&found).iter().find(|finding| finding["id"] == id);
        assert_eq!(said.map(|said| &said["level"]), Some(&json!("ok")), "{id}: {found:#}");
        assert_eq!((bad(&found), outcome.code()), (Vec::new(), 0), "{id}");
    }
}

#[test]
fn what_is_wrong_with_configuration_vault_and_network_is_named_with_its_mend() {
    are_named(&TABLE);
}
