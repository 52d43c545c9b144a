//! What went wrong on the network, in words that say what to do about it.

use std::error::Error;
use std::io::{self, ErrorKind};

use cloud_agent_protocol::{Fault, FaultKind};
use reqwest::Url;
use rustls::{AlertDescription, CertificateError};

use super::MAX_BODY;

/// Host and port as errors show them: never the path or the query.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

pub(super) fn too_long(host: &str) -> Fault {
    Fault::new(FaultKind::MalformedReply, format!("`{host}` answered with more than {} KiB", MAX_BODY / 1024))
}

pub(super) fn silent(host: &str) -> Fault {
    Fault::new(FaultKind::Unreachable, format!("`{host}` did not answer in time"))
}

/// The client itself could not be made.
pub(super) fn no_client(why: &reqwest::Error) -> Fault {
    let fault = Fault::new(FaultKind::Config, "no secure connection can be set up on this machine");
    let fault = chain(why).into_iter().fold(fault, Fault::because);
    fault.hint("are certificate authorities installed (`ca-certificates`)? `SSL_CERT_FILE` names another file of them")
}

/// What a failed request means.
pub(super) fn fault(why: &reqwest::Error, host: &str) -> Fault {
    if let Some(tls) = find::<rustls::Error>(why) {
        return tls_fault(tls, host);
    }
    let io = find::<io::Error>(why);
    // Before all that is the cloud's: a look-up without files fails as one of a wrong name does.
    if let Some(io) = io.filter(|io| is_shortage(io)) {
        return shortage(io, host);
    }
    if why.is_timeout() {
        return silent(host);
    }
    if why.is_dns() {
        return Fault::new(FaultKind::Unreachable, format!("the host `{host}` cannot be found"))
            .because("its name does not resolve")
            .hint("is the network up, and the address right? `cloud-token login ACCOUNT --url URL` sets another");
    }
    if let Some(io) = io {
        return io_fault(io, host);
    }
    let words = chain(why);
    // The HTTP library does not make its kinds public; its words are all there is.
    let says = |what: &str| words.iter().any(|cause| cause.contains(what));
    if says("parsed") || says("message head is too large") || says("unexpected message") {
        return not_http(host);
    }
    if says("closed before message completed") || says("end of file") {
        return broken_off(host);
    }
    let fault = Fault::new(FaultKind::Unreachable, format!("the request to `{host}` failed"));
    words.into_iter().fold(fault, Fault::because)
}

fn io_fault(io: &io::Error, host: &str) -> Fault {
    let unreachable = |what: &str| Fault::new(FaultKind::Unreachable, format!("`{host}` {what}"));
    match io.kind() {
        ErrorKind::ConnectionRefused => unreachable("refuses connections").hint(
            "try again in a moment; if the address or its port is wrong, `cloud-token login ACCOUNT --url URL` sets another",
        ),
        ErrorKind::TimedOut => silent(host),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => broken_off(host),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
            unreachable("cannot be reached from here")
                .hint("is the network up? `cloud-token status` says when it is tried again")
        }
        ErrorKind::InvalidData => not_http(host),
        _ => unreachable("could not be talked to").because(io.to_string()),
    }
}

/// Whether this process, or this machine, has no room for a connection: nothing that a cloud could be blamed for.
pub(super) fn is_shortage(io: &io::Error) -> bool {
    io.raw_os_error().is_some_and(|code| SHORT.contains(&code))
}

#[cfg(unix)]
const SHORT: [i32; 4] = {
    use rustix::io::Errno;
    [
        Errno::MFILE.raw_os_error(),
        Errno::NFILE.raw_os_error(),
        Errno::NOBUFS.raw_os_error(),
        Errno::NOMEM.raw_os_error(),
    ]
};
/// `WSAEMFILE`, `WSAENOBUFS`, `ERROR_NOT_ENOUGH_MEMORY`, `ERROR_NO_SYSTEM_RESOURCES`.
#[cfg(windows)]
const SHORT: [i32; 4] = [10024, 10055, 8, 1450];

pub(super) fn shortage(io: &io::Error, host: &str) -> Fault {
    Fault::new(FaultKind::Busy, format!("no connection to `{host}` can be opened now"))
        .because(io.to_string())
        .hint("too many clients at once? `ulimit -n` before the agent's start sets how many files it may open")
}

