//! Healthy answers of every operation and dialect.

use base64::Engine as _;
use serde_json::{Value, json};

use super::client::{Client, ask, chat, lab, only, post};
use crate::lab::{
    Behaviour, Canned, Chunking, EmbeddingEncoding, Framing, Latency, Provider, embedding_of,
};

#[tokio::test]
async fn a_chat_is_answered_plain_and_streamed() {
    let lab = lab(Behaviour::text("Hello you."));
    let plain = ask(only(&lab), false).await;
    assert_eq!(plain.status, 200);
    assert_eq!(
        plain.json()["choices"][0]["message"]["content"],
        "Hello you."
    );
    assert_eq!(plain.json()["model"], "m");
    assert_eq!(plain.header("x-lab-deployment"), Some("d"));

    let stream = ask(only(&lab), true).await;
    assert_eq!(
        stream.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(stream.said(), "Hello you.");
    assert_eq!(stream.events().last().map(String::as_str), Some("[DONE]"));
    assert!(stream.complete);
}

#[tokio::test]
async fn completions_can_repeat_the_prompt() {
    let lab = lab(Behaviour {
        echo_prompt: true,
        ..Behaviour::text("world")
    });
    let mut body = json!({"model": "m", "prompt": "hello "});
    let plain = post(only(&lab), "/v1/completions", &body).await;
    assert_eq!(plain.json()["choices"][0]["text"], "hello world");
    assert_eq!(plain.json()["object"], "text_completion");

    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let events = post(only(&lab), "/v1/completions", &body).await.events();
    let chunks: Vec<Value> = events
        .iter()
        .filter_map(|event| serde_json::from_str(event).ok())
        .collect();
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(text, "hello world");
    let last = chunks.last().expect("chunks");
    assert_eq!(
        (&last["choices"], &last["usage"]["completion_tokens"]),
        (&json!([]), &json!(1))
    );
}

#[tokio::test]
async fn embeddings_are_those_of_the_text_in_the_encoding_there_is() {
    let lab = lab(Behaviour::default());
    let deployment = only(&lab);
    let floats = |reply: &Value| -> Option<Vec<f32>> {
        serde_json::from_value(reply["data"][0]["embedding"].clone()).ok()
    };
    let decoded = |reply: &Value| -> Option<Vec<f32>> {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(reply["data"][0]["embedding"].as_str()?)
            .ok()?;
        Some(
            bytes
                .chunks(4)
                .map(|four| f32::from_le_bytes(four.try_into().expect("four bytes")))
                .collect(),
        )
    };
    for (encoding, asked, base64) in [
        (
            EmbeddingEncoding::Both,
            json!({"encoding_format": "base64"}),
            true,
        ),
        (EmbeddingEncoding::Both, json!({}), false),
        (
            EmbeddingEncoding::FloatsOnly,
            json!({"encoding_format": "base64"}),
            false,
        ),
        (
            EmbeddingEncoding::Base64Only,
            json!({"encoding_format": "float"}),
            true,
        ),
    ] {
        deployment.set(Behaviour {
            embeddings: encoding,
            ..Behaviour::default()
        });
        let mut body = asked;
        body["model"] = "m".into();
        body["input"] = json!(["hello", "you"]);
        body["dimensions"] = 5.into();
        let reply = post(deployment, "/v1/embeddings", &body).await.json();
        let vector = if base64 {
            decoded(&reply)
        } else {
            floats(&reply)
        };
        assert_eq!(
            vector,
            Some(embedding_of("hello", 5)),
            "{encoding:?} {body}"
        );
        assert_eq!(reply["data"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn azure_has_its_own_path_key_and_first_chunk() {
    let lab = lab(Behaviour {
        expect_key: Some("secret".into()),
        ..Behaviour::text("hi")
    });
    let path = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21";
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    let body = json!({"messages": [], "stream": true}).to_string();

    client
        .send("POST", path, &[("api-key", "wrong")], body.as_bytes())
        .await;
    assert_eq!(client.read().await.status, 401);

    client
        .send("POST", path, &[("api-key", "secret")], body.as_bytes())
        .await;
    let reply = client.read().await;
    let first: Value = serde_json::from_str(&reply.events()[0]).expect("JSON");
    assert_eq!(first["choices"], json!([]));
    assert!(first["prompt_filter_results"].is_array());
    let second: Value = serde_json::from_str(&reply.events()[1]).expect("JSON");
    assert_eq!(second["model"], "gpt");
    assert_eq!(reply.said(), "hi");
}

#[tokio::test]
async fn azure_refuses_a_missing_version_and_fields_newer_than_the_version() {
    let lab = lab(Behaviour::default());
    let chat = json!({"messages": [], "stream_options": {"include_usage": true}});
    for (path, status) in [
        ("/openai/deployments/gpt/chat/completions", 404),
        (
            "/openai/deployments/gpt/chat/completions?api-version=2024-02-15-preview",
            400,
        ),
        (
            "/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            200,
        ),
    ] {
        assert_eq!(post(only(&lab), path, &chat).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_openais_shape_and_not_repeated() {
    let lab = lab(Behaviour {
        expect_key: Some("right".into()),
        ..Behaviour::default()
    });
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    let body = chat(false).to_string();
    for (key, status) in [("Bearer wrong", 401), ("right", 401), ("Bearer right", 200)] {
        client
            .send(
                "POST",
                "/v1/chat/completions",
                &[("authorization", key)],
                body.as_bytes(),
            )
            .await;
        let reply = client.read().await;
        assert_eq!(reply.status, status, "{key}");
        if status == 401 {
            assert_eq!(reply.json()["error"]["code"], "invalid_api_key");
            assert!(!reply.text().contains("wrong"));
        }
    }
}

#[tokio::test]
async fn models_health_and_unknown_paths() {
    let lab = lab(Behaviour::default());
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    for (method, path, status, field) in [
        ("GET", "/v1/models", 200, "/data/0/id"),
        ("GET", "/models/lab-model", 200, "/id"),
        ("GET", "/v1/models/other", 404, "/error/code"),
        ("GET", "/health", 200, "/status"),
        ("GET", "/v1/chat/completions", 405, "/error/message"),
        ("POST", "/v1/v1/chat/completions", 404, "/error/message"),
    ] {
        client.send(method, path, &[], b"{}").await;
        let reply = client.read().await;
        assert_eq!(reply.status, status, "{path}");
        assert!(
            reply.json().pointer(field).is_some_and(Value::is_string),
            "{path}"
        );
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let lab = lab(Behaviour {
        refuse_fields: vec!["stream_options".into()],
        ..Behaviour::default()
    });
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    for (body, param) in [
        ("{", Value::Null),
        ("[]", Value::Null),
        (r#"{"messages": []}"#, json!("model")),
        (r#"{"model": "m"}"#, json!("messages")),
        (
            r#"{"model": "m", "messages": [], "stream_options": {}}"#,
            json!("stream_options"),
        ),
    ] {
        client
            .send("POST", "/v1/chat/completions", &[], body.as_bytes())
            .await;
        let reply = client.read().await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["param"]),
            (400, &param),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_completions_only_deployment_has_no_chat() {
    let lab = lab(Behaviour {
        completions_only: true,
        ..Behaviour::default()
    });
    assert_eq!(ask(only(&lab), false).await.status, 404);
    let reply = post(
        only(&lab),
        "/v1/completions",
        &json!({"model": "m", "prompt": "x"}),
    )
    .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn writes_split_characters_or_join_events() {
    let lab = lab(Behaviour {
        chunking: Chunking::SplitBytes(1),
        ..Behaviour::text("Grüezi 🏔")
    });
    let split = ask(only(&lab), true).await;
    assert!(split.chunks.iter().all(|chunk| chunk.len() == 1));
    assert_eq!(split.said(), "Grüezi 🏔");

    only(&lab).set(Behaviour {
        chunking: Chunking::Coalesced,
        ..Behaviour::text("Grüezi 🏔")
    });
    let joined = ask(only(&lab), true).await;
    assert_eq!(joined.chunks.len(), 1);
    assert_eq!(joined.said(), split.said());
}

#[tokio::test]
async fn all_framings_carry_the_same_events() {
    let lab = lab(Behaviour::default());
    for (framing, sign) in [
        (Framing::Lf, "data: {"),
        (Framing::Crlf, "}\r\n\r\n"),
        (Framing::Compact, "data:{"),
    ] {
        only(&lab).set(Behaviour {
            framing,
            ..Behaviour::text("a b c")
        });
        let reply = ask(only(&lab), true).await;
        assert!(reply.text().contains(sign), "{framing:?}");
        assert_eq!(reply.said(), "a b c");
    }
}

#[tokio::test]
async fn heartbeats_come_while_there_is_nothing_to_say() {
    let lab = lab(Behaviour {
        first_token: Latency::Fixed(std::time::Duration::from_millis(35)),
        heartbeat: Some(std::time::Duration::from_millis(10)),
        ..Behaviour::text("hi")
    });
    let reply = ask(only(&lab), true).await;
    assert_eq!(reply.text().matches(": keep-alive\n\n").count(), 3);
    assert_eq!(reply.said(), "hi");
}

#[tokio::test]
async fn canned_answers_are_valid_and_of_the_size_asked_for() {
    let lab = lab(Behaviour::canned(Canned::Body { bytes: 1024 }));
    let body = ask(only(&lab), false).await;
    assert_eq!(body.body.len(), 1024);
    assert_eq!(body.json()["object"], "chat.completion");

    only(&lab).set(Behaviour::canned(Canned::Stream {
        chunks: 3,
        bytes: 4,
        every: None,
    }));
    let stream = ask(only(&lab), true).await;
    assert_eq!(stream.said(), "xxxx".repeat(3));
    assert_eq!(stream.events().last().map(String::as_str), Some("[DONE]"));
    let stats = only(&lab).stats();
    assert_eq!((stats.completed, stats.in_flight), (2, 0));
    assert!(only(&lab).requests().is_empty());
}

#[tokio::test]
async fn every_deployment_speaks_all_dialects_whatever_it_is_presented_as() {
    let lab = lab(Behaviour::default());
    assert_eq!(only(&lab).scripted().provider, Provider::SelfHosted);
    let reply = post(only(&lab), "/openai/v1/chat/completions", &chat(false)).await;
    assert!(reply.json()["choices"][0]["content_filter_results"].is_object());
}
