//! A certificate authority for one test.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

/// An authority nobody trusts unless told to; its files live as long as it does.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate with its key, as PEM.
pub(crate) struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name = named(&format!("authority {number}"));
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"),
            folder: TempDir::new().expect("a folder"),
        }
    }

    /// The authority's own certificate, as a file.
    pub(crate) fn file(&self) -> PathBuf {
        self.write("ca.pem", &self.issuer.pem())
    }

    /// A certificate for this host, and for clients.
    pub(crate) fn identity(&self, host: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("a host");
        // One of the authority's own name would be taken for signed by itself.
        params.distinguished_name = named(host);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for this host and its key, as two files.
    pub(crate) fn files(&self, name: &str, host: &str) -> (PathBuf, PathBuf) {
        let identity = self.identity(host);
        let certificate = self.write(&format!("{name}.crt"), &identity.certificate);
        (
            certificate,
            self.write(&format!("{name}.key"), &identity.key),
        )
    }

    /// The identity as one file.
    pub(crate) fn client_file(&self, identity: &Identity) -> PathBuf {
        self.write(
            "client.pem",
            &format!("{}{}", identity.certificate, identity.key),
        )
    }

    /// A server with a certificate for this host.
    pub(crate) fn server(&self, host: &str) -> Arc<ServerConfig> {
        self.config(host, false)
    }

    /// One that lets only clients in whose certificate is from here.
    pub(crate) fn server_for_known_clients(&self, host: &str) -> Arc<ServerConfig> {
        self.config(host, true)
    }

    fn config(&self, host: &str, known_clients: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if known_clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("a root");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let identity = self.identity(host);
        let certificate =
            CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
        Arc::new(
            builder
                .with_single_cert(vec![certificate], key)
                .expect("a pair"),
        )
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
