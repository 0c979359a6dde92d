//! The section `waypost`: from a checked mapping to [`Settings`] and to what groups take from it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::check::{self, join, texts};
use super::context::Context;
use super::keys::WAYPOST;
use super::prices::{Prices, Sheet, THRESHOLDS};
use super::router::all_cooling;
use super::tree::{Node, Pos, Value};
use super::{ClientKey, Group, Settings, ledger, redis, value};
use crate::types::{AllCooling, Clocks, Secret, StrategyKind};

const BODY_LIMIT: u64 = 32 << 20;
const CACHE_BYTES: u64 = 64 << 20;
const CACHE_TTL: Duration = Duration::from_secs(600);
const NEAR_TTL: Duration = Duration::from_secs(10);
const COMPRESS_ABOVE: u64 = 4096;
const MAX_WAIT: Duration = Duration::from_secs(10);
const DRAIN_DELAY: Duration = Duration::from_secs(1);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);
const MAX_FALLBACKS: u32 = 10;
const MAX_ATTEMPTS: u32 = 12;
const DECISIONS: usize = 100;
/// Largest file that `prices_file` may name.
const MAX_PRICES: u64 = 32 << 20;

/// The section, with what groups need of it.
pub(super) struct Own {
    pub(super) node: Node,
    pub(super) prices: Prices,
    pub(super) prices_file: Prices,
    pub(super) cache_ttl: Duration,
    pub(super) cache_shared: bool,
    pub(super) cache_in_redis: bool,
    pub(super) near_ttl: Duration,
    pub(super) compress_above: usize,
    pub(super) redis: redis::Common,
    pub(super) exact_limits: bool,
    pub(super) response_model_is_group: bool,
    pub(super) all_cooling: AllCooling,
    pub(super) max_wait: Duration,
}

impl Own {
    /// The settings of one group; an empty mapping where there are none.
    pub(super) fn overrides(&self, group: &str) -> &Node {
        static NOTHING: Node = Node::nothing();
        self.node
            .get("groups")
            .and_then(|groups| groups.get(group))
            .unwrap_or(&NOTHING)
    }

    /// Time limits before any `timeout` of the dialect.
    pub(super) fn clocks(&self, group: &str) -> Clocks {
        let default = Clocks::default();
        let time = |key: &str| self.limit(group, key);
        Clocks {
            connect: time("connect").unwrap_or(default.connect),
            first_content: time("first_content").unwrap_or(default.first_content),
            gap: time("gap").unwrap_or(default.gap),
            total: time("total").unwrap_or(default.total),
            request: time("request").unwrap_or(default.request),
        }
    }

    fn limit(&self, group: &str, key: &str) -> Option<Duration> {
        let of = |node: &Node| {
            node.get("timeouts")
                .and_then(|timeouts| timeouts.duration(key))
        };
        of(self.overrides(group)).or_else(|| of(&self.node))
    }

    /// `deadline` of a group.
    pub(super) fn deadline(&self, group: &str) -> Option<Duration> {
        self.overrides(group).duration("deadline")
    }

    /// The limit of a request where nothing names one: never shorter than one attempt may take.
    pub(super) fn request_limit(&self, group: &str, longest_attempt: Duration) -> Duration {
        self.limit(group, "request")
            .unwrap_or_else(|| Clocks::default().request.max(longest_attempt))
    }
}

