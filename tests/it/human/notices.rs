//! One notice, by a command or on the desktop, with nothing secret in it.

use std::fs;
use std::time::Duration;

use cloud_agent_tests::process;
use cloud_agent_tests::sandbox::Sandbox;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{Scene, token};

#[test]
fn however_often_an_account_is_asked_for_one_notice_goes_out_and_none_that_was_mended_at_once() {
    let scene = Scene::new();
    scene.lose();
    scene.is_refused();
    scene.log_in();
    assert!(scene.cloud.accepts(&token(&scene.sandbox, "ecHome")));
    scene.lose();
    for _ in 0..5 {
        scene.is_refused();
    }
    scene.is_told();
    for _ in 0..5 {
        scene.is_refused();
    }
    assert_eq!(scene.told(), ["ecHome: cloud-token login ecHome"]);
    scene.log_in();
    scene.lose();
    scene.is_refused();
    assert!(until(PATIENCE, || scene.told().len() == 2), "what comes after a login is news");
}

#[test]
fn the_command_gets_no_secret_in_its_environment_its_arguments_or_its_input() {
    let dump = "{ env; tr '\\0' ' ' </proc/$$/cmdline; cat; } >\"$HOME/dump\"; echo done >>\"$HOME/told\"";
    let scene = Scene::told_by(dump);
    let token = scene.lose();
    scene.is_refused();
    scene.is_told();
    let dump = fs::read_to_string(scene.file("dump")).unwrap();
    for line in [
        "CLOUD_AGENT_NOTICE_ACCOUNT=ecHome",
        "CLOUD_AGENT_NOTICE_CLOUD=echome",
        "CLOUD_AGENT_NOTICE_REASON=login",
        "CLOUD_AGENT_NOTICE_COMMAND=cloud-token login ecHome",
        "CLOUD_AGENT_NOTICE_TITLE=ecHome needs a login",
        "CLOUD_AGENT_NOTICE_TEXT=A token is wanted. In a terminal: cloud-token login ecHome",
    ] {
        assert!(dump.lines().any(|told| told == line), "{line}: {dump}");
    }
    for secret in [&token, &scene.secret] {
        assert!(!dump.contains(secret.as_str()));
    }
    assert!(!dump.contains("eyJ"), "no JWT either: {dump}");
}

#[test]
fn a_command_that_hangs_holds_up_nobody_and_ends_with_the_agent() {
    let scene = Scene::told_by("echo $$ >>\"$HOME/told\"; exec sleep 1000");
    scene.lose();
    scene.is_refused();
    scene.is_told();
    scene.is_refused();
    scene.log_in();
    assert!(scene.cloud.accepts(&token(&scene.sandbox, "ecHome")));
    let pid: u32 = scene.told()[0].parse().unwrap();
    assert!(process::runs(pid));
    assert!(scene.agent.stop(Duration::from_secs(5)).success());
    assert!(until(PATIENCE, || !process::runs(pid)), "it is left behind");
}

#[test]
fn the_accounts_file_says_how_and_is_heard_at_once() {
    let scene = Scene::telling(&[]);
    let file = scene.sandbox.config().join("accounts.toml");
    let accounts = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("notify = \"echo by the file >>'{}'\"\n{accounts}", scene.file("told").display()))
        .unwrap();
    scene.lose();
    scene.is_refused();
    scene.is_told();
    assert_eq!(scene.told(), ["by the file"]);
    fs::write(&file, format!("notify = \"\"\n{accounts}")).unwrap();
    let status = scene.sandbox.token(["status"]);
    assert!(status.stdout.contains("`notify` is a command, `desktop` or `none`"), "{status:?}");
    fs::write(&file, format!("notfy = \"none\"\n{accounts}")).unwrap();
    let status = scene.sandbox.token(["status"]);
    assert!(status.stdout.contains("did you mean `notify`?"), "{status:?}");
}

#[test]
fn the_agents_of_other_tests_tell_nobody() {
    let scene = Scene::with(Sandbox::agent);
    let file = scene.sandbox.config().join("accounts.toml");
    let accounts = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("notify = \"echo other >>'{}'\"\n{accounts}", scene.file("told").display())).unwrap();
    // Of two agents the one that tells begins later: once it has, the other would have.
    let telling = Scene::new();
    for scene in [&scene, &telling] {
        scene.lose();
        scene.is_refused();
    }
    telling.is_told();
    assert_eq!(scene.told(), Vec::<String>::new());
}

#[cfg(target_os = "linux")]
mod on_a_desktop {
    use cloud_agent_tests::desktop::{Desktop, Shown};
    use cloud_agent_tests::keyring::Bus;
    use cloud_agent_tests::sandbox::AGENT;
    use cloud_agent_tests::skip;
    use cloud_agent_tests::wait::{PATIENCE, until};

    use super::super::Scene;

    #[test]
    fn without_a_command_the_desktop_shows_it_once() {
        let what = "without_a_command_the_desktop_shows_it_once";
        if skip::unless_tool(what, "dbus-daemon").is_none() {
            return;
        }
        let mut desktop = None;
        let mut bus = None;
        let scene = Scene::with(|sandbox| {
            let session = Bus::start(sandbox);
            desktop = Some(Desktop::start(&session));
            bus = Some(session);
            sandbox.agent_that_tells(sandbox.command(AGENT).args(["--vault", "memory"]))
        });
        let desktop = desktop.unwrap();
        scene.lose();
        for _ in 0..3 {
            scene.is_refused();
        }
        assert!(until(PATIENCE, || !desktop.shown().is_empty()), "{}", scene.agent.doing());
        scene.is_refused();
        let shown = Shown {
            from: "cloud-agent".into(),
            title: "ecHome needs a login".into(),
            text: "A token is wanted. In a terminal: cloud-token login ecHome".into(),
        };
        assert_eq!(desktop.shown(), [shown]);
        // What the body may not say is markup.
        let told = scene.sandbox.command(AGENT).arg("notify").env("CLOUD_AGENT_NOTICE_TITLE", "<b>");
        told.env("CLOUD_AGENT_NOTICE_TEXT", "a <b>&</b>").finish().ok();
        assert_eq!(desktop.shown()[1].text, "a &lt;b&gt;&amp;&lt;/b&gt;");
    }

    #[test]
    fn a_desktop_that_is_not_there_is_a_line_in_the_log_and_nothing_more() {
        let scene = Scene::telling(&["-v"]);
        scene.lose();
        scene.is_refused();
        assert!(until(PATIENCE, || scene.agent.log().contains("nobody could be told on a desktop")));
        scene.is_refused();
        assert!(scene.agent.runs());
    }
}
