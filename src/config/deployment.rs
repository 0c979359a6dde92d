//! One entry of `models`: from a checked mapping to a [`Deployment`].

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::endpoint::Endpoint;
use super::nearest::hint;
use super::params::{defaults, dropping, extra_body};
use super::prices::{Sheet, THRESHOLDS, look_up};
use super::settings::{Own, check_price};
use super::tree::Node;
use super::{
    Deployment, anthropic, azure, azure_ai, bedrock, cohere, credentials, endpoint, ollama,
    routing, value, vertex, watsonx,
};
use crate::catalog::models::Facts;
use crate::catalog::{self, Family, PROVIDERS, Provider};
use crate::types::{Auth, Clocks, Priced, Target};

/// What a group passes on to its deployments.
pub(super) struct Inherited<'a> {
    pub(super) group: &'a Node,
    pub(super) group_id: &'a str,
    /// `default_litellm_params` of the router.
    pub(super) params: Option<&'a Node>,
    pub(super) completions_only: bool,
    pub(super) max_parallel: Option<u32>,
    pub(super) clocks: Clocks,
}

/// Reads the entry; `None` if it has an error, which was reported.
pub(super) fn deployment(
    ctx: &mut Context<'_>,
    own: &Own,
    node: &Node,
    path: &str,
    inherited: &Inherited<'_>,
) -> Option<Deployment> {
    let provider_name = node.text("provider")?;
    let provider = provider(ctx, node, path, &provider_name)?;
    let azure = provider.family == Family::Azure;
    let mut model = model(ctx, node, path, provider, &provider_name);
    let chats = node
        .flag("use_chat_completions_endpoint")
        .unwrap_or(!provider.completions_only);
    let completions_only = inherited.completions_only || !chats;
    if completions_only && azure {
        let message = "use_chat_completions_endpoint: false is for deployments with the OpenAI dialect; azure has chat completions";
        ctx.findings.error(node.at, path, message);
    }
    let endpoint = match (provider.family, &mut model) {
        (Family::Azure, _) => azure::endpoint(ctx, node, path, provider),
        (Family::AzureAi, _) => azure_ai::endpoint(ctx, node, path, provider, completions_only),
        (Family::Watsonx, _) => watsonx::endpoint(ctx, node, path, provider),
        (Family::Bedrock | Family::SageMaker, Some(model)) => {
            bedrock::endpoint(ctx, node, path, provider, model)
        }
        (Family::Gemini, Some(model)) => vertex::studio(ctx, node, path, provider, model),
        (Family::Vertex, Some(model)) => vertex::endpoint(ctx, node, path, provider, model),
        _ => endpoint::endpoint(ctx, node, path, provider, completions_only),
    };
    let auth = credentials::auth(ctx, node, path, provider);
    let headers = node
        .get("extra_headers")
        .or_else(|| inherited.group.get("extra_headers"));
    let extra_headers = match headers {
        Some(headers) => credentials::headers(ctx, headers, &format!("{path}.extra_headers")),
        None => Vec::new(),
    };
    let tls = credentials::tls(ctx, node, path);
    let organization = organization(ctx, node, path, &provider_name);
    let mut defaults = defaults(node, inherited);
    let mut extra_body = extra_body(ctx, node, path, inherited);
    let price_model = text_here_or_in_info(node, "base_model").or_else(|| node.text("model"));
    let model = model?;
    let price_model = price_model.unwrap_or_else(|| model.clone());
    let price = price(ctx, own, node, path, &provider_name, &price_model);
    let mut endpoint = endpoint?;
    if provider.family == Family::Cohere {
        cohere::settle(ctx, (node, path), &mut endpoint);
    }
    if provider.family == Family::Ollama {
        ollama::settle(
            ctx,
            (node, path),
            &mut endpoint,
            &mut defaults,
            &mut extra_body,
        );
    }
    let mut auth = auth?;
    if provider.family == Family::Anthropic {
        anthropic::settle(ctx, (node, path), &mut endpoint);
        auth = anthropic::key(auth, &endpoint.base_url);
    }
    let Endpoint {
        base_url,
        dialect,
        renames,
        stream_options,
        encoding_format,
        quirks,
        key_header,
    } = endpoint;
    let auth = match (auth, key_header) {
        (Auth::Bearer(key), Some(header)) => Auth::Header(header, key),
        (auth, _) => auth,
    };
    // What the entry declares of the model stands before what is known of it.
    let info = node.get("model_info");
    let declared = Facts {
        max_input_tokens: routing::max_input_tokens(info),
        abilities: routing::abilities(info),
    };
    let facts = declared.or(catalog::models::facts(&provider_name, &price_model));
    let target = Target {
        id: id(ctx, node, path, inherited.group_id, &model).into(),
        provider: provider_name.into(),
        dialect,
        base_url,
        model: model.into(),
        price_model: price_model.into(),
        auth,
        defaults,
        extra_body,
        extra_headers,
        renames,
        stream_options,
        encoding_format,
        quirks,
        dropping: dropping(node, inherited),
        tls,
        organization,
    };
    let count = |key: &str| {
        node.count(key)
            .or_else(|| info.and_then(|info| info.count(key)))
    };
    Some(Deployment {
        target: Arc::new(target),
        weight: node.amount("weight"),
        rpm: count("rpm"),
        tpm: count("tpm"),
        max_parallel_requests: node
            .count_32("max_parallel_requests")
            .or(inherited.max_parallel),
        order: count("order").and_then(|order| u32::try_from(order).ok()),
        price,
        cooldown_time: node
            .duration("cooldown_time")
            .or_else(|| info.and_then(|info| info.duration("cooldown_time"))),
        num_retries: node.count_32("num_retries"),
        allowed_fails: count("allowed_fails").and_then(|fails| u32::try_from(fails).ok()),
        allowed_fails_policy: routing::allowed_fails_policy(
            node.get("allowed_fails_policy")
                .or_else(|| info.and_then(|info| info.get("allowed_fails_policy"))),
        ),
        tags: routing::tags(node),
        region: routing::region(node),
        max_input_tokens: facts.max_input_tokens,
        abilities: facts.abilities,
        mock_response: node.text("mock_response").map(Arc::from),
        clocks: clocks(
            inherited.clocks,
            node.duration("timeout"),
            node.duration("stream_timeout"),
        ),
    })
}

