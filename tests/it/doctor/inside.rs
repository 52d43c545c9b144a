//! What only the agent knows: configuration, vault, network, accounts.

use std::any::Any;
use std::fs;
use std::net::TcpListener;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::REFRESH;
use cloud_agent_tests::keyring::{Bus, Keyring, State};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};
use serde_json::json;

use super::{Scene, Wrong, are_named};

pub(super) const TABLE: [Wrong; 24] = [
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
    Wrong {
        name: "an account is not logged in",
        scene: || {
            let scene = Scene::healthy();
            scene.sandbox.token(["logout", "ecHome"]).ok();
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "account.needs-login",
        mend: "`cloud-token login ecHome",
        code: 4,
    },
    Wrong {
        name: "the cloud has ended the session",
        scene: || {
            let scene = Scene::healthy();
            crate::support::spoil(&scene.sandbox, &scene.cloud, "ecHome");
            scene.cloud.revoke_refresh_tokens();
            assert_eq!(scene.sandbox.token(["ecHome", "--no-input"]).code(), 4);
            Some(scene)
        },
        arguments: &[],
        finding: "account.needs-login",
        mend: "`cloud-token login ecHome",
        code: 4,
    },
    Wrong {
        name: "the cloud is away",
        scene: || {
            let scene = Scene::healthy();
            crate::support::spoil(&scene.sandbox, &scene.cloud, "ecHome");
            scene.cloud.break_always(REFRESH, Fault::status(503, &json!({})));
            assert_eq!(scene.sandbox.token(["ecHome", "--no-input"]).code(), 5);
            Some(scene)
        },
        arguments: &[],
        finding: "account.failing",
        mend: "`cloud-token check ecHome`",
        code: 5,
    },
    Wrong {
        name: "the cloud is away, and the token still lives",
        scene: || {
            let scene = Scene::healthy();
            scene.cloud.break_next(3, REFRESH, Fault::status(503, &json!({})));
            assert_eq!(scene.sandbox.token(["ecHome", "--no-input", "--fresh"]).code(), 5);
            Some(scene)
        },
        arguments: &[],
        finding: "account.failing",
        mend: "`cloud-token check ecHome`",
        code: 5,
    },
    Wrong {
        name: "an account is of no cloud",
        scene: || {
            let scene = Scene::healthy();
            scene.configure("\n[account.lost]\ncloud = \"atlantis\"\nmethod = \"password\"\n");
            Some(scene)
        },
        arguments: &[],
        finding: "account.config",
        mend: "`cloud-token login lost --cloud CLOUD`",
        code: 6,
    },
    Wrong {
        name: "the file of an account's certificate authority is gone",
        scene: || {
            let scene = Scene::healthy();
            let ca = scene.sandbox.path("home/ca.pem");
            fs::write(&ca, "").unwrap();
            let path = scene.sandbox.config().join("accounts.toml");
            let text = fs::read_to_string(&path).unwrap();
            let cloud = "cloud = \"echome\"\n";
            fs::write(path, text.replacen(cloud, &format!("{cloud}ca-file = \"{}\"\n", ca.display()), 1)).unwrap();
            Some(scene)
        },
        arguments: &[],
        finding: "account.ca-file",
        mend: "--set ca-file=",
        code: 1,
    },
];

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

#[test]
fn what_is_wrong_with_configuration_vault_network_and_accounts_is_named_with_its_mend() {
    are_named(&TABLE);
}
