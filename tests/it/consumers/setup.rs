//! Consumers are set up, shown what that takes, and left as they were found.

use std::fs;
use std::path::Path;

use cloud_agent_tests::sandbox::Outcome;
use cloud_agent_tests::skip;
use serde_json::{Value, json};

use super::Stage;
use crate::support::put_script;

impl Stage {
    fn setup(&self, arguments: &str) -> Outcome {
        self.sandbox.command("cloud-token").arg("setup").args(arguments.split_whitespace()).finish()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.sandbox.path("home").join(path)).unwrap_or_default()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.sandbox.path("home").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// That `setup WHAT` shows itself, does itself once, and leaves no trace of itself in the file at `path`.
    #[track_caller]
    fn comes_and_goes(&self, what: &str, path: &str, before: &str) -> String {
        self.write(path, before);
        let shown = self.setup(&format!("{what} --print"));
        assert!(shown.ok().starts_with("--- ") && shown.stdout.contains("\n+"), "{shown:?}");
        assert_eq!(self.read(path), before, "what is only shown is not done");
        self.setup(what).ok();
        let after = self.read(path);
        assert_ne!(after, before);
        let added: String =
            shown.stdout.lines().filter(|line| line.starts_with('+') && !line.starts_with("+++")).collect();
        // What others have there is not shown.
        let ours = after.lines().filter(|line| !before.contains(line) && line.contains("cloud-token"));
        assert!(
            ours.clone().count() > 0
                && ours.clone().all(|line| added.contains(line.trim()) || added.contains('\u{2026}')),
            "{added}"
        );
        let again = self.setup(what);
        assert!(again.ok().is_empty() && again.stderr.contains("nothing to do"), "{again:?}");
        assert_eq!(self.read(path), after);
        assert!(self.setup(&format!("{what} --remove --print")).ok().contains("\n-"));
        self.setup(&format!("{what} --remove")).ok();
        assert_eq!(self.read(path), before, "{what} has left a trace");
        assert!(self.setup(&format!("{what} --remove")).stderr.contains("nothing to do"));
        self.setup(what).ok();
        after
    }
}

#[test]
fn git_asks_us_besides_the_helpers_that_it_has() {
    if skip::unless_tool("git_asks_us_besides_the_helpers_that_it_has", "git").is_none() {
        return;
    }
    let stage = Stage::serving("https://git.acme.example");
    stage.comes_and_goes("git", ".gitconfig", "[user]\n\tname = me\n[credential]\n\thelper = cache");
    let git = |arguments: &[&str]| stage.sandbox.command("git").args(arguments.iter().copied());
    let helpers = git(&["config", "--global", "--get-all", "credential.helper"]).finish();
    assert_eq!(
        helpers.ok().lines().collect::<Vec<_>>(),
        ["cache", &format!("{} helper git", stage.sandbox.program("cloud-token").display())]
    );
    let filled = git(&["credential", "fill"]).stdin("protocol=https\nhost=git.acme.example\n\n").finish();
    assert!(filled.ok().contains(&stage.token()), "{filled:?}");
    // A file that is elsewhere, and not there yet.
    let elsewhere = stage.sandbox.path("home/other");
    let run = stage.sandbox.command("cloud-token").args(["setup", "git"]).env("GIT_CONFIG_GLOBAL", &elsewhere);
    run.finish().ok();
    assert!(fs::read_to_string(&elsewhere).unwrap().contains("helper git"));
    let remove = stage.sandbox.command("cloud-token").args(["setup", "git", "--remove"]);
    remove.env("GIT_CONFIG_GLOBAL", &elsewhere).finish().ok();
    assert!(!elsewhere.exists(), "a file that was not there is gone again");
    // Half of our part: nobody guesses.
    stage.write(".gitconfig", "# >>> cloud-agent >>>\n");
    assert!(stage.setup("git --remove").fails(1).contains("by hand"));
}