/// Reads the section; without one, every default.
pub(super) fn read(ctx: &mut Context<'_>, node: Option<Node>) -> (Own, Settings) {
    let node = node
        .filter(|node| !matches!(node.value, Value::Null))
        .unwrap_or_else(Node::nothing);
    if !matches!(&node.value, Value::Map(map) if map.entries.is_empty()) {
        check::section(ctx, &node, &WAYPOST, "waypost");
    }
    let empty = Node::nothing();
    let drain = node.get("drain").unwrap_or(&empty);
    let cache = node.get("cache").unwrap_or(&empty);
    let redis = node.get("redis").unwrap_or(&empty);
    let common = redis::common(ctx, redis);
    let size = |node: &Node, key: &str| node.get(key).and_then(|n| value::size(n).ok());
    let settings = Settings {
        host: host(ctx, &node),
        port: node.count("port").and_then(|port| u16::try_from(port).ok()),
        admin: admin(ctx, &node),
        anonymous: node.flag("anonymous").unwrap_or(false),
        keys: keys(ctx, &node),
        body_limit: usize::try_from(size(&node, "body_limit").unwrap_or(BODY_LIMIT))
            .unwrap_or(usize::MAX),
        drain_delay: drain.duration("delay").unwrap_or(DRAIN_DELAY),
        drain_timeout: drain.duration("timeout").unwrap_or(DRAIN_TIMEOUT),
        cache_max_bytes: size(cache, "max_bytes").unwrap_or(CACHE_BYTES),
        max_fallbacks: node.count_32("max_fallbacks").unwrap_or(MAX_FALLBACKS),
        max_attempts: node.count_32("max_attempts").unwrap_or(MAX_ATTEMPTS),
        mock_testing: node.flag("mock_testing").unwrap_or(true),
        dry_runs: node.flag("dry_runs").unwrap_or(true),
        decisions: node
            .count("decisions")
            .and_then(|decisions| usize::try_from(decisions).ok())
            .unwrap_or(DECISIONS),
        litellm_headers: node.flag("litellm_headers").unwrap_or(false),
        sharing: redis::sharing(redis),
        ledger: ledger::settings(ctx, &node, common.all.as_ref()),
    };
    if let Some(host) = settings.host.filter(|host| !host.is_loopback())
        && settings.keys.is_empty()
        && !settings.anonymous
    {
        let message = format!(
            "{host} is not loopback and there are no keys, so serve refuses to start; add keys, or anonymous: true"
        );
        ctx.findings
            .warning(node.place("host"), "waypost.host", message);
    }
    let own = Own {
        prices: prices(ctx, &node),
        prices_file: prices_file(ctx, &node),
        cache_ttl: cache.duration("ttl").unwrap_or(CACHE_TTL),
        cache_shared: cache.flag("shared_between_callers").unwrap_or(false),
        cache_in_redis: cache.flag("redis").unwrap_or(true),
        near_ttl: cache.duration("near_ttl").unwrap_or(NEAR_TTL),
        compress_above: usize::try_from(size(cache, "compress_above").unwrap_or(COMPRESS_ABOVE))
            .unwrap_or(usize::MAX),
        redis: common,
        exact_limits: node.text("limits").as_deref() == Some("exact"),
        response_model_is_group: node.text("response_model").as_deref() == Some("group"),
        all_cooling: node
            .text("all_cooling")
            .as_deref()
            .map_or(AllCooling::Fail, all_cooling),
        max_wait: node.duration("max_wait").unwrap_or(MAX_WAIT),
        node,
    };
    (own, settings)
}

/// Whether the settings of a group say something that its router never asks; to be said once the groups are known.
pub(super) fn check_use(ctx: &mut Context<'_>, own: &Own, groups: &[Group]) {
    for group in groups {
        let overrides = own.overrides(&group.id);
        for (key, strategy) in [("cost", StrategyKind::Cost), ("usage", StrategyKind::Usage)] {
            if overrides.get(key).is_some() && group.router.strategy != strategy {
                let message = format!(
                    "without effect: the group uses {}",
                    group.router.strategy.name()
                );
                ctx.findings.warning(
                    overrides.place(key),
                    &format!("waypost.groups.{}.{key}", group.id),
                    message,
                );
            }
        }
        for key in ["affinity", "hedging"] {
            let on = overrides
                .get(key)
                .is_some_and(|node| value::flag(node) != Ok(false));
            if on && group.deployments.len() < 2 {
                ctx.findings.warning(
                    overrides.place(key),
                    &format!("waypost.groups.{}.{key}", group.id),
                    "without effect: the group has one deployment",
                );
            }
        }
    }
}

fn host(ctx: &mut Context<'_>, node: &Node) -> Option<IpAddr> {
    let text = node.text("host")?;
    let parsed = if text == "localhost" {
        Some(IpAddr::from([127, 0, 0, 1]))
    } else {
        text.parse().ok()
    };
    if parsed.is_none() {
        let message = "not an address; allowed: an IP address such as 127.0.0.1, 0.0.0.0 or ::1";
        ctx.findings
            .error(node.place("host"), "waypost.host", message);
    }
    parsed
}

fn admin(ctx: &mut Context<'_>, node: &Node) -> Option<SocketAddr> {
    let text = node.text("admin")?;
    let parsed = text.replacen("localhost:", "127.0.0.1:", 1).parse().ok();
    if parsed.is_none() {
        let message =
            "not an address with a port; allowed: 127.0.0.1:9090, 0.0.0.0:9090, [::1]:9090";
        ctx.findings
            .error(node.place("admin"), "waypost.admin", message);
    }
    parsed
}

fn prices(ctx: &mut Context<'_>, node: &Node) -> Prices {
    let mut prices = Prices::default();
    for entry in node.get("prices").map(Node::entries).unwrap_or_default() {
        let sheet = Sheet::read(|name| entry.value.amount(name), THRESHOLDS);
        check_price(ctx, &sheet, entry.at, &join("waypost.prices", &entry.key));
        if sheet.has_input() {
            prices.add(&entry.key, sheet.over(None).price);
        }
    }
    prices
}

