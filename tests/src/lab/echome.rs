//! The packages that ecHome's identity API is made of, with the settings that its source has.

use std::path::Path;
use std::time::Duration;

use super::Lab;
use crate::fake::echome::MACHINES;
use crate::http;

/// How the stack is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// An old refresh token is refused.
    pub blacklist: bool,
    /// How long an access token lives.
    pub access: Duration,
    /// How long a refresh token lives.
    pub refresh: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { blacklist: false, access: Duration::from_hours(1), refresh: Duration::from_hours(24) }
    }
}

/// A running stack, gone when dropped.
#[derive(Debug)]
pub struct EcHome(Lab);

impl EcHome {
    /// Starts it for the test `what`; `None`, with a loud word, where it cannot run.
    ///
    /// # Panics
    /// Where it cannot run and has to, and if it does not come up where it can.
    #[must_use]
    pub fn start(what: &str, options: &Options) -> Option<Self> {
        let variables = |dir: &Path| {
            vec![
                ("LAB_DATABASE", dir.join("lab.sqlite").display().to_string()),
                ("LAB_BLACKLIST", if options.blacklist { "1" } else { "0" }.to_owned()),
                ("LAB_ACCESS_SECONDS", options.access.as_secs_f64().to_string()),
                ("LAB_REFRESH_SECONDS", options.refresh.as_secs_f64().to_string()),
            ]
        };
        Lab::start(what, "echome", variables).map(Self)
    }

    /// Its origin, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Adds an access key.
    pub fn add_key(&self, access_id: &str, secret: &str) {
        self.0.order(&format!("user {access_id} {secret}"));
    }

    /// Switches a key off or on again.
    pub fn set_active(&self, access_id: &str, active: bool) {
        self.0.order(&format!("{} {access_id}", if active { "enable" } else { "disable" }));
    }

    /// Whether the API takes this access token.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn accepts(&self, access: &str) -> bool {
        let url = format!("{}{MACHINES}", self.url());
        http::get(&url, Some(&format!("Bearer {access}"))).expect("the stack answers").status == 200
    }
}
