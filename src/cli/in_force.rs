//! What a configuration means, for people: the listener, and per group the rules and deployments in force.
//!
//! Holds no secret: keys and tokens are named by kind, not by value.

mod routing;
mod sharing;

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;

use crate::config::{Config, Deployment, Group};
use crate::types::{
    AllCooling, Auth, Cost, CostReading, Dialect, Operation, Price, Sharing, StrategyKind,
    UsageReading,
};

const BOLD: Style = Style::new().bold();

/// Prints it, a block per group.
///
/// # Errors
/// If `out` cannot be written to.
pub fn print(out: &mut impl Write, config: &Config) -> io::Result<()> {
    let settings = &config.settings;
    let host = settings
        .host
        .map_or_else(|| "127.0.0.1".to_owned(), |host| host.to_string());
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let keys = match settings.keys.len() {
        0 if settings.anonymous => "none, anonymous on any address".to_owned(),
        0 => "none, every bearer is accepted on loopback".to_owned(),
        n => plural(n, "key"),
    };
    let admin = settings
        .admin
        .map_or_else(|| "the same listener".to_owned(), |admin| admin.to_string());
    line(
        out,
        "listen",
        &format!("http://{host}:{}", settings.port.unwrap_or(4000)),
    )?;
    line(out, "metrics", &admin)?;
    line(out, "client keys", &keys)?;
    line(out, "body limit", &bytes(settings.body_limit as u64))?;
    let (delay, timeout) = (time(settings.drain_delay), time(settings.drain_timeout));
    line(
        out,
        "drain",
        &format!("not ready for {delay}, then up to {timeout} for open requests"),
    )?;
    let lines = routing::of_config(config);
    for (name, text) in lines.into_iter().chain(sharing::of_config(config)) {
        line(out, name, &text)?;
    }
    writeln!(out)?;
    for group in &config.groups {
        self::group(out, group, &settings.sharing)?;
        writeln!(out)?;
    }
    Ok(())
}

fn line(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {name:<16}{text}")
}

fn item(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "    {name:<14}{text}")
}

fn group(out: &mut impl Write, group: &Group, replicas: &Sharing) -> io::Result<()> {
    let router = &group.router;
    writeln!(
        out,
        "{BOLD}{}{BOLD:#}: {}",
        group.id,
        plural(group.deployments.len(), "deployment")
    )?;
    line(out, "strategy", &strategy(group))?;
    let wait = if router.retry_after.is_zero() {
        String::new()
    } else {
        format!(", waits of at least {}", time(router.retry_after))
    };
    let by_class = routing::policy(&router.retry_policy)
        .map_or_else(String::new, |classes| format!(" ({classes})"));
    let retries = format!("{}{by_class}{wait}", router.num_retries);
    line(out, "retries", &retries)?;
    line(out, "cooldown", &cooldown(group))?;
    line(
        out,
        "all cooling",
        &match router.all_cooling {
            AllCooling::Fail => "refuse at once, and say who is back when".to_owned(),
            AllCooling::Wait => format!(
                "wait up to {} for the first to be back",
                time(router.max_wait)
            ),
            AllCooling::Try => "try the one that is back first".to_owned(),
        },
    )?;
    line(
        out,
        "deadline",
        &format!(
            "{} for a request with all its attempts",
            time(router.deadline)
        ),
    )?;
    line(
        out,
        "cache",
        &router.cache.as_ref().map_or_else(
            || "off".to_owned(),
            |cache| {
                let shared = if cache.shared_between_callers {
                    "shared by all callers"
                } else {
                    "per caller"
                };
                let namespace = cache
                    .namespace
                    .as_ref()
                    .map_or_else(String::new, |n| format!(", namespace {n}"));
                let place = if cache.in_redis {
                    format!(
                        "in Redis, compressed from {}, and for {} in memory;",
                        bytes(cache.compress_above as u64),
                        time(cache.near_ttl)
                    )
                } else {
                    "in memory".to_owned()
                };
                format!("{place} for {}, {shared}{namespace}", time(cache.ttl))
            },
        ),
    )?;
    let model = if router.response_model_is_group {
        "the group's name"
    } else {
        "as the upstream sent it"
    };
    line(out, "response model", model)?;
    let lines = routing::of_group(group).into_iter();
    for (name, text) in lines.chain(sharing::of_group(group, replicas)) {
        line(out, name, &text)?;
    }
    for deployment in &group.deployments {
        self::deployment(out, deployment)?;
    }
    Ok(())
}

