//! Embeddings arrive in the encoding that was asked for, whatever the upstream speaks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use waypost::lab::{Behaviour, EmbeddingEncoding, Fault, embedding_of};

use crate::support::pair::Pair;
use crate::support::{Answer, Request};

async fn ask(pair: &Pair, body: Value) -> Answer {
    pair.gateway
        .post("/v1/embeddings")
        .json(&body)
        .send()
        .await
        .ok()
}

/// The vectors of an answer, decoded as the SDKs do.
fn vectors(answer: &Answer) -> Vec<Vec<f32>> {
    let json = answer.json();
    let data = json["data"].as_array().expect("data").clone();
    for (index, item) in data.iter().enumerate() {
        assert_eq!(item["index"], index);
    }
    data.iter().map(|item| vector(&item["embedding"])).collect()
}

fn vector(embedding: &Value) -> Vec<f32> {
    match embedding {
        Value::String(text) => {
            let bytes = STANDARD.decode(text).expect("base64");
            assert_eq!(bytes.len() % 4, 0);
            bytes
                .chunks(4)
                .map(|b| f32::from_le_bytes(b.try_into().expect("four")))
                .collect()
        }
        numbers => serde_json::from_value(numbers.clone()).expect("numbers"),
    }
}

#[tokio::test]
async fn every_wish_is_met_by_every_upstream() {
    let pair = Pair::new().await;
    for upstream in [
        EmbeddingEncoding::Both,
        EmbeddingEncoding::FloatsOnly,
        EmbeddingEncoding::Base64Only,
    ] {
        pair.a().set(Behaviour {
            embeddings: upstream,
            dimensions: 768,
            ..Behaviour::default()
        });
        for wish in [
            json!("base64"),
            json!("float"),
            json!(null),
            json!("absent"),
        ] {
            let mut body = json!({"model": "g", "input": ["one", "zwei", "三"]});
            if wish != "absent" {
                body["encoding_format"] = wish.clone();
            }
            let answer = ask(&pair, body).await;
            let is_text = answer.json()["data"][0]["embedding"].is_string();
            assert_eq!(is_text, wish == "base64", "{upstream:?} {wish}");
            let expected: Vec<_> = ["one", "zwei", "三"]
                .map(|text| embedding_of(text, 768))
                .into();
            assert_eq!(vectors(&answer), expected, "{upstream:?} {wish}");
            let sent = pair.a().last_request().expect("a request").json();
            assert_eq!(
                sent.get("encoding_format").is_some(),
                wish != "absent",
                "nothing is invented: {sent}"
            );
        }
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_needs_no_change_is_not_changed() {
    let pair = Pair::new().await;
    for wish in ["float", "base64"] {
        let answer = ask(
            &pair,
            json!({"model": "g", "input": ["x", "y"], "encoding_format": wish}),
        )
        .await;
        let last = pair.a().last_request().expect("a request");
        let direct = Request::new(pair.a().addr(), http::Method::POST, &last.path).body(last.body);
        assert_eq!(answer.body, direct.send().await.body, "{wish}");
    }
    pair.stop().await;
}

#[tokio::test]
async fn dimensions_and_tokens_as_input() {
    let pair = Pair::new().await;
    pair.a().set(Behaviour {
        embeddings: EmbeddingEncoding::FloatsOnly,
        ..Behaviour::default()
    });
    let body = json!({"model": "g", "input": "x", "dimensions": 3, "encoding_format": "base64"});
    assert_eq!(vectors(&ask(&pair, body).await), [embedding_of("x", 3)]);
    let body = json!({"model": "g", "input": [1, 2, 3], "encoding_format": "base64"});
    assert_eq!(
        vectors(&ask(&pair, body).await),
        [embedding_of("[1,2,3]", 8)]
    );
    pair.stop().await;
}

#[tokio::test]
async fn they_are_tried_again_and_counted() {
    let pair = Pair::with(&["num_retries: 1"], &[]).await;
    pair.a().set(Fault::ServerError);
    let answer = ask(&pair, json!({"model": "g", "input": "some words"})).await;
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    let reported = answer.json()["usage"]["total_tokens"]
        .as_u64()
        .expect("usage");
    assert_eq!(pair.tokens(1), reported);
    let labels = ["operation=\"embeddings\"", "outcome=\"ok\""];
    assert_eq!(pair.metric("waypost_requests_total", &labels), 1.0);
    pair.stop().await;
}

#[tokio::test]
async fn what_is_no_embedding_is_a_broken_answer() {
    let pair = Pair::with(&["num_retries: 1"], &[]).await;
    let body = json!({"object": "list", "data": [{"index": 0, "embedding": "AAA"}]});
    pair.a().set(Fault::status(200, body));
    let answer = ask(
        &pair,
        json!({"model": "g", "input": "x", "encoding_format": "float"}),
    )
    .await;
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    assert_eq!(pair.attempts("a", "broken"), 1.0);
    pair.stop().await;
}
