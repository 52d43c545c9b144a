//! Certificates that are right, or wrong in exactly one way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// For `127.0.0.1` and `localhost`, by the authority that [`super::Server::ca`] names.
    Valid,
    /// The same, but it ended in 2001.
    Expired,
    /// The same, but for another host.
    WrongHost,
    /// Signed by itself.
    SelfSigned,
    /// Signed by an authority that [`super::Server::ca`] does not name.
    UnknownAuthority,
}

impl Certificate {
    /// Those that must be refused before any byte of a request is sent.
    pub const WRONG: [Self; 4] = [Self::Expired, Self::WrongHost, Self::SelfSigned, Self::UnknownAuthority];
}

/// Whoever trusts its [`Self::ca`] trusts what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    ca: PathBuf,
    _dir: tempfile::TempDir,
}

impl Authority {
    /// One that nobody knows yet.
    ///
    /// # Panics
    /// If its file cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let issuer = authority("Authority of the tests");
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, issuer.as_ref().pem()).expect("a temporary file can be written");
        Self { issuer, ca, _dir: dir }
    }

    /// Its own certificate, as a PEM file.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// What a server at `host`, which is also at `127.0.0.1` and `localhost`, shows and proves.
    pub(super) fn config(&self, certificate: Certificate, host: &str) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().expect("a key can be made");
        let hosts = match certificate {
            Certificate::WrongHost => vec!["elsewhere.example".to_owned()],
            _ => vec!["127.0.0.1".to_owned(), "localhost".to_owned(), host.to_owned()],
        };
        let mut params = CertificateParams::new(hosts).expect("these names are names");
        params.distinguished_name.push(DnType::CommonName, "A fake cloud");
        if certificate == Certificate::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        }
        let leaf = match certificate {
            Certificate::SelfSigned => params.self_signed(&key),
            Certificate::UnknownAuthority => params.signed_by(&key, &*authority("Authority of somebody else")),
            _ => params.signed_by(&key, &*self.issuer),
        };
        let leaf = CertificateDer::from(leaf.expect("a certificate can be signed"));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())))
            .expect("the key fits the certificate");
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A certificate in use.
pub(super) struct Identity {
    pub(super) config: Arc<rustls::ServerConfig>,
    pub(super) authority: Authority,
}

impl Identity {
    pub(super) fn new(certificate: Certificate) -> Self {
        let authority = Authority::new();
        Self { config: authority.config(certificate, "localhost"), authority }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key can be made"))
        .expect("an authority can be made")
}