/// The strategy and, where its name has two meanings, which one is in force and how to get the other.
fn strategy(group: &Group) -> String {
    let router = &group.router;
    let name = router.strategy.name();
    match router.strategy {
        StrategyKind::SimpleShuffle => {
            let by = |given: fn(&Deployment) -> bool| group.deployments.iter().any(given);
            let share = if by(|d| d.weight.is_some()) {
                "by weight"
            } else if by(|d| d.rpm.is_some()) {
                "by rpm"
            } else if by(|d| d.tpm.is_some()) {
                "by tpm"
            } else {
                "evenly"
            };
            format!("{name}, {share}")
        }
        StrategyKind::LeastBusy => format!("{name}, fewest requests in flight"),
        StrategyKind::Latency => {
            format!(
                "{name}, fastest so far; within {} of the fastest counts as equal",
                percent(router.latency_buffer)
            )
        }
        StrategyKind::Cost => match router.cost_reading {
            CostReading::Request => {
                format!("{name}, lowest price of the request (cost: total = lowest cost so far)")
            }
            CostReading::Total => {
                format!("{name}, lowest cost so far (cost: request = lowest price of the request)")
            }
        },
        StrategyKind::Usage => match router.usage_reading {
            UsageReading::Minute => {
                format!("{name}, fewest tokens this minute (usage: total = since the start)")
            }
            UsageReading::Total => {
                format!("{name}, fewest tokens since the start (usage: minute = this minute)")
            }
        },
    }
}

fn cooldown(group: &Group) -> String {
    let router = &group.router;
    if router.disable_cooldowns || router.cooldown_time.is_zero() {
        return "never".to_owned();
    }
    let time = time(router.cooldown_time);
    let by_class = routing::policy(&router.allowed_fails_policy)
        .map_or_else(String::new, |classes| format!(" ({classes})"));
    match router.allowed_fails {
        Some(n) => format!(
            "{time} after more than {}{by_class} within {time}; at once after a 429",
            plural(n as usize, "failure")
        ),
        None => format!(
            "{time} after 3 failures in a row, or most of 5 in a minute{by_class}; at once after a 429 or without a connection"
        ),
    }
}

