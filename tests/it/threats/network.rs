//! Whoever sits between the agent and the cloud.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cloud_agent_tests::fake::echome::{Options, REFRESH, TOKEN as LOGIN};
use cloud_agent_tests::fake::{Certificate, Fault, Server};
use cloud_agent_tests::sandbox::{AGENT, Outcome, TOKEN};

use super::{Scene, contains, sandbox};

fn login_at(scene: &Scene, url: &str, further: &[&str]) -> Outcome {
    let run = scene.sandbox.command(TOKEN).args(["login", "ecHome", "--no-input", "--timeout", "15", "--url", url]);
    let run = run.args(["--set", "access-id=AKIA1", "--secret", "secret=env:ECHOME_SECRET"]);
    run.args(further.iter().copied()).env("ECHOME_SECRET", &scene.secret).finish()
}

/// T27
#[test]
fn an_address_without_encryption_is_refused_unless_it_is_this_machine() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    for url in
        ["http://api.acme.example", "http://192.0.2.1:8080", "http://127.0.0.1.acme.example", "http://[2001:db8::1]"]
    {
        let outcome = login_at(&scene, url, &[]);
        let said = outcome.fails(2);
        assert!(said.contains("unencrypted") && said.contains("https://"), "{url}: {said}");
    }
    for url in [
        "ftp://acme.example",
        "file:///etc/passwd",
        "acme.example",
        "https://",
        "HTTP://acme.example",
        "//acme.example",
    ] {
        let outcome = login_at(&scene, url, &[]);
        assert_eq!(outcome.code(), 2, "{url}: {outcome:?}");
    }
    assert_eq!(scene.login().finish().code(), 0, "loopback needs no leave");
}

/// T27: the file is judged at every use, not only when a login wrote it.
#[test]
fn an_address_that_was_edited_to_be_unencrypted_is_not_used() {
    let scene = Scene::new();
    let _agent = scene.sandbox.agent();
    assert_eq!(scene.login().finish().code(), 0);
    let (elsewhere, file) = (Server::unvisited(), scene.sandbox.config().join("accounts.toml"));
    let port = elsewhere.address().port();
    let text = fs::read_to_string(&file).unwrap().replace(&scene.cloud.url(), &format!("http://acme.example:{port}"));
    fs::write(&file, text).unwrap();
    let before = scene.cloud.requests().len();
    let outcome = scene.renew();
    let said = outcome.fails(outcome.code());
    assert!([1, 2].contains(&outcome.code()) && said.contains("unencrypted"), "{said}");
    assert_eq!((elsewhere.connections(), scene.cloud.requests().len()), (0, before));
}

/// T28
#[test]
fn a_redirect_is_never_followed_and_its_target_is_named() {
    let scene = Scene::new();
    let agent = scene.sandbox.agent();
    let elsewhere = Server::unvisited();
    for status in [301, 302, 303, 307, 308] {
        for location in [format!("{}{LOGIN}", elsewhere.url()), format!("//{}/x", elsewhere.address())] {
            scene.cloud.break_next(1, LOGIN, Fault::redirect(status, &location));
            let outcome = scene.login().finish();
            let said = outcome.fails(1);
            assert!(said.contains("redirect") && said.contains("127.0.0.1"), "{status}: {said}");
        }
        scene.cloud.break_next(1, LOGIN, Fault::redirect(status, LOGIN));
        let _ = scene.login().finish().fails(1);
        assert_eq!(scene.login().finish().code(), 0);
        scene.cloud.break_next(1, REFRESH, Fault::redirect(status, &format!("{}{REFRESH}", elsewhere.url())));
        let outcome = scene.renew();
        assert!(outcome.fails(1).contains("redirect"), "{status}: {outcome:?}");
    }
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(scene.cloud.count(LOGIN), 5 * 4, "not even within the origin");
    assert!(agent.runs());
}

/// T28, T27: from encrypted to not, at the same host.
#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let scene = Scene::with(Options { tls: Some(Certificate::Valid), ..Options::default() });
    let _agent = scene.sandbox.agent();
    let plain = Server::unvisited();
    scene.cloud.break_always("*", Fault::redirect(308, &plain.url()));
    let outcome = login_at(&scene, &scene.cloud.url(), &["--set", &format!("ca-file={}", scene.cloud.ca().display())]);
    assert!(outcome.fails(1).contains("redirects to `http://127.0.0.1`"), "{outcome:?}");
    assert_eq!((plain.connections(), scene.cloud.requests().len()), (0, 1));
}

/// A proxy that takes every tunnel, and what came in by each connection.
fn proxy() -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let filled = Arc::clone(&seen);
    thread::spawn(move || {
        for (at, stream) in listener.incoming().flatten().enumerate() {
            filled.lock().unwrap().push(Vec::new());
            let filled = Arc::clone(&filled);
            thread::spawn(move || tunnel(stream, |bytes| filled.lock().unwrap()[at].extend_from_slice(bytes)));
        }
    });
    (url, seen)
}

fn tunnel(mut stream: TcpStream, mut record: impl FnMut(&[u8])) {
    let mut buffer = [0; 4096];
    let mut opened = false;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        record(&buffer[..count]);
        if opened {
            // It has said who it thinks it talks to; that is all that may be said in the clear.
            return;
        }
        if contains(&buffer[..count], b"\r\n\r\n") {
            opened = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok();
        }
    }
}

