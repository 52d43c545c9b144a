//! OpenStack Keystone from its own packages: its database in a file, a server of Python's around it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Lab;
use crate::fake::keystone::PROJECTS;
use crate::http;

/// A running Keystone, gone when dropped.
#[derive(Debug)]
pub struct Keystone {
    lab: Lab,
}

impl Keystone {
    /// Starts it for the test `what`, with tokens that live for `life`; `None`, with a loud word, where it cannot run.
    ///
    /// # Panics
    /// Where it cannot run and has to, and if it does not come up where it can.
    #[must_use]
    pub fn start(what: &str, life: Duration) -> Option<Self> {
        let variables = |dir: &Path| {
            vec![
                ("LAB_DIRECTORY", dir.display().to_string()),
                // Whole seconds are all that it knows.
                ("LAB_TOKEN_SECONDS", life.as_secs().to_string()),
            ]
        };
        Lab::start(what, "keystone", variables).map(|lab| Self { lab })
    }

    /// Its address below `/identity`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/identity", self.lab.url)
    }

    /// Its address without a prefix.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.lab.url
    }

    /// Adds a user of the domain `Default`, and a project there of which they are a member.
    pub fn add_user(&self, name: &str, password: &str, project: &str) {
        self.lab.order(&format!("user {name} {password} {project}"));
    }

    /// Adds an application credential and returns its id.
    #[must_use]
    pub fn add_credential(&self, user: &str, project: &str, secret: &str) -> String {
        self.lab.ask(&format!("credential {user} {project} {secret}"))
    }

    /// Deletes an application credential.
    pub fn delete_credential(&self, id: &str) {
        self.lab.order(&format!("forget {id}"));
    }

    /// Switches a user off or on again.
    pub fn set_active(&self, user: &str, active: bool) {
        self.lab.order(&format!("{} {user}", if active { "enable" } else { "disable" }));
    }

    /// Gives a user a seed for one-time codes (in base 32), and wants one besides the password from now on.
    pub fn want_code(&self, user: &str, seed: &str) {
        self.lab.order(&format!("totp {user} {seed}"));
    }

    /// Wants these methods, separated by commas, from a user.
    pub fn want_factors(&self, user: &str, methods: &str) {
        self.lab.order(&format!("factors {user} {methods}"));
    }

    /// The one-time code of now for a seed.
    #[must_use]
    pub fn code(&self, seed: &str) -> String {
        self.lab.ask(&format!("code {seed}"))
    }

    /// Whether the API takes this token.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        let url = format!("{}{PROJECTS}", self.url());
        http::request("GET", &url, &[("X-Auth-Token", token)], b"").expect("it answers").status == 200
    }
}

/// The Python that has the packages of Keystone, and so the library below every OpenStack client. There is one if a
/// [`Keystone`] runs.
///
/// # Panics
/// If none does.
#[must_use]
pub fn python() -> PathBuf {
    super::environment("keystone").expect("a Keystone runs")
}
