//! Whoever gets at the sealed files, and disks that fail.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use cloud_agent_tests::fake::Fault;
use cloud_agent_tests::fake::echome::{Options, REFRESH};
use cloud_agent_tests::sandbox::{Agent, TOKEN};
use cloud_agent_tests::skip;
use cloud_agent_tests::wait::{PATIENCE, until};

use super::{MALLORY, Scene};

/// A home whose vault opens with a passphrase in a file, and a cloud that takes each refresh token once.
fn scene() -> Scene {
    let scene = Scene::with(Options { blacklist: true, reuse_is_theft: true, ..Options::default() });
    let file = scene.sandbox.path("passphrase");
    fs::write(&file, "correct-horse-battery-staple").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(scene.sandbox.config()).unwrap();
    let text = format!("kind = \"passphrase\"\n[passphrase]\nfile = \"{}\"\n", file.display());
    fs::write(scene.sandbox.config().join("vault.toml"), text).unwrap();
    scene
}

fn agent(scene: &Scene) -> Agent {
    scene.sandbox.agent_with::<[&str; 0]>([])
}

fn file(scene: &Scene) -> PathBuf {
    scene.sandbox.state().join("vault/passphrase/echome.sealed")
}

/// A login whose agent has ended.
fn at_rest() -> Scene {
    let scene = scene();
    let agent = agent(&scene);
    assert_eq!(scene.login().finish().code(), 0);
    assert!(agent.stop(PATIENCE).success());
    scene
}

/// T34: cut, bent, of another account, somebody else's: exit 4 with the reason, the file is kept, and a login works.
#[test]
fn a_sealed_file_that_was_meddled_with_is_said_kept_and_replaced_by_a_login() {
    type Meddle = (&'static str, fn(&Path), &'static str);
    let meddled: [Meddle; 5] = [
        ("cut", |path| fs::write(path, &fs::read(path).unwrap()[..1000]).unwrap(), "cut off"),
        (
            "bent",
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[2000] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            "it was changed",
        ),
        ("emptied", |path| fs::write(path, "").unwrap(), "no sealed file"),
        (
            "another account's",
            |path| {
                fs::copy(path.with_file_name("other.sealed"), path).unwrap();
            },
            "another account's",
        ),
        ("somebody else's", |path| chown(path, Some(MALLORY), None).unwrap(), "owned by uid 4002"),
    ];
    for (what, meddle, says) in meddled {
        if what == "somebody else's" && !skip::unless_root("a file of another user") {
            continue;
        }
        let scene = at_rest();
        {
            let agent = agent(&scene);
            let run = scene.sandbox.command(TOKEN).args(["login", "other", "--cloud", "echome", "--no-input"]);
            let run = run.args(["--url", &scene.cloud.url(), "--set", "access-id=AKIA1", "--secret", "secret=env:S"]);
            run.env("S", &scene.secret).finish().ok();
            agent.crash();
        }
        meddle(&file(&scene));
        let bytes = fs::read(file(&scene)).unwrap();
        let agent = agent(&scene);
        let said = scene.get().fails(4).to_owned();
        assert!(said.contains(says) && said.contains("hint: `cloud-token login echome`"), "{what}: {said}");
        assert_eq!(fs::read(file(&scene).with_extension("aside-1")).unwrap(), bytes, "{what}");
        assert!(scene.sandbox.token(["status"]).ok().contains("aside-1"), "{what}");
        assert!(scene.cloud.accepts(scene.sandbox.token(["other"]).ok()), "{what}: no other account suffers");
        assert_eq!(scene.login().finish().code(), 0);
        assert!(scene.cloud.accepts(scene.get().ok()) && agent.runs(), "{what}");
    }
}

/// T34: the directory itself. One that others may enter or write is not used, and nothing is put into it.
#[test]
fn a_vault_in_a_directory_that_others_may_enter_is_not_used() {
    let scene = at_rest();
    let dir = file(&scene).parent().unwrap().to_owned();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let _agent = agent(&scene);
    assert_eq!(scene.login().finish().code(), 0, "the token is given");
    let status = scene.sandbox.token(["status"]);
    assert!(status.ok().contains("in memory only"), "{status:?}");
}

/// A file system that the test can fill and close. Only root can make one.
struct Disk(PathBuf);

