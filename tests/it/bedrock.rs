//! Amazon's Bedrock and SageMaker behind the gateway: signed requests, binary streams, and OpenAI to the client.

mod embeddings;
mod files;
mod keys;
mod sagemaker;

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use waypost::sigv4::Signer;
use waypost::types::{AwsKeys, Secret};

use crate::support::{Gateway, Model, Reply, Scripted, Seen, Yaml, chat_body};

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
/// ConverseStream's answer `hé`, `y "you"`, with 11 and 3 tokens.
const STREAM: &[u8] = include_bytes!("../vectors/bedrock/stream/upstream.eventstream");
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "session-token-of-the-test";

/// A deployment with fixed keys.
fn model(name: &str, url: &str, model: &str) -> Model {
    Model::lines([
        "provider: bedrock",
        &format!("model: {model}"),
        &format!("api_base: {url}"),
        &format!("model_info: {{id: {name}}}"),
        "aws_region_name: eu-central-1",
        "aws_access_key_id: AKIDEXAMPLE",
        &format!("aws_secret_access_key: {SECRET}"),
        &format!("aws_session_token: {SESSION}"),
    ])
}

async fn gateway(server: &Scripted, name: &str) -> Gateway {
    Gateway::start(&Yaml::default().group("g", [model("a", &server.url(), name)])).await
}