#[test]
fn what_git_writes_into_our_part_is_the_users_and_stays() {
    if skip::unless_tool("what_git_writes_into_our_part_is_the_users_and_stays", "git").is_none() {
        return;
    }
    let stage = Stage::serving("https://git.acme.example");
    for before in ["", "[user]\n\tname = me\n", "[credential]\n\thelper = cache\n"] {
        stage.write(".gitconfig", before);
        stage.setup("git").ok();
        let git = |arguments: &[&str]| {
            stage.sandbox.command("git").args(["config", "--global"]).args(arguments.iter().copied()).finish()
        };
        // As our own page says.
        git(&["credential.useHttpPath", "true"]).ok();
        git(&["--add", "credential.helper", "store"]).ok();
        git(&["include.path", "other"]).ok();
        let with_ours = stage.read(".gitconfig");
        assert!(stage.setup("git").stderr.contains("nothing to do"), "{with_ours}");
        stage.setup("git --remove").ok();
        assert!(!stage.read(".gitconfig").contains("cloud-"), "{}", stage.read(".gitconfig"));
        assert_eq!(git(&["credential.useHttpPath"]).ok(), "true", "{with_ours}");
        assert_eq!(git(&["include.path"]).ok(), "other");
        let helpers = git(&["--get-all", "credential.helper"]);
        let kept: &[&str] = if before.contains("cache") { &["cache", "store"] } else { &["store"] };
        assert_eq!(helpers.ok().lines().collect::<Vec<_>>(), kept);
    }
}

#[test]
fn a_link_that_leads_nowhere_yet_stays_a_link() {
    let stage = Stage::serving("https://git.acme.example");
    let home = stage.sandbox.path("home");
    std::os::unix::fs::symlink("dotfiles/gitconfig", home.join(".gitconfig")).unwrap();
    stage.setup("git").ok();
    assert!(fs::symlink_metadata(home.join(".gitconfig")).unwrap().is_symlink());
    assert!(stage.read("dotfiles/gitconfig").contains("helper git"));
    stage.setup("git --remove").ok();
    assert!(!home.join("dotfiles/gitconfig").exists() && fs::symlink_metadata(home.join(".gitconfig")).is_ok());
}

#[test]
fn what_is_shown_holds_nobodys_tokens() {
    let what = "what_is_shown_holds_nobodys_tokens";
    let stage = Stage::serving("https://images.acme.example");
    let secret = "c2VjcmV0LW9mLXNvbWVib2R5";
    for (target, path, text) in [
        ("docker", ".docker/config.json", format!("{{\"auths\":{{\"x.example\":{{\"auth\":\"{secret}\"}}}}}}")),
        (
            "docker",
            ".docker/config.json",
            format!("{{\n\t\"HttpHeaders\": {{\n\t\t\"X-Meta\": \"{secret}\"\n\t}}\n}}\n"),
        ),
        ("git", ".gitconfig", format!("[http]\n\textraheader = Authorization: Bearer {secret}\n")),
        ("shell", ".profile", format!("export TOKEN={secret}\n")),
    ] {
        stage.write(path, &text);
        stage.sandbox.set("SHELL", "/bin/sh");
        for once in [format!("{target} --print"), target.to_owned(), format!("{target} --remove --print")] {
            let shown = stage.setup(&once);
            assert!(!shown.ok().contains(secret) && !shown.stderr.contains(secret), "{once}: {}", shown.stdout);
        }
        stage.setup(&format!("{target} --remove")).ok();
        assert_eq!(stage.read(path), text);
    }
    let Some(kubectl) = super::kubectl::kubectl(what) else { return };
    std::os::unix::fs::symlink(&kubectl, stage.sandbox.program("kubectl")).unwrap();
    let config = format!(
        "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user: {{token: {secret}}}\n- name: z\n  user:\n    \
         client-key-data: {secret}\n    token: {secret}\n"
    );
    stage.write(".kube/config", &config);
    for once in ["kubectl --print", "kubectl", "kubectl --remove --print"] {
        let shown = stage.setup(once);
        assert!(
            !shown.ok().contains(secret) && (once == "kubectl" || shown.stdout.contains("name: cloud-token")),
            "{shown:?}"
        );
    }
    assert!(stage.read(".kube/config").contains(secret));
}

