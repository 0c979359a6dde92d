//! Paths, headers and frames; bodies are the OpenAI adapter's.

use serde_json::{Value, json};

use super::super::bedrock::event_stream::frame;
use super::super::vectors::{back, call, target};
use super::*;
use crate::types::{Dialect, Operation};

fn adapter(component: Option<&str>) -> SageMaker {
    let dialect = Dialect::SageMaker {
        region: "eu-west-1".to_owned(),
        component: component.map(str::to_owned),
    };
    let target = target("sagemaker_chat", dialect, "my-endpoint");
    SageMaker::new(Arc::new(target), "eu-west-1", component).expect("a target")
}

fn asked(stream: bool) -> Call {
    let body = json!({"model": "g", "messages": [], "stream": stream});
    call(Operation::Chat, &body.to_string())
}

#[test]
fn bodies_of_openai_go_to_the_endpoint() {
    for (stream, path, accept) in [
        (
            false,
            "/endpoints/my-endpoint/invocations",
            "application/json",
        ),
        (
            true,
            "/endpoints/my-endpoint/invocations-response-stream",
            MEDIA_TYPE,
        ),
    ] {
        let request = adapter(Some("one"))
            .outbound(&asked(stream), Authority::default())
            .expect("it can be said");
        assert_eq!(request.path(), path);
        let fields: Vec<_> = request.fields().collect();
        assert!(fields.contains(&("accept", accept)), "{fields:?}");
        assert!(fields.contains(&(COMPONENT.as_str(), "one")), "{fields:?}");
        let body: Value = serde_json::from_slice(&request.payload.to_bytes()).expect("json");
        assert_eq!(
            (&body["model"], &body["stream"]),
            (&json!("my-endpoint"), &json!(stream))
        );
    }
}

fn part(bytes: &[u8]) -> Vec<u8> {
    frame(
        &[(":message-type", "event"), (":event-type", "PayloadPart")],
        bytes,
    )
}

/// The answer cut in two at every byte; the same each time.
fn unframed(stream: &[u8]) -> String {
    let whole = back(&adapter(None), &asked(true), [stream]).expect("an answer");
    for cut in 0..stream.len() {
        let (one, two) = stream.split_at(cut);
        let got = back(&adapter(None), &asked(true), [one, two]).expect("an answer");
        assert_eq!(got, whole, "cut at {cut}");
    }
    whole
}

#[test]
fn frames_cut_the_stream_anywhere() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hé\"}}]}\n\ndata: [DONE]\n\n";
    let (one, two) = text.as_bytes().split_at(41);
    let stream = [part(one), part(b""), part(two)].concat();
    assert_eq!(unframed(&stream), text);
}

#[test]
fn exceptions_become_an_event() {
    let exception = frame(
        &[
            (":message-type", "exception"),
            (":exception-type", "ModelStreamError"),
        ],
        br#"{"Message":"the container has gone","ErrorCode":"ModelInvocationTimeExceeded"}"#,
    );
    let before = "data: {\"choices\":[]}\n\n";
    let parts = [
        part(before.as_bytes()),
        part(b"data: {\"ch"), // what is half said is not said
        exception,
        part(b"oices\":[]}\n\n"),
    ];
    let got = unframed(&parts.concat());
    let event = got.strip_prefix(before).expect("what came before");
    let event = event.strip_prefix("data: ").expect("an event");
    let error: Value = serde_json::from_str(event.trim_end()).expect("json");
    assert_eq!(error["error"]["message"], "the container has gone");
    assert_eq!(error["error"]["type"], "server_error");
}

#[test]
fn a_container_that_does_not_stream_passes() {
    let mut fields = Fields::default();
    fields.add("content-type", "application/json");
    let inbound = adapter(None).inbound(&asked(true), &fields);
    assert!(matches!(inbound, Inbound::Passthrough), "{inbound:?}");
}