/// `timeout` limits the attempt, and with it everything inside; `stream_timeout` the first content and every gap.
pub(super) fn clocks(
    base: Clocks,
    timeout: Option<Duration>,
    stream_timeout: Option<Duration>,
) -> Clocks {
    let total = timeout.unwrap_or(base.total);
    Clocks {
        connect: base.connect.min(total),
        first_content: stream_timeout.unwrap_or(base.first_content).min(total),
        gap: stream_timeout.unwrap_or(base.gap).min(total),
        total,
        request: base.request,
    }
}

fn provider(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    name: &str,
) -> Option<&'static Provider> {
    let at = node.place("provider");
    let key = format!("{path}.provider");
    match catalog::find(name) {
        Some(provider) if provider.family == Family::Untranslated => {
            let message = format!(
                "provider \"{name}\" speaks a dialect this version does not translate; put it behind a proxy with an OpenAI endpoint (provider litellm_proxy), or remove this entry"
            );
            ctx.findings.error(at, &key, message);
            None
        }
        Some(provider) if provider.family == Family::InsideRasa => {
            let message = format!(
                "provider \"{name}\" runs inside Rasa's own process, so there is nothing to send requests to; serve the model with vLLM or llama.cpp and use provider self-hosted"
            );
            ctx.findings.error(at, &key, message);
            None
        }
        Some(provider) => Some(provider),
        None => {
            let shown = node
                .get("provider")
                .map_or_else(String::new, |n| value::shown(n, false));
            let hint = hint(name, PROVIDERS.iter().map(|provider| provider.name));
            if node.get("api_base").is_some() && !name.is_empty() {
                let message = format!(
                    "{shown} is no provider we know, so its api_base is taken to speak the OpenAI dialect{hint}"
                );
                ctx.findings.warning(at, &key, message);
                return Some(&catalog::UNKNOWN);
            }
            let message = format!(
                "{shown} is no provider we know; with an api_base it would be taken to speak the OpenAI dialect{hint}"
            );
            ctx.findings.error(at, &key, message);
            None
        }
    }
}

