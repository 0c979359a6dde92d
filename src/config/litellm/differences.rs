//! Where Waypost does on purpose what LiteLLM does not, as far as a file touches it. Said by `waypost import`.

use crate::config::check::join;
use crate::config::tree::{Node, Pos, Value};

/// A key of the file, and what it means here that it does not mean there.
pub(super) struct Difference {
    pub(super) at: Pos,
    pub(super) key: String,
    pub(super) text: &'static str,
}

/// A key in one of these places, and the difference.
pub(super) struct Rule {
    sections: &'static [&'static str],
    pub(super) keys: &'static [&'static str],
    /// Only this value counts.
    value: Option<&'static str>,
    pub(super) text: &'static str,
}

const SETTINGS: &[&str] = &["router_settings", "litellm_settings"];
const ENTRY: &[&str] = &[
    "model_list[]",
    "model_list[].litellm_params",
    "model_list[].model_info",
];

/// In the order of the report.
pub(super) const RULES: &[Rule] = &[
    Rule {
        sections: ENTRY,
        keys: &["rpm", "tpm"],
        value: None,
        text: "holds exactly, under every strategy, counted when a deployment is chosen; LiteLLM enforces it by some strategies and checks only, and usage-based-routing-v2 lets one request less through",
    },
    Rule {
        sections: ENTRY,
        keys: &["rpm", "tpm"],
        value: None,
        text: "limits no requests in flight; LiteLLM derives max_parallel_requests from it where none is given",
    },
    Rule {
        sections: ENTRY,
        keys: &["max_parallel_requests"],
        value: None,
        text: "a deployment that is full is no candidate, so another one is used, and if all are full a place is waited for (waypost.queue); LiteLLM chooses it all the same, and answers 429",
    },
    Rule {
        sections: ENTRY,
        keys: &["order"],
        value: None,
        text: "a deployment without order comes last; LiteLLM leaves it out while another has one",
    },
    Rule {
        sections: ENTRY,
        keys: &["region_name"],
        value: None,
        text: "allowed_model_region of a request is kept to with and without pre-call checks, and where no deployment is there the answer is 400 no_deployment_in_region; LiteLLM compares it in pre-call checks only, and answers 429",
    },
    Rule {
        sections: &["litellm_settings"],
        keys: &["allowed_fails", "cooldown_time"],
        value: None,
        text: "is honoured; LiteLLM reads it in router_settings only",
    },
    Rule {
        sections: SETTINGS,
        keys: &["fallbacks", "default_fallbacks"],
        value: None,
        text: "a request that its provider finds wrong is answered with that error at once; LiteLLM asks the fallbacks after every error",
    },
    Rule {
        sections: SETTINGS,
        keys: &["context_window_fallbacks", "content_policy_fallbacks"],
        value: None,
        text: "a group that is not in the list goes by its general fallbacks; LiteLLM has none for it then, as soon as there is such a list",
    },
    Rule {
        sections: SETTINGS,
        keys: &[
            "fallbacks",
            "context_window_fallbacks",
            "content_policy_fallbacks",
        ],
        value: None,
        text: "with a fallback to turn to, a group neither waits before it nor sleeps after its last failure",
    },
    Rule {
        sections: SETTINGS,
        keys: &["max_fallbacks"],
        value: None,
        text: "counts the groups tried beyond the first; LiteLLM counts how deep fallbacks of fallbacks are nested",
    },
    Rule {
        sections: SETTINGS,
        keys: &["num_retries"],
        value: None,
        text: "a retry goes to a deployment that has not failed for this request while there is one; LiteLLM may choose the same again. All attempts of a request together are limited by waypost.max_attempts",
    },
    Rule {
        sections: SETTINGS,
        keys: &["timeout", "request_timeout"],
        value: None,
        text: "limits one attempt; one deadline more holds over all attempts, fallbacks and waits of a request (waypost.timeouts.request), which LiteLLM does not have",
    },
    Rule {
        sections: SETTINGS,
        keys: &["enable_tag_filtering"],
        value: Some("true"),
        text: "a request whose tags fit no deployment goes to the fallbacks, else it is answered with 400 no_deployment_for_tags; LiteLLM answers 401",
    },
    Rule {
        sections: SETTINGS,
        keys: &["cache", "cache_responses"],
        value: Some("true"),
        text: "equal requests have one entry whatever the order of their fields, and conversations of any length are kept; LiteLLM keeps none of more than 4 messages",
    },
    Rule {
        sections: &["general_settings"],
        keys: &["master_key"],
        value: None,
        text: "is a client's key like any other; keys that LiteLLM made in its database are not known, list them in waypost.keys",
    },
];

/// What holds for every file.
pub(super) const ALWAYS: &[&str] = &[
    "a variable that is not set is an error; LiteLLM takes an empty text",
    "a model that nobody serves is answered with 404 model_not_found; LiteLLM answers 400",
    "a group all of whose deployments fail answers with the cause, and says of each deployment what was wrong; LiteLLM answers 429 once they cool",
    "a provider's error is passed on with its own status, body and code, where it is not for the gateway's key, account or model (502), and a time limit that runs out is 504; LiteLLM rewrites messages, sends the status as code, and answers 408 for time limits",
    "deployments without model_info.id are named by group and model in x-litellm-model-id; LiteLLM takes a hash",
];

/// Everything to be said of the file.
pub(super) fn differences(root: &Node) -> Vec<Difference> {
    let mut found = Vec::new();
    for rule in RULES {
        let first = rule
            .sections
            .iter()
            .find_map(|section| first(root, section, rule));
        if let Some((at, key)) = first {
            found.push(Difference {
                at,
                key,
                text: rule.text,
            });
        }
    }
    let wildcard = root.get("model_list").map(Node::items).unwrap_or_default();
    for (i, item) in wildcard.iter().enumerate() {
        let name = item.get("model_name").and_then(Node::scalar);
        if name.is_some_and(|name| name.raw.contains('*')) {
            found.push(Difference {
                at: item.place("model_name"),
                key: format!("model_list[{i}].model_name"),
                text: "a pattern is held against the whole name of a model; LiteLLM is content if the name begins so",
            });
            break;
        }
    }
    found.sort_by_key(|difference| difference.at);
    let whole = ALWAYS.iter().map(|text| Difference {
        at: Pos::default(),
        key: String::new(),
        text,
    });
    found.splice(0..0, whole);
    found
}

/// The first place in `section` with one of the rule's keys.
fn first(root: &Node, section: &str, rule: &Rule) -> Option<(Pos, String)> {
    let in_mapping = |node: &Node, path: &str| {
        rule.keys.iter().find_map(|key| {
            let entry = node.entry(key)?;
            let counts = match (&entry.value.value, rule.value) {
                (Value::Null, _) => false,
                (Value::Scalar(scalar), Some(value)) => scalar.raw.eq_ignore_ascii_case(value),
                (_, expected) => expected.is_none(),
            };
            counts.then(|| (entry.at, join(path, key)))
        })
    };
    let Some(inner) = section.strip_prefix("model_list[]") else {
        return in_mapping(root.get(section)?, section);
    };
    let inner = inner.strip_prefix('.');
    let items = root.get("model_list").map(Node::items)?;
    items.iter().enumerate().find_map(|(i, item)| {
        let path = format!("model_list[{i}]");
        match inner {
            Some(inner) => in_mapping(item.get(inner)?, &join(&path, inner)),
            None => in_mapping(item, &path),
        }
    })
}
