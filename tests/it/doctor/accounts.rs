//! How accounts are, as only the agent knows.

use std::fs;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::REFRESH;
use serde_json::json;

use super::{Scene, Wrong, are_named};
use crate::support::{KEY, spoil};

pub(super) const TABLE: [Wrong; 8] = [
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
            spoil(&scene.sandbox, &scene.cloud, "ecHome");
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
        name: "the cloud refuses what is remembered",
        scene: || {
            let scene = Scene::healthy();
            scene.login("ecHome", &["--remember"]);
            spoil(&scene.sandbox, &scene.cloud, "ecHome");
            let _ = scene.cloud.change_secret(KEY);
            scene.cloud.revoke_refresh_tokens();
            assert_eq!(scene.sandbox.token(["ecHome", "--no-input"]).code(), 1);
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "account.refused",
        mend: "`cloud-token login ecHome",
        code: 1,
    },
    Wrong {
        name: "an account is in a vault that waits for its passphrase",
        scene: || {
            let mut scene = Scene::healthy();
            scene.agent.take();
            scene.agent = Some(scene.sandbox.agent_with(["--vault", "passphrase"]));
            Some(scene)
        },
        arguments: &["--prove"],
        finding: "account.locked",
        mend: "`cloud-token unlock`",
        code: 4,
    },
    Wrong {
        name: "the cloud is away",
        scene: || {
            let scene = Scene::healthy();
            spoil(&scene.sandbox, &scene.cloud, "ecHome");
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

#[test]
fn what_is_wrong_with_accounts_is_named_with_its_mend() {
    are_named(&TABLE);
}
