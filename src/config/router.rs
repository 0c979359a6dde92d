//! The block `router`: from a checked mapping to a [`Router`].

use std::time::Duration;

use super::context::Context;
use super::group::Params;
use super::redis;
use super::settings::Own;
use super::tree::Node;
use super::{CacheSettings, Router, routing};
use crate::types::{AllCooling, Clocks, CostReading, StrategyKind, UsageReading};

/// A router, and what it passes on to its deployments.
pub(super) struct Read {
    pub(super) router: Router,
    pub(super) completions_only: bool,
    pub(super) max_parallel: Option<u32>,
    /// Of an attempt; the deadline is put in once the deployments are known.
    pub(super) clocks: Clocks,
}

const RETRIES: u32 = 2;
const COOLDOWN: Duration = Duration::from_secs(5);

/// Reads the block; without one, every default.
pub(super) fn router(
    ctx: &mut Context<'_>,
    own: &Own,
    node: Option<&Node>,
    path: &str,
    params: &Params<'_>,
) -> Read {
    let group = params.group;
    let overrides = own.overrides(params.group_id);
    let block = |key: &str| node.and_then(|node| node.get(key));
    let text = |key: &str| node.and_then(|node| node.text(key));
    let number = |key: &str| node.and_then(|node| node.count_32(key));
    let time = |key: &str| node.and_then(|node| node.duration(key));
    let flag = |key: &str| node.and_then(|node| node.flag(key));
    let low = |key: &str| group.duration(key).or_else(|| params.params?.duration(key));
    let low_number = |key: &str| group.count_32(key).or_else(|| params.params?.count_32(key));

    let strategy = strategy(text("routing_strategy").as_deref());
    let cost_reading = match overrides.text("cost").as_deref() {
        Some("total") => CostReading::Total,
        _ => CostReading::Request,
    };
    let usage_reading = match overrides.text("usage").as_deref() {
        Some("total") => UsageReading::Total,
        _ => UsageReading::Minute,
    };
    let redis = redis::of_router(ctx, &own.redis, node, path);
    let cache = (flag("cache_responses") == Some(true)).then(|| {
        let kwargs = block("cache_kwargs");
        CacheSettings {
            ttl: kwargs
                .and_then(|kwargs| kwargs.duration("ttl"))
                .unwrap_or(own.cache_ttl),
            namespace: kwargs.and_then(|kwargs| kwargs.text("namespace")),
            shared_between_callers: own.cache_shared,
            in_redis: redis.is_some() && own.cache_in_redis,
            near_ttl: own.near_ttl,
            compress_above: own.compress_above,
        }
    });
    if let Some(node) = node {
        arguments(ctx, node, path, strategy);
        notes(ctx, node, path, strategy, redis.is_some());
    }
    let base = own.clocks(params.group_id);
    let stream_timeout = time("stream_timeout").or_else(|| low("stream_timeout"));
    let params_timeout = || params.params?.duration("timeout");
    let clocks = super::deployment::clocks(
        base,
        time("timeout").or_else(params_timeout),
        stream_timeout,
    );
    let args = block("routing_strategy_args");
    let all_cooling = overrides
        .text("all_cooling")
        .as_deref()
        .map_or(own.all_cooling, all_cooling);
    let max_wait = overrides.duration("max_wait").unwrap_or(own.max_wait);
    let waits = (all_cooling == AllCooling::Wait).then_some(max_wait);
    let router = Router {
        strategy,
        cost_reading,
        usage_reading,
        latency_buffer: args
            .and_then(|args| args.amount("lowest_latency_buffer"))
            .unwrap_or(0.0),
        num_retries: number("num_retries")
            .or_else(|| low_number("num_retries"))
            .unwrap_or(RETRIES),
        retry_after: time("retry_after").unwrap_or(Duration::ZERO),
        cooldown_time: time("cooldown_time").unwrap_or(COOLDOWN),
        allowed_fails: number("allowed_fails"),
        allowed_fails_policy: routing::allowed_fails_policy(block("allowed_fails_policy")),
        retry_policy: routing::retry_policy(block("retry_policy")),
        disable_cooldowns: flag("disable_cooldowns").unwrap_or(false),
        pre_call_checks: flag("enable_pre_call_checks").unwrap_or(false),
        tags: routing::tag_filter(node),
        affinity: routing::affinity(overrides.get("affinity")),
        hedging: routing::hedging(overrides.get("hedging")),
        queue: routing::queue([overrides.get("queue"), own.node.get("queue")], waits),
        all_cooling,
        max_wait,
        deadline: base.request,
        cache,
        exact_limits: redis.is_some()
            && overrides
                .text("limits")
                .map_or(own.exact_limits, |choice| choice == "exact"),
        redis,
        response_model_is_group: overrides
            .text("response_model")
            .map_or(own.response_model_is_group, |choice| choice == "group"),
    };
    Read {
        router,
        completions_only: flag("use_chat_completions_endpoint") == Some(false),
        max_parallel: number("default_max_parallel_requests"),
        clocks,
    }
}

