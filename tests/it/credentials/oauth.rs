//! IBM Cloud's, Databricks' and Entra's tokens.

use futures_util::future::join_all;
use serde_json::json;
use waypost::types::{
    EntraCredential, EntraSource, OAuthCredential, OAuthGrant, Secret, TokenCredential,
};

use super::{Endpoint, HIDDEN, bearer, credentials, source};

fn oauth(grant: OAuthGrant, url: String) -> TokenCredential {
    TokenCredential::OAuth(OAuthCredential { grant, url })
}

async fn endpoint() -> Endpoint {
    let answer = json!({"access_token": "s3cret-token", "expires_in": "3600", "expiration": 1});
    let answer = answer.to_string();
    Endpoint::start(move |_| (200, answer.clone())).await
}

#[tokio::test]
async fn a_key_of_ibm_is_exchanged() {
    let iam = endpoint().await;
    let url = format!("{}/identity/token", iam.url);
    let grant = OAuthGrant::IbmApiKey(Secret::new("s3cret&key"));
    let credentials = credentials::<&str, &str>([]);
    let source = source(&credentials, oauth(grant, url));
    let tokens = join_all((0..50).map(|_| source.token())).await;
    assert!(tokens.iter().all(|t| bearer(t) == "Bearer s3cret-token"));
    let sent = iam.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].line.as_str(), sent[0].body.as_str()),
        (
            "POST /identity/token",
            "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=s3cret%26key"
        )
    );
    assert_eq!(
        sent[0].header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

#[tokio::test]
async fn a_service_principal_authenticates_by_header() {
    let workspace = endpoint().await;
    let grant = OAuthGrant::ClientCredentials {
        client_id: Secret::new("id"),
        client_secret: Secret::new("s3cret"),
        scope: "all-apis".to_owned(),
    };
    let credentials = credentials::<&str, &str>([]);
    let url = format!("{}/oidc/v1/token", workspace.url);
    let token = source(&credentials, oauth(grant, url)).token().await;
    assert_eq!(bearer(&token), "Bearer s3cret-token");
    let sent = &workspace.sent()[0];
    assert_eq!(sent.body, "grant_type=client_credentials&scope=all-apis");
    // `id:s3cret`
    assert_eq!(sent.header("authorization"), Some("Basic aWQ6czNjcmV0"));
}

#[tokio::test]
async fn those_who_wait_for_a_fetch_share_its_failure() {
    let authority = Endpoint::start(|_| (400, "{}".to_owned())).await;
    let credential = EntraCredential {
        source: EntraSource::ClientSecret {
            tenant_id: "t".to_owned(),
            client_id: Secret::new("c"),
            client_secret: Secret::new("s3cret"),
        },
        scopes: vec![],
        authority_host: authority.url.clone(),
    };
    let credentials = credentials::<&str, &str>([]);
    let source = source(&credentials, TokenCredential::Entra(credential));
    let all = join_all((0..5).map(|_| source.token())).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(authority.sent().len(), 1);
    let error = source.token().await.expect_err("refused");
    assert!(error.to_string().contains("400"), "{error}");
    assert_eq!(authority.sent().len(), 2, "a later one asks anew");
}

/// Environment, workload identity, managed identity of an app and of a machine, in that order.
#[tokio::test]
async fn entra_takes_the_first_identity_there_is() {
    let azure = endpoint().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret-jwt\n").expect("written");
    let groups = [
        vec![("AZURE_CLIENT_SECRET", "s3cret".to_owned())],
        vec![("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string())],
        vec![
            ("IDENTITY_ENDPOINT", format!("{}/msi", azure.url)),
            ("IDENTITY_HEADER", "s3cret-header".to_owned()),
        ],
    ];
    for first in 0..groups.len() {
        let variables = groups[first..].iter().flatten().cloned();
        let both = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let both = both.map(|(k, v)| (k, v.to_owned()));
        let credentials = credentials(variables.chain(both));
        let entra = EntraCredential {
            source: EntraSource::Default,
            scopes: vec!["https://a/.default".to_owned()],
            authority_host: azure.url.clone(),
        };
        let token = source(&credentials, TokenCredential::Entra(entra))
            .token()
            .await;
        assert_eq!(bearer(&token), "Bearer s3cret-token");
    }
    let sent = azure.sent();
    assert_eq!(
        azure.lines(),
        [
            "POST /t/oauth2/v2.0/token",
            "POST /t/oauth2/v2.0/token",
            "GET /msi?resource=https%3A%2F%2Fa%2F&client_id=c&api-version=2019-08-01",
        ]
    );
    assert_eq!(sent[0].form()["client_secret"], "s3cret");
    assert_eq!(sent[1].form()["client_assertion"], "s3cret-jwt");
    assert_eq!(sent[2].header("x-identity-header"), Some("s3cret-header"));
}

#[tokio::test]
async fn errors_name_the_endpoint_and_the_code() {
    for (answer, expected) in [
        (
            (
                400,
                json!({"errorCode": "BXNIM0415E", "errorMessage": "s3cret"}).to_string(),
            ),
            "IBM's token endpoint answered 400 Bad Request BXNIM0415E",
        ),
        (
            (200, json!({"token": "s3cret"}).to_string()),
            "IBM's token endpoint's answer holds no access_token",
        ),
        (
            (200, json!({"access_token": "s3cret\n"}).to_string()),
            "IBM's token endpoint's answer holds no usable token",
        ),
        (
            (302, String::new()),
            "IBM's token endpoint answered 302 Found",
        ),
    ] {
        let iam = Endpoint::start(move |_| answer.clone()).await;
        let grant = OAuthGrant::IbmApiKey(Secret::new("s3cret"));
        let credentials = credentials::<&str, &str>([]);
        let error = source(&credentials, oauth(grant, iam.url.clone()))
            .token()
            .await;
        let error = error.expect_err("none").to_string();
        assert_eq!(error, format!("no IBM Cloud token: {expected}"));
        assert!(!error.contains(HIDDEN));
    }
}
