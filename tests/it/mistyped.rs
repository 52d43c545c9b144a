//! A slip of the finger is met with what was meant, and a stranger with nothing that is far off.

use cloud_agent_tests::fake::echome::EcHome;

use crate::support::{KEY, login, sandbox};

#[test]
fn a_mistyped_command_account_cloud_or_option_is_met_with_the_nearest() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome-work", &cloud.url(), &secret).finish().ok();
    for (line, code, hint) in [
        // Commands.
        ("sttaus", 6, "hint: did you mean the command `cloud-token status`?"),
        ("lgoin work", 2, "hint: did you mean `cloud-token login`?"),
        ("lgoin work --cloud echome", 2, "hint: did you mean `cloud-token login`?"),
        ("setup dcoker", 2, "\nhint: a similar value exists: 'docker'"),
        ("helper kubctl", 2, "\nhint: a similar value exists: 'kubectl'"),
        ("help lgoin", 2, "hint: did you mean `cloud-token help login`?"),
        ("man lgoin", 2, "hint: did you mean `cloud-token man login`?"),
        // Accounts, by their own name or by a cloud's.
        ("echome-wrok", 6, "hint: did you mean `ecHome-work`?"),
        ("check echome-wrk", 6, "hint: did you mean `ecHome-work`?"),
        ("do echme-work", 4, "hint: did you mean `ecHome-work`?"),
        ("login echme-work --no-input", 4, "hint: did you mean `ecHome-work`?"),
        ("grencloud", 6, "hint: did you mean `cloud-token login greencloud`?"),
        ("exec ceura -- true", 6, "hint: did you mean `cloud-token login cleura`?"),
        // Clouds, and what they have.
        ("login new --cloud grenclud --no-input", 6, "hint: did you mean `greencloud`?"),
        ("clouds opnvcloud", 6, "hint: did you mean `openvcloud`?"),
        ("login webtel --no-input", 4, "hint: did you mean `--cloud webitel`?"),
        ("login new --cloud webitel --method tokn --no-input", 2, "hint: did you mean `--method token`?"),
        ("login new --cloud webitel --set usrname=me --no-input", 2, "hint: did you mean `--set username=…`?"),
        ("do cleura regoins", 2, "hint: did you mean `cloud-token do cleura regions`?"),
        // Options and their values.
        ("ecHome-work --frsh", 2, "\nhint: a similar argument exists: '--fresh'"),
        ("status --jsn", 2, "\nhint: a similar argument exists: '--json'"),
        ("ecHome-work -o heders", 2, "did you mean `headers`?"),
        ("ecHome-work -o env --shell fihs", 2, "did you mean `fish`?"),
        ("vault move keyrng", 2, "did you mean `keyring`?"),
    ] {
        let outcome = sandbox.token(line.split(' '));
        assert!(outcome.fails(code).contains(hint), "{line}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("tip:"), "{line}: {}", outcome.stderr);
    }
    let agent = sandbox.command(cloud_agent_tests::sandbox::AGENT).args(["--vault", "memry"]).finish();
    assert!(agent.fails(2).contains("\nhint: a similar value exists: 'memory'"), "{agent:?}");
}

#[test]
fn whoever_looks_at_an_account_that_is_none_is_sent_to_those_there_are_and_to_no_login() {
    let cloud = EcHome::start();
    let secret = cloud.add_key(KEY);
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    login(&sandbox, "ecHome-work", &cloud.url(), &secret).finish().ok();
    for (name, hint) in [
        ("nobody", "hint: `cloud-token status` lists the accounts"),
        ("cleura", "hint: `cloud-token status` lists the accounts"),
        ("echome-wrok", "hint: did you mean `ecHome-work`?"),
    ] {
        for line in [&["check", name][..], &["logout", name], &["reject", name], &["forward", "--only", name, "socket"]]
        {
            let outcome = sandbox.token(line.iter().copied());
            let said = outcome.fails(6);
            assert!(said.contains(hint) && !said.contains("cloud-token login"), "{line:?}: {said}");
        }
    }
}

#[test]
fn a_name_that_is_like_nothing_is_told_how_to_set_it_up_and_offered_nothing() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    for name in ["home", "backup-server", "x", "ops@example.org", "zzzzzz"] {
        let outcome = sandbox.token([name]);
        let said = outcome.fails(6);
        assert!(said.contains(&format!("`cloud-token login {name}`")) && !said.contains("did you mean"), "{said}");
    }
    for line in ["clouds banana", "login new --cloud banana --no-input"] {
        let outcome = sandbox.token(line.split(' '));
        assert!(!outcome.fails(6).contains("did you mean"), "{line}: {}", outcome.stderr);
    }
    // Two words that are no command are not guessed at either.
    let outcome = sandbox.token(["alpha", "beta"]);
    assert!(!outcome.fails(2).contains("did you mean"), "{}", outcome.stderr);
}