/// The meaning of a choice; what is not allowed was reported.
pub(super) fn all_cooling(choice: &str) -> AllCooling {
    match choice {
        "wait" => AllCooling::Wait,
        "try" => AllCooling::Try,
        _ => AllCooling::Fail,
    }
}

fn strategy(name: Option<&str>) -> StrategyKind {
    match name {
        Some("least-busy") => StrategyKind::LeastBusy,
        Some("latency-based-routing") => StrategyKind::Latency,
        Some("cost-based-routing") => StrategyKind::Cost,
        Some("usage-based-routing" | "usage-based-routing-v2") => StrategyKind::Usage,
        _ => StrategyKind::SimpleShuffle,
    }
}

/// Arguments that belong to another strategy.
fn arguments(ctx: &mut Context<'_>, node: &Node, path: &str, strategy: StrategyKind) {
    let Some(args) = node.get("routing_strategy_args") else {
        return;
    };
    for entry in args.entries() {
        let fits = match entry.key.as_str() {
            "ttl" => matches!(strategy, StrategyKind::Latency | StrategyKind::Usage),
            "lowest_latency_buffer" | "max_latency_list_size" | "ttft_percentile" => {
                strategy == StrategyKind::Latency
            }
            _ => true,
        };
        if !fits {
            let message = format!("without effect: {} has no such argument", strategy.name());
            ctx.findings.warning(
                entry.at,
                &format!("{path}.routing_strategy_args.{}", entry.key),
                message,
            );
        }
    }
}

/// What the combination of keys means.
fn notes(ctx: &mut Context<'_>, node: &Node, path: &str, strategy: StrategyKind, redis: bool) {
    let key = format!("{path}.routing_strategy");
    let at = node.place("routing_strategy");
    if node.text("routing_strategy").as_deref() == Some("usage-based-routing-v2") && ctx.strict {
        let message = "Rasa refuses usage-based-routing-v2; write usage-based-routing, which is the same here";
        ctx.findings.error(at, &key, message);
    }
    if strategy.needs_store() && !redis {
        let message = format!(
            "{}: each process counts alone; with several replicas each knows only its own traffic",
            strategy.name()
        );
        ctx.findings.warning(at, &key, message);
    }
    if node.flag("cache_responses") == Some(true) && !redis {
        let message = "answers are kept in the memory of each process; replicas do not share them";
        ctx.findings.warning(
            node.place("cache_responses"),
            &format!("{path}.cache_responses"),
            message,
        );
    }
    if node.get("tag_filtering_match_any").is_some() && routing::tag_filter(Some(node)).is_none() {
        let message = "without effect: enable_tag_filtering is not true";
        ctx.findings.warning(
            node.place("tag_filtering_match_any"),
            &format!("{path}.tag_filtering_match_any"),
            message,
        );
    }
    if node.get("cache_kwargs").is_some() && node.flag("cache_responses") != Some(true) {
        let message = "without effect: cache_responses is not true";
        ctx.findings.warning(
            node.place("cache_kwargs"),
            &format!("{path}.cache_kwargs"),
            message,
        );
    }
}
