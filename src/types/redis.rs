//! Where a Redis is and how it is spoken to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Secret;

/// One Redis (or Valkey), as configured. Two ways of writing the same settings make equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTarget {
    /// What is there.
    pub topology: RedisTopology,
    /// How the servers that hold data are authenticated to.
    pub login: RedisLogin,
    /// The number of the database; always 0 in a cluster.
    pub database: u32,
    /// TLS to the servers that hold data, if wanted.
    pub tls: Option<RedisTls>,
    /// What every key begins with, without the colon behind it.
    pub prefix: Arc<str>,
    /// The longest a request waits for an answer.
    pub timeout: Duration,
}

/// The kinds of installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisTopology {
    /// One server.
    Single(RedisAddress),
    /// Sentinels know which server is the master.
    Sentinel {
        /// The sentinels, asked in turn; not empty.
        sentinels: Vec<RedisAddress>,
        /// What they call the master.
        master: Arc<str>,
        /// How the sentinels are authenticated to.
        login: RedisLogin,
        /// TLS to the sentinels, if wanted.
        tls: Option<RedisTls>,
    },
    /// A cluster, of which these nodes are known; not empty.
    Cluster(Vec<RedisAddress>),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RedisAddress {
    /// Host and port.
    Tcp(Arc<str>, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl RedisTarget {
    /// Where it is, for people: never with a password.
    #[must_use]
    pub fn place(&self) -> String {
        let list = |all: &[RedisAddress]| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            all.join(", ")
        };
        match &self.topology {
            RedisTopology::Single(address) => address.to_string(),
            RedisTopology::Sentinel {
                sentinels, master, ..
            } => format!("{master} by sentinel {}", list(sentinels)),
            RedisTopology::Cluster(nodes) => format!("cluster {}", list(nodes)),
        }
    }
}

/// A user and a password, as far as they are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisLogin {
    /// The user; none: `default`.
    pub username: Option<Arc<str>>,
    /// The password.
    pub password: Option<Secret>,
}

/// How TLS is spoken to a Redis. The machine's own authorities are trusted where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// A PEM file of the authorities to trust.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate (with its chain) and of its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What holds for limits (`rpm`, `tpm`) that replicas share, while there is no Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// Each replica keeps to the limit divided by how many replicas there were.
    #[default]
    Share,
    /// Each replica keeps to the whole limit.
    Open,
    /// Nothing that has a limit is let through.
    Closed,
}

/// How replicas share what they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Time between two exchanges.
    pub interval: Duration,
    /// How long a replica that is not heard of counts as alive: after that its requests in flight are nobody's.
    pub lease: Duration,
    /// What holds for limits while there is no Redis.
    pub outage: Outage,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(200),
            lease: Duration::from_secs(10),
            outage: Outage::Share,
        }
    }
}