fn whole(text: &str) -> Reply {
    Reply::json(
        &json!({"output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 11, "outputTokens": 3, "totalTokens": 14}, "metrics": {"latencyMs": 1}}),
    )
}

/// A frame of AWS's event stream.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in headers {
        fields.push(u8::try_from(name.len()).expect("short"));
        fields.extend_from_slice(name.as_bytes());
        fields.push(7);
        fields.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let number = |n: usize| u32::try_from(n).expect("small").to_be_bytes();
    let mut out = number(16 + fields.len() + payload.len()).to_vec();
    out.extend_from_slice(&number(fields.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&fields);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

fn event(kind: &str, payload: &Value) -> Vec<u8> {
    let headers = [(":event-type", kind), (":message-type", "event")];
    frame(&headers, payload.to_string().as_bytes())
}

fn exception(kind: &str) -> Vec<u8> {
    let headers = [(":exception-type", kind), (":message-type", "exception")];
    frame(&headers, br#"{"message":"not now"}"#)
}

fn hey() -> Vec<u8> {
    event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": 0, "delta": {"text": "hey"}}),
    )
}

fn stream(pieces: impl IntoIterator<Item = Vec<u8>>) -> Reply {
    Reply::chunks(EVENT_STREAM, pieces)
}

fn streaming() -> Value {
    let mut body = chat_body("g");
    body["stream"] = true.into();
    body
}

/// Holds a request's signature against one made anew of what came.
#[track_caller]
fn assert_signed(seen: &Seen, service: &str, region: &str, session: Option<&str>) {
    let header = |name: &str| {
        seen.header(name)
            .unwrap_or_else(|| panic!("{name}: {seen:?}"))
    };
    let keys = AwsKeys {
        access_key_id: Secret::new("AKIDEXAMPLE"),
        secret_access_key: Secret::new(SECRET),
        session_token: session.map(Secret::new),
    };
    let signer = Signer {
        keys: &keys,
        region,
        service,
        unix: unix(header("x-amz-date")),
    };
    let uri = format!("http://{}{}", header("host"), seen.uri);
    let uri = Uri::try_from(uri).expect("a URL");
    let headers: Vec<(&str, &str)> = seen
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| *name == "content-type" || name.starts_with("x-amzn"))
        .map(|name| (name, header(name)))
        .collect();
    let signed = signer
        .sign("POST", &uri, &headers, &seen.body)
        .expect("signed");
    for (name, value) in signed {
        assert_eq!(value.to_str().ok(), seen.header(name), "{name}");
    }
    assert!(header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
}

/// Seconds since 1970 of a time such as `20261122T043226Z`.
fn unix(text: &str) -> Duration {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().expect("a number");
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    // Days before a date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (y / 400, y % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Duration::from_secs(days * 86_400 + number(9..11) * 3600 + number(11..13) * 60 + number(13..15))
}

#[tokio::test]
async fn a_plain_chat_is_signed() {
    let server = Scripted::start(|_| whole("hey")).await;
    let gateway = gateway(&server, CLAUDE).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let got = answer.json();
    assert_eq!(got["choices"][0]["message"]["content"], "hey");
    assert_eq!(got["usage"]["total_tokens"], 14);
    let [seen] = &server.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(
        seen.uri,
        "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    );
    assert_eq!(
        seen.json(),
        json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]})
    );
    assert_signed(seen, "bedrock", "eu-central-1", Some(SESSION));
    gateway.stop().await;
}

#[tokio::test]
async fn a_binary_stream_becomes_events() {
    let server = Scripted::start(|_| stream(STREAM.chunks(37).map(<[u8]>::to_vec))).await;
    let gateway = gateway(&server, CLAUDE).await;
    let mut asked = streaming();
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let got = answer.events();
    let text: String = got
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "héy \"you\"");
    assert_eq!(got[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(got[4], "[DONE]", "usage that was not asked for stays here");
    asked["stream_options"] = json!({"include_usage": true});
    let got = gateway.chat_with(&asked).send().await.ok().events();
    assert_eq!(got[4]["usage"]["prompt_tokens"], 11);
    for seen in server.seen() {
        assert!(seen.uri.ends_with("/converse-stream"), "{}", seen.uri);
        assert_signed(&seen, "bedrock", "eu-central-1", Some(SESSION));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn errors_say_whose_fault_it_is() {
    let cases = [
        (
            400,
            "ValidationException",
            "temperature is wrong",
            400,
            "ValidationException",
        ),
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            400,
            "context_length_exceeded",
        ),
    ];
    for (status, kind, message, expected, code) in cases {
        let server = Scripted::start(move |_| {
            Reply::json(&json!({"message": message}))
                .status(status)
                .header("x-amzn-errortype", kind)
        })
        .await;
        let gateway = gateway(&server, CLAUDE).await;
        let answer = gateway.chat("g").await;
        assert_eq!((answer.status, answer.code().as_str()), (expected, code));
        assert_eq!(answer.message(), message);
        assert_eq!(server.seen().len(), 1, "{kind} is not tried again");
        gateway.stop().await;
    }
    for (status, kind) in [
        (429, "ThrottlingException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (400, "ServiceQuotaExceededException"),
        (424, "ModelErrorException"),
        (408, "ModelTimeoutException"),
        (500, "InternalServerException"),
    ] {
        let broken = Scripted::start(move |_| {
            Reply::json(&json!({"message": "m"}))
                .status(status)
                .header("x-amzn-errortype", kind)
        })
        .await;
        let sound = Scripted::start(|_| whole("hey")).await;
        let models = [
            model("broken", &broken.url(), CLAUDE).with("order: 1"),
            model("sound", &sound.url(), CLAUDE).with("order: 2"),
        ];
        let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
        let answer = gateway.chat("g").await.ok();
        assert_eq!(
            (answer.deployment(), answer.attempts()),
            ("sound", 2),
            "{kind}"
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_breaks_before_any_content_is_tried_elsewhere() {
    let start = event("messageStart", &json!({"role": "assistant"}));
    let mut wrong = hey();
    wrong[20] ^= 1;
    let cases = [
        stream(Vec::<Vec<u8>>::new()),
        stream([start.clone()]),
        stream([start.clone()]).cut(),
        stream([start.clone(), exception("throttlingException")]),
        stream([start, wrong]),
        stream([b"<html>, and no frame at all".to_vec()]),
    ];
    for case in cases {
        let shown = format!("{case:?}");
        let broken = Scripted::start(move |_| case.clone()).await;
        let sound = Scripted::start(|_| stream([STREAM.to_vec()])).await;
        let models = [
            model("broken", &broken.url(), CLAUDE).with("order: 1"),
            model("sound", &sound.url(), CLAUDE).with("order: 2"),
        ];
        let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
        let answer = gateway.chat_with(&streaming()).send().await.ok();
        assert_eq!(
            (answer.deployment(), answer.attempts()),
            ("sound", 2),
            "{shown}"
        );
        assert_eq!(answer.events().last(), Some(&json!("[DONE]")), "{shown}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_breaks_after_content_ends_in_an_error() {
    let cases = [
        (stream([hey()]), "upstream_truncated"),
        (stream([hey()]).cut(), "upstream_broken"),
        (stream([hey(), b"no frame".repeat(3)]), "upstream_malformed"),
        (
            stream([hey(), exception("modelStreamErrorException")]),
            "modelStreamErrorException",
        ),
    ];
    for (case, code) in cases {
        let gate = Arc::new(Semaphore::new(0));
        let case = case.gate(&gate);
        let server = Scripted::start(move |_| case.clone()).await;
        let gateway = gateway(&server, CLAUDE).await;
        let answer = gateway.stream("g").await;
        gate.add_permits(1);
        let got = answer.finish().await.ok().events();
        assert_eq!(got[1]["choices"][0]["delta"]["content"], "hey");
        let error = &got.last().expect("events")["error"];
        assert_eq!(error["code"], code, "{got:?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_openai_path_is_signed_as_well() {
    let server = Scripted::start(|_| Reply::chat()).await;
    let model = model("a", &server.url(), "bedrock/openai/openai.gpt-oss-20b");
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    gateway.chat("g").await.ok();
    let seen = &server.seen()[0];
    assert_eq!(seen.uri, "/openai/v1/chat/completions");
    assert_eq!(seen.json()["model"], "openai.gpt-oss-20b");
    assert_signed(seen, "bedrock", "eu-central-1", Some(SESSION));
    gateway.stop().await;
}