#[test]
fn a_path_with_blanks_is_one_path_to_git() {
    if skip::unless_tool("a_path_with_blanks_is_one_path_to_git", "git").is_none() {
        return;
    }
    let stage = Stage::serving("https://git.acme.example");
    let directory = stage.sandbox.path("home/my \"b'in");
    fs::create_dir(&directory).unwrap();
    fs::copy(stage.sandbox.program("cloud-token"), directory.join("cloud-token")).unwrap();
    let run = stage.sandbox.command(directory.join("cloud-token")).args(["setup", "git"]);
    run.env("PATH", std::env::var("PATH").unwrap()).finish().ok();
    let fill =
        stage.sandbox.command("git").args(["credential", "fill"]).stdin("protocol=https\nhost=git.acme.example\n\n");
    assert!(fill.finish().ok().contains(&stage.token()), "{}", stage.read(".gitconfig"));
}

#[test]
fn a_shell_gets_a_function_that_works_and_tells_failures() {
    let stage = Stage::serving("none");
    for (shell, path) in [("bash", ".bashrc"), ("zsh", ".zshrc"), ("sh", ".profile")] {
        if skip::unless_tool("a_shell_gets_a_function_that_works_and_tells_failures", shell).is_none() {
            continue;
        }
        stage.sandbox.set("SHELL", format!("/bin/{shell}"));
        stage.comes_and_goes("shell", path, "# mine\n");
        let script = format!(
            ". ~/{path}; cloud_env ecHome && printf %s \"$ECHOME_TOKEN\"; cloud_env nobody 2>/dev/null; exit $?"
        );
        let seen = stage.sandbox.command(shell).args(["-c", &script]).finish();
        assert_eq!((seen.code(), seen.stdout.as_str()), (6, stage.token().as_str()), "{shell}: {seen:?}");
    }
    if skip::unless_tool("a_shell_gets_a_function_that_works_and_tells_failures", "fish").is_some() {
        stage.sandbox.set("SHELL", "/usr/bin/fish");
        stage.setup("shell").ok();
        let script = "cloud_env ecHome; and printf %s $ECHOME_TOKEN; cloud_env nobody 2>/dev/null; exit $status";
        let seen = stage.sandbox.command("fish").args(["-c", script]).finish();
        assert_eq!((seen.code(), seen.stdout.as_str()), (6, stage.token().as_str()), "{seen:?}");
        stage.setup("shell --remove").ok();
        assert!(!stage.sandbox.path("config/fish/conf.d/cloud-agent.fish").exists(), "a file of its own goes with it");
    }
}

#[test]
fn docker_asks_us_for_the_registries_of_accounts_and_for_no_others() {
    let stage = Stage::new();
    assert!(stage.setup("docker").fails(1).contains("no account answers"));
    // docker names no paths, and so nothing could be answered there.
    stage.serve("https://paths.acme.example/team");
    assert!(stage.setup("docker").fails(1).contains("no account answers"));
    stage.serve(
        "https://images.acme.example,https://other.example:5000,https://paths.acme.example/team,https://x.example",
    );
    let theirs = "{\n\t\"auths\": {\n\t\t\"x.example\": {}\n\t},\n\t\"credsStore\": \"desktop\"\n}";
    let compact = "{\"auths\":{\"https://x.example/v1/\":{\"auth\":\"eA==\"}},\"credsStore\":\"desktop\"}\n";
    for theirs in [compact, theirs] {
        let after = stage.comes_and_goes("docker", ".docker/config.json", theirs);
        let config: Value = serde_json::from_str(&after).unwrap();
        let wanted = json!({"images.acme.example": "cloud-token", "other.example:5000": "cloud-token"});
        assert_eq!((&config["credHelpers"], &config["credsStore"]), (&wanted, &json!("desktop")));
        stage.setup("docker --remove").ok();
    }
    assert!(stage.setup("docker --print").stderr.contains("`x.example` has a login of docker's own"));
    fs::remove_file(stage.sandbox.path("home/.docker/config.json")).unwrap();
    stage.setup("docker").ok();
    stage.setup("docker --remove").ok();
    assert!(!stage.sandbox.path("home/.docker/config.json").exists(), "a file that was not there is gone again");
    stage.write(".docker/config.json", &json!({"credHelpers": {"images.acme.example": "gcloud"}}).to_string());
    let kept = stage.setup("docker");
    assert!(kept.stderr.contains("`gcloud`, which stays"), "{}", kept.stderr);
    let config: Value = serde_json::from_str(&stage.read(".docker/config.json")).unwrap();
    assert_eq!(config["credHelpers"]["images.acme.example"], "gcloud");
}

