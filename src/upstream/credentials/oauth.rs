//! Grants of OAuth 2 at a provider's own endpoint.

use super::ask::{Outside, bearer, form};
use super::source::Fetched;
use crate::types::{OAuthCredential, OAuthGrant};

pub(super) async fn fetch(outside: &Outside, oauth: &OAuthCredential) -> Result<Fetched, String> {
    let (client, url) = (&outside.client, &oauth.url);
    match &oauth.grant {
        OAuthGrant::IbmApiKey(key) => {
            let fields = [
                ("grant_type", "urn:ibm:params:oauth:grant-type:apikey"),
                ("apikey", key.expose()),
            ];
            bearer("IBM's token endpoint", form(client, url, &fields)).await
        }
        OAuthGrant::ClientCredentials {
            client_id,
            client_secret,
            scope,
        } => {
            let fields = [("grant_type", "client_credentials"), ("scope", scope)];
            let request = form(client, url, &fields)
                .basic_auth(client_id.expose(), Some(client_secret.expose()));
            bearer("the token endpoint", request).await
        }
    }
}
