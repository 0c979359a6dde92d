//! Credentials that are exchanged for a token at the provider's own endpoint: IBM Cloud's and Databricks'.

use std::sync::Arc;

use super::context::Context;
use super::endpoint;
use super::tree::Node;
use crate::types::{Auth, OAuthCredential, OAuthGrant, Secret, TokenCredential};

/// Where IBM Cloud exchanges API keys.
const IAM: &str = "https://iam.cloud.ibm.com/identity/token";

/// How to authenticate at watsonx: `token`, `zen_api_key`, or `api_key`; each may stand in a variable. A key is exchanged for
/// tokens, which expire; a token given is used as it is. What the file has goes before what a variable has.
pub(super) fn watsonx(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<Auth> {
    const WAYS: [(&str, &[&str]); 3] = [
        ("token", &["WATSONX_TOKEN"]),
        ("zen_api_key", &["WATSONX_ZENAPIKEY"]),
        (
            "api_key",
            &["WATSONX_APIKEY", "WATSONX_API_KEY", "WX_API_KEY"],
        ),
    ];
    let in_file = WAYS
        .iter()
        .find_map(|(key, _)| Some((*key, node.filled(key)?)));
    let (way, secret) = match in_file.or_else(|| {
        WAYS.iter()
            .find_map(|(key, variables)| Some((*key, ctx.first_set(variables)?)))
    }) {
        Some(found) => found,
        None => {
            let message = "no credentials: api_key is not given and WATSONX_APIKEY is not set; set it, or write \"api_key: ${WATSONX_APIKEY}\"";
            ctx.findings.error(node.at, path, message);
            return None;
        }
    };
    let secret = secret.trim();
    match way {
        "api_key" => {
            let url = ctx
                .first_set(&["WATSONX_IAM_URL"])
                .unwrap_or_else(|| IAM.to_owned());
            let Some(url) = endpoint::address(&url) else {
                let message =
                    "WATSONX_IAM_URL is not an address; allowed: http:// or https://, and a host";
                ctx.findings.error(node.at, path, message);
                return None;
            };
            let grant = OAuthGrant::IbmApiKey(Secret::new(secret));
            Some(token(grant, url))
        }
        _ if http::HeaderValue::try_from(secret).is_err() => {
            let message = "contains a character that no header can carry (a line break, perhaps)";
            ctx.findings
                .error(node.place(way), &format!("{path}.{way}"), message);
            None
        }
        "token" => Some(Auth::Bearer(Secret::new(secret))),
        _ => Some(Auth::Header(
            "authorization",
            Secret::new(format!("ZenApiKey {secret}")),
        )),
    }
}

/// Tokens of a service principal of Databricks, if the deployment has one: `client_id` and `client_secret`, here or, where
/// there is no `api_key` either, in variables. `Ok(None)`: it has none, and the key counts.
///
/// # Errors
/// If only one of the two is given or the workspace is not known, which is reported.
pub(super) fn databricks(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    base_env: &[&str],
) -> Result<Option<Auth>, ()> {
    const NAMES: [(&str, &str); 2] = [
        ("client_id", "DATABRICKS_CLIENT_ID"),
        ("client_secret", "DATABRICKS_CLIENT_SECRET"),
    ];
    let in_file = NAMES.iter().any(|(key, _)| node.filled(key).is_some());
    if !in_file && node.filled("api_key").is_some() {
        return Ok(None);
    }
    let [id, secret] =
        NAMES.map(|(key, variable)| node.filled(key).or_else(|| ctx.first_set(&[variable])));
    let (client_id, client_secret) = match (id, secret) {
        (Some(id), Some(secret)) => (id, secret),
        _ if !in_file => return Ok(None),
        _ => {
            let message = "of client_id and client_secret only one is given; allowed: both or none";
            ctx.findings.error(node.at, path, message);
            return Err(());
        }
    };
    if in_file && node.get("api_key").is_some() {
        let message = "together with client_id and client_secret; allowed: one of the two";
        ctx.findings
            .error(node.place("api_key"), &format!("{path}.api_key"), message);
        return Err(());
    }
    // A missing or wrong base is reported where requests need it.
    let base = node.filled("api_base").or_else(|| ctx.first_set(base_env));
    let workspace = base
        .and_then(|base| url::Url::parse(base.trim()).ok())
        .ok_or(())?;
    let grant = OAuthGrant::ClientCredentials {
        client_id: Secret::new(client_id.trim()),
        client_secret: Secret::new(client_secret.trim()),
        scope: "all-apis".to_owned(),
    };
    let url = format!("{}/oidc/v1/token", workspace.origin().ascii_serialization());
    Ok(Some(token(grant, url)))
}

fn token(grant: OAuthGrant, url: String) -> Auth {
    Auth::Token(Arc::new(TokenCredential::OAuth(OAuthCredential {
        grant,
        url,
    })))
}
