//! The files of TLS, read anew for each connection, so that renewed ones are taken up.

use std::path::Path;

use ::redis::{ClientTlsConfig, TlsCertificates};

use super::trouble::Trouble;
use crate::types::RedisTls;

/// Reads them. Without an authority of its own the machine's are trusted.
pub(super) async fn read(tls: &RedisTls) -> Result<TlsCertificates, Trouble> {
    let root_cert = match &tls.ca {
        Some(file) => Some(pem(file, "CERTIFICATE").await?),
        None => None,
    };
    let client_tls = match &tls.client {
        Some((certificate, key)) => Some(ClientTlsConfig {
            client_cert: pem(certificate, "CERTIFICATE").await?,
            client_key: pem(key, "PRIVATE KEY").await?,
        }),
        None => None,
    };
    Ok(TlsCertificates {
        client_tls,
        root_cert,
    })
}

/// A file that holds at least one of those.
async fn pem(file: &Path, what: &str) -> Result<Vec<u8>, Trouble> {
    let shown = file.display();
    let bytes = tokio::fs::read(file)
        .await
        .map_err(|error| Trouble::lasting(format!("{shown} can't be read: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    // `EC PRIVATE KEY` and such end like it.
    if text.contains("-----BEGIN ") && text.contains(&format!("{what}-----")) {
        return Ok(bytes);
    }
    let what = what.to_lowercase();
    Err(Trouble::lasting(format!("{shown} holds no {what} in PEM")))
}