fn broken_off(host: &str) -> Fault {
    Fault::new(FaultKind::Unreachable, format!("`{host}` broke the connection off"))
}

fn not_http(host: &str) -> Fault {
    Fault::new(FaultKind::MalformedReply, format!("what `{host}` answered is not HTTP"))
        .hint("are the address and its port right? `cloud-token login ACCOUNT --url URL` sets another")
}

fn tls_fault(tls: &rustls::Error, host: &str) -> Fault {
    let config = |message: String| Fault::new(FaultKind::Config, message);
    match tls {
        rustls::Error::InvalidCertificate(why) => certificate_fault(why, host),
        rustls::Error::InvalidMessage(_) => config(format!("`{host}` does not speak TLS"))
            .hint("are the address and its port right? `cloud-token login ACCOUNT --url URL` sets another"),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
            config(format!("`{host}` speaks no version of TLS that is safe")).because(tls.to_string())
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            config(format!("`{host}` does not know itself by that name"))
                .hint("is the address right? `cloud-token login ACCOUNT --url URL` sets another")
        }
        _ => Fault::new(FaultKind::Unreachable, format!("no secure connection to `{host}` came about"))
            .because(tls.to_string()),
    }
}

fn certificate_fault(why: &CertificateError, host: &str) -> Fault {
    let config = |message: String| Fault::new(FaultKind::Config, message);
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            config(format!("the certificate of `{host}` has expired"))
                .hint("is the clock of this machine right? `date` shows it")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            config(format!("the certificate of `{host}` is not valid yet"))
                .hint("is the clock of this machine right? `date` shows it")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            config(format!("the certificate that `{host}` shows is not for that name"))
                .hint("is the address right? `cloud-token login ACCOUNT --url URL` sets another")
        }
        CertificateError::UnknownIssuer => {
            config(format!("the certificate of `{host}` is from nobody this machine trusts"))
                .hint("a private authority? `cloud-token login ACCOUNT --set ca-file=/path/to/ca.pem`")
        }
        CertificateError::Revoked => config(format!("the certificate of `{host}` has been revoked")),
        // webpki's own error is hidden in there; its name is all that can be seen of it.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => config(format!(
            "the certificate of `{host}` is signed by itself"
        ))
        .hint("sign it by an authority of your own, then `cloud-token login ACCOUNT --set ca-file=/path/to/ca.pem`"),
        other => config(format!("the certificate of `{host}` cannot be trusted")).because(format!("{other:?}")),
    }
}

/// The first error of that type beneath `error`, looking into `io::Error`s, which hide what they wrap.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if let Some(inner) = io.and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The words of every error beneath the first, which says no more than that a request failed.
fn chain(error: &reqwest::Error) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        next = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_a_certificate_can_be_wrong_has_its_own_words() {
        let cases = [
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::NotValidForName, "not for that name"),
            (CertificateError::UnknownIssuer, "nobody this machine trusts"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::BadEncoding, "cannot be trusted"),
        ];
        for (why, says) in cases {
            let fault = tls_fault(&rustls::Error::InvalidCertificate(why), "acme.example");
            assert_eq!(fault.kind, FaultKind::Config);
            assert!(fault.message.contains(says), "{fault}");
        }
    }

    #[test]
    fn a_shortage_of_files_is_no_fault_of_the_clouds() {
        let short = io::Error::from_raw_os_error(SHORT[0]);
        assert!(is_shortage(&short) && !is_shortage(&io::Error::from(ErrorKind::ConnectionRefused)));
        let fault = shortage(&short, "acme.example");
        assert_eq!(fault.kind, FaultKind::Busy);
        assert!(fault.to_string().contains(&short.to_string()), "{fault}");
    }

    #[test]
    fn an_error_is_found_inside_io_errors() {
        let inner = io::Error::other(rustls::Error::InvalidCertificate(CertificateError::Expired));
        let outer = io::Error::other(inner);
        assert!(find::<rustls::Error>(&outer).is_some());
        assert!(find::<std::num::ParseIntError>(&outer).is_none());
    }
}
