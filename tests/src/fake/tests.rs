//! Every way to break, seen by a client that knows nothing of it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::json;

use super::echome::{EcHome, Options, REFRESH, TOKEN};
use super::*;
use crate::http::{self, post_form, post_json};
use crate::wait::{PATIENCE, until};

/// Answers everything well.
struct Good;

impl Cloud for Good {
    fn answer(&self, _request: &Request, _journal: &Journal) -> Reply {
        Reply::json(200, &json!({"access": "good", "number": 1}))
    }
}

const GOOD: &str = r#"{"access":"good","number":1}"#;

/// Sends a GET on a connection of its own and reads until it ends.
fn ask(server: &Server, path: &str) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: fake\r\nConnection: close\r\n\r\n");
    let mut bytes = Vec::new();
    // What was read before an error stays in the buffer.
    let error = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
    (bytes, error)
}

fn body(server: &Server, path: &str) -> String {
    http::get(&format!("{}{path}", server.url()), None).unwrap().text()
}

#[test]
fn faults_hold_for_their_path_and_their_number_of_requests() {
    let server = Server::start(Good);
    server.break_next(2, "/a", Fault::status(503, &json!({})));
    server.break_always("/b", Fault::captive_portal());
    let status = |path: &str| http::get(&format!("{}{path}", server.url()), None).unwrap().status;
    assert_eq!([status("/a"), status("/c"), status("/a"), status("/a")], [503, 200, 503, 200]);
    assert!(body(&server, "/b").contains("airport"));
    server.clear();
    assert_eq!(body(&server, "/b"), GOOD);
    assert_eq!((server.count("/a"), server.count("/b"), server.connections()), (3, 2, 6));
}

#[test]
fn a_connection_carries_more_than_one_request() {
    let server = Server::start(Good);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: fake\r\n\r\n").unwrap();
        let mut answer = vec![0; 20];
        stream.read_exact(&mut answer).unwrap();
    }
    server.wait_for(PATIENCE, |requests| requests.len() == 2);
    assert!(server.requests().iter().all(|request| request.connection == 1));
}

#[test]
fn before_and_after_differ_in_what_the_cloud_knows() {
    let cloud = EcHome::with(Options { blacklist: true, ..Options::default() });
    let secret = cloud.add_key("AKIA1");
    let url = |path: &str| format!("{}{path}", cloud.url());
    let login = || {
        let answer = post_json(&url(TOKEN), &json!({"username": "AKIA1", "password": secret})).unwrap();
        answer.json()["refresh"].as_str().unwrap().to_owned()
    };
    for (fault, spent) in [
        (Fault::Close, false),
        (Fault::Reset, false),
        (Fault::try_later(503, "1"), false),
        (Fault::CloseAfter, true),
        (Fault::ResetAfter, true),
        (Fault::Truncated, true),
        (Fault::ResetMidBody, true),
        (Fault::Remove("refresh".into()), true),
    ] {
        let refresh = login();
        cloud.break_next(1, REFRESH, fault.clone());
        let _ = post_form(&url(REFRESH), &[("refresh", &refresh)]);
        let again = post_form(&url(REFRESH), &[("refresh", &refresh)]).unwrap();
        assert_eq!(again.status, if spent { 401 } else { 200 }, "{fault:?}");
    }
}

#[test]
fn a_lost_reply_is_lost_in_the_way_that_was_asked_for() {
    let server = Server::start(Good);
    for path in ["/close", "/close-after", "/reset", "/reset-after", "/truncated", "/reset-mid-body"] {
        server.break_always(
            path,
            match path {
                "/close" => Fault::Close,
                "/close-after" => Fault::CloseAfter,
                "/reset" => Fault::Reset,
                "/reset-after" => Fault::ResetAfter,
                "/truncated" => Fault::Truncated,
                _ => Fault::ResetMidBody,
            },
        );
    }
    let reset = Some(io::ErrorKind::ConnectionReset);
    for (path, error) in [("/close", None), ("/close-after", None), ("/reset", reset), ("/reset-after", reset)] {
        assert_eq!(ask(&server, path), (Vec::new(), error), "{path}");
    }
    for (path, error) in [("/truncated", None), ("/reset-mid-body", reset)] {
        let (bytes, seen) = ask(&server, path);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Content-Length: 28") && text.ends_with(&GOOD[..14]), "{path}: {text}");
        assert_eq!(seen, error, "{path}");
    }
}

#[test]
fn whoever_hangs_is_let_go_when_the_faults_are_cleared() {
    let server = Server::start(Good);
    server.break_always("/hang", Fault::Hang);
    server.break_always("/late", Fault::Delay(Duration::from_hours(1)));
    thread::scope(|scope| {
        let hangs = scope.spawn(|| ask(&server, "/hang").0);
        let late = scope.spawn(|| body(&server, "/late"));
        server.wait_for(PATIENCE, |requests| requests.len() == 2);
        assert!(!hangs.is_finished() && !late.is_finished());
        server.clear();
        assert_eq!(hangs.join().unwrap(), b"");
        assert_eq!(late.join().unwrap(), GOOD);
    });
}

