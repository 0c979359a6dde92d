//! Microsoft Entra ID: client secrets, workload identity, managed identity.

use super::ask::{Outside, bearer, form, read};
use super::source::Fetched;
use crate::types::{EntraCredential, EntraSource};

const AUTHORITY: &str = "the token endpoint";
const MACHINE: &str = "the managed identity endpoint";
/// The instance metadata service of Azure's machines.
const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

pub(super) async fn fetch(outside: &Outside, entra: &EntraCredential) -> Result<Fetched, String> {
    let scope = entra.scopes.join(" ");
    match &entra.source {
        EntraSource::ClientSecret {
            tenant_id,
            client_id,
            client_secret,
        } => {
            let secret = [("client_secret", client_secret.expose())];
            ask_authority(
                outside,
                entra,
                tenant_id,
                client_id.expose(),
                &secret,
                &scope,
            )
            .await
        }
        EntraSource::Default => fetch_default(outside, entra, &scope).await,
    }
}

/// Environment, workload identity, managed identity, in that order.
async fn fetch_default(
    outside: &Outside,
    entra: &EntraCredential,
    scope: &str,
) -> Result<Fetched, String> {
    let (tenant, client_id) = (
        outside.set("AZURE_TENANT_ID"),
        outside.set("AZURE_CLIENT_ID"),
    );
    if let (Some(tenant), Some(id)) = (&tenant, &client_id) {
        if let Some(secret) = outside.set("AZURE_CLIENT_SECRET") {
            let secret = [("client_secret", secret.as_str())];
            return ask_authority(outside, entra, tenant, id, &secret, scope).await;
        }
        if let Some(file) = outside.set("AZURE_FEDERATED_TOKEN_FILE") {
            let assertion = read(file.as_ref()).await?;
            let proof = [
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", assertion.trim()),
            ];
            return ask_authority(outside, entra, tenant, id, &proof, scope).await;
        }
    }
    let resource = scope.trim_end_matches(".default");
    let mut query = vec![("resource", resource)];
    if let Some(id) = &client_id {
        query.push(("client_id", id));
    }
    let request = match (
        outside.set("IDENTITY_ENDPOINT"),
        outside.set("IDENTITY_HEADER"),
    ) {
        (Some(endpoint), Some(header)) => {
            query.push(("api-version", "2019-08-01"));
            let url = with_query(&endpoint, &query)?;
            outside.direct.get(url).header("x-identity-header", header)
        }
        _ => {
            query.push(("api-version", "2018-02-01"));
            let url = with_query(IMDS, &query)?;
            outside.direct.get(url).header("metadata", "true")
        }
    };
    bearer(MACHINE, request).await
}

async fn ask_authority(
    outside: &Outside,
    entra: &EntraCredential,
    tenant: &str,
    client_id: &str,
    proof: &[(&str, &str)],
    scope: &str,
) -> Result<Fetched, String> {
    let host = entra.authority_host.trim_end_matches('/');
    let url = format!("{host}/{tenant}/oauth2/v2.0/token");
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
    ];
    fields.extend_from_slice(proof);
    fields.push(("scope", scope));
    bearer(AUTHORITY, form(&outside.client, &url, &fields)).await
}

fn with_query(base: &str, query: &[(&str, &str)]) -> Result<String, String> {
    let url = url::Url::parse_with_params(base, query)
        .map_err(|e| format!("IDENTITY_ENDPOINT is not an address: {e}"))?;
    Ok(url.into())
}
