//! How requests are authenticated, and that nobody sees it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::{CLAUDE, SECRET, SESSION, model, whole};
use crate::support::{Gateway, Logs, Model, Reply, Scripted, Seen, Yaml};

#[tokio::test]
async fn a_bedrock_key_is_a_bearer() {
    let server = Scripted::start(|_| whole("hey")).await;
    let model = Model::lines([
        "provider: bedrock",
        "model: bedrock/amazon.nova-lite-v1:0",
        &format!("api_base: {}", server.url()),
        "api_key: bedrock-api-key-of-the-test",
    ]);
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    gateway.chat("g").await.ok();
    let seen = &server.seen()[0];
    assert_eq!(seen.uri, "/model/amazon.nova-lite-v1%3A0/converse");
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer bedrock-api-key-of-the-test")
    );
    assert_eq!(seen.header("x-amz-date"), None);
    gateway.stop().await;
}

#[tokio::test]
async fn keys_that_have_expired_are_fetched_anew() {
    let fetched = AtomicUsize::new(0);
    let sts = Scripted::start(move |_| {
        let number = fetched.fetch_add(1, Ordering::SeqCst) + 1;
        Reply::chunks("text/xml", [format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>secret{number}</SecretAccessKey>\
             <SessionToken>session{number}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )])
    })
    .await;
    let expired = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&expired);
    let server = Scripted::start(move |seen: &Seen| {
        let first = seen.header("x-amz-security-token") == Some("session1");
        if first && over.load(Ordering::SeqCst) {
            let body = json!({"message": "The security token included in the request is expired"});
            return Reply::json(&body)
                .status(403)
                .header("x-amzn-errortype", "ExpiredTokenException");
        }
        whole("hey")
    })
    .await;
    let model = Model::lines([
        "provider: bedrock_converse",
        "model: eu-west-3/amazon.nova-lite-v1:0",
        &format!("api_base: {}", server.url()),
        "aws_role_name: arn:aws:iam::123456789012:role/r",
        "aws_web_identity_token: identity",
        &format!("aws_sts_endpoint: {}", sts.url()),
    ]);
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    gateway.chat("g").await.ok();
    expired.store(true, Ordering::SeqCst);
    // Keys that were fetched just now would not be fetched again.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(600)).await;
    tokio::time::resume();
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.attempts(), 1);
    let tokens: Vec<_> = server.seen();
    let tokens: Vec<_> = tokens
        .iter()
        .filter_map(|seen| seen.header("x-amz-security-token"))
        .collect();
    assert_eq!(tokens, ["session1", "session1", "session2"]);
    let seen = &server.seen()[2];
    let authorization = seen.header("authorization").expect("a signature");
    assert!(
        authorization.contains("Credential=ASIA2/")
            && authorization.contains("/eu-west-3/bedrock/"),
        "{authorization}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn secrets_are_nowhere() {
    let said = Arc::new(Mutex::new(String::new()));
    let seen_by_server = Arc::clone(&said);
    let server = Scripted::start(move |seen: &Seen| {
        let signature = seen.header("authorization").unwrap_or_default();
        signature.clone_into(&mut seen_by_server.lock().expect("free"));
        // An upstream that repeats what it got.
        let message = format!("bad token {SESSION} with {SECRET}");
        Reply::json(&json!({"message": message}))
            .status(403)
            .header("x-amzn-errortype", "AccessDeniedException")
    })
    .await;
    let logs = Logs::listen();
    let yaml = Yaml::default().group("g", [model("a", &server.url(), CLAUDE)]);
    let gateway = Gateway::logging(&yaml, &logs).await;
    let answer = gateway.chat("g").await;
    let shown = format!("{:?}", gateway.deployments("g"));
    gateway.stop().await;
    assert!(answer.status >= 400, "{}", answer.status);
    let text = format!("{}{shown}{}", answer.text(), logs.text());
    for secret in [SECRET, SESSION] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(said.lock().expect("free").starts_with("AWS4-HMAC-SHA256"));
}
