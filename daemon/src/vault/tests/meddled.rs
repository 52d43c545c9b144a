//! Files that somebody or something has changed, and those that are not ours.

use super::*;

/// T34: every byte of a file is changed in turn, and cut off in turn.
#[tokio::test]
async fn a_bent_or_cut_file_is_moved_aside_and_said_and_never_overwritten() {
    let world = World::new();
    put(&world.open().await, "work", "r1", None).await;
    let path = world.file("work.sealed");
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len() % 4096, 0);
    let bent = (0..good.len()).step_by(61).chain(0..70).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    });
    let cut = [0, 1, 11, 13, 20, 22, 40, 4095].map(|length| good[..length].to_vec());
    let longer = [good.repeat(2), [&good[..], b"x"].concat()];
    for (count, bytes) in bent.chain(cut).chain(longer).enumerate() {
        fs::write(&path, &bytes).unwrap();
        let vault = world.open().await;
        let fault = vault.load("work").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NeedsHuman, "{fault}");
        assert!(fault.hint.unwrap().contains("cloud-token login work"));
        assert_eq!(vault.load("work").await.unwrap_err().kind, FaultKind::NeedsHuman, "it says so again");
        assert!(vault.warnings()[0].contains("aside-"), "{:?}", vault.warnings());
        assert_eq!(fs::read(world.file(&format!("work.aside-{}", count + 1))).unwrap(), bytes);
        // A login begins anew, beside what was moved.
        put(&vault, "work", "r2", None).await;
        assert_eq!(refresh(&vault, "work").await.as_deref(), Some("r2"));
        assert!(vault.warnings().is_empty());
    }
}

/// T34
#[tokio::test]
async fn files_of_two_accounts_that_were_swapped_open_for_neither() {
    let world = World::new();
    let vault = world.open().await;
    put(&vault, "a", "ra", None).await;
    put(&vault, "b", "rb", None).await;
    fs::rename(world.file("a.sealed"), world.file("x")).unwrap();
    fs::rename(world.file("b.sealed"), world.file("a.sealed")).unwrap();
    fs::rename(world.file("x"), world.file("b.sealed")).unwrap();
    for account in ["a", "b"] {
        assert_eq!(world.open().await.load(account).await.unwrap_err().kind, FaultKind::NeedsHuman);
        assert!(world.file(&format!("{account}.aside-1")).exists());
    }
}

/// T34: a rollback, as far as it can be seen: the agent remembers what it saw.
#[tokio::test]
async fn an_older_file_that_was_put_back_is_moved_aside() {
    let world = World::new();
    let vault = world.open().await;
    let one = put(&vault, "work", "r1", None).await;
    let old = fs::read(world.file("work.sealed")).unwrap();
    put(&vault, "work", "r2", Some(one)).await;
    fs::write(world.file("work.sealed"), &old).unwrap();
    let fault = vault.load("work").await.unwrap_err();
    assert!(fault.to_string().contains("older"), "{fault}");
    assert_eq!(fs::read(world.file("work.aside-1")).unwrap(), old);
}

/// T34
#[tokio::test]
async fn a_file_of_a_later_form_is_moved_aside_with_that_reason() {
    let world = World::new();
    let vault = world.open().await;
    put(&vault, "work", "r1", None).await;
    let mut later = fs::read(world.file("work.sealed")).unwrap();
    later[12] = 2;
    fs::write(world.file("work.sealed"), &later).unwrap();
    let fault = vault.load("work").await.unwrap_err();
    assert!(fault.to_string().contains("form 2"), "{fault}");
    assert_eq!(fs::read(world.file("work.aside-1")).unwrap(), later);
}

/// T34
#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_of_our_own_is_not_followed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let world = World::new();
    let vault = world.open().await;
    put(&vault, "work", "r1", None).await;
    let elsewhere = world.dir.path().join("elsewhere");
    fs::rename(world.file("work.sealed"), &elsewhere).unwrap();
    symlink(&elsewhere, world.file("work.sealed")).unwrap();
    assert_eq!(vault.load("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
    assert!(fs::symlink_metadata(world.file("work.aside-1")).unwrap().is_symlink());
    put(&vault, "work", "r2", None).await;
    assert!(fs::symlink_metadata(world.file("work.sealed")).unwrap().is_file());
    assert_ne!(
        fs::read(&elsewhere).unwrap(),
        fs::read(world.file("work.sealed")).unwrap(),
        "it was not written through"
    );
    // One that others could read is closed, and used: what it holds is sealed.
    fs::set_permissions(world.file("work.sealed"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(refresh(&vault, "work").await.as_deref(), Some("r2"));
    assert_eq!(fs::metadata(world.file("work.sealed")).unwrap().permissions().mode() & 0o777, 0o600);
    // A directory in its place is moved, not entered.
    fs::remove_file(world.file("work.sealed")).unwrap();
    fs::create_dir(world.file("work.sealed")).unwrap();
    assert_eq!(vault.load("work").await.unwrap_err().kind, FaultKind::NeedsHuman);
}

#[tokio::test]
async fn a_head_that_is_broken_or_of_a_later_version_is_left_alone() {
    let world = World::new();
    put(&world.open().await, "work", "r1", None).await;
    let good = fs::read_to_string(world.file("vault.toml")).unwrap();
    for bad in ["", "nonsense", "version = 2\nid = 7\n", &good.replace("argon2id", "scrypt"), &good[..good.len() / 2]] {
        fs::write(world.file("vault.toml"), bad).unwrap();
        let vault = world.locked();
        let fault = vault.unlock(Some("sesame".into()), &says(&[])).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Config, "{bad}: {fault}");
        assert_eq!(fs::read_to_string(world.file("vault.toml")).unwrap(), bad, "it is as it was");
    }
    fs::remove_file(world.file("vault.toml")).unwrap();
    let fault = world.locked().unlock(Some("sesame".into()), &says(&[])).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Config, "files without a head are not sealed anew: {fault}");
    fs::write(world.file("vault.toml"), good).unwrap();
    assert_eq!(refresh(&world.open().await, "work").await.as_deref(), Some("r1"));
}
