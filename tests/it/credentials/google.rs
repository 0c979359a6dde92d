//! Google Cloud's tokens.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use waypost::types::{GoogleSource, Secret, TokenCredential};

use super::{Endpoint, HIDDEN, bearer, credentials, source};
use crate::support::Logs;

/// Made for this test and used nowhere else; without the armour that people and programs look for.
const KEY: &str = include_str!("../../data/rsa-2048.pkcs8.base64");

fn service_account(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": format!("-----BEGIN PRIVATE {0}-----\n{KEY}-----END PRIVATE {0}-----\n", "KEY"),
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "token_uri": token_uri,
    })
}

async fn endpoint() -> Endpoint {
    let answer = json!({"access_token": "s3cret-token", "expires_in": 3599}).to_string();
    Endpoint::start(move |_| (200, answer.clone())).await
}

#[tokio::test]
async fn a_service_account_signs_for_itself() {
    let endpoint = endpoint().await;
    let uri = format!("{}/token", endpoint.url);
    let json = Secret::new(service_account(&uri).to_string());
    let credentials = credentials::<&str, &str>([]);
    let google = TokenCredential::Google(GoogleSource::Json(json));
    let token = source(&credentials, google).token().await;
    assert_eq!(bearer(&token), "Bearer s3cret-token");
    let sent = &endpoint.sent()[0];
    assert_eq!(sent.line, "POST /token");
    let form = sent.form();
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let (signed, signature) = form["assertion"].rsplit_once('.').expect("three parts");
    let part = |text: &str| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(text).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let (header, claims) = signed.split_once('.').expect("two parts");
    assert_eq!(
        part(header),
        json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
    );
    let claims = part(claims);
    assert_eq!(claims["iss"], "gateway@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], uri);
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let seconds = |name: &str| claims[name].as_u64().expect("seconds");
    assert_eq!(seconds("exp") - seconds("iat"), 3600);
    let der = STANDARD.decode(KEY.replace('\n', "")).expect("base64");
    let pair = RsaKeyPair::from_pkcs8(&der).expect("a key");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    public
        .verify(signed.as_bytes(), &signature)
        .expect("signed by the key");
}

#[tokio::test]
async fn a_users_credentials_are_refreshed() {
    let endpoint = endpoint().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("adc.json");
    let user = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s3cret-c", "refresh_token": "s3cret-r",
        "token_uri": format!("{}/token", endpoint.url),
    });
    fs::write(&file, user.to_string()).expect("written");
    // Named by the file, by the variable, and where gcloud writes it.
    let gcloud = folder.path().join("application_default_credentials.json");
    fs::copy(&file, &gcloud).expect("copied");
    let path = file.display().to_string();
    let folder = folder.path().display().to_string();
    for (variables, from) in [
        (vec![], GoogleSource::File(file)),
        (
            vec![("GOOGLE_APPLICATION_CREDENTIALS", path)],
            GoogleSource::Default,
        ),
        (vec![("CLOUDSDK_CONFIG", folder)], GoogleSource::Default),
    ] {
        let credentials = credentials(variables);
        let token = source(&credentials, TokenCredential::Google(from))
            .token()
            .await;
        assert_eq!(bearer(&token), "Bearer s3cret-token");
    }
    let sent = endpoint.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|s| s.body
        == "grant_type=refresh_token&client_id=id&client_secret=s3cret-c&refresh_token=s3cret-r"));
}

#[tokio::test]
async fn a_machine_at_google_is_asked_last() {
    let metadata = endpoint().await;
    let host = metadata.url.trim_start_matches("http://");
    let credentials = credentials([("GCE_METADATA_HOST", host)]);
    let google = TokenCredential::Google(GoogleSource::Default);
    let token = source(&credentials, google).token().await;
    assert_eq!(bearer(&token), "Bearer s3cret-token");
    let sent = &metadata.sent()[0];
    assert_eq!(
        sent.line,
        "GET /computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(sent.header("metadata-flavor"), Some("Google"));
}

#[tokio::test]
async fn what_cannot_be_used_says_why_and_shows_nothing() {
    let logs = Logs::listen();
    let refusing = Endpoint::start(|_| {
        let refusal = json!({"error": "invalid_grant", "error_description": "s3cret"});
        (400, refusal.to_string())
    })
    .await;
    let account = service_account(&refusing.url);
    let with = |key: &str, value: Value| {
        let mut account = account.clone();
        account[key] = value;
        account
    };
    for (json, expected) in [
        (account.to_string(), "400 Bad Request invalid_grant"),
        (
            with("token_uri", json!("http://example.com/s3cret")).to_string(),
            "token_uri is no https address",
        ),
        (
            with("private_key", json!("s3cret")).to_string(),
            "private_key is no RSA key",
        ),
        (
            with("private_key", Value::Null).to_string(),
            "service_account without private_key",
        ),
        (
            with("type", json!("external_account")).to_string(),
            "federation (external_account) is not supported",
        ),
        (
            with("type", json!("s3cret")).to_string(),
            "a type that is not supported",
        ),
        ("{\"s3cret\":".to_owned(), "not the JSON"),
    ] {
        let google = GoogleSource::Json(Secret::new(json));
        let credentials = credentials::<&str, &str>([]);
        let source = source(&credentials, TokenCredential::Google(google.clone()));
        let error = source.token().await.expect_err("unusable");
        let said = format!("{error} {error:?} {google:?}");
        assert!(said.contains(expected) && !said.contains(HIDDEN), "{said}");
    }
    let missing = TokenCredential::Google(GoogleSource::File("/nowhere/key.json".into()));
    let error = source(&credentials::<&str, &str>([]), missing)
        .token()
        .await
        .expect_err("not there");
    assert!(error.to_string().contains("/nowhere/key.json: "), "{error}");
    assert!(!logs.text().contains(HIDDEN));
}
