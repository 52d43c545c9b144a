//! What `doctor` asks: what the broker finds, and what is around it.

use cloud_agent_protocol::v1::{Examine, Examined, Finding, Level, Setting};
use cloud_agent_protocol::{Fault, FaultKind};

use super::session::Session;
use crate::http::{self, Way};

impl Session<'_> {
    /// All that only the agent can know of. A locked agent says that it is, and names no account.
    pub(super) async fn examine(&self, examine: &Examine) -> Examined {
        let broker = &self.shared.broker;
        let patience = self.patience(examine.deadline_ms);
        let looked = broker.examine(&self.shared.surroundings, examine.prove, patience);
        let network = &self.shared.surroundings.network;
        let (mut examined, roots, way) = tokio::join!(looked, http::roots(), http::way(network));
        examined.findings.extend([trust(roots), towards(way)]);
        if broker.refuse_locked().is_ok() {
            examined.findings.extend(self.rules(&examined));
        }
        examined
    }

    /// What is wrong with the rules about who may have what.
    fn rules(&self, examined: &Examined) -> Vec<Finding> {
        let known: Vec<&str> = examined.findings.iter().map(|finding| finding.what.as_str()).collect();
        let warnings = self.shared.access.warnings(|name| self.shared.broker.exists(name));
        // What is wrong with the whole file was said of the accounts.
        let is_news = |words: &String| !known.iter().any(|known| words.starts_with(known));
        let found = |words: String| {
            Finding::new("config.access", Level::Warning, words)
                .seen(format!("read from `{}/accounts.toml`", examined.config))
                .mend("edit that rule; docs/access.md says what rules say")
                .kind(FaultKind::Config)
        };
        warnings.into_iter().filter(is_news).map(found).collect()
    }
}

fn trust(roots: Result<Option<usize>, Fault>) -> Finding {
    match roots {
        Ok(Some(count)) => Finding::new("tls.roots", Level::Ok, format!("{count} certificate authorities are trusted"))
            .seen("the system's store, as the agent reads it before each request"),
        Ok(None) => Finding::new("tls.roots", Level::Ok, "the system itself judges certificates")
            .seen("it does not say whom it trusts"),
        Err(fault) => Finding::of_fault("tls.roots", Level::Error, fault)
            .mend("look at the file system that `SSL_CERT_FILE` or `/etc/ssl` is on"),
    }
}

/// What is known of the way to the clouds.
fn towards(way: Way) -> Finding {
    let bad = |id: &str, what: String, proxy: String, kind: FaultKind| {
        Finding::new(id, Level::Warning, what).about(proxy).kind(kind)
    };
    match way {
        Way::Straight => Finding::new("proxy.none", Level::Ok, "the agent asks the clouds without a proxy")
            .seen("its environment has neither HTTPS_PROXY nor ALL_PROXY"),
        Way::Unusable(Setting { name, value }) => {
            let evidence = format!("{name} of the agent's environment: `{value}`");
            let what = "the agent's proxy is no address of an HTTP proxy".to_owned();
            bad("proxy.unusable", what, value, FaultKind::Config).seen(evidence)
        }
        Way::Open(Setting { name, value }, address) => {
            Finding::new("proxy.answers", Level::Ok, format!("the agent's proxy `{address}` takes connections"))
                .about(value)
                .seen(format!("{name} of the agent's environment"))
        }
        Way::Silent(Setting { name, value }, address, why) => {
            let what = format!("nobody answers at the agent's proxy `{address}`");
            bad("proxy.silent", what, value, FaultKind::Unreachable).seen(format!("{name}: {why}"))
        }
    }
}
