//! What goes out, and how answers and errors are read.

mod rows;

use super::*;
use crate::request::RequestHead;
use crate::types::{Dropping, Quirks, Secret, TlsOptions, Token};

fn target() -> Target {
    Target {
        id: "g/m".into(),
        provider: "openai".into(),
        dialect: Dialect::OpenAi {
            completions_only: false,
        },
        base_url: "https://host/v1".to_owned(),
        model: "m".into(),
        price_model: "m".into(),
        auth: Auth::Bearer(Secret::new("sk-1")),
        defaults: vec![],
        extra_body: vec![],
        extra_headers: vec![],
        renames: &[],
        stream_options: true,
        encoding_format: true,
        quirks: &Quirks::OPENAI,
        dropping: Dropping::default(),
        tls: TlsOptions::default(),
        organization: None,
    }
}

fn call(operation: Operation, body: &str) -> Call {
    let head = Arc::new(RequestHead::read(body.as_bytes(), None).expect("a request"));
    Call {
        operation,
        head,
        body: Bytes::from(body.to_owned()),
        beta: None,
        id: "r".into(),
        created: 0,
    }
}

/// Head and body.
fn sent(target: Target, operation: Operation, body: &str) -> (String, String) {
    let adapter = OpenAi::new(Arc::new(target)).expect("a target");
    let request = adapter
        .outbound(&call(operation, body), Authority::default())
        .expect("a request");
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&request.head), text(&request.payload.to_bytes()))
}

#[test]
fn addresses_and_keys() {
    let (head, body) = sent(target(), Operation::Chat, r#"{"model":"g","messages":[]}"#);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\nhost: host\r\n"));
    assert_eq!(body, r#"{"model":"m","messages":[]}"#);
    assert!(
        head.contains("\r\nauthorization: Bearer sk-1\r\n"),
        "{head}"
    );
    let adapter = OpenAi::new(Arc::new(target())).expect("a target");
    assert!(!format!("{adapter:?}").contains("sk-1"));

    let azure = Target {
        dialect: Dialect::Azure {
            api_version: "2024-10-21".to_owned(),
        },
        base_url: "https://host".to_owned(),
        auth: Auth::Header("api-key", Secret::new("k")),
        ..target()
    };
    let (head, _) = sent(azure, Operation::Embeddings, r#"{"model":"g","input":"x"}"#);
    let line = "POST /openai/deployments/m/embeddings?api-version=2024-10-21 HTTP/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("\r\napi-key: k\r\n") && !head.contains("authorization"));

    let v1 = Target {
        dialect: Dialect::AzureV1,
        base_url: "https://host".to_owned(),
        auth: Auth::None,
        ..target()
    };
    let (head, _) = sent(v1, Operation::Completions, r#"{"model":"g","prompt":"x"}"#);
    assert!(
        head.starts_with("POST /openai/v1/completions HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(!head.contains("api-key") && !head.contains("authorization"));
}

#[test]
fn what_varies_stands_above_what_is_configured() {
    let beta = HeaderValue::from_static("theirs");
    let own = Target {
        auth: Auth::None,
        extra_headers: vec![(BETA.to_owned(), Secret::new("ours"))],
        ..target()
    };
    let adapter = OpenAi::new(Arc::new(own)).expect("a target");
    for (beta, stream, expected) in [
        (
            None,
            false,
            "accept: application/json\r\n|openai-beta: ours\r\n",
        ),
        (
            Some(beta),
            true,
            "accept: text/event-stream\r\n|openai-beta: theirs\r\n",
        ),
    ] {
        let body = format!(r#"{{"model":"g","stream":{stream}}}"#);
        let call = Call {
            beta,
            ..call(Operation::Chat, &body)
        };
        let bearer = HeaderValue::from_static("Bearer t");
        let request = adapter
            .outbound(
                &call,
                Authority {
                    token: Some(&Token::Bearer(bearer)),
                    ..Authority::default()
                },
            )
            .expect("a request");
        let head = String::from_utf8(request.head.to_vec()).expect("text");
        for line in expected.split('|').chain(["authorization: Bearer t\r\n"]) {
            assert!(head.contains(line), "{head}");
        }
        for name in ["accept: ", "openai-beta: ", "authorization: "] {
            assert_eq!(head.matches(name).count(), 1, "{head}");
        }
    }
}

#[test]
fn bodies() {
    let defaults = |pairs: &[(&str, serde_json::Value)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect()
    };
    let cases: Vec<(Target, Operation, &str, &str)> = vec![
        (
            target(),
            Operation::Chat,
            r#"{"model":"g","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#,
        ),
        (
            target(),
            Operation::Chat,
            r#"{"model":"g","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            target(),
            Operation::Chat,
            r#"{"model":"g","stream":true,"stream_options":{"x":1}}"#,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            Target {
                stream_options: false,
                ..target()
            },
            Operation::Chat,
            r#"{"model":"g","stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"model":"m","stream":true}"#,
        ),
        (
            Target {
                renames: &[("max_completion_tokens", "max_tokens")],
                ..target()
            },
            Operation::Chat,
            r#"{"model":"g","max_completion_tokens":5,"cache":{"no-cache":true}}"#,
            r#"{"model":"m","max_tokens":5}"#,
        ),
        (
            Target {
                defaults: defaults(&[
                    ("temperature", 0.5.into()),
                    ("max_completion_tokens", 9.into()),
                ]),
                ..target()
            },
            Operation::Chat,
            r#"{"model":"g","temperature":1,"max_tokens":5}"#,
            r#"{"model":"m","temperature":1,"max_tokens":5}"#,
        ),
        (
            Target {
                defaults: defaults(&[("temperature", 0.5.into()), ("dimensions", 9.into())]),
                ..target()
            },
            Operation::Embeddings,
            r#"{"model":"g","input":"x"}"#,
            r#"{"dimensions":9,"model":"m","input":"x"}"#,
        ),
        (
            Target {
                encoding_format: false,
                ..target()
            },
            Operation::Embeddings,
            r#"{"model":"g","encoding_format":"base64","input":"x"}"#,
            r#"{"model":"m","input":"x"}"#,
        ),
        (
            Target {
                renames: &[
                    ("max_completion_tokens", "max_tokens"),
                    ("seed", "random_seed"),
                ],
                defaults: defaults(&[("max_completion_tokens", 9.into()), ("seed", 1.into())]),
                ..target()
            },
            Operation::Chat,
            r#"{"model":"g","max_completion_tokens":5,"seed":7}"#,
            r#"{"model":"m","max_tokens":5,"random_seed":7}"#,
        ),
        (
            Target {
                defaults: defaults(&[("temperature", 0.5.into())]),
                extra_body: defaults(&[
                    ("temperature", 1.into()),
                    ("stream_options", serde_json::json!({})),
                ]),
                ..target()
            },
            Operation::Chat,
            r#"{"model":"g","stream":true,"stream_options":{}}"#,
            r#"{"temperature":1,"model":"m","stream":true,"stream_options":{}}"#,
        ),
        (
            Target {
                extra_body: defaults(&[("think", true.into())]),
                ..target()
            },
            Operation::Chat,
            r#"{"model":"g","think":false}"#,
            r#"{"model":"m","think":true}"#,
        ),
    ];
    for (target, operation, body, expected) in cases {
        let (_, got) = sent(target, operation, body);
        assert_eq!(got, expected, "{body}");
    }
}
