//! IBM watsonx.ai: whose model it is, and who pays for it.

use super::context::Context;
use super::endpoint::{self, Endpoint};
use super::tree::Node;
use crate::catalog::Provider;
use crate::types::{Dialect, WatsonxScope};

/// A version that has chat; later ones differ in nothing that is used.
const VERSION: &str = "2024-10-08";

/// Base and dialect of a deployment at watsonx.ai.
pub(super) fn endpoint(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
) -> Option<Endpoint> {
    let base = endpoint::base(ctx, node, path, provider)?;
    let mut url = endpoint::url(ctx, &base)?;
    url.set_query(None);
    let trimmed = url.path().trim_end_matches('/').to_owned();
    if let Some(at) = trimmed.find("/ml/v1") {
        url.set_path(&trimmed[..at]);
    }
    let given = |key: &str| node.text(key).filter(|text| !text.trim().is_empty());
    let scope = match (given("project_id"), given("space_id")) {
        (Some(_), Some(_)) => {
            let message = "together with space_id; allowed: one of the two";
            ctx.findings.error(
                node.place("project_id"),
                &format!("{path}.project_id"),
                message,
            );
            return None;
        }
        (Some(project), None) => Some(WatsonxScope::Project(project)),
        (None, Some(space)) => Some(WatsonxScope::Space(space)),
        (None, None) => ctx
            .first_set(&["WATSONX_PROJECT_ID"])
            .map(WatsonxScope::Project)
            .or_else(|| {
                ctx.first_set(&["WATSONX_DEPLOYMENT_SPACE_ID", "WATSONX_SPACE_ID"])
                    .map(WatsonxScope::Space)
            }),
    };
    let deployed = node.text("model").is_some_and(|model| {
        let model = model.strip_prefix("watsonx/").unwrap_or(&model);
        model.starts_with("deployment/")
    });
    if scope.is_none() && !deployed {
        let message = "project_id or space_id is required for provider \"watsonx\", here or in WATSONX_PROJECT_ID or WATSONX_DEPLOYMENT_SPACE_ID; only a model deployment/ID needs none";
        ctx.findings.error(node.at, path, message);
        return None;
    }
    let api_version = given("api_version").unwrap_or_else(|| VERSION.to_owned());
    Some(Endpoint {
        base_url: url.as_str().trim_end_matches('/').to_owned(),
        ..Endpoint::of(provider, Dialect::Watsonx { api_version, scope })
    })
}
