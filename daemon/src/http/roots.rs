//! Whom the system trusts: what TLS reads before each request, looked at for its own sake.

use std::time::Duration;

use cloud_agent_protocol::{Fault, FaultKind};

/// How long the certificate store is given: it may be on a network.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// How many certificate authorities there are; `None` where the system itself judges certificates and does not say.
///
/// # Errors
/// `Config` if there is none, so that no `https://` works; `Busy` if the store does not come in time.
pub(crate) async fn roots() -> Result<Option<usize>, Fault> {
    let counted = tokio::time::timeout(STORE_PATIENCE, crate::thread::run("tls-roots", count)).await;
    // It went through code and pages that nobody else needs.
    tokio::spawn(super::client::tidy());
    counted.unwrap_or_else(|_| {
        let fault = Fault::new(FaultKind::Busy, "the store of certificate authorities cannot be read in time");
        Err(fault.because(format!("it did not come within {} s", STORE_PATIENCE.as_secs())))
    })?
}

#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
fn count() -> Result<Option<usize>, Fault> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(Some(found.certs.len()));
    }
    let fault = Fault::new(FaultKind::Config, "no certificate authority is trusted, so no `https://` works");
    let mut causes = found.errors.iter().map(ToString::to_string).peekable();
    let fault = match causes.peek() {
        Some(_) => causes.fold(fault, Fault::because),
        None => fault.because("the system's store is empty"),
    };
    Err(fault.hint("install `ca-certificates`, or name a file of them in `SSL_CERT_FILE` before the agent starts"))
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd")))]
#[expect(clippy::unnecessary_wraps, reason = "as where reading them can fail")]
fn count() -> Result<Option<usize>, Fault> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[tokio::test]
    async fn authorities_are_counted_or_their_want_is_a_fault_that_says_what_to_do() {
        match super::roots().await {
            Ok(count) => assert!(count.is_some_and(|count| count > 0)),
            Err(fault) => assert!(fault.hint.is_some_and(|hint| hint.contains("SSL_CERT_FILE"))),
        }
    }
}
