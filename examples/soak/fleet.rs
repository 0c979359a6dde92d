//! The deployments, their troubles, and the configuration that puts Waypost in front of them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use waypost::lab::{Behaviour, Chance, Deployment, EmbeddingEncoding, Fault, Lab, Script};

/// A key for every group.
pub(super) const KEY: &str = "sk-soak-0123456789";
/// Another one.
pub(super) const SECOND_KEY: &str = "sk-soak-9876543210";
/// A key for [`KEYED_GROUPS`] only.
pub(super) const NARROW_KEY: &str = "sk-soak-narrow-key";
/// What [`NARROW_KEY`] may use.
pub(super) const KEYED_GROUPS: [&str; 2] = ["shuffle", "cached"];
/// Largest body accepted.
pub(super) const BODY_LIMIT: usize = 128 * 1024;

/// A group: its name, how many deployments, a line for each of them, lines for the router.
struct Group(&'static str, usize, &'static str, &'static [&'static str]);

/// Without `disable_cooldowns` a fleet with so many faults would cool all the time, and little would be sent to it.
const GROUPS: [Group; 9] = [
    Group(
        "shuffle",
        3,
        "input_cost_per_token: 0.000002, output_cost_per_token: 0.00001",
        &[
            "routing_strategy: simple-shuffle",
            "disable_cooldowns: true",
        ],
    ),
    Group(
        "busy",
        3,
        "max_parallel_requests: 16",
        &["routing_strategy: least-busy", "disable_cooldowns: true"],
    ),
    Group(
        "quick",
        2,
        "rpm: 100000000",
        &[
            "routing_strategy: latency-based-routing",
            "disable_cooldowns: true",
        ],
    ),
    Group(
        "cheap",
        2,
        "input_cost_per_token: 0.000001, output_cost_per_token: 0.000004",
        &[
            "routing_strategy: cost-based-routing",
            "disable_cooldowns: true",
        ],
    ),
    Group(
        "spread",
        2,
        "rpm: 100000000, tpm: 100000000000",
        &[
            "routing_strategy: usage-based-routing",
            "disable_cooldowns: true",
        ],
    ),
    Group(
        "limited",
        2,
        "rpm: 600, tpm: 1000000",
        &[
            "routing_strategy: least-busy",
            "num_retries: 0",
            "disable_cooldowns: true",
        ],
    ),
    Group(
        "cooling",
        3,
        "cooldown_time: 0.05",
        &["routing_strategy: least-busy", "num_retries: 1"],
    ),
    Group(
        "cached",
        2,
        "",
        &[
            "routing_strategy: simple-shuffle",
            "disable_cooldowns: true",
            "cache_responses: true",
        ],
    ),
    Group(
        "azure",
        2,
        "api_key: sk-of-the-deployment",
        &[
            "routing_strategy: simple-shuffle",
            "disable_cooldowns: true",
        ],
    ),
];

/// The names a client can ask for.
pub(super) fn groups() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|group| group.0)
}

/// How often what goes wrong.
fn faults() -> Vec<Chance> {
    let stalls = [
        Fault::HangBeforeHead,
        Fault::HangBeforeContent,
        Fault::Stall { after: 3 },
    ];
    let seldom = [
        Fault::InsufficientQuota,
        Fault::Loading,
        Fault::Unauthorized,
        Fault::PaymentRequired,
        Fault::DeploymentNotFound,
        Fault::ModelNotFound,
        Fault::Timeout,
        Fault::ContextLength,
        Fault::ContentFilter,
        Fault::BadRequest {
            param: "temperature".to_owned(),
        },
        Fault::Redirect {
            location: "http://127.0.0.1:1/elsewhere".to_owned(),
        },
        Fault::status(502, "<html>Bad Gateway</html>".into()),
        Fault::ErrorIn200,
        Fault::EndEarly { after: 2 },
        Fault::EmptyChoices { after: 2 },
        Fault::MalformedEvent { after: 2 },
        Fault::TruncatedBody,
        Fault::SlowDrip {
            bytes: 100,
            every: Duration::from_millis(2),
        },
    ];
    let often = [
        Fault::rate_limit(),
        Fault::rate_limit_for(Duration::from_secs(1)),
        Fault::ServerError,
        Fault::Unavailable { retry_after: None },
        Fault::Reset,
        Fault::ResetReused,
        Fault::Cut { after: 0 },
        Fault::Cut { after: 3 },
        Fault::StreamError {
            after: 2,
            kind: "server_error".to_owned(),
        },
        Fault::MalformedJson,
    ];
    let chance = |probability: f64| move |fault| Chance { fault, probability };
    let stalls = stalls.into_iter().map(chance(0.001));
    let seldom = seldom.into_iter().map(chance(0.002));
    stalls
        .chain(seldom)
        .chain(often.into_iter().map(chance(0.01)))
        .collect()
}

