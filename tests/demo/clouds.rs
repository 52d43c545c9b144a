//! The second part: five clouds, and what is special at each.

use std::time::Duration;

use cloud_agent_tests::fake::cleura::{Cleura, Second};
use cloud_agent_tests::fake::echome::EcHome;
use cloud_agent_tests::fake::greencloud::GreenCloud;
use cloud_agent_tests::fake::openvcloud::OpenvCloud;
use cloud_agent_tests::fake::totp;
use cloud_agent_tests::fake::webitel::Webitel;
use cloud_agent_tests::skip;

use crate::stage::Stage;

const ALICE: &str = "alice@example.com";

/// All of them, held by one agent.
pub(crate) fn show() {
    let stage = Stage::new(false);
    stage.say("Five clouds, one agent. Long tokens are cut at … from here on. Every secret is in a variable.");
    stage.show("cloud-agent &");
    let agent = stage.sandbox.agent();

    // They go on running: logging out tells them.
    let cleura = Cleura::start();
    show_cleura(&stage, &cleura);
    let ovc = OpenvCloud::start();
    show_openvcloud(&stage, &ovc);
    let green = GreenCloud::start();
    show_greencloud(&stage, &green);
    let webitel = Webitel::start();
    show_webitel(&stage, &webitel);
    let home = EcHome::start();
    stage.say("ecHome, as before.");
    stage.sandbox.set("ECHOME_SECRET", home.add_key("AKIADEMO"));
    let secret = ["--set", "access-id=AKIADEMO", "--secret", "secret=env:ECHOME_SECRET"];
    stage.works(&[&["login", "ecHome", "--url", &home.url()][..], &secret].concat());

    stage.say("All of them at a glance, and what else is known.");
    let status = stage.works(&["status"]);
    for cloud in ["cleura", "openvcloud", "greencloud", "webitel", "echome"] {
        assert!(status.lines().any(|line| line.contains(cloud) && line.contains("valid")), "`{cloud}` is well");
    }
    let known = stage.works(&["clouds"]);
    assert!(known.contains("keystone"), "there is a sixth");

    stage.say("Is a token alive? The cloud itself is asked. And some clouds name things to do that are no login.");
    assert_eq!(stage.works(&["check", "openvcloud"]), "alive");
    stage.works(&["do", "cleura"]);
    let regions = stage.works(&["do", "cleura", "regions"]);
    assert!(regions.contains("Sto2") && regions.contains("Kna1"), "the regions are listed");

    stage.say("Good-bye. Where a cloud can be told to forget a token, it is.");
    let token = stage.sandbox.token(["cleura"]).ok().to_owned();
    stage.works(&["logout", "cleura", "openvcloud", "greencloud", "greencloud-bob", "webitel", "ecHome"]);
    assert!(!cleura.accepts(ALICE, &token) && webitel.sessions() == 0, "they were told");
    stage.works(&["stop"]);
    assert!(agent.wait(Duration::from_secs(10)).success(), "the agent ends in good order");
    let breaches = [cleura.violations(), ovc.violations(), green.violations(), webitel.violations(), home.violations()];
    assert_eq!(breaches.concat(), Vec::<String>::new(), "no cloud was asked wrongly");
}

fn show_cleura(stage: &Stage, cloud: &Cleura) {
    stage.sandbox.set("CLEURA_PASSWORD", cloud.add(ALICE, Second::Sms));
    cloud.next_code(ALICE, "012345");
    let (url, who) = (cloud.url(), format!("username={ALICE}"));
    let login = ["login", "cleura", "--url", &url, "--set", &who, "--secret", "password=env:CLEURA_PASSWORD"];
    if skip::find("setsid").is_some() {
        stage.say("Cleura sends a text message, and asks at the terminal for the code in it.");
        stage.typed(&login, |_| cloud.last_code(ALICE), "held by the agent: token\r\n");
    } else {
        stage.say("Cleura sends a text message. A terminal would be asked for the code; `setsid` could make one here.");
        stage.works(&[&login[..], &["--set", "sms-code=012345"]].concat());
    }
    assert_eq!(cloud.messages(ALICE).len(), 1, "one message was sent");
    stage.say("It wants two headers. It never says when a token ends: within a day, so 20 hours are assumed.");
    let headers = stage.works(&["cleura", "-o", "headers"]);
    let token =
        headers.lines().find_map(|line| line.strip_prefix("X-AUTH-TOKEN: ")).expect("there is the second header");
    assert!(headers.starts_with("X-AUTH-LOGIN: ") && cloud.accepts(ALICE, token), "the cloud accepts them");
}

