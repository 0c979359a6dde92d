//! Amazon SageMaker: OpenAI in AWS's frames.

use serde_json::{Value, json};

use super::{assert_signed, frame, model, stream, streaming};
use crate::support::{Gateway, Model, Reply, Scripted, Seen, Yaml};

/// A SageMaker endpoint with fixed keys.
fn endpoint(url: &str) -> Model {
    model("a", url, "my-endpoint")
        .with("provider: sagemaker_chat")
        .with("model_id: my-component")
        .without("aws_session_token")
}

#[tokio::test]
async fn sagemaker_takes_and_gives_openai() {
    let server = Scripted::start(|seen: &Seen| {
        if seen.json()["stream"] != true {
            return Reply::chat();
        }
        let chunk = |delta: Value, reason: Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
            format!(
                "data: {}\n\n",
                json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
            )
        };
        let text = chunk(json!({"content": "hé"}), Value::Null)
            + &chunk(json!({}), "stop".into())
            + "data: [DONE]\n\n";
        let headers = [(":event-type", "PayloadPart"), (":message-type", "event")];
        stream(text.as_bytes().chunks(33).map(|part| frame(&headers, part)))
    })
    .await;
    let gateway = Gateway::start(&Yaml::default().group("g", [endpoint(&server.url())])).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi");
    let answer = gateway.chat_with(&streaming()).send().await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let got = answer.events();
    assert_eq!(got[0]["choices"][0]["delta"]["content"], "hé");
    assert_eq!(got.last(), Some(&json!("[DONE]")));
    let seen = server.seen();
    assert_eq!(seen[0].uri, "/endpoints/my-endpoint/invocations");
    assert_eq!(
        seen[1].uri,
        "/endpoints/my-endpoint/invocations-response-stream"
    );
    for seen in seen {
        assert_eq!(
            seen.header("x-amzn-sagemaker-inference-component"),
            Some("my-component")
        );
        assert_signed(&seen, "sagemaker", "eu-central-1", None);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_containers_error_is_told_as_its_own() {
    let server = Scripted::start(|_| {
        let body = json!({"Message": "Received client error (400) from primary with message \"too hot\"",
            "OriginalStatusCode": 400, "OriginalMessage": "too hot"});
        Reply::json(&body)
            .status(424)
            .header("x-amzn-errortype", "ModelError")
    })
    .await;
    let gateway = Gateway::start(&Yaml::default().group("g", [endpoint(&server.url())])).await;
    let answer = gateway.chat("g").await;
    assert_eq!((answer.status, answer.message().as_str()), (400, "too hot"));
    assert_eq!(server.seen().len(), 1);
    gateway.stop().await;
}
