//! One try to connect, by topology.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates, TlsMode, Value, cmd,
};
use tokio::time::{Instant, timeout};

use super::BACKGROUND;
use super::tls;
use super::trouble::Trouble;
use crate::types::{RedisAddress, RedisLogin, RedisTarget, RedisTls, RedisTopology};

/// The longest that one server has for a connection, with TLS and logging in.
const HOP: Duration = Duration::from_secs(3);
/// How often a command is sent on or again in a cluster: twice for a slot on its way (`MOVED` by an old map, then `ASK`), and
/// once more for what is between them.
const CLUSTER_RETRIES: u32 = 3;
/// The longest pause before one of these, in milliseconds.
const CLUSTER_PAUSE: u64 = 50;

/// What is said of a replica where a master is configured, and whether that lasts.
const A_REPLICA: (&str, bool) = (
    "it is a replica, which takes no writes: name its master, or the sentinels that know it",
    true,
);
/// The same of what a sentinel names; it may well name another one soon.
const STILL_A_REPLICA: (&str, bool) = ("it is still a replica", false);

/// What is asked through. Clones are the same.
#[derive(Clone)]
pub(super) enum Link {
    /// One server.
    Single(MultiplexedConnection),
    /// All masters of a cluster.
    Cluster(ClusterConnection),
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(link) => link.req_packed_command(cmd),
            Self::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a ::redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}

/// A connection that has answered.
pub(super) struct Connected {
    /// The connection.
    pub(super) link: Link,
    /// How long the first answer took.
    pub(super) took: Duration,
    /// Whoever says where the master is, if anybody.
    pub(super) guide: Option<Guide>,
}

/// A server's connection, and how it is opened.
struct Hop<'a> {
    login: &'a RedisLogin,
    database: u32,
    tls: Option<TlsCertificates>,
}

/// Connects, logs in, and asks until it is clear that what is there can be worked with.
pub(super) async fn connect(target: &RedisTarget) -> Result<Connected, Trouble> {
    let hop = Hop::new(&target.login, target.database, target.tls.as_ref()).await?;
    match &target.topology {
        RedisTopology::Single(address) => {
            let (link, took) = hop.master(address, A_REPLICA).await?;
            Ok(Connected {
                link,
                took,
                guide: None,
            })
        }
        RedisTopology::Cluster(nodes) => hop.cluster(nodes).await,
        RedisTopology::Sentinel {
            sentinels,
            master,
            login,
            tls,
        } => {
            let mut troubles = Vec::new();
            for sentinel in sentinels {
                let mut guide = Guide {
                    sentinel: sentinel.clone(),
                    name: Arc::clone(master),
                    login: login.clone(),
                    tls: tls.clone(),
                    open: None,
                    named: None,
                };
                match guide.lead(&hop).await {
                    Ok((link, took)) => {
                        return Ok(Connected {
                            link,
                            took,
                            guide: Some(guide),
                        });
                    }
                    Err(trouble) => troubles.push(trouble),
                }
            }
            // If one of them would do once that passes, it is worth no more than waiting.
            let lasting = troubles.iter().all(|trouble| trouble.lasting);
            let all: Vec<_> = troubles.iter().map(ToString::to_string).collect();
            let all = all.join("; ");
            Err(if lasting {
                Trouble::lasting(all)
            } else {
                Trouble::passing(all)
            })
        }
    }
}

impl<'a> Hop<'a> {
    async fn new(
        login: &'a RedisLogin,
        database: u32,
        tls: Option<&RedisTls>,
    ) -> Result<Self, Trouble> {
        let tls = match tls {
            Some(tls) => Some(tls::read(tls).await?),
            None => None,
        };
        Ok(Self {
            login,
            database,
            tls,
        })
    }

