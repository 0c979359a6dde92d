//! TLS to a Redis: `true`, or the files it is spoken with.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::context::Context;
use crate::config::tree::{Node, Value};
use crate::config::value;
use crate::types::RedisTls;

/// Whether TLS is wanted; a mapping wants it.
pub(super) fn switch(node: &Node) -> Option<bool> {
    match node.value {
        Value::Map(_) => Some(true),
        _ => value::flag(node).ok(),
    }
}

/// The files that `tls` names; what can't be used is reported.
pub(super) fn files(ctx: &mut Context<'_>, node: Option<&Node>, path: &str) -> RedisTls {
    let Some(node) = node else {
        return RedisTls::default();
    };
    let ca = file(ctx, node, path, "ca", is_certificate);
    let certificate = file(ctx, node, path, "certificate", is_certificate);
    let key = file(ctx, node, path, "key", is_key);
    for (given, missing) in [("certificate", "key"), ("key", "certificate")] {
        if node.get(given).is_some() && node.get(missing).is_none() {
            let message = format!("certificate and key belong together; {missing} is missing");
            ctx.findings
                .error(node.place(given), &format!("{path}.{given}"), message);
        }
    }
    RedisTls {
        ca,
        client: certificate.zip(key),
    }
}

fn file(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    key: &str,
    holds: fn(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
    let file = ctx.file(&node.text(key)?);
    if let Err(message) = holds(&file) {
        ctx.findings
            .error(node.place(key), &format!("{path}.{key}"), message);
    }
    Some(file)
}

fn is_certificate(file: &Path) -> Result<(), String> {
    std::fs::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    let first = CertificateDer::pem_file_iter(file)
        .ok()
        .and_then(|mut all| all.next());
    match first {
        Some(Ok(_)) => Ok(()),
        _ => Err("has no certificate in it; it is a file in PEM".to_owned()),
    }
}

fn is_key(file: &Path) -> Result<(), String> {
    std::fs::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    PrivateKeyDer::from_pem_file(file).map(drop).map_err(|_| {
        "has no private key in it that is not encrypted; it is a file in PEM".to_owned()
    })
}