/// All deployments.
pub(super) struct Fleet {
    lab: Lab,
    rounds: AtomicUsize,
}

impl Fleet {
    pub(super) fn start(seed: u64) -> anyhow::Result<Self> {
        let deployments = GROUPS.iter().flat_map(|Group(name, size, ..)| {
            (0..*size).map(move |n| {
                let embeddings = if n == 0 {
                    EmbeddingEncoding::FloatsOnly
                } else {
                    EmbeddingEncoding::Both
                };
                Deployment::new(format!("{name}-{n}")).behaving(Behaviour {
                    faults: faults(),
                    embeddings,
                    ..Behaviour::default()
                })
            })
        });
        let script = Script {
            seed,
            deployments: deployments.collect(),
            ..Script::default()
        };
        Ok(Self {
            lab: Lab::start(&script)?,
            rounds: AtomicUsize::new(0),
        })
    }

    /// Now and then a port closes and opens again, or all connections of a deployment end at once.
    pub(super) async fn trouble(&self) {
        let deployments = self.lab.deployments();
        let round = self.rounds.fetch_add(1, Ordering::Relaxed);
        let one = &deployments[round / 4 % deployments.len()];
        match round % 4 {
            0 => one.refuse(true).await,
            1 => one.refuse(false).await,
            // Those that are there; waiting until none is would be waiting for a quiet moment.
            2 => drop(tokio::time::timeout(Duration::ZERO, one.close_connections()).await),
            _ => {}
        }
    }

    /// Requests under way at all deployments.
    pub(super) fn in_flight(&self) -> u64 {
        self.lab
            .deployments()
            .iter()
            .map(|d| d.stats().in_flight)
            .sum()
    }

    /// Requests that came to any deployment.
    pub(super) fn received(&self) -> u64 {
        self.lab
            .deployments()
            .iter()
            .map(|d| d.stats().requests)
            .sum()
    }

    /// The text of an `endpoints.yml`.
    pub(super) fn configuration(&self) -> String {
        let mut yaml = String::from("model_groups:\n");
        for Group(name, size, each, router) in &GROUPS {
            // Writing to a String does not fail.
            let _ = writeln!(yaml, "  - id: {name}\n    models:");
            for n in 0..*size {
                let id = format!("{name}-{n}");
                let deployment = self.lab.deployment(&id);
                let place = if *name == "azure" {
                    format!(
                        "provider: azure, deployment: {id}, api_version: '2024-10-21', api_base: '{}'",
                        deployment.root_url()
                    )
                } else {
                    format!(
                        "provider: self-hosted, model: {id}, api_base: '{}'",
                        deployment.base_url()
                    )
                };
                let comma = if each.is_empty() { "" } else { ", " };
                let _ = writeln!(
                    yaml,
                    "      - {{{place}, model_info: {{id: {id}}}{comma}{each}}}"
                );
            }
            let _ = writeln!(yaml, "    router: {{{}}}", router.join(", "));
        }
        let narrow = KEYED_GROUPS.join(", ");
        let _ = write!(
            yaml,
            "waypost:
  body_limit: {BODY_LIMIT}
  keys:
    - {{name: one, key: {KEY}}}
    - {{name: two, key: {SECOND_KEY}}}
    - {{name: narrow, key: {NARROW_KEY}, groups: [{narrow}]}}
  timeouts: {{connect: 1s, first_content: 300ms, gap: 300ms, total: 2s, request: 5s}}
  all_cooling: try
  cache: {{max_bytes: 4MiB, ttl: 5s}}
  drain: {{delay: 0, timeout: 10s}}
"
        );
        yaml
    }
}
