//! Vaults at rest: what outlives the agent, and how it is opened.

mod command;
#[cfg(target_os = "linux")]
mod crashes;
mod files;
#[cfg(target_os = "linux")]
mod keyring;
mod lifetimes;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cloud_agent_tests::fake::echome::{EcHome, Options};
use cloud_agent_tests::sandbox::{Agent, Sandbox};

use crate::support::{KEY, login, sandbox};

/// What opens every vault here.
const PASSPHRASE: &str = "correct-horse-battery-staple";

/// A home, and a cloud that takes every refresh token only once.
struct Scene {
    sandbox: Sandbox,
    cloud: EcHome,
    secret: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(Options { blacklist: true, reuse_is_theft: true, ..Options::default() })
    }

    fn with(options: Options) -> Self {
        let cloud = EcHome::with(options);
        let secret = cloud.add_key(KEY);
        Self { sandbox: sandbox(), cloud, secret }
    }

    /// Lets the passphrase be read from a file, so that nobody has to say it.
    fn passphrase_in_a_file(&self) -> PathBuf {
        let file = self.sandbox.path("passphrase");
        fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        self.configure(&format!("kind = \"passphrase\"\n[passphrase]\nfile = \"{}\"\n", file.display()));
        file
    }

    /// Writes `vault.toml`.
    fn configure(&self, text: &str) {
        fs::create_dir_all(self.sandbox.config()).unwrap();
        fs::write(self.sandbox.config().join("vault.toml"), text).unwrap();
        fs::set_permissions(self.sandbox.config().join("vault.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// An agent with the vault that is configured.
    fn agent(&self) -> Agent {
        self.sandbox.agent_with::<[&str; 0]>([])
    }

    /// Logs `ecHome` in.
    #[track_caller]
    fn login(&self) {
        let done = login(&self.sandbox, "ecHome", &self.cloud.url(), &self.secret).finish();
        assert_eq!(done.code(), 0, "{done:?}");
    }

    /// A token that the API takes.
    #[track_caller]
    fn working_token(&self) -> String {
        let token = self.sandbox.token(["ecHome", "--no-input"]).ok().to_owned();
        assert!(self.cloud.accepts(&token), "the token is not taken");
        token
    }
}
