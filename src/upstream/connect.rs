//! Opening a connection: TCP, a proxy if the environment names one, TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Intercept;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connection::Io;

/// The largest answer a proxy may give to CONNECT.
const CONNECT_HEAD: usize = 8 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TCP: refused, unreachable, no such host.
    #[error("could not connect: {0}")]
    Tcp(#[source] io::Error),
    /// TLS: a certificate that is not trusted, another name, no TLS at all.
    #[error("TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The proxy said no.
    #[error("the proxy refused: {0}")]
    Proxy(String),
    /// The clock ran out.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
}

/// Where to and how.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) proxy: Option<Intercept>,
}

impl Target {
    /// Plain HTTP through a proxy: requests carry the whole URL, and the proxy's credentials.
    pub(super) const fn is_plain_proxy(&self) -> bool {
        self.proxy.is_some() && self.tls.is_none()
    }

    pub(super) fn proxy_authorization(&self) -> Option<HeaderValue> {
        if self.tls.is_none() {
            self.proxy.as_ref()?.basic_auth().cloned()
        } else {
            None
        }
    }

    /// A way that is ready for a request.
    pub(super) async fn open(&self) -> Result<Io, ConnectError> {
        let (host, port) = match &self.proxy {
            None => (self.host.as_str(), self.port),
            Some(proxy) => {
                let uri = proxy.uri();
                let host = uri
                    .host()
                    .ok_or_else(|| ConnectError::Proxy("its URL has no host".to_owned()))?;
                (host, uri.port_u16().unwrap_or(80))
            }
        };
        let mut stream = TcpStream::connect((host, port))
            .await
            .map_err(ConnectError::Tcp)?;
        stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let Some(tls) = &self.tls else {
            return Ok(Io::Plain(stream));
        };
        if let Some(proxy) = &self.proxy {
            tunnel(&mut stream, &self.host, self.port, proxy.basic_auth()).await?;
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|e| ConnectError::Tls(io::Error::other(e)))?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await
            .map_err(ConnectError::Tls)?;
        Ok(Io::Tls(Box::new(stream)))
    }
}

/// Asks an HTTP proxy for a way through.
async fn tunnel(
    stream: &mut TcpStream,
    host: &str,
    port: u16,
    auth: Option<&HeaderValue>,
) -> Result<(), ConnectError> {
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let mut head =
        format!("CONNECT {bracketed}:{port} HTTP/1.1\r\nhost: {bracketed}:{port}\r\n").into_bytes();
    if let Some(auth) = auth {
        head.extend_from_slice(b"proxy-authorization: ");
        head.extend_from_slice(auth.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await.map_err(ConnectError::Tcp)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > CONNECT_HEAD {
            return Err(ConnectError::Proxy(
                "its answer to CONNECT has no end".to_owned(),
            ));
        }
        // Byte by byte: what follows the head belongs to TLS.
        answer.push(stream.read_u8().await.map_err(ConnectError::Tcp)?);
    }
    let line = String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    if line
        .split(' ')
        .nth(1)
        .is_some_and(|status| status.starts_with('2'))
    {
        Ok(())
    } else {
        Err(ConnectError::Proxy(format!(
            "CONNECT was answered with `{line}`"
        )))
    }
}
