//! kubectl and everything else that is built on client-go: `client.authentication.k8s.io/v1` and `v1beta1`.
//!
//! A failing plug-in is run six times by one command, so it fails at once and in one line. client-go keeps the answer for
//! as long as it runs; when the API refuses it, it asks again without a word, and the agent takes that for a rejection.

use cloud_agent_protocol::v1::GetFor;
use cloud_agent_protocol::{AccountName, Credential, Fault, FaultKind};
use zeroize::Zeroizing;

use super::call::Call;
use super::carry;
use crate::commands::login;
use crate::json::{self, Value};
use crate::report::Failure;
use crate::{moment, stdio, tty};

/// Where client-go says what it wants.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
/// The versions that are spoken; the first is for whoever runs this by hand.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// What client-go wants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    version: &'static str,
    /// It was client-go that said so, and nobody who runs this by hand and may do so twice.
    is_of_client_go: bool,
    /// Somebody is there to be asked.
    interactive: bool,
    /// The cluster's address, if the kubeconfig says `provideClusterInfo`.
    server: Option<String>,
    /// What the cluster's entry says about whose it is.
    account: Option<String>,
}

/// Answers client-go.
#[cold]
pub(super) fn run(call: &Call) -> Result<(), Failure> {
    let info = match std::env::var(EXEC_INFO) {
        Ok(info) => Some(info),
        Err(std::env::VarError::NotPresent) => None,
        Err(_) => return Err(Failure::usage(format!("{EXEC_INFO} is not text (UTF-8)"))),
    };
    let wish = read(info.as_deref())?;
    let question = question(call, &wish)?;
    let credential = if wish.interactive && !call.no_input {
        match call.question_at_once(question.clone()) {
            Err(failure) if failure.fault.kind == FaultKind::NeedsHuman => log_in_and_ask(call, question, failure)?,
            other => other?,
        }
    } else {
        call.question(question)?
    };
    stdio::stdout(write(&wish, &credential)?.as_bytes())
}

/// What to ask the agent for. An account that is named in the user's own entry is that user's word, which decides anyway what
/// is run; what a cluster says of itself is judged by the address, or every cluster could name itself an account.
///
/// # Errors
/// [`FaultKind::Usage`] if neither an account nor an address is known.
#[cold]
fn question(call: &Call, wish: &Wish) -> Result<GetFor, Fault> {
    let blank = GetFor { repeat_rejects: wish.is_of_client_go, ..call.blank() };
    let server = wish.server.clone().unwrap_or_default();
    if call.account.is_some() {
        let consumer = format!("{} {server}", blank.consumer);
        return Ok(GetFor { consumer: consumer.trim_end().to_owned(), ..blank });
    }
    if server.is_empty() {
        return Err(Fault::new(FaultKind::Usage, "it is not known whose token kubectl wants")
            .hint("name the account in the kubeconfig's `args`, or set `provideClusterInfo: true` there"));
    }
    Ok(GetFor { url: server, account: wish.account.clone(), ..blank })
}

/// Whoever sits at the terminal of an interactive kubectl is asked at once.
#[cold]
fn log_in_and_ask(call: &Call, question: GetFor, failure: Failure) -> Result<Credential, Failure> {
    let (Some(account), Ok(tty)) = (&question.account, tty::Tty::open()) else { return Err(failure) };
    login::at_terminal(account, tty, call.timeout)?;
    call.question(question)
}

