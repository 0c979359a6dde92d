//! Where Bedrock and SageMaker are, and what of a model's name says how to get there.

use url::Url;

use super::context::Context;
use super::endpoint::Endpoint;
use super::tree::Node;
use super::{aws, endpoint};
use crate::catalog::{Family, Provider};
use crate::types::Dialect;

/// Beginnings of regions, and the ends of host names there; others end in `amazonaws.com`.
const SUFFIXES: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

/// How requests get to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Converse,
    /// Bedrock's OpenAI-compatible path.
    OpenAi,
    /// The same at the newer host.
    Mantle,
}

/// LiteLLM's words before a model's name. What it sends by InvokeModel goes by Converse here: the client sees no difference.
const ROUTES: [(&str, Route); 6] = [
    ("bedrock/", Route::Converse),
    ("converse/", Route::Converse),
    ("converse_like/", Route::Converse),
    ("invoke/", Route::Converse),
    ("openai/", Route::OpenAi),
    ("mantle/", Route::Mantle),
];

/// A model's name taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    route: Route,
    /// In the name, or in the ARN that it is.
    region: Option<&'a str>,
    model: &'a str,
}

impl<'a> Name<'a> {
    fn read(mut text: &'a str) -> Self {
        let mut route = Route::Converse;
        let mut region = None;
        loop {
            if let Some((word, rest)) = ROUTES
                .iter()
                .find_map(|(word, route)| Some((*route, text.strip_prefix(word)?)))
            {
                route = if word == Route::Converse { route } else { word };
                text = rest;
            } else if let Some((first, rest)) = text.split_once('/')
                && is_region(first)
            {
                region = Some(first);
                text = rest;
            } else {
                break;
            }
        }
        // LiteLLM's word for the family of an ARN, as in `llama/arn:aws:…`.
        if let Some((_, arn)) = text.split_once("/arn:") {
            text = &text[text.len() - arn.len() - "arn:".len()..];
        }
        let of_arn = || text.strip_prefix("arn:")?.split(':').nth(2);
        Self {
            route,
            region: region.or_else(of_arn).filter(|region| is_region(region)),
            model: text,
        }
    }
}

/// Whether `text` has the form of a region, such as `eu-central-1` or `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase());
    matches!(parts.len(), 3 | 4)
        && parts[0].len() <= 4
        && parts[..parts.len() - 1].iter().all(letters)
        && parts[parts.len() - 1].bytes().all(|c| c.is_ascii_digit())
        && !parts[parts.len() - 1].is_empty()
}

/// Base and dialect; `asked` becomes the model as it is called there.
pub(super) fn endpoint(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    asked: &mut String,
) -> Option<Endpoint> {
    let model = asked.clone();
    let model = model.as_str();
    let sagemaker = provider.family == Family::SageMaker;
    let name = if sagemaker {
        Name {
            route: Route::Converse,
            region: None,
            model,
        }
    } else {
        Name::read(model)
    };
    let given = given(ctx, node, path, provider)?;
    let region = region(ctx, node, path, &name, given.as_ref())?;
    let base = match given {
        Some(mut url) => {
            let root = root(url.path()).to_owned();
            url.set_path(&root);
            url.as_str().trim_end_matches('/').to_owned()
        }
        None => {
            let suffix = SUFFIXES.iter().find(|(start, _)| region.starts_with(start));
            let suffix = suffix.map_or("amazonaws.com", |(_, suffix)| suffix);
            match name.route {
                _ if sagemaker => format!("https://runtime.sagemaker.{region}.{suffix}"),
                Route::Converse => format!("https://bedrock-runtime.{region}.{suffix}"),
                Route::OpenAi => format!("https://bedrock-runtime.{region}.{suffix}/openai/v1"),
                Route::Mantle => format!("https://bedrock-mantle.{region}.api.aws/v1"),
            }
        }
    };
    let id = node.text("model_id").filter(|id| !id.trim().is_empty());
    let (dialect, base_url, model) = if sagemaker {
        let dialect = Dialect::SageMaker {
            region,
            component: id,
        };
        (dialect, base, name.model.to_owned())
    } else {
        let model = id.unwrap_or_else(|| name.model.to_owned());
        let openai = base.ends_with("/v1");
        let base = match name.route {
            Route::OpenAi if !openai => format!("{base}/openai/v1"),
            Route::Mantle if !openai => format!("{base}/v1"),
            _ => base,
        };
        let dialect = if openai || name.route != Route::Converse {
            let mantle = base.contains("://bedrock-mantle.");
            Dialect::AwsOpenAi {
                region,
                service: if mantle { "bedrock-mantle" } else { "bedrock" },
            }
        } else {
            Dialect::Bedrock { region }
        };
        (dialect, base, model)
    };
    *asked = model;
    Some(Endpoint {
        base_url,
        ..Endpoint::of(provider, dialect)
    })
}