/// The name sent upstream: Azure's deployment, or the model without the provider's prefix.
fn model(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    name: &str,
) -> Option<String> {
    let key = if provider.family == Family::Azure {
        "deployment"
    } else {
        "model"
    };
    let Some(text) = node.text(key).filter(|text| !text.trim().is_empty()) else {
        if node.get(key).is_none_or(|n| value::text(n).is_ok()) {
            let named = match provider.name {
                "" => "every model".to_owned(),
                known => format!("provider \"{known}\""),
            };
            let more = if key == "deployment" {
                "; model alone does not say where to send the request"
            } else {
                ""
            };
            ctx.findings.error(
                node.at,
                path,
                format!("{key} is required for {named}{more}"),
            );
        }
        return None;
    };
    let prefixes = [
        name,
        if matches!(name, "self-hosted" | "vllm") {
            "hosted_vllm"
        } else {
            name
        },
    ];
    let bare = prefixes
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix)?.strip_prefix('/'));
    Some(
        bare.filter(|bare| !bare.is_empty())
            .unwrap_or(&text)
            .to_owned(),
    )
}

fn organization(ctx: &mut Context<'_>, node: &Node, path: &str, provider: &str) -> Option<String> {
    let given = node.text("organization");
    let organization = given.or_else(|| {
        (provider == "openai")
            .then(|| ctx.first_set(&["OPENAI_ORGANIZATION"]))
            .flatten()
    })?;
    if http::HeaderValue::try_from(organization.as_str()).is_err() {
        let message = "contains a character that no header can carry";
        ctx.findings.error(
            node.place("organization"),
            &format!("{path}.organization"),
            message,
        );
    }
    Some(organization)
}

fn text_here_or_in_info(node: &Node, key: &str) -> Option<String> {
    node.text(key).or_else(|| node.get("model_info")?.text(key))
}

/// The price in the entry, else of the tables. A half-given price takes the other half from the tables.
fn price(
    ctx: &mut Context<'_>,
    own: &Own,
    node: &Node,
    path: &str,
    provider: &str,
    model: &str,
) -> Option<Priced> {
    let info = node.get("model_info");
    let given = |name: &str| node.amount(name).or_else(|| info?.amount(name));
    let sheet = Sheet::read(given, THRESHOLDS);
    let known = || look_up(&[&own.prices, &own.prices_file], provider, model);
    if sheet.is_empty() {
        return Some(known()?.priced);
    }
    check_price(ctx, &sheet, node.at, path);
    let known = if sheet.is_whole() { None } else { known() };
    let known = known.map(|found| found.priced.price);
    if known.is_none() && !sheet.has_half() {
        let message = "input_cost_per_token is not given and no price table has this model; its price is unknown";
        ctx.findings.warning(node.at, path, message);
        return None;
    }
    let settled = sheet.over(known.as_ref());
    for (missing, name) in [
        (settled.no_input, "input_cost_per_token"),
        (settled.no_output, "output_cost_per_token"),
    ] {
        if missing {
            let message =
                format!("{name} is not given and no price table has this model; counted as 0");
            ctx.findings.warning(node.at, path, message);
        }
    }
    Some(settled.price.into())
}

/// `model_info.id`, else `{group}/{model}`, fit for a header.
fn id(ctx: &mut Context<'_>, node: &Node, path: &str, group: &str, model: &str) -> String {
    let Some(id) = node.get("model_info").and_then(|info| info.text("id")) else {
        return visible(&format!("{group}/{model}"));
    };
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_graphic()) {
        let at = node
            .get("model_info")
            .map_or(node.at, |info| info.place("id"));
        let message = "not usable as the name of a deployment; allowed: visible ASCII characters without blanks";
        ctx.findings
            .error(at, &format!("{path}.model_info.id"), message);
    }
    id
}

/// What is not visible ASCII, percent-encoded.
fn visible(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_graphic() {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}