#[test]
fn a_delay_delays() {
    let server = Server::start(Good);
    let delay = Duration::from_millis(50);
    server.break_always("*", Fault::Delay(delay));
    let started = Instant::now();
    assert_eq!(body(&server, "/"), GOOD);
    assert!(started.elapsed() >= delay);
}

#[test]
fn a_drip_is_whole_in_the_end() {
    let server = Server::start(Good);
    server.break_always("*", Fault::Drip(Duration::from_micros(100)));
    assert_eq!(body(&server, "/"), GOOD);
}

#[test]
fn a_body_that_drips_has_a_head_that_does_not() {
    let server = Server::start(Good);
    server.break_always("*", Fault::DripBody(Duration::from_hours(1)));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: fake\r\nConnection: close\r\n\r\n").unwrap();
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n{") {
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    server.clear();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(GOOD.as_bytes()), "{}", bytes.escape_ascii());
}

#[test]
fn endless_bodies_go_on_until_the_client_has_had_enough() {
    let server = Server::start(Good);
    server.break_always("/endless", Fault::Endless);
    server.break_always("/huge", Fault::Huge(100 << 20));
    for path in ["/endless", "/huge"] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: fake\r\n\r\n").unwrap();
        let mut taken = vec![0; 1 << 20];
        stream.read_exact(&mut taken).unwrap();
        let head = String::from_utf8_lossy(&taken[..200]);
        assert_eq!(head.contains("Content-Length: 104857600"), path == "/huge", "{head}");
        assert!(head.contains("\r\n\r\n{\"access\":\"aaaa"), "{head}");
    }
    // Both clients are gone: nothing more is sent.
    let mut last = 0;
    assert!(until(PATIENCE, || std::mem::replace(&mut last, server.sent()) == last && last > 1 << 20));
}

#[test]
fn a_reply_of_a_hundred_megabytes_can_be_read_to_its_end() {
    let server = Server::start(Good);
    server.break_always("*", Fault::Huge(100 << 20));
    let answer = http::get(&format!("{}/", server.url()), None).unwrap();
    assert_eq!(answer.body.len(), 100 << 20);
}

#[test]
fn odd_replies_are_odd() {
    let server = Server::start(Good);
    let elsewhere = Server::unvisited();
    server.break_next(1, "/", Fault::garbage());
    assert!(ask(&server, "/").0.starts_with(b"SSH-2.0-"));
    server.break_next(1, "/", Fault::ClaimsGzip);
    let answer = http::get(&format!("{}/", server.url()), None).unwrap();
    assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (Some("gzip"), GOOD));
    server.break_next(1, "/", Fault::nested(100_000));
    assert_eq!(body(&server, "/").len(), 100_000);
    for status in [301, 302, 303, 307, 308] {
        server.break_next(1, "/", Fault::redirect(status, &elsewhere.url()));
        let answer = http::get(&format!("{}/", server.url()), None).unwrap();
        assert_eq!((answer.status, answer.header("location")), (status, Some(elsewhere.url().as_str())));
    }
    server.break_next(1, "/", Fault::try_later(429, "Wed, 21 Oct 2099 07:28:00 GMT"));
    let answer = http::get(&format!("{}/", server.url()), None).unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("Wed, 21 Oct 2099 07:28:00 GMT")));
    for (name, fault) in Fault::bad_tokens("access") {
        server.break_next(1, "/", fault);
        assert_ne!(body(&server, "/"), GOOD, "{name}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn what_is_no_request_is_a_violation() {
    let server = Server::start(Good);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    // It is written down behind the caller's back, who may see the end before.
    assert!(until(PATIENCE, || server.violations().len() == 1));
}

#[test]
#[should_panic(expected = "GET /here on connection 1")]
fn waiting_in_vain_tells_what_was_seen() {
    let server = Server::start(Good);
    body(&server, "/here");
    server.wait_for(Duration::from_millis(10), |requests| requests.len() == 2);
}

#[test]
fn a_valid_certificate_is_trusted_and_each_wrong_one_is_refused_for_its_own_reason() {
    assert_eq!(handshake(&Server::builder().tls(Certificate::Valid).start(Good)), "HTTP/1.1 200");
    let mut reasons = Vec::new();
    for certificate in Certificate::WRONG {
        let server = Server::builder().tls(certificate).start(Good);
        assert!(server.url().starts_with("https://127.0.0.1:"));
        reasons.push(handshake(&server));
        assert_eq!(server.requests().len(), 0, "{certificate:?}");
        assert_eq!(server.connections(), 1);
    }
    for (reason, word) in reasons.iter().zip(["Expired", "NotValidForName", "UnknownIssuer", "UnknownIssuer"]) {
        assert!(reason.contains(word), "{reasons:?}");
    }
}

/// The beginning of the answer to a request over TLS, or why there is none.
fn handshake(server: &Server) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.ca()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, TcpStream::connect(server.address()).unwrap());
    let mut answer = [0; 12];
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: fake\r\n\r\n").and_then(|()| stream.read_exact(&mut answer));
    asked.map_or_else(|error| format!("{error:?}"), |()| String::from_utf8_lossy(&answer).into_owned())
}