/// What of a price can't be as it is written.
pub(super) fn check_price(ctx: &mut Context<'_>, sheet: &Sheet, at: Pos, path: &str) {
    if sheet.has_several_thresholds() {
        let message = "prices above more than one number of tokens; only one threshold is possible";
        ctx.findings.error(at, path, message);
    }
    if sheet.is_rounded() {
        let message = "a price here is no whole number of pico-dollars (10⁻¹² dollars), in which costs are counted; it is rounded to one";
        ctx.findings.warning(at, path, message);
    }
}

fn prices_file(ctx: &mut Context<'_>, node: &Node) -> Prices {
    let Some(name) = node.text("prices_file") else {
        return Prices::default();
    };
    let file = ctx.file(&name);
    let (at, path) = (node.place("prices_file"), "waypost.prices_file");
    let read = match std::fs::metadata(&file) {
        Ok(meta) if meta.len() > MAX_PRICES => Err(format!("larger than {} MiB", MAX_PRICES >> 20)),
        Ok(_) => std::fs::read_to_string(&file).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match read.and_then(|text| Prices::from_litellm(&text)) {
        Ok(read) => {
            for (rows, what) in [
                (
                    &read.rounded,
                    "have prices that are no whole numbers of pico-dollars (10⁻¹² dollars), in which costs are counted; they are rounded",
                ),
                (
                    &read.left_out,
                    "have prices above more than one number of tokens; they are left out, so another table's row counts, or the price is unknown",
                ),
            ] {
                if let Some(first) = rows.iter().min() {
                    let message = format!("{} of its rows {what} (first: {first})", rows.len());
                    ctx.findings.warning(at, path, message);
                }
            }
            read.prices
        }
        Err(error) => {
            let message = format!(
                "cannot be read as a price table: {}",
                error.lines().next().unwrap_or_default()
            );
            ctx.findings.error(at, path, message);
            Prices::default()
        }
    }
}

fn keys(ctx: &mut Context<'_>, node: &Node) -> Vec<ClientKey> {
    let mut keys: Vec<ClientKey> = Vec::new();
    for (i, item) in node
        .get("keys")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let path = format!("waypost.keys[{i}]");
        let Some(key) = client_key(ctx, item, &path) else {
            continue;
        };
        if keys.iter().any(|other| other.name == key.name) {
            let message = format!(
                "\"{}\" is already the name of another key; names are unique",
                key.name
            );
            ctx.findings
                .error(item.place("name"), &format!("{path}.name"), message);
        } else if let Some(other) = keys.iter().find(|other| other.sha256 == key.sha256) {
            ctx.findings.error(
                item.at,
                &path,
                format!("the same key as \"{}\"", other.name),
            );
        }
        keys.push(key);
    }
    keys
}

fn client_key(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<ClientKey> {
    let name = node.text("name")?;
    let given: Vec<&str> = ["key", "key_file", "sha256"]
        .into_iter()
        .filter(|key| node.get(key).is_some())
        .collect();
    let [source] = given.as_slice() else {
        let found = if given.is_empty() {
            "none is given".to_owned()
        } else {
            format!("given: {}", given.join(", "))
        };
        ctx.findings.error(
            node.at,
            path,
            format!("exactly one of key, key_file and sha256 is needed; {found}"),
        );
        return None;
    };
    let (at, key) = (node.place(source), format!("{path}.{source}"));
    let text = node.text(source)?;
    let plain = match *source {
        "sha256" => None,
        "key_file" => match std::fs::read_to_string(ctx.file(&text)) {
            Ok(text) => Some(text),
            Err(error) => {
                ctx.findings
                    .error(at, &key, format!("cannot be read: {error}"));
                return None;
            }
        },
        _ => {
            if node
                .get("key")
                .and_then(Node::scalar)
                .is_some_and(|s| s.variables.is_empty() && !s.raw.contains("${"))
            {
                let message = "a secret in clear text; put it into an environment variable and write ${NAME}, or give its sha256";
                ctx.findings.warning(at, &key, message);
            }
            Some(text.clone())
        }
    };
    let plain = plain.map(|text| text.trim().to_owned());
    let sha256 = match &plain {
        Some(plain) if plain.is_empty() => {
            ctx.findings.error(at, &key, "the key is empty");
            return None;
        }
        Some(plain) => Sha256::digest(plain.as_bytes()).into(),
        None => {
            let Some(sha256) = hex(&text) else {
                ctx.findings
                    .error(at, &key, "not a SHA-256; allowed: 64 hexadecimal digits");
                return None;
            };
            sha256
        }
    };
    let groups = node.get("groups").and_then(|groups| texts(groups).ok());
    Some(ClientKey {
        name: name.into(),
        sha256,
        plain: plain.map(Secret::new),
        groups: groups.map(|groups| groups.into_iter().map(Arc::from).collect()),
    })
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let text = text.trim().as_bytes();
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |c: u8| {
            char::from(c)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}