#[test]
fn dockers_name_for_us_is_made_where_it_is_missing_and_goes_again() {
    let stage = Stage::serving("https://images.acme.example");
    let link = stage.sandbox.program("docker-credential-cloud-token");
    fs::remove_file(&link).unwrap();
    assert!(stage.setup("docker --print").ok().contains("+-> "), "the link is shown");
    assert!(!link.exists());
    stage.setup("docker").ok();
    let get = stage.sandbox.command("docker-credential-cloud-token").arg("get").stdin("images.acme.example").finish();
    assert!(get.ok().contains(&stage.token()));
    stage.setup("docker --remove").ok();
    assert!(link.symlink_metadata().is_err());
    // Somebody else's program of that name.
    put_script(&link, "#!/bin/sh\n");
    stage.setup("docker").ok();
    stage.setup("docker --remove").ok();
    assert!(link.is_file());
}

#[test]
fn kubectl_gets_a_user_that_asks_us_and_keeps_the_others() {
    let what = "kubectl_gets_a_user_that_asks_us_and_keeps_the_others";
    let Some(kubectl) = super::kubectl::kubectl(what) else { return };
    let stage = Stage::new();
    // The one that is found, not a dispatcher.
    std::os::unix::fs::symlink(&kubectl, stage.sandbox.program("kubectl")).unwrap();
    let config = |arguments: &[&str]| {
        stage.sandbox.command("kubectl").arg("config").args(arguments.iter().copied()).finish().ok().to_owned()
    };
    config(&["set-cluster", "c", "--server=https://k8s.acme.example"]);
    config(&["set-credentials", "other", "--token=x"]);
    config(&["set-context", "c", "--cluster=c", "--user=other"]);
    let before = stage.read(".kube/config");
    stage.comes_and_goes("kubectl", ".kube/config", &before);
    let view: Value = serde_json::from_str(&config(&["view", "--raw", "-o", "json"])).unwrap();
    let users = view["users"].as_array().unwrap();
    assert_eq!(users.len(), 2);
    let exec = &users.iter().find(|user| user["name"] == "cloud-token").unwrap()["user"]["exec"];
    assert_eq!((&exec["args"], &exec["provideClusterInfo"]), (&json!(["helper", "kubectl"]), &json!(true)));
    assert_eq!(exec["interactiveMode"], "IfAvailable");
    assert!(Path::new(exec["command"].as_str().unwrap()).is_file());
    // Another user of that shape, behind ours: a second run touches neither, and an update of ours not that one.
    let program = exec["command"].as_str().unwrap().to_owned();
    let gke = "- name: gke_prod\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      \
        args: null\n      command: gke-auth\n      env: null\n      interactiveMode: IfAvailable\n      \
        provideClusterInfo: false\n";
    let both = stage.read(".kube/config") + "# mine\n" + gke;
    stage.write(".kube/config", &both);
    assert!(stage.setup("kubectl").stderr.contains("nothing to do"));
    assert_eq!(stage.read(".kube/config"), both);
    stage.write(
        ".kube/config",
        &both.replace(&program, "/opt/old/cloud-token").replacen(
            "provideClusterInfo: true",
            "provideClusterInfo: false",
            1,
        ),
    );
    let updated = stage.setup("kubectl");
    assert!(updated.stderr.contains("keeps no comments"), "{}", updated.stderr);
    let view = config(&["view", "--raw", "-o", "json"]);
    let view: Value = serde_json::from_str(&view).unwrap();
    let info = |name: &str| {
        let user = view["users"].as_array().unwrap().iter().find(|user| user["name"] == name).unwrap();
        (user["user"]["exec"]["command"].clone(), user["user"]["exec"]["provideClusterInfo"].clone())
    };
    assert_eq!(info("cloud-token"), (json!(program), json!(true)));
    assert_eq!(info("gke_prod"), (json!("gke-auth"), json!(false)));
    config(&["delete-user", "gke_prod"]);
    // A file that is there for nothing else.
    let alone = stage.sandbox.path("home/alone");
    for arguments in [&["setup", "kubectl"][..], &["setup", "kubectl", "--remove"]] {
        assert_eq!(alone.exists(), arguments.len() == 3);
        let run = stage.sandbox.command("cloud-token").args(arguments.iter().copied());
        run.env("KUBECONFIG", &alone).finish().ok();
    }
    assert!(!alone.exists());
    // A user of that name that is somebody else's.
    config(&["delete-user", "cloud-token"]);
    config(&["set-credentials", "cloud-token", "--token=theirs"]);
    for arguments in ["kubectl", "kubectl --remove"] {
        assert!(stage.setup(arguments).fails(1).contains("did not write"), "{arguments}");
    }
    assert!(stage.read(".kube/config").contains("theirs"));
    assert_eq!(fs::read_dir(stage.sandbox.path("home/.kube")).unwrap().count(), 1, "no copy is left lying about");
}

