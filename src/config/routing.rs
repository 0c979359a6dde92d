//! What routers and deployments say beyond numbers: policies by class of failure, affinity, hedging, tags, abilities.

use std::sync::Arc;
use std::time::Duration;

use super::check::texts;
use super::tree::Node;
use super::value;
use crate::types::{
    Abilities, Affinity, AffinityKey, ErrorClass, Hedging, Policy, Queueing, TagFilter,
};

/// As long as LiteLLM remembers its affinities.
const AFFINITY_TTL: Duration = Duration::from_secs(3600);
const AFFINITY_ENTRIES: usize = 65_536;
const HEDGING_QUANTILE: f64 = 0.95;
const HEDGING_DELAY: Duration = Duration::from_millis(500);
const HEDGING_SHARE: f64 = 0.05;

/// Long enough for a short burst to pass, and shorter than a client's patience.
const QUEUE_WAIT: Duration = Duration::from_secs(2);
const QUEUE_SIZE: usize = 1000;

/// `retry_policy`: `RateLimitErrorRetries`, …, `DefaultRetries`.
pub(super) fn retry_policy(node: Option<&Node>) -> Policy {
    policy(node, "Retries")
}

/// `allowed_fails_policy`: `RateLimitErrorAllowedFails`, ….
pub(super) fn allowed_fails_policy(node: Option<&Node>) -> Policy {
    policy(node, "AllowedFails")
}

fn policy(node: Option<&Node>, suffix: &str) -> Policy {
    let mut policy = Policy::default();
    let Some(node) = node else { return policy };
    for class in ErrorClass::ALL {
        if let Some(number) = node.count_32(&format!("{}{suffix}", class.name())) {
            policy.set(class, number);
        }
    }
    policy.otherwise = node.count_32(&format!("Default{suffix}"));
    policy
}

/// `enable_tag_filtering` and `tag_filtering_match_any` of a router.
pub(super) fn tag_filter(router: Option<&Node>) -> Option<TagFilter> {
    let router = router.filter(|node| node.flag("enable_tag_filtering") == Some(true))?;
    Some(TagFilter {
        match_any: router.flag("tag_filtering_match_any").unwrap_or(true),
    })
}

/// A mapping, or a boolean in its place; `None` where it is off.
fn switched(node: Option<&Node>) -> Option<&Node> {
    node.filter(|node| value::flag(node) != Ok(false))
}

