//! Where the agent's files are: the only reader of the environment besides the log and the endpoint.

use std::ffi::OsString;
use std::path::PathBuf;

use cloud_agent_protocol::v1::Setting;
use cloud_agent_protocol::{Fault, FaultKind};

/// Names the configuration directory.
pub(crate) const ENV_CONFIG: &str = "CLOUD_AGENT_CONFIG";
/// Names the state directory.
pub(crate) const ENV_STATE: &str = "CLOUD_AGENT_STATE";

/// Names the directory of the service manager's credentials (systemd).
const ENV_CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Names the session's D-Bus, over which a keyring is asked.
const ENV_BUS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// What the agent's HTTP and TLS libraries read there.
const NETWORK: [&str; 8] =
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Where people's programs keep files of a kind: the variable that names the directory, and else the one that names the
/// user's own, and what follows there.
struct Base(&'static str, &'static str, &'static str);

#[cfg(not(windows))]
const CONFIG: Base = Base("XDG_CONFIG_HOME", "HOME", ".config");
#[cfg(not(windows))]
const STATE: Base = Base("XDG_STATE_HOME", "HOME", ".local/state");
// What is set up may go with the user from machine to machine; what is held may not.
#[cfg(windows)]
const CONFIG: Base = Base("APPDATA", "USERPROFILE", r"AppData\Roaming");
#[cfg(windows)]
const STATE: Base = Base("LOCALAPPDATA", "USERPROFILE", r"AppData\Local");

/// The agent's directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `accounts.toml` and `clouds/` are here.
    pub config: PathBuf,
    /// Logs and sealed files are here.
    pub state: PathBuf,
    /// What the service manager hands over.
    pub credentials: Option<PathBuf>,
    /// Whether there is a session that may have a keyring.
    pub session: bool,
}

impl Paths {
    /// By the XDG base directories, or the profile's on Windows; `config` and the two variables win over them.
    ///
    /// # Errors
    /// `Config` if neither they nor the home directory say where.
    pub fn resolve(config: Option<PathBuf>, var: impl Fn(&str) -> Option<OsString>) -> Result<Self, Fault> {
        let absolute = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = |own: &str, Base(usual, home, below): Base| {
            absolute(own)
                .or_else(|| absolute(usual).map(|dir| dir.join("cloud-agent")))
                .or_else(|| absolute(home).map(|dir| dir.join(below).join("cloud-agent")))
                .ok_or_else(|| {
                    Fault::new(FaultKind::Config, format!("no directory for `{own}`"))
                        .because(format!("neither `{own}`, `{usual}` nor `{home}` is set to an absolute path"))
                        .hint(format!("set `{own}` to a directory of your own"))
                })
        };
        let config = match config {
            Some(given) => std::path::absolute(&given).unwrap_or(given),
            None => base(ENV_CONFIG, CONFIG)?,
        };
        let state = base(ENV_STATE, STATE)?;
        // Without an address, libraries look for the bus in the runtime directory.
        let bus = || absolute("XDG_RUNTIME_DIR").is_some_and(|dir| dir.join("bus").exists());
        let session = !cfg!(target_os = "linux") || var(ENV_BUS).is_some_and(|bus| !bus.is_empty()) || bus();
        Ok(Self { config, state, credentials: absolute(ENV_CREDENTIALS), session })
    }

    /// The accounts' settings.
    #[must_use]
    pub fn accounts(&self) -> PathBuf {
        self.config.join("accounts.toml")
    }

    /// What the user says about the vault.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.config.join("vault.toml")
    }

    /// The user's own clouds.
    #[must_use]
    pub fn clouds(&self) -> PathBuf {
        self.config.join("clouds")
    }

    /// What a detached agent has to say.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("agent.log")
    }
}

/// What the environment says about networks, without user names and passwords.
pub(crate) fn network(var: impl Fn(&str) -> Option<OsString>) -> Vec<Setting> {
    let said = |name: &&str| {
        let value = var(name)?.to_string_lossy().into_owned();
        let bare = match value.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://{}", without_user(rest)),
            None => without_user(&value).to_owned(),
        };
        (!value.is_empty()).then(|| Setting { name: (*name).to_owned(), value: bare })
    };
    NETWORK.iter().filter_map(said).collect()
}

fn without_user(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    fn resolved(config: Option<&str>, vars: &[(&str, &str)]) -> Result<Paths, Fault> {
        Paths::resolve(config.map(Into::into), |name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    #[test]
    fn the_flag_wins_then_our_variable_then_xdg_then_home() {
        let vars = [("CLOUD_AGENT_CONFIG", "/own"), ("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/u")];
        assert_eq!(resolved(Some("/flag"), &vars).unwrap().config, PathBuf::from("/flag"));
        assert_eq!(resolved(None, &vars).unwrap().config, PathBuf::from("/own"));
        assert_eq!(resolved(None, &vars[1..]).unwrap().config, PathBuf::from("/xdg/cloud-agent"));
        assert_eq!(resolved(None, &vars[2..]).unwrap().config, PathBuf::from("/home/u/.config/cloud-agent"));
        assert_eq!(resolved(None, &vars[2..]).unwrap().state, PathBuf::from("/home/u/.local/state/cloud-agent"));
    }

    #[test]
    fn what_is_told_of_proxies_holds_no_password() {
        let vars = [
            ("HTTPS_PROXY", "http://alice:p@ss@proxy.example:3128"),
            ("all_proxy", "alice:secret@other.example"),
            ("NO_PROXY", ".example"),
            ("ALL_PROXY", ""),
            ("PATH", "/bin"),
        ];
        let told = network(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()));
        let told: Vec<_> = told.iter().map(|setting| (setting.name.as_str(), setting.value.as_str())).collect();
        assert_eq!(
            told,
            [("HTTPS_PROXY", "http://proxy.example:3128"), ("all_proxy", "other.example"), ("NO_PROXY", ".example")]
        );
    }

    #[test]
    fn without_any_of_them_the_fault_says_what_to_set() {
        let fault = resolved(None, &[("HOME", "relative")]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Config);
        assert!(fault.hint.unwrap().contains("CLOUD_AGENT_CONFIG"));
    }
}
