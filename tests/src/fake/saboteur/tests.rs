//! Every sabotage, seen by a client that knows nothing of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::json;

use super::*;
use crate::fake::{Cloud, Fault, Journal, Reply, Request, Server};
use crate::wait::PATIENCE;

struct Good;

impl Cloud for Good {
    fn answer(&self, _request: &Request, _journal: &Journal) -> Reply {
        Reply::json(200, &json!({"access": "good"}))
    }
}

struct Given {
    authority: Arc<Authority>,
    server: Server,
    saboteur: Saboteur,
}

fn given() -> Given {
    let (authority, server) = (Arc::new(Authority::new()), Server::start(Good));
    let saboteur = Saboteur::before(server.address(), "127.0.0.1", &authority);
    Given { authority, server, saboteur }
}

impl Given {
    fn address(&self) -> SocketAddr {
        self.saboteur.url().strip_prefix("https://").unwrap().parse().unwrap()
    }

    /// Asks once over TLS.
    fn ask(&self) -> io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority.ca()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = rustls::ClientConnection::new(config, name).unwrap();
        let socket = TcpStream::connect(self.address())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = rustls::StreamOwned::new(connection, socket);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: fake\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

#[test]
fn it_passes_on_and_keeps_its_address_through_every_sabotage() {
    let it = given();
    for sabotage in [
        Sabotage::Refuse,
        Sabotage::Blackhole,
        Sabotage::Silence,
        Sabotage::Certificate(Certificate::Expired),
        Sabotage::Plain,
        Sabotage::None,
    ] {
        let (url, before) = (it.saboteur.url(), it.server.requests().len());
        it.saboteur.engage(sabotage);
        it.saboteur.engage(Sabotage::None);
        assert_eq!(it.saboteur.url(), url);
        assert!(it.ask().unwrap().ends_with(r#"{"access":"good"}"#), "{sabotage:?}");
        assert_eq!(it.server.requests().len(), before + 1, "{sabotage:?}");
    }
    assert_eq!(it.saboteur.connections(), 6);
}

#[test]
fn nobody_listens_where_connections_are_refused() {
    let it = given();
    it.saboteur.engage(Sabotage::Refuse);
    assert_eq!(TcpStream::connect(it.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn who_connects_to_a_blackhole_hears_nothing() {
    let it = given();
    it.saboteur.engage(Sabotage::Blackhole);
    let outcome = TcpStream::connect_timeout(&it.address(), Duration::from_millis(500));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn who_is_listened_to_in_silence_is_counted_and_hears_nothing() {
    let it = given();
    it.saboteur.engage(Sabotage::Silence);
    let mut stream = TcpStream::connect(it.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((it.saboteur.connections(), it.saboteur.heard(), it.server.requests().len()), (1, 18, 0));
}

#[test]
fn behind_a_wrong_certificate_nothing_is_heard() {
    let it = given();
    for certificate in Certificate::WRONG {
        it.saboteur.engage(Sabotage::Certificate(certificate));
        assert_eq!(it.ask().unwrap_err().kind(), ErrorKind::InvalidData, "{certificate:?}");
    }
    assert_eq!((it.saboteur.connections(), it.saboteur.heard(), it.server.requests().len()), (4, 0, 0));
}

#[test]
fn plain_http_is_answered_to_tls_and_what_is_not_tls_is_counted() {
    let it = given();
    it.saboteur.engage(Sabotage::Plain);
    assert!(it.ask().is_err());
    assert_eq!(it.saboteur.heard(), 0);
    let mut stream = TcpStream::connect(it.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert_eq!((it.saboteur.heard(), it.server.requests().len()), (18, 0));
}

#[test]
fn how_the_server_breaks_off_is_how_the_connection_ends() {
    let it = given();
    it.server.break_next(1, "*", Fault::ResetMidBody);
    assert_eq!(it.ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    it.server.break_next(1, "*", Fault::Truncated);
    let text = it.ask().unwrap();
    assert!(text.contains("Content-Length: 17") && text.ends_with("{\"access"), "{text}");
}
