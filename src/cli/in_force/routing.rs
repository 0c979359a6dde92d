//! The part of what is in force that most files say nothing of: other groups, tags, policies, affinity, hedging. Each
//! function gives lines of a name and a text, and none for what is as it would be without the key.

use std::sync::Arc;

use super::{percent, plural, time};
use crate::config::{Config, Deployment, Group};
use crate::types::{ErrorClass, Policy};

type Lines = Vec<(&'static str, String)>;

/// Of all groups together.
pub(super) fn of_config(config: &Config) -> Lines {
    let settings = &config.settings;
    let mut lines = Lines::new();
    let turns = |group: &Group| {
        let lists = &group.fallbacks;
        [&lists.general, &lists.context_window, &lists.content_policy]
            .iter()
            .any(|list| !list.is_empty())
    };
    if config.groups.iter().any(turns) {
        let text = format!(
            "{} in all, {} beyond the first",
            plural(settings.max_attempts as usize, "attempt"),
            plural(settings.max_fallbacks as usize, "group")
        );
        lines.push(("one request", text));
    }
    for alias in &config.aliases {
        let hidden = if alias.hidden { ", not listed" } else { "" };
        let text = format!("{} stands for {}{hidden}", alias.name, alias.group);
        lines.push(("alias", text));
    }
    if !settings.mock_testing {
        let text = "requests cannot ask for failures or canned answers".to_owned();
        lines.push(("mock testing", text));
    }
    if !settings.dry_runs {
        lines.push(("dry runs", "not over HTTP".to_owned()));
    }
    if settings.litellm_headers {
        lines.push(("headers", "LiteLLM's too".to_owned()));
    }
    lines
}

/// Of one group.
pub(super) fn of_group(group: &Group) -> Lines {
    let router = &group.router;
    let lists = &group.fallbacks;
    let mut lines = Lines::new();
    if !lists.general.is_empty() {
        lines.push(("fallbacks", names(&lists.general)));
    }
    let typed = [
        ("if too long", &lists.context_window),
        ("if filtered", &lists.content_policy),
    ];
    for (name, list) in typed {
        if *list != lists.general {
            lines.push((name, names(list)));
        }
    }
    if router.pre_call_checks {
        let text = "context window and abilities, before a deployment is picked".to_owned();
        lines.push(("checks", text));
    }
    if let Some(tags) = router.tags {
        let which = if tags.match_any { "one" } else { "all" };
        let text = format!("deployments with {which} of the request's tags");
        lines.push(("tags", text));
    }
    if let Some(affinity) = &router.affinity {
        let keys: Vec<&str> = affinity.keys.iter().map(|key| key.name()).collect();
        let text = format!(
            "by {}; for {}, {} conversations at most",
            keys.join(", "),
            time(affinity.ttl),
            affinity.max_entries
        );
        lines.push(("affinity", text));
    }
    let limited = |deployment: &Deployment| deployment.max_parallel_requests.is_some();
    if group.deployments.iter().any(limited) {
        let text = if router.queue.is_off() {
            "refuse at once".to_owned()
        } else {
            format!(
                "wait up to {} for a place, {} at most",
                time(router.queue.max_wait),
                plural(router.queue.max_size, "request")
            )
        };
        lines.push(("all full", text));
    }
    if let Some(hedging) = router.hedging {
        let text = format!(
            "a second attempt for those slower than {} of others, after {} at least, for {} of requests at most",
            percent(hedging.quantile),
            time(hedging.min_delay),
            percent(hedging.max_share)
        );
        lines.push(("hedging", text));
    }
    lines
}

/// Of one deployment.
pub(super) fn of_deployment(deployment: &Deployment) -> Lines {
    let mut lines = Lines::new();
    if deployment.mock_response.is_some() {
        lines.push(("mock", "not called, has an answer of its own".to_owned()));
    }
    if let Some(classes) = policy(&deployment.allowed_fails_policy) {
        lines.push(("allowed fails", classes));
    }
    if !deployment.tags.is_empty() {
        lines.push(("tags", deployment.tags.join(", ")));
    }
    if let Some(region) = &deployment.region {
        lines.push(("region", region.to_string()));
    }
    if let Some(tokens) = deployment.max_input_tokens {
        lines.push(("context", format!("{tokens} tokens")));
    }
    let able = deployment.abilities;
    let able: Vec<String> = [
        ("tools", able.tools),
        ("images", able.images),
        ("json_schema", able.json_schema),
    ]
    .into_iter()
    .filter_map(|(name, able)| match able? {
        true => Some(name.to_owned()),
        false => Some(format!("no {name}")),
    })
    .collect();
    if !able.is_empty() {
        lines.push(("abilities", able.join(", ")));
    }
    lines
}

/// `RateLimitError 3, others 1`; `None` if it says nothing.
pub(super) fn policy(policy: &Policy) -> Option<String> {
    let own = |class: ErrorClass| policy.of(class).filter(|n| Some(*n) != policy.otherwise);
    let mut parts: Vec<String> = ErrorClass::ALL
        .into_iter()
        .filter_map(|class| Some(format!("{} {}", class.name(), own(class)?)))
        .collect();
    parts.extend(policy.otherwise.map(|n| format!("others {n}")));
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn names(list: &[Arc<str>]) -> String {
    match list {
        [] => "none".to_owned(),
        list => list.join(", "),
    }
}
