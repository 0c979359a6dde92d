//! TLS settings: the system's roots (`SSL_CERT_FILE` counts), plus what a deployment adds.
//!
//! Built on first use and kept by options, so that a process which only speaks plain HTTP reads no root store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::types::TlsOptions;

/// What is wrong with the TLS files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read as PEM.
    #[error("{file}: {problem}")]
    File {
        /// Which.
        file: PathBuf,
        /// What.
        problem: String,
    },
    /// Certificate and key don't fit.
    #[error("TLS settings are not usable: {0}")]
    Config(#[from] rustls::Error),
}

#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<TlsOptions, Arc<ClientConfig>>>);

impl Cache {
    pub(super) fn get(&self, options: &TlsOptions) -> Result<Arc<ClientConfig>, TlsError> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = cache.get(options) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build(options)?);
        cache.insert(options.clone(), Arc::clone(&config));
        Ok(config)
    }
}

fn build(options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a system certificate can't be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(file) = &options.ca_file {
        for certificate in certificates(file)? {
            roots.add(certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &options.client_cert {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let key = PrivateKeyDer::from_pem_file(file).map_err(|e| problem(file, &e))?;
            builder.with_client_auth_cert(certificates(file)?, key)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .map_err(|e| problem(file, &e))?
        .collect();
    match all {
        Ok(all) if all.is_empty() => Err(problem(file, &"holds no certificate")),
        Ok(all) => Ok(all),
        Err(error) => Err(problem(file, &error)),
    }
}

fn problem(file: &Path, what: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        file: file.to_owned(),
        problem: what.to_string(),
    }
}
