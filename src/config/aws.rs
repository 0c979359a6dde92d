//! Credentials and region of a deployment at AWS.

use std::sync::Arc;

use http::HeaderValue;

use super::context::Context;
use super::tree::Node;
use crate::aws_profiles::{Profiles, default_name};
use crate::types::{
    Auth, AwsCredential, AwsKeys, AwsRole, AwsSource, Secret, TokenCredential, WebToken,
};

/// What the token service is asked in where no region is known: requests to the deployment are not signed then.
const ANY_REGION: &str = "us-east-1";
/// What a session of an assumed role is called in AWS's logs, if the file has no name for it.
const SESSION: &str = "waypost";

/// How to authenticate: the file's `api_key` as a bearer key, the file's `aws_…` keys, a bearer key of one of the variables
/// `bearer_env`, or else what the machine has; that is looked for when it is first needed.
///
/// Nothing is said about a missing region: [`region()`] does.
pub(super) fn auth(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    bearer_env: &[&str],
) -> Option<Auth> {
    if let Some(key) = node.filled("api_key") {
        return bearer(ctx, node, path, &key);
    }
    let role = role(ctx, node);
    let source = source(ctx, node, path, role.is_some())?;
    if source == AwsSource::Default
        && role.is_none()
        && let Some(key) = ctx.first_set(bearer_env)
    {
        return bearer(ctx, node, path, &key);
    }
    let credential = AwsCredential {
        source,
        role,
        region: find_region(ctx, node).unwrap_or_else(|| ANY_REGION.to_owned()),
        sts_endpoint: sts_endpoint(ctx, node, path)?,
    };
    Some(Auth::Token(Arc::new(TokenCredential::Aws(credential))))
}

/// The region: `aws_region_name`, a variable, or the profile's. None at all is an error, which is reported.
pub(super) fn region(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<String> {
    let Some(region) = find_region(ctx, node) else {
        let message = "no region: aws_region_name is not given, AWS_REGION and AWS_DEFAULT_REGION are not set, and the profile has none";
        ctx.findings.error(node.at, path, message);
        return None;
    };
    // It becomes part of a host's name.
    let valid = region
        .bytes()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    if !valid {
        let key = format!("{path}.aws_region_name");
        let message =
            "not the name of a region; allowed: small letters, digits and -, as in eu-central-1";
        ctx.findings
            .error(node.place("aws_region_name"), &key, message);
        return None;
    }
    Some(region)
}

/// The region, if it is said anywhere.
pub(super) fn find_region(ctx: &Context<'_>, node: &Node) -> Option<String> {
    let of_the_profile = || {
        let profiles = Profiles::read(ctx.env);
        let name = profile(ctx, node).unwrap_or_else(|| default_name(ctx.env));
        profiles.get(&name)?.get("region").map(str::to_owned)
    };
    node.filled("aws_region_name")
        .or_else(|| ctx.first_set(&["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_REGION_NAME"]))
        .map(|region| region.trim().to_owned())
        .or_else(of_the_profile)
}

fn profile(ctx: &Context<'_>, node: &Node) -> Option<String> {
    node.filled("aws_profile_name")
        .or_else(|| ctx.first_set(&["AWS_PROFILE_NAME"]))
}

fn bearer(ctx: &mut Context<'_>, node: &Node, path: &str, key: &str) -> Option<Auth> {
    let key = key.trim();
    if HeaderValue::try_from(key).is_err() {
        let message =
            "the key contains a character that no header can carry (a line break, perhaps)";
        ctx.findings
            .error(node.place("api_key"), &format!("{path}.api_key"), message);
        return None;
    }
    Some(Auth::Bearer(Secret::new(key)))
}

/// `aws_role_name`, with the names that LiteLLM gives the variables of these keys.
fn role(ctx: &Context<'_>, node: &Node) -> Option<AwsRole> {
    let text = |key: &str, variable: &str| node.filled(key).or_else(|| ctx.first_set(&[variable]));
    Some(AwsRole {
        arn: text("aws_role_name", "AWS_ROLE_NAME")?,
        session_name: text("aws_session_name", "AWS_SESSION_NAME")
            .unwrap_or_else(|| SESSION.to_owned()),
        external_id: text("aws_external_id", "AWS_EXTERNAL_ID").map(Secret::new),
    })
}

fn source(ctx: &mut Context<'_>, node: &Node, path: &str, role: bool) -> Option<AwsSource> {
    if let Some(token) = node
        .filled("aws_web_identity_token")
        .or_else(|| ctx.first_set(&["AWS_WEB_IDENTITY_TOKEN"]))
    {
        if !role {
            let message = "a web identity is exchanged for the keys of a role; aws_role_name is required with it";
            let key = format!("{path}.aws_web_identity_token");
            ctx.findings
                .error(node.place("aws_web_identity_token"), &key, message);
            return None;
        }
        return web_token(ctx, node, path, token.trim()).map(AwsSource::WebIdentity);
    }
    let (id, secret) = (
        node.filled("aws_access_key_id"),
        node.filled("aws_secret_access_key"),
    );
    match (id, secret) {
        (Some(id), Some(secret)) => Some(AwsSource::Static(AwsKeys {
            access_key_id: Secret::new(id.trim()),
            secret_access_key: Secret::new(secret.trim()),
            session_token: node
                .filled("aws_session_token")
                .map(|t| Secret::new(t.trim())),
        })),
        (None, None) => Some(profile(ctx, node).map_or(AwsSource::Default, AwsSource::Profile)),
        (id, _) => {
            let (there, missing) = if id.is_some() {
                ("aws_access_key_id", "aws_secret_access_key")
            } else {
                ("aws_secret_access_key", "aws_access_key_id")
            };
            let message = format!("without {missing}; allowed: both or none");
            ctx.findings
                .error(node.place(there), &format!("{path}.{there}"), message);
            None
        }
    }
}

/// A token, a file's absolute path, or the reference that LiteLLM has for either.
fn web_token(ctx: &mut Context<'_>, node: &Node, path: &str, text: &str) -> Option<WebToken> {
    let found = match text.strip_prefix("oidc/") {
        None if text.starts_with('/') => Some(WebToken::File(text.into())),
        None => Some(WebToken::Text(Secret::new(text))),
        Some(reference) => match reference.split_once('/') {
            Some(("file", file)) if file.starts_with('/') => Some(WebToken::File(file.into())),
            Some(("env", name)) => ctx
                .first_set(&[name])
                .map(|t| WebToken::Text(Secret::new(t))),
            Some(("env_path", name)) => ctx.first_set(&[name]).map(|f| WebToken::File(f.into())),
            _ => None,
        },
    };
    if found.is_none() {
        let message = "allowed: a token, the absolute path of a file with one, oidc/file//PATH, oidc/env/NAME or oidc/env_path/NAME with a variable that is set";
        let key = format!("{path}.aws_web_identity_token");
        ctx.findings
            .error(node.place("aws_web_identity_token"), &key, message);
    }
    found
}

/// Where roles are assumed, if not at the region's own token service.
fn sts_endpoint(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<Option<String>> {
    let found = node
        .filled("aws_sts_endpoint")
        .or_else(|| ctx.first_set(&["AWS_STS_ENDPOINT", "AWS_ENDPOINT_URL_STS"]));
    let Some(text) = found else {
        return Some(None);
    };
    match super::endpoint::address(&text) {
        Some(url) => Some(Some(url)),
        None => {
            let message = "not an address; allowed: http:// or https://, and a host";
            let key = format!("{path}.aws_sts_endpoint");
            ctx.findings
                .error(node.place("aws_sts_endpoint"), &key, message);
            None
        }
    }
}