/// `affinity` of a group.
pub(super) fn affinity(node: Option<&Node>) -> Option<Affinity> {
    let node = switched(node)?;
    let by = node.get("by").and_then(|by| texts(by).ok());
    let mut keys: Vec<AffinityKey> = Vec::new();
    for name in by.unwrap_or_default() {
        let key = AffinityKey::ALL.into_iter().find(|key| key.name() == name);
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    if keys.is_empty() {
        keys = vec![
            AffinityKey::Session,
            AffinityKey::PromptCacheKey,
            AffinityKey::User,
        ];
    }
    let max_entries = node.count("max_entries");
    Some(Affinity {
        keys,
        ttl: node.duration("ttl").unwrap_or(AFFINITY_TTL),
        max_entries: max_entries
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(AFFINITY_ENTRIES),
    })
}

/// `hedging` of a group.
pub(super) fn hedging(node: Option<&Node>) -> Option<Hedging> {
    let node = switched(node)?;
    Some(Hedging {
        quantile: node.amount("quantile").unwrap_or(HEDGING_QUANTILE),
        min_delay: node.duration("min_delay").unwrap_or(HEDGING_DELAY),
        max_share: node.amount("max_share").unwrap_or(HEDGING_SHARE),
    })
}

/// `queue`, of a group and of all. A group whose requests wait for deployments to come back waits for places as long, if
/// nothing else is said.
pub(super) fn queue(nodes: [Option<&Node>; 2], waits: Option<Duration>) -> Queueing {
    let mut given = nodes.into_iter().flatten();
    let max_wait = given.clone().find_map(|node| node.duration("max_wait"));
    let max_size = given.find_map(|node| node.count("max_size"));
    Queueing {
        max_wait: max_wait.or(waits).unwrap_or(QUEUE_WAIT),
        max_size: max_size
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(QUEUE_SIZE),
    }
}

/// `tags` of a model, blank ones left out.
pub(super) fn tags(model: &Node) -> Arc<[String]> {
    let tags = model.get("tags").and_then(|tags| texts(tags).ok());
    tags.unwrap_or_default()
        .into_iter()
        .filter(|tag| !tag.trim().is_empty())
        .collect()
}

/// Where a model says it is.
pub(super) fn region(model: &Node) -> Option<Arc<str>> {
    ["region_name", "aws_region_name", "vertex_location"]
        .into_iter()
        .find_map(|key| model.filled(key))
        .map(Arc::from)
}

/// The context window that `model_info` declares.
pub(super) fn max_input_tokens(info: Option<&Node>) -> Option<u64> {
    let info = info?;
    info.count("max_input_tokens")
        .or_else(|| info.count("max_tokens"))
}

/// The abilities that `model_info` declares.
pub(super) fn abilities(info: Option<&Node>) -> Abilities {
    let flag = |key: &str| info.and_then(|info| info.flag(key));
    Abilities {
        tools: flag("supports_function_calling"),
        images: flag("supports_vision"),
        json_schema: flag("supports_response_schema"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{GROUP, MODEL, ROUTER};
    use super::super::parse::parse;
    use super::*;

    fn node(yaml: &str) -> Node {
        parse(yaml).expect("test data is YAML")
    }

    /// The names of the table of keys are those that are read, and the other way round.
    #[test]
    fn policies_have_a_key_for_every_class() {
        for (name, suffix, default) in [
            ("retry_policy", "Retries", true),
            ("allowed_fails_policy", "AllowedFails", false),
        ] {
            let key = ROUTER.find(name).expect("a key");
            let section = key.kind.section().expect("a mapping");
            assert_eq!(
                section.keys().count(),
                ErrorClass::ALL.len() + usize::from(default)
            );
            for class in ErrorClass::ALL {
                let name = format!("{}{suffix}", class.name());
                assert!(section.find(&name).is_some(), "{name}");
                let policy = policy(Some(&node(&format!("{{{name}: 7}}"))), suffix);
                let of: Vec<Option<u32>> = ErrorClass::ALL.map(|c| policy.of(c)).into();
                assert_eq!(of.iter().flatten().count(), 1, "{name}");
                assert_eq!(policy.of(class), Some(7), "{name}");
            }
        }
        let policy = retry_policy(Some(&node("{DefaultRetries: 1, TimeoutErrorRetries: 0}")));
        assert_eq!(policy.of(ErrorClass::Timeout), Some(0));
        assert_eq!(policy.of(ErrorClass::NotFound), Some(1));
        assert!(retry_policy(None).is_empty());
    }

    #[test]
    fn affinity_is_off_on_or_described() {
        let read = |yaml: &str| affinity(node(yaml).get("a"));
        assert_eq!(read("a: false"), None);
        assert_eq!(read("a: null"), None);
        let on = read("a: true").expect("on");
        assert_eq!(read("a: {}").as_ref(), Some(&on));
        assert_eq!(
            on.keys,
            [
                AffinityKey::Session,
                AffinityKey::PromptCacheKey,
                AffinityKey::User
            ]
        );
        assert_eq!(
            (on.ttl, on.max_entries),
            (Duration::from_secs(3600), 65_536)
        );
        let own = read("a: {by: [prefix, user, prefix], ttl: 5m, max_entries: 10}").expect("on");
        assert_eq!(own.keys, [AffinityKey::Prefix, AffinityKey::User]);
        assert_eq!((own.ttl, own.max_entries), (Duration::from_secs(300), 10));
        assert_eq!(
            read("a: {by: user}").map(|a| a.keys),
            Some(vec![AffinityKey::User])
        );
    }

    #[test]
    fn what_a_group_does_not_say_of_its_queue_is_that_of_all() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        for (group, all, waits, expected) in [
            ("{}", "{}", None, (2, 1000)),
            ("{}", "{}", wait(10), (10, 1000)),
            ("{}", "{max_wait: 3s, max_size: 7}", wait(10), (3, 7)),
            ("{max_wait: 0}", "{max_wait: 3s, max_size: 7}", None, (0, 7)),
            ("{max_size: 0}", "{}", None, (2, 0)),
        ] {
            let (group, all) = (node(group), node(all));
            let read = queue([Some(&group), Some(&all)], waits);
            assert_eq!((read.max_wait.as_secs(), read.max_size), expected);
            assert_eq!(read.is_off(), expected.0 == 0 || expected.1 == 0);
        }
        let none = queue([None, None], None);
        assert_eq!((none.max_wait, none.max_size), (QUEUE_WAIT, QUEUE_SIZE));
    }

    #[test]
    fn hedging_is_off_on_or_described() {
        let read = |yaml: &str| hedging(node(yaml).get("h"));
        assert_eq!(read("h: false"), None);
        let on = Hedging {
            quantile: 0.95,
            min_delay: Duration::from_millis(500),
            max_share: 0.05,
        };
        assert_eq!(read("h: true"), Some(on));
        let own = Hedging {
            quantile: 0.5,
            min_delay: Duration::ZERO,
            max_share: 1.0,
        };
        assert_eq!(
            read("h: {quantile: 0.5, min_delay: 0, max_share: 1}"),
            Some(own)
        );
    }

    #[test]
    fn facts_are_where_the_keys_are() {
        for (yaml, expected) in [
            ("{max_input_tokens: 5, max_tokens: 7}", Some(5)),
            ("{max_tokens: 7}", Some(7)),
            ("{}", None),
        ] {
            assert_eq!(max_input_tokens(Some(&node(yaml))), expected, "{yaml}");
        }
        for (yaml, expected) in [
            ("{region_name: eu, aws_region_name: eu-west-1}", Some("eu")),
            ("{aws_region_name: eu-west-1}", Some("eu-west-1")),
            ("{vertex_location: global}", Some("global")),
            ("{region_name: ''}", None),
        ] {
            assert_eq!(region(&node(yaml)).as_deref(), expected, "{yaml}");
        }
        assert_eq!(&*tags(&node("{tags: [a, '', b]}")), ["a", "b"]);
        assert_eq!(&*tags(&node("{tags: a}")), ["a"]);
        let known = abilities(Some(&node(
            "{supports_vision: false, supports_function_calling: true}",
        )));
        assert_eq!(
            (known.tools, known.images, known.json_schema),
            (Some(true), Some(false), None)
        );
        assert_eq!(abilities(None), Abilities::default());
        assert!(MODEL.find("tags").is_some() && GROUP.find("tags").is_none());
    }
}
