//! The only outbound HTTP.
//!
//! An [`Endpoint`] is one host as seen with certain TLS settings, and owns the connections to it. Deployments there share it:
//! a request has a connection to itself as long as it lasts, and there is no bound on them, so one that hangs takes nothing
//! from the others.
//! A request's own task writes it and reads its answer: no task drives a connection, and none hands anything over to another.
//! Connections are HTTP/1.1, reused last-in first-out, and dropped after half a minute without use, before common peers
//! close them. A request that meets a connection which died while idle is sent once more on a fresh one: nothing of the answer
//! had come, so nobody has seen it. Redirects are not followed. `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
//!
//! Only the connect clock runs here; the other three are the gateway's, which knows what the bytes mean.

mod answer;
mod connect;
mod connection;
pub mod credentials;
mod pool;
mod tls;

use std::fmt;
use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::h1::{ChunkError, HeadError};
use crate::types::TlsOptions;

pub use answer::Answer;
pub use connect::ConnectError;
pub use pool::Endpoint;
pub use tls::TlsError;

/// What all endpoints share: the proxy rules, the TLS roots, and the count of connections.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    proxies: Matcher,
    tls: tls::Cache,
    connections: connection::Count,
    pools: pool::Pools,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("connections", &self.0.connections.get())
            .finish_non_exhaustive()
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream {
    /// Reads the proxy variables; opens nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            proxies: Matcher::from_env(),
            tls: tls::Cache::default(),
            connections: connection::Count::default(),
            pools: pool::Pools::default(),
        }))
    }

    /// The endpoint behind `url`'s scheme, host and port.
    ///
    /// # Errors
    /// If the URL has no host or another scheme, the TLS files can't be read, or its proxy is no plain HTTP one.
    pub fn endpoint(&self, url: &Uri, options: &TlsOptions) -> Result<Endpoint, EndpointError> {
        let bad = || EndpointError::Url(url.to_string());
        let authority = url.authority().ok_or_else(bad)?;
        let tls = match url.scheme_str() {
            Some("http") => None,
            Some("https") => Some(self.0.tls.get(options)?),
            _ => return Err(bad()),
        };
        let port = authority
            .port_u16()
            .unwrap_or(if tls.is_some() { 443 } else { 80 });
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let default_port = authority.port().is_none();
        let shown = if default_port {
            authority.host().to_owned()
        } else {
            format!("{}:{port}", authority.host())
        };
        let proxy = self.0.proxies.intercept(url);
        if let Some(scheme) = proxy
            .as_ref()
            .and_then(|p| p.uri().scheme_str())
            .filter(|scheme| *scheme != "http")
        {
            return Err(EndpointError::Proxy {
                host,
                scheme: scheme.to_owned(),
            });
        }
        let site = pool::Site {
            // What goes on the line is the same, however the URL spells it.
            host: host.to_ascii_lowercase(),
            port,
            tls: tls.is_some().then(|| options.clone()),
        };
        let target = connect::Target {
            host,
            port,
            tls,
            proxy,
        };
        Ok(pool::Pool::endpoint(&self.0, site, target, shown))
    }

    /// Closes connections that were not used for a while, or that the other side has closed; at most once a second,
    /// however often it is called. Requests do so as well, but who knows when the next one comes.
    pub fn sweep(&self) {
        self.0.pools.sweep(tokio::time::Instant::now());
    }

    /// Open connections, idle ones included. Those that are of no use any more are closed before they are counted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.sweep();
        self.0.connections.get()
    }
}

/// Why an endpoint can't be built.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No such URL.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// A proxy that would have to be spoken to by TLS or SOCKS. Plain HTTP would show it the credentials on the open line.
    #[error(
        "the proxy variables name an {scheme}:// proxy for {host}, which is not supported; name an http:// one, or put {host} \
         into NO_PROXY"
    )]
    Proxy {
        /// For whom.
        host: String,
        /// What it would speak.
        scheme: String,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a request got no answer head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke before an answer, or what came was none.
    #[error("no answer came")]
    Broken(#[source] BrokenError),
}

/// What became of a connection that a request was sent on. Holds nothing of what was read.
#[derive(Debug, thiserror::Error)]
pub enum BrokenError {
    /// Before the first byte of an answer.
    #[error("the connection was closed before an answer")]
    Closed,
    /// After it.
    #[error("the connection was closed in the middle of the answer's head")]
    InHead,
    /// In a body of known length.
    #[error("the connection was closed with {missing} bytes of the answer missing")]
    InBody {
        /// How many more were promised.
        missing: u64,
    },
    /// In a body that says where it ends, and did not.
    #[error("the connection was closed before the end of the answer")]
    InChunks,
    /// Not HTTP.
    #[error("the answer's head is malformed")]
    Head(#[from] HeadError),
    /// Not chunks.
    #[error("the answer's body is malformed")]
    Chunk(#[from] ChunkError),
    /// Below HTTP.
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests;