/// Reads what client-go puts into the environment.
///
/// # Errors
/// [`FaultKind::Usage`].
#[cold]
fn read(info: Option<&str>) -> Result<Wish, Fault> {
    let wrong = |why: &str| Fault::new(FaultKind::Usage, format!("{EXEC_INFO} is refused")).because(why);
    let Some(info) = info else { return Ok(Wish { version: VERSIONS[0], ..Wish::default() }) };
    let info = Value::parse(info).map_err(wrong)?;
    if info.member("kind").and_then(Value::text) != Some("ExecCredential") {
        return Err(wrong("it is no ExecCredential"));
    }
    let version = info.member("apiVersion").and_then(Value::text).unwrap_or_default();
    let known = VERSIONS.iter().find(|known| **known == version).ok_or_else(|| {
        wrong("its apiVersion is not spoken").hint(format!("write `apiVersion: {}` into the kubeconfig", VERSIONS[0]))
    })?;
    let spec = info.member("spec");
    let cluster = spec.and_then(|spec| spec.member("cluster"));
    let account = cluster.and_then(|cluster| cluster.member("config")?.member("account")?.text());
    if let Some(account) = account {
        AccountName::parse(account)?;
    }
    Ok(Wish {
        version: known,
        is_of_client_go: true,
        interactive: spec.and_then(|spec| spec.member("interactive")) == Some(&Value::Bool(true)),
        server: cluster.and_then(|cluster| Some(cluster.member("server")?.text()?.to_owned())),
        account: account.map(str::to_owned),
    })
}

/// Writes what client-go reads.
///
/// # Errors
/// As [`carry::token`].
#[cold]
fn write(wish: &Wish, credential: &Credential) -> Result<Zeroizing<String>, Fault> {
    let token = carry::token(credential, "kubectl")?;
    let mut text = Zeroizing::new(String::with_capacity(2 * token.len() + 512));
    json::Writer::new(&mut text).object(|o| {
        o.key("apiVersion").string(wish.version);
        o.key("kind").string("ExecCredential");
        o.key("status").object(|status| {
            status.key("token").string(token);
            if let Some(at) = credential.expires_at {
                status.key("expirationTimestamp").string(&moment::rfc3339(at));
            }
        });
    });
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::carry::tests::credential;
    use super::*;

    fn info(version: &str, spec: &str) -> String {
        format!(r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/{version}","spec":{spec}}}"#)
    }

    #[test]
    fn both_versions_are_read_and_echoed() {
        for (version, at) in [("v1", 0), ("v1beta1", 1)] {
            let wish = read(Some(&info(version, r#"{"interactive":true}"#))).unwrap();
            assert_eq!(
                wish,
                Wish { version: VERSIONS[at], is_of_client_go: true, interactive: true, server: None, account: None }
            );
            let text = write(&wish, &credential(&[("Authorization", "Bearer t0k")])).unwrap();
            assert_eq!(
                text.as_str(),
                format!(
                    "{{\"apiVersion\":\"client.authentication.k8s.io/{version}\",\"kind\":\"ExecCredential\",\"status\":\
                     {{\"token\":\"t0k\",\"expirationTimestamp\":\"2026-11-22T03:44:00Z\"}}}}\n"
                )
            );
        }
    }

    #[test]
    fn a_token_that_never_ends_has_no_end() {
        let forever = Credential { expires_at: None, ..credential(&[("X-Token", "t0k")]) };
        assert!(!write(&read(None).unwrap(), &forever).unwrap().contains("expirationTimestamp"));
    }

    #[test]
    fn the_cluster_says_where_it_is_and_perhaps_whose() {
        let spec = r#"{"interactive":false,"cluster":{"server":"https://k8s.example:6443","certificate-authority-data":"eA==",
            "config":{"account":"work"}}}"#;
        let wish = read(Some(&info("v1", spec))).unwrap();
        assert_eq!((wish.server.as_deref(), wish.account.as_deref()), (Some("https://k8s.example:6443"), Some("work")));
        let other = read(Some(&info("v1", r#"{"cluster":{"server":"https://k8s.example","config":null}}"#))).unwrap();
        assert_eq!((other.account, other.interactive), (None, false));
    }

    #[test]
    fn what_is_not_spoken_is_told_so() {
        for text in ["", "{}", "[]", &info("v1alpha1", "{}"), &info("v2", "{}"), "{\"kind\":\"Other\"}"] {
            assert_eq!(read(Some(text)).unwrap_err().kind, FaultKind::Usage, "{text}");
        }
        let hint = read(Some(&info("v2", "{}"))).unwrap_err().hint.unwrap();
        assert!(hint.contains("client.authentication.k8s.io/v1"), "{hint}");
        let hostile = info("v1", r#"{"cluster":{"config":{"account":"../x"}}}"#);
        assert!(read(Some(&hostile)).is_err());
    }
}