#[test]
fn systemd_and_launchd_run_the_agent_that_is_installed_and_are_left_without_a_trace() {
    let stage = Stage::serving("https://git.acme.example");
    let agent = stage.sandbox.program("cloud-agent").display().to_string();
    let units = stage.sandbox.path("config/systemd/user");
    let (socket, service) = (units.join("cloud-agent.socket"), units.join("cloud-agent.service"));
    let list = stage.sandbox.path("home/Library/LaunchAgents/cloud-agent.plist");
    for (target, files, line) in [
        ("systemd", vec![socket.clone(), service.clone()], format!("ExecStart=\"{agent}\"\n")),
        ("launchd", vec![list.clone()], format!("<string>{agent}</string>")),
    ] {
        let shown = stage.setup(&format!("{target} --print"));
        assert!(shown.ok().contains(line.trim_end()), "{shown:?}");
        assert!(files.iter().all(|file| !file.exists()), "what is only shown is not done");
        stage.setup(target).ok();
        assert!(fs::read_to_string(files.last().unwrap()).unwrap().contains(&line));
        assert!(stage.setup(target).stderr.contains("nothing to do"));
        stage.setup(&format!("{target} --remove")).ok();
        assert!(files.iter().all(|file| !file.exists()), "{target} has left a trace");
        // What somebody else wrote stays, whatever is asked for.
        fs::write(files.last().unwrap(), "mine\n").unwrap();
        assert!(stage.setup(target).fails(1).contains("this did not write it"));
        assert!(stage.setup(&format!("{target} --remove")).stderr.contains("nothing to do"));
        assert_eq!(fs::read_to_string(files.last().unwrap()).unwrap(), "mine\n");
    }
}

#[test]
fn the_units_that_are_written_are_in_order_whatever_the_path_holds() {
    if skip::unless_tool("the units that are written", "systemd-analyze").is_none() {
        return;
    }
    let stage = Stage::serving("https://git.acme.example");
    let odd = stage.sandbox.path("home/odd $d %h dir");
    fs::create_dir_all(&odd).unwrap();
    for name in ["cloud-agent", "cloud-token"] {
        fs::hard_link(stage.sandbox.program(name), odd.join(name)).unwrap();
    }
    stage.sandbox.command(odd.join("cloud-token")).args(["setup", "systemd"]).finish().ok();
    let units = stage.sandbox.path("config/systemd/user");
    let run = stage.sandbox.command("systemd-analyze").args(["verify", "--user"]);
    let verified = run.arg(units.join("cloud-agent.socket")).arg(units.join("cloud-agent.service")).finish();
    verified.ok();
    assert_eq!(verified.stderr, "", "it finds the program, and nothing is wrong");
}