    fn info(&self, address: &RedisAddress) -> Result<ConnectionInfo, Trouble> {
        let addr = match address {
            RedisAddress::Unix(path) => ConnectionAddr::Unix(path.clone()),
            RedisAddress::Tcp(host, port) if self.tls.is_some() => ConnectionAddr::TcpTls {
                host: host.to_string(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            RedisAddress::Tcp(host, port) => ConnectionAddr::Tcp(host.to_string(), *port),
        };
        let mut settings = RedisConnectionInfo::default()
            .set_db(self.database.into())
            .set_lib_name("waypost", env!("CARGO_PKG_VERSION"));
        if let Some(username) = &self.login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.login.password {
            settings = settings.set_password(password.expose());
        }
        let info = addr.into_connection_info();
        let info = info.map_err(|error| Trouble::connecting(&error))?;
        Ok(info.set_redis_settings(settings))
    }

    async fn open(&self, address: &RedisAddress) -> Result<MultiplexedConnection, Trouble> {
        let info = self.info(address)?;
        let client = match (&self.tls, address) {
            (Some(tls), RedisAddress::Tcp(..)) => Client::build_with_tls(info, tls.clone()),
            _ => Client::open(info),
        };
        let opened = async {
            // Time limits are those of whoever asks.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            let client = client?;
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        match timeout(HOP, opened).await {
            Ok(opened) => opened.map_err(|error| Trouble::connecting(&error)),
            // A Redis that does not speak it takes a greeting of TLS for the beginning of a command, and waits for its end.
            Err(_) if self.tls.is_some() => {
                let silent = late(HOP);
                Err(Trouble::passing(format!("{silent}; does it speak TLS?")))
            }
            Err(_) => Err(late(HOP)),
        }
    }

    /// A server that takes writes, and how long its first answer took. What to say of a replica, and whether that lasts, is
    /// given.
    async fn master(
        &self,
        address: &RedisAddress,
        (replica, lasting): (&str, bool),
    ) -> Result<(Link, Duration), Trouble> {
        let mut link = self.open(address).await?;
        let took = ping(&mut link).await?;
        let role = cmd("ROLE");
        match timeout(HOP, role.query_async::<Value>(&mut link)).await {
            Ok(Ok(role)) if is_replica(&role) => Err(if lasting {
                Trouble::lasting(replica)
            } else {
                Trouble::passing(replica)
            }),
            // Where it is not allowed to ask, the first write will tell.
            Ok(_) => Ok((Link::Single(link), took)),
            Err(_) => Err(late(HOP)),
        }
    }

    async fn cluster(&self, nodes: &[RedisAddress]) -> Result<Connected, Trouble> {
        let infos: Result<Vec<_>, _> = nodes.iter().map(|node| self.info(node)).collect();
        let mut builder = ClusterClientBuilder::new(infos?)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(1)
            .max_retry_wait(CLUSTER_PAUSE)
            .connection_timeout(BACKGROUND)
            .response_timeout(BACKGROUND)
            .overall_response_timeout(None);
        if let Some(tls) = &self.tls {
            builder = builder.tls(TlsMode::Secure).certs(tls.clone());
        }
        let opened = async { builder.build()?.get_async_connection().await };
        let mut link = in_time(opened).await?;
        let took = ping(&mut link).await?;
        let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
        let mut info = cmd("CLUSTER");
        info.arg("INFO");
        match timeout(HOP, link.route_command(info, random)).await {
            Ok(Ok(info)) if !is_whole(&info) => Err(Trouble::passing(
                "not every slot has a master (cluster_state is not ok)",
            )),
            // As with a master's role.
            Ok(_) => Ok(Connected {
                link: Link::Cluster(link),
                took,
                guide: None,
            }),
            Err(_) => Err(late(HOP)),
        }
    }
}

/// A sentinel, which says where the master is.
pub(super) struct Guide {
    sentinel: RedisAddress,
    name: Arc<str>,
    login: RedisLogin,
    tls: Option<RedisTls>,
    open: Option<MultiplexedConnection>,
    /// What it named, when that was connected to.
    named: Option<RedisAddress>,
}

impl Guide {
    /// Connects to the master it names.
    async fn lead(&mut self, hop: &Hop<'_>) -> Result<(Link, Duration), Trouble> {
        let what = format!("sentinel {}", self.sentinel);
        let named = self.ask().await.map_err(|trouble| trouble.about(&what))?;
        let led = hop.master(&named, STILL_A_REPLICA).await;
        let led = led.map_err(|trouble| trouble.about(&format!("{named}, by {what}")))?;
        self.named = Some(named);
        Ok(led)
    }

    /// Returns once it names another master, which is looked for every `pause`. A sentinel that does not answer says nothing.
    pub(super) async fn moved(&mut self, pause: Duration) -> Trouble {
        loop {
            tokio::time::sleep(pause).await;
            match self.ask().await {
                Ok(now) if Some(&now) != self.named.as_ref() => {
                    return Trouble::passing(format!("{now} is the master now"));
                }
                Ok(_) => {}
                Err(_) => self.open = None,
            }
        }
    }

    async fn ask(&mut self) -> Result<RedisAddress, Trouble> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let hop = Hop::new(&self.login, 0, self.tls.as_ref()).await?;
                self.open.insert(hop.open(&self.sentinel).await?)
            }
        };
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&*self.name);
        let named: Option<(String, u16)> = in_time(ask.query_async(open)).await?;
        match named {
            Some((host, port)) => Ok(RedisAddress::Tcp(host.into(), port)),
            None => Err(Trouble::lasting(format!(
                "it knows no master called {}",
                self.name
            ))),
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, Trouble> {
    match timeout(HOP, answer).await {
        Ok(answer) => answer.map_err(|error| Trouble::connecting(&error)),
        Err(_) => Err(late(HOP)),
    }
}

/// How long it takes to answer.
async fn ping(link: &mut impl ConnectionLike) -> Result<Duration, Trouble> {
    let began = Instant::now();
    let answered = timeout(BACKGROUND, cmd("PING").exec_async(link)).await;
    match answered {
        Ok(answer) => answer.map_err(|error| Trouble::connecting(&error))?,
        Err(_) => return Err(late(BACKGROUND)),
    }
    Ok(began.elapsed())
}

pub(super) fn late(limit: Duration) -> Trouble {
    Trouble::passing(format!("it does not answer within {limit:?}"))
}

fn is_replica(role: &Value) -> bool {
    let Value::Array(role) = role else {
        return false;
    };
    matches!(role.first(), Some(Value::BulkString(role)) if role == b"slave")
}

fn is_whole(info: &Value) -> bool {
    let text = match info {
        Value::BulkString(text) => text,
        Value::VerbatimString { text, .. } => text.as_bytes(),
        _ => return true,
    };
    !String::from_utf8_lossy(text).contains("cluster_state:fail")
}