fn show_openvcloud(stage: &Stage, cloud: &OpenvCloud) {
    stage.say("OpenvCloud: itsyou.online mints the tokens, a portal takes them. Each has its own address.");
    stage.sandbox.set("OVC_SECRET", cloud.add_key("client-1", "alice"));
    let (portal, iam) = (cloud.portal.url(), format!("iam={}", cloud.iam.url()));
    let given = ["--set", "client-id=client-1", "--secret", "client-secret=env:OVC_SECRET"];
    stage.works(&[&["login", "openvcloud", "--url", &portal, "--url", &iam][..], &given].concat());
    let headers = stage.works(&["openvcloud", "-o", "headers"]);
    let token = headers.strip_prefix("Authorization: bearer ").expect("the scheme is spelt as the portal's clients do");
    assert!(cloud.accepts(token), "the portal accepts it");
}

fn show_greencloud(stage: &Stage, cloud: &GreenCloud) {
    stage.say("Green Cloud: the agent can hold what a login takes, so that it can log in again by itself.");
    stage.sandbox.set("GREEN_PASSWORD", cloud.add_user(ALICE));
    let (url, who) = (cloud.url(), format!("email={ALICE}"));
    let login = ["login", "greencloud", "--url", &url, "--set", &who, "--secret", "password=env:GREEN_PASSWORD"];
    stage.works(&[&login[..], &["--remember", "--no-input"]].concat());
    if skip::find("setsid").is_some() {
        stage.say("Two-factor authentication is switched on: the seed is shown once, for a second authenticator.");
        stage.typed(
            &["do", "greencloud", "2fa-enable"],
            |shown| {
                let seed = cloud.pending_seed(ALICE).expect("a seed was given out");
                assert!(shown.contains(&seed), "it is shown");
                totp::code(&seed)
            },
            "the agent holds the seed\r\n",
        );
        assert!(cloud.is_enrolled(ALICE), "it is on");
    }
    stage.say("The agent answers for the codes. So it does for a seed that it is given, here of another account.");
    let bob = "bob@example.com";
    stage.sandbox.set("BOB_PASSWORD", cloud.add_user(bob));
    stage.sandbox.set("BOB_SEED", cloud.enrol(bob));
    let secrets = ["--secret", "password=env:BOB_PASSWORD", "--secret", "seed=env:BOB_SEED", "--no-input"];
    stage
        .works(&[&["login", "greencloud-bob", "--url", &url, "--set", "email=bob@example.com"][..], &secrets].concat());
    let headers = stage.works(&["greencloud-bob", "-o", "headers"]);
    let token = headers.strip_prefix("Authorization: ").expect("there is a header");
    assert!(cloud.accepts(token), "the cloud accepts it");
}

fn show_webitel(stage: &Stage, cloud: &Webitel) {
    stage.say("Webitel: a token and a key, which are good together only.");
    let user = "100@mydomain.com";
    stage.sandbox.set("WEBITEL_PASSWORD", cloud.add_user(user));
    let (url, who) = (cloud.url(), format!("username={user}"));
    stage.works(&["login", "webitel", "--url", &url, "--set", &who, "--secret", "password=env:WEBITEL_PASSWORD"]);
    let headers = stage.works(&["webitel", "-o", "headers"]);
    let pairs: Vec<_> = headers.lines().filter_map(|line| line.split_once(": ")).collect();
    assert!(pairs.len() == 2 && cloud.accepts(&pairs) && !cloud.accepts(&pairs[..1]), "the cloud wants both");
}
