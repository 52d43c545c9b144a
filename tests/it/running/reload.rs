//! An edited configuration is read while the agent runs, and a bad edit changes nothing.

use std::fs;
use std::path::PathBuf;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{EcHome, REFRESH};
use cloud_agent_tests::sandbox::{AGENT, Agent, Sandbox};
use cloud_agent_tests::wait::{PATIENCE, until};
use rustix::process::Signal;

use super::systemd::Manager;
use crate::support::{KEY, login, sandbox, token};

/// An agent with an account at a cloud that is there.
fn scene() -> (EcHome, Sandbox, Agent, PathBuf) {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let agent = sandbox.agent();
    for account in ["ecHome", "other"] {
        login(&sandbox, account, &cloud.url(), &secret).finish().ok();
    }
    let file = sandbox.config().join("accounts.toml");
    (cloud, sandbox, agent, file)
}

/// An agent that has read its configuration: its socket is there before.
fn serving(sandbox: &Sandbox) -> Agent {
    let agent = sandbox.agent();
    sandbox.token(["status"]).ok();
    agent
}

#[track_caller]
fn says(agent: &Agent, words: &str) {
    assert!(until(PATIENCE, || agent.log().contains(words)), "no `{words}` in:\n{}", agent.log());
}

#[test]
fn a_bad_edit_is_named_by_line_and_key_and_everything_goes_on_as_before() {
    let (cloud, sandbox, agent, file) = scene();
    let before = token(&sandbox, "ecHome");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replacen("method", "metod", 1)).unwrap();
    // Nobody has asked since.
    says(&agent, "accounts.toml:");
    let line = good.lines().position(|line| line.starts_with("method")).unwrap() + 1;
    let complaint = format!("accounts.toml:{line}");
    says(&agent, &complaint);
    assert!(agent.log().contains("metod") && agent.log().contains("used as they were"), "{}", agent.log());
    let status = sandbox.token(["status"]);
    assert!(status.stdout.contains("other") && status.stdout.contains(&complaint), "{status:?}");
    assert_eq!(token(&sandbox, "ecHome"), before);
    assert_eq!(sandbox.token(["ecHome", "--fresh"]).code(), 0, "it can even be renewed");
    // What is broken is not written to.
    assert_eq!(sandbox.token(["logout", "other", "--forget"]).code(), 1);
    fs::write(&file, good).unwrap();
    says(&agent, "the accounts were read again");
    assert!(!sandbox.token(["status"]).stdout.contains(&complaint));
    assert_eq!(cloud.logins(), 2);
}

#[test]
fn an_edited_account_loses_its_token_and_the_others_keep_theirs() {
    let (cloud, sandbox, agent, file) = scene();
    let (mine, others) = (token(&sandbox, "ecHome"), token(&sandbox, "other"));
    let moved = EcHome::start();
    let text = fs::read_to_string(&file).unwrap();
    let (first, second) = text.split_once("[account.other]").unwrap();
    fs::write(&file, format!("{first}[account.other]{}", second.replace(&cloud.url(), &moved.url()))).unwrap();
    says(&agent, "the accounts were read again edited=1");
    assert_eq!(token(&sandbox, "ecHome"), mine);
    let outcome = sandbox.token(["other", "--no-input"]);
    assert!(outcome.fails(4).contains("other"), "{others} was for another place: {outcome:?}");
    assert_eq!(moved.refreshes(), 0, "nothing was sent there that was meant for here");
}

#[test]
fn a_renewal_under_way_comes_to_its_end_whatever_is_edited_meanwhile() {
    let (cloud, sandbox, agent, file) = scene();
    cloud.break_next(1, REFRESH, Fault::Delay(std::time::Duration::from_millis(700)));
    let renewing = sandbox.command("cloud-token").args(["ecHome", "--fresh"]).spawn();
    cloud.wait_for(PATIENCE, |requests| requests.iter().any(|request| request.path.contains("refresh")));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("[account.ecHome]", "[account.ecHome]\nlifetime = \"30m\"", 1)).unwrap();
    says(&agent, "the accounts were read again edited=1");
    assert!(cloud.accepts(renewing.finish().ok()));
    assert_eq!(cloud.refreshes(), 1);
    assert!(cloud.accepts(&token(&sandbox, "ecHome")));
}

const ACME: &str = "title = \"Acme\"\ndocs = \"https://a.example\"\n[[origin]]\nprompt = \"Address\"\n[[method]]\n\
    name = \"token\"\ntitle = \"Token\"\nheaders = [\"X: {t}\"]\nhold = [\"t\"]\n\
    ask = [{ name = \"t\", prompt = \"T\", secret = true }]\n";

#[test]
fn a_cloud_of_ones_own_is_known_once_it_is_written_and_stays_known_when_it_is_spoilt() {
    let sandbox = sandbox();
    let clouds = sandbox.config().join("clouds");
    fs::create_dir_all(&clouds).unwrap();
    let agent = serving(&sandbox);
    fs::write(clouds.join("acme.toml"), ACME).unwrap();
    says(&agent, "the clouds were read again edited=1");
    assert_eq!(sandbox.token(["clouds", "acme"]).code(), 0);
    fs::write(clouds.join("acme.toml"), ACME.replace("docs", "dosc")).unwrap();
    says(&agent, "acme.toml`, line 2");
    assert!(agent.log().contains("dosc") && agent.log().contains("stays as it was"), "{}", agent.log());
    assert!(sandbox.token(["clouds", "acme"]).ok().contains("Acme"));
    assert!(sandbox.token(["status"]).stdout.contains("acme.toml`, line 2"));
    fs::write(clouds.join("acme.toml"), ACME.replace("\"Acme\"", "\"Better\"")).unwrap();
    assert!(until(PATIENCE, || sandbox.token(["clouds", "acme"]).ok().contains("Better")));
    assert!(!sandbox.token(["status"]).stdout.contains("line 2"));
}

#[test]
fn a_directory_that_was_not_there_when_the_agent_started_counts_as_well() {
    let sandbox = sandbox();
    let agent = serving(&sandbox);
    let clouds = sandbox.config().join("clouds");
    fs::create_dir_all(&clouds).unwrap();
    fs::write(clouds.join("acme.toml"), ACME).unwrap();
    // No notice of the kernel tells of that; the next use does.
    assert_eq!(sandbox.token(["clouds", "acme"]).code(), 0);
    assert!(agent.log().contains("the clouds were read again"), "{}", agent.log());
}

#[test]
fn a_hang_up_reads_the_configuration_again_and_tells_the_service_manager() {
    let sandbox = sandbox();
    let path = sandbox.path("home/notify");
    let manager = Manager::new(&path);
    // Without a terminal, as everything that a service manager starts.
    let run = sandbox.command("setsid").arg(sandbox.program(AGENT)).args(["--vault", "memory"]);
    let agent = sandbox.agent_from(run.env("NOTIFY_SOCKET", &path));
    assert_eq!(manager.hears(), "READY=1");
    agent.signal(Signal::HUP);
    let reloading = manager.hears();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("by systemd's rules");
    assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading}");
    assert_eq!(manager.hears(), "READY=1");
    says(&agent, "told to read the configuration again");
    assert!(agent.runs());
}