/// T29
#[test]
fn a_proxy_sees_a_tunnel_for_https_and_nothing_of_what_is_in_it() {
    let scene = Scene::new();
    let (url, seen) = proxy();
    let _agent =
        scene.sandbox.agent_from(scene.sandbox.command(AGENT).args(["--vault", "memory"]).env("HTTPS_PROXY", &url));
    let outcome = login_at(&scene, "https://api.acme.example", &[]);
    let _ = outcome.fails(5);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    let end = seen[0].windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, rest) = seen[0].split_at(end);
    assert!(head.starts_with(b"CONNECT api.acme.example:443 HTTP/1.1\r\n"), "{}", head.escape_ascii());
    assert!(rest.is_empty() || rest.starts_with(&[0x16, 3]), "{}", rest.escape_ascii());
    assert!(!contains(&seen[0], scene.secret.as_bytes()) && !contains(&seen[0], b"AKIA1"));
}

/// T29
#[test]
fn a_proxy_is_never_used_without_encryption() {
    let scene = Scene::new();
    let (url, seen) = proxy();
    let mut run = scene.sandbox.command(AGENT).args(["--vault", "memory"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        run = run.env(name, &url);
    }
    let _agent = scene.sandbox.agent_from(run);
    assert_eq!(scene.login().finish().code(), 0, "this machine is reached directly");
    assert_eq!(scene.renew().code(), 0);
    // Nobody has this address: whatever way it fails, it fails without the proxy.
    let outcome = login_at(&scene, "http://192.0.2.1:9", &["--set", "allow-plaintext=true"]);
    let _ = outcome.fails(5);
    assert!(seen.lock().unwrap().is_empty());
}

/// T30
#[test]
fn a_wrong_certificate_is_named_and_no_byte_of_a_request_is_sent() {
    for (certificate, says) in [
        (Certificate::Expired, "has expired"),
        (Certificate::WrongHost, "is not for that name"),
        // To whoever checks it, signed by itself is signed by nobody known.
        (Certificate::SelfSigned, "is from nobody this machine trusts"),
        (Certificate::UnknownAuthority, "is from nobody this machine trusts"),
    ] {
        let scene = Scene::with(Options { tls: Some(certificate), ..Options::default() });
        let _agent = scene.sandbox.agent();
        let ca = format!("ca-file={}", scene.cloud.ca().display());
        let outcome = login_at(&scene, &scene.cloud.url(), &["--set", &ca]);
        let said = outcome.fails(1);
        assert!(said.contains("certificate") && said.contains(says), "{certificate:?}: {said}");
        assert!(scene.cloud.connections() >= 1 && scene.cloud.requests().is_empty(), "{certificate:?}");
    }
}

/// T30
#[test]
fn a_private_authority_is_trusted_by_the_account_that_names_it_and_by_no_other() {
    let scene = Scene::with(Options { tls: Some(Certificate::Valid), ..Options::default() });
    let _agent = scene.sandbox.agent();
    let outcome = login_at(&scene, &scene.cloud.url(), &[]);
    let said = outcome.fails(1);
    assert!(said.contains("from nobody this machine trusts") && said.contains("ca-file"), "{said}");
    assert!(scene.cloud.requests().is_empty());
    let ca = format!("ca-file={}", scene.cloud.ca().display());
    let outcome = login_at(&scene, &scene.cloud.url(), &["--set", &ca]);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert_eq!(scene.renew().code(), 0);
}

/// T30: what an old server or a downgrade answers, byte for byte.
#[test]
fn a_server_that_speaks_no_safe_version_of_tls_is_told_nothing() {
    let alerts = [("protocol version", [0x15, 3, 1, 0, 2, 2, 70]), ("handshake failure", [0x15, 3, 1, 0, 2, 2, 40])];
    for (name, alert) in alerts {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut buffer = vec![0; 16 * 1024];
            let count = stream.read(&mut buffer).unwrap();
            stream.write_all(&alert).unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            buffer.truncate(count);
            buffer.extend_from_slice(&rest);
            buffer
        });
        let scene = Scene::new();
        let _agent = scene.sandbox.agent();
        let outcome = login_at(&scene, &url, &[]);
        assert!(outcome.fails(1).contains("no version of TLS that is safe"), "{name}: {outcome:?}");
        let heard = served.join().unwrap();
        assert!(heard.starts_with(&[0x16, 3]) && !contains(&heard, scene.secret.as_bytes()), "{name}");
    }
}

/// T30: a stray variable must not make the agent write its session keys down.
#[test]
fn the_keys_of_a_tls_session_are_written_nowhere() {
    let scene = Scene::with(Options { tls: Some(Certificate::Valid), ..Options::default() });
    let keys = scene.sandbox.path("home/keys");
    let run = scene.sandbox.command(AGENT).args(["--vault", "memory"]).env("SSLKEYLOGFILE", &keys);
    let _agent = scene.sandbox.agent_from(run);
    let ca = format!("ca-file={}", scene.cloud.ca().display());
    assert_eq!(login_at(&scene, &scene.cloud.url(), &["--set", &ca]).code(), 0);
    assert!(!keys.exists());
}

/// T27: what is asked for by name is said in the file where it is set.
#[test]
fn plaintext_is_allowed_only_by_name() {
    let sandbox = sandbox();
    let _agent = sandbox.agent();
    let run = sandbox.command(TOKEN).args(["login", "ecHome", "--no-input", "--url", "http://acme.example"]);
    let outcome = run.args(["--set", "allow-plaintext=maybe", "--set", "access-id=A"]).finish();
    assert!(outcome.fails(2).contains("`true` or `false`"), "{outcome:?}");
}