impl Disk {
    /// Under the sandbox's state directory.
    fn mount(scene: &Scene) -> Option<Self> {
        let dir = scene.sandbox.path("state");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"]).arg(&dir).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[1; 512]).is_ok() {}
        let _ = file.flush();
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn disk(scene: &Scene, what: &str) -> Option<Disk> {
    let disk = skip::unless_root(what).then(|| Disk::mount(scene)).flatten();
    if disk.is_none() {
        skip::skip(what, "no file system can be mounted here");
    }
    disk
}

/// Makes the agent forget the token, so that the next use has to renew.
fn reject(scene: &Scene) {
    scene.sandbox.command(TOKEN).args(["reject", "ecHome"]).finish().ok();
}

/// THREATS 18: with no room, or none that can be written, a token that lives is served and nothing is spent; with none left
/// it is renewed, told once, and saved by itself when that is possible again.
#[test]
fn a_full_or_closed_disk_costs_nobody_the_token_and_is_made_up_for() {
    for how in ["full", "closed"] {
        let scene = scene();
        let Some(disk) = disk(&scene, "a_full_or_closed_disk_costs_nobody_the_token_and_is_made_up_for") else {
            return;
        };
        let (close, open): (&dyn Fn(), &dyn Fn()) = match how {
            "full" => (&|| disk.fill(), &|| disk.empty()),
            _ => (&|| disk.remount("ro"), &|| disk.remount("rw")),
        };
        let agent = agent(&scene);
        assert_eq!(scene.login().finish().code(), 0);
        let first = scene.get().ok().to_owned();
        close();
        assert!(scene.renew().fails(1).contains("the vault cannot be written"));
        assert_eq!(scene.get().ok(), first, "{how}: what lives is served");
        assert_eq!(scene.cloud.refreshes(), 0, "{how}: and nothing was spent");
        reject(&scene);
        let second = scene.get().ok().to_owned();
        assert!(second != first && scene.cloud.accepts(&second), "{how}");
        assert!(scene.sandbox.token(["status"]).ok().contains("in memory only"), "{how}");
        let loud = |log: &str| log.matches("could not be saved and is in memory only").count();
        assert_eq!(loud(&agent.log()), 1, "{how}: {}", agent.log());
        open();
        let saved = || !scene.sandbox.token(["status"]).ok().contains("in memory only");
        assert!(until(PATIENCE, saved), "{how}: it is not saved by itself");
        agent.crash();
        let _agent = self::agent(&scene);
        assert!(scene.cloud.accepts(scene.get().ok()), "{how}");
        assert_eq!(scene.cloud.logins(), 1, "{how}");
    }
}

#[test]
fn a_login_that_could_not_be_saved_is_shown_where_it_is() {
    let scene = scene();
    let Some(disk) = disk(&scene, "a_login_that_could_not_be_saved_is_shown_where_it_is") else { return };
    let _agent = agent(&scene);
    assert_eq!(scene.login().finish().code(), 0);
    scene.sandbox.token(["logout", "ecHome"]).ok();
    disk.fill();
    assert_eq!(scene.login().finish().code(), 0);
    let shown = scene.sandbox.token(["status", "--json"]);
    assert!(shown.ok().contains(r#""holds":["#) && !shown.ok().contains(r#""holds":[]"#), "{shown:?}");
    assert!(shown.ok().contains(r#""held_in":"memory""#), "{shown:?}");
}

#[test]
fn moving_out_of_a_full_disk_takes_along_what_could_not_be_saved() {
    let scene = scene();
    let Some(disk) = disk(&scene, "moving_out_of_a_full_disk_takes_along_what_could_not_be_saved") else { return };
    let _agent = agent(&scene);
    assert_eq!(scene.login().finish().code(), 0);
    disk.fill();
    reject(&scene);
    assert!(scene.cloud.accepts(scene.get().ok()));
    assert!(scene.sandbox.token(["status"]).ok().contains("in memory only"));
    scene.sandbox.token(["vault", "move", "memory"]).ok();
    assert!(!scene.sandbox.token(["status"]).ok().contains("in memory only"));
    assert!(scene.cloud.accepts(scene.renew().ok()), "the refresh token that was moved is the newest");
    assert_eq!((scene.cloud.logins(), scene.cloud.refreshes()), (1, 2));
}

/// The room for what a rotation brings is there before the request is sent.
#[test]
fn a_disk_that_fills_up_while_the_cloud_answers_still_takes_the_new_token() {
    let scene = scene();
    let Some(disk) = disk(&scene, "a_disk_that_fills_up_while_the_cloud_answers_still_takes_the_new_token") else {
        return;
    };
    let agent = agent(&scene);
    assert_eq!(scene.login().finish().code(), 0);
    scene.cloud.break_next(1, REFRESH, Fault::Delay(Duration::from_millis(500)));
    let token = thread::scope(|scope| {
        let renewed = scope.spawn(|| scene.renew());
        assert!(until(PATIENCE, || scene.cloud.refreshes() == 1));
        disk.fill();
        renewed.join().unwrap()
    });
    assert!(scene.cloud.accepts(token.ok()));
    let status = scene.sandbox.token(["status"]);
    assert!(!status.ok().contains("in memory only"), "{status:?}");
    agent.crash();
    disk.empty();
    let _agent = self::agent(&scene);
    assert!(scene.cloud.accepts(scene.get().ok()));
    assert_eq!(scene.cloud.logins(), 1);
}

/// T8, with a vault: what was sealed is nowhere in the agent's memory once it is renewed and forgotten, nor is the passphrase.
#[test]
fn neither_the_passphrase_nor_a_spent_token_is_left_in_the_memory_of_the_agent() {
    if !skip::unless_root("reading the agent's memory") {
        return;
    }
    let scene = scene();
    let agent = agent(&scene);
    assert_eq!(scene.login().finish().code(), 0);
    scene.renew().ok();
    scene.sandbox.token(["logout", "ecHome"]).ok();
    let mut secrets: Vec<String> = scene.cloud.secrets().into_iter().collect();
    secrets.push("correct-horse-battery-staple".into());
    super::memory::nothing_is_left(agent.pid(), &secrets, &secrets);
}