fn deployment(out: &mut impl Write, deployment: &Deployment) -> io::Result<()> {
    let target = &deployment.target;
    writeln!(out, "  {BOLD}{}{BOLD:#}", target.id)?;
    item(
        out,
        "provider",
        &format!("{}, model {}", target.provider, target.model),
    )?;
    item(out, "calls", &url(deployment))?;
    item(
        out,
        "auth",
        match &target.auth {
            Auth::None => "none",
            Auth::Bearer(_) => "bearer key",
            Auth::Header(name, _) => name,
            Auth::Token(credential) => credential.name(),
        },
    )?;
    item(
        out,
        "price",
        &match &deployment.price {
            Some(priced) => self::price(&priced.price),
            None => format!("unknown ({})", target.price_model),
        },
    )?;
    let clocks = &deployment.clocks;
    item(
        out,
        "clocks",
        &format!(
            "connect {}, first content {}, gap {}, attempt {}",
            time(clocks.connect),
            time(clocks.first_content),
            time(clocks.gap),
            time(clocks.total)
        ),
    )?;
    let limits = limits(deployment);
    if !limits.is_empty() {
        item(out, "limits", &limits)?;
    }
    for (name, text) in routing::of_deployment(deployment) {
        item(out, name, &text)?;
    }
    let names = |pairs: &[(String, serde_json::Value)]| {
        pairs
            .iter()
            .map(|(k, _)| k.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !target.defaults.is_empty() {
        item(out, "defaults", &names(&target.defaults))?;
    }
    if !target.extra_body.is_empty() {
        item(out, "extra body", &names(&target.extra_body))?;
    }
    Ok(())
}

fn url(deployment: &Deployment) -> String {
    let target = &deployment.target;
    let (base, chat) = (&target.base_url, Operation::Chat.path());
    match &target.dialect {
        Dialect::OpenAi {
            completions_only: false,
        } => format!("{base}/{chat}"),
        Dialect::OpenAi {
            completions_only: true,
        } => {
            format!(
                "{base}/{} (chat rendered to a prompt)",
                Operation::Completions.path()
            )
        }
        Dialect::Azure { api_version } => {
            format!(
                "{base}/openai/deployments/{}/{chat}?api-version={api_version}",
                target.model
            )
        }
        Dialect::AzureV1 => format!("{base}/openai/v1/{chat}"),
        Dialect::AzureModels { api_version } => {
            format!("{base}/models/{chat}?api-version={api_version}")
        }
        Dialect::Watsonx { api_version, .. } => {
            let model = match target.model.strip_prefix("deployment/") {
                Some(id) => format!("deployments/{id}/"),
                None => String::new(),
            };
            format!("{base}/ml/v1/{model}text/chat?version={api_version}")
        }
        Dialect::Gemini(_) => format!("{base}/{}:generateContent", target.model),
        Dialect::VertexRaw(_) => format!("{base}/{}:rawPredict", target.model),
        Dialect::Cohere => format!("{base}/v2/chat"),
        Dialect::Bedrock { region } => {
            format!("{base}/model/{}/converse (region {region})", target.model)
        }
        Dialect::AwsOpenAi { region, service } => {
            format!("{base}/{chat} (region {region}, service {service})")
        }
        Dialect::SageMaker { region, .. } => {
            format!(
                "{base}/endpoints/{}/invocations (region {region})",
                target.model
            )
        }
        Dialect::Anthropic { version } => {
            format!("{base}/v1/messages (Anthropic's Messages of {version})")
        }
        Dialect::Ollama => {
            format!("{base}/api/chat (Ollama's own API, for options only it has)")
        }
    }
}

fn price(price: &Price) -> String {
    let million = |cost: Cost| {
        let text = format!("{:.4}", cost.as_dollars() * 1e6);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let cached = price.rates.cached_input.map_or_else(String::new, |cached| {
        format!(", ${} cached", million(cached))
    });
    format!(
        "${} in, ${} out{cached} per million tokens",
        million(price.rates.input),
        million(price.rates.output)
    )
}

fn limits(deployment: &Deployment) -> String {
    let mut parts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            parts.push(format!("{name} {value}"));
        }
    };
    add("weight", deployment.weight.map(|v| v.to_string()));
    add("rpm", deployment.rpm.map(|v| v.to_string()));
    add("tpm", deployment.tpm.map(|v| v.to_string()));
    add(
        "parallel",
        deployment.max_parallel_requests.map(|v| v.to_string()),
    );
    add("order", deployment.order.map(|v| v.to_string()));
    add("cooldown", deployment.cooldown_time.map(time));
    add("retries", deployment.num_retries.map(|v| v.to_string()));
    add(
        "allowed fails",
        deployment.allowed_fails.map(|v| v.to_string()),
    );
    parts.join(", ")
}

fn percent(fraction: f64) -> String {
    format!("{}%", (fraction * 1000.0).round() / 10.0)
}

fn time(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.3} s", duration.as_secs_f64())
    }
}

fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

/// `1 error`, `2 errors`
pub(super) fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