/// What people paste behind a base.
fn root(path: &str) -> &str {
    const OPERATIONS: [&str; 4] = [
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/endpoints/",
    ];
    let path = path.trim_end_matches('/');
    let cut = OPERATIONS
        .iter()
        .filter_map(|operation| path.find(operation));
    &path[..cut.min().unwrap_or(path.len())]
}

/// The base that the file or a variable has; `Some(None)`: none has.
#[expect(clippy::option_option, reason = "an error, nothing, or a base")]
fn given(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
) -> Option<Option<Url>> {
    const KEY: &str = "aws_bedrock_runtime_endpoint";
    if node.get("api_base").is_none()
        && provider.family == Family::Bedrock
        && let Some(text) = node.text(KEY).filter(|text| !text.trim().is_empty())
    {
        let url = endpoint::address(&text).and_then(|text| Url::parse(&text).ok());
        if url.is_none() {
            let message = "not an address; allowed: http:// or https://, a host, perhaps a path";
            let key = format!("{path}.{KEY}");
            ctx.findings.error(node.place(KEY), &key, message);
        }
        return url.map(Some);
    }
    if node.get("api_base").is_none() && ctx.first_set(provider.base_env).is_none() {
        return Some(None);
    }
    let base = endpoint::base(ctx, node, path, provider)?;
    let url = endpoint::url(ctx, &base)?;
    if url.query().is_some() {
        let message = "a base URL has no \"?\"; write what stands before it";
        ctx.findings.error(base.at, &base.key, message);
        return None;
    }
    Some(Some(url))
}

/// `aws_region_name`, the model's, the base's, a variable's or the profile's.
fn region(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    name: &Name<'_>,
    base: Option<&Url>,
) -> Option<String> {
    let said = node
        .text("aws_region_name")
        .is_some_and(|text| !text.trim().is_empty());
    if !said {
        let of_host = || {
            let mut labels = base?.host_str()?.split('.');
            labels.find(|label| is_region(label))
        };
        if let Some(region) = name.region.or_else(of_host) {
            return Some(region.to_owned());
        }
        // Nothing is signed: the region says no more than where the base is.
        if base.is_some() && node.text("api_key").is_some() {
            return Some(aws::find_region(ctx, node).unwrap_or_default());
        }
    }
    aws::region(ctx, node, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_route_region_and_model() {
        let arn = "arn:aws:bedrock:eu-west-3:123456789012:application-inference-profile/x1";
        let hinted = format!("llama/{arn}");
        let cases = [
            (
                "us.anthropic.claude-x-v1:0",
                Route::Converse,
                None,
                "us.anthropic.claude-x-v1:0",
            ),
            (
                "converse/amazon.nova-pro-v1:0",
                Route::Converse,
                None,
                "amazon.nova-pro-v1:0",
            ),
            ("bedrock/invoke/m", Route::Converse, None, "m"),
            ("converse_like/m", Route::Converse, None, "m"),
            ("eu-central-1/m", Route::Converse, Some("eu-central-1"), "m"),
            (
                "us-gov-west-1/converse/m",
                Route::Converse,
                Some("us-gov-west-1"),
                "m",
            ),
            (
                "openai/openai.gpt-oss-20b",
                Route::OpenAi,
                None,
                "openai.gpt-oss-20b",
            ),
            (
                "openai.gpt-oss-20b-1:0",
                Route::Converse,
                None,
                "openai.gpt-oss-20b-1:0",
            ),
            (
                "mantle/openai.gpt-6-sol",
                Route::Mantle,
                None,
                "openai.gpt-6-sol",
            ),
            (arn, Route::Converse, Some("eu-west-3"), arn),
            (&hinted, Route::Converse, Some("eu-west-3"), arn),
            (
                "arn:aws:bedrock:::x",
                Route::Converse,
                None,
                "arn:aws:bedrock:::x",
            ),
            ("my-own-1x/m", Route::Converse, None, "my-own-1x/m"),
        ];
        for (text, route, region, model) in cases {
            let expected = Name {
                route,
                region,
                model,
            };
            assert_eq!(Name::read(text), expected, "{text}");
        }
    }

    #[test]
    fn bases_lose_what_is_appended_anyway() {
        for (path, expected) in [
            ("/", ""),
            ("/openai/v1/", "/openai/v1"),
            ("/openai/v1/chat/completions", "/openai/v1"),
            ("/endpoints/e/invocations", ""),
            ("/proxy", "/proxy"),
        ] {
            assert_eq!(root(path), expected);
        }
    }
}
