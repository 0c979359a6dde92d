//! `router_settings` and what `litellm_settings` adds to them: the block `router` that every group gets.

use super::build::{Fields, raw};
use super::cache;
use super::sift::find;
use crate::config::context::Context;
use crate::config::keys::{Kind, ROUTER};
use crate::config::nearest::nearest;
use crate::config::tree::{Entry, Pos, Value};
use crate::config::value;

/// What LiteLLM takes for "not set".
const NO_TIMEOUT: f64 = 6000.0;

/// Keys that mean the same in both dialects.
const SAME: &[&str] = &[
    "routing_strategy_args",
    "num_retries",
    "retry_after",
    "stream_timeout",
    "retry_policy",
    "allowed_fails",
    "allowed_fails_policy",
    "cooldown_time",
    "disable_cooldowns",
    "enable_pre_call_checks",
    "enable_tag_filtering",
    "tag_filtering_match_any",
    "default_max_parallel_requests",
    "redis_host",
    "redis_port",
    "redis_password",
    "redis_url",
    "redis_db",
    "redis_username",
    "redis_ssl",
    "cache_responses",
];

/// Both sections' entries; `router_settings` comes first where both have a key.
pub(super) struct Sections<'n> {
    pub(super) router: Vec<&'n Entry>,
    pub(super) settings: Vec<&'n Entry>,
}

impl<'n> Sections<'n> {
    /// The entry of `key`, and the section it stands in.
    pub(super) fn either(&self, key: &str) -> Option<(&'n Entry, &'static str)> {
        let router = find(&self.router, key).map(|entry| (entry, "router_settings"));
        router.or_else(|| find(&self.settings, key).map(|entry| (entry, "litellm_settings")))
    }
}

/// The block, the same for all groups.
pub(super) fn router(ctx: &mut Context<'_>, sections: &Sections<'_>, at: Pos) -> Fields {
    let mut fields = Fields::new(at);
    strategy(ctx, sections, &mut fields, at);
    for key in SAME {
        if let Some((entry, _)) = sections.either(key) {
            fields.put(key, entry);
        }
    }
    if let Some(entry) = find(&sections.router, "enable_pre_call_check") {
        let message = "the key is enable_pre_call_checks, so LiteLLM ignores this one and checks nothing; taken for what was meant";
        let path = "router_settings.enable_pre_call_check";
        ctx.findings.warning(entry.at, path, message);
        fields.offer("enable_pre_call_checks", entry);
    }
    timeout(ctx, sections, &mut fields);
    cache::kwargs(ctx, sections, &mut fields);
    default_params(sections, &mut fields);
    fields
}

fn strategy(ctx: &mut Context<'_>, sections: &Sections<'_>, fields: &mut Fields, at: Pos) {
    let Some(entry) = find(&sections.router, "routing_strategy") else {
        fields.say("routing_strategy", at, "simple-shuffle");
        return;
    };
    // A quote that is part of a value is hard to see in it.
    let stray = raw(&entry.value).filter(|text| text.contains(['"', '\'', '`']));
    let Some(text) = stray else {
        fields.put("routing_strategy", entry);
        return;
    };
    let known = match ROUTER.find("routing_strategy").map(|key| key.kind) {
        Some(Kind::Choice(known)) => known,
        _ => &[],
    };
    let meant = nearest(text.trim_matches(['"', '\'', '`']), known.iter().copied());
    let hint = meant.map_or_else(
        || format!("; allowed: {}", known.join(", ")),
        |name| format!("; did you mean {name}?"),
    );
    let message = format!(
        "a quotation mark is part of the value, which reads ⟨{text}⟩, because it does not both begin and end with one; remove the mark{hint}"
    );
    ctx.findings
        .error(entry.value.at, "router_settings.routing_strategy", message);
    fields.say("routing_strategy", at, "simple-shuffle");
}

/// `request_timeout` comes before the router's own, as in LiteLLM.
fn timeout(ctx: &mut Context<'_>, sections: &Sections<'_>, fields: &mut Fields) {
    let given = find(&sections.settings, "request_timeout");
    let given = given.filter(|entry| value::number(&entry.value) != Ok(NO_TIMEOUT));
    let own = find(&sections.router, "timeout");
    if let Some(entry) = given.or(own) {
        fields.put("timeout", entry);
    }
    if let (Some(_), Some(own)) = (given, own) {
        let message = "without effect, as in LiteLLM: litellm_settings.request_timeout is given and comes first";
        ctx.findings
            .warning(own.at, "router_settings.timeout", message);
    }
}

fn default_params(sections: &Sections<'_>, fields: &mut Fields) {
    let given = find(&sections.router, "default_litellm_params");
    let drop = find(&sections.settings, "drop_params");
    match (given, drop) {
        (Some(given), Some(drop)) if matches!(given.value.value, Value::Map(_)) => {
            let mut params = Fields::of(&given.value);
            params.offer("drop_params", drop);
            fields.set("default_litellm_params", given.at, params.done());
        }
        (Some(given), _) => fields.put("default_litellm_params", given),
        (None, Some(drop)) => {
            let mut params = Fields::new(drop.at);
            params.put("drop_params", drop);
            fields.set("default_litellm_params", drop.at, params.done());
        }
        (None, None) => {}
    }
}
