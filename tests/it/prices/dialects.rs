//! Each dialect's answers: every token in the bucket the provider means, streamed or not.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use waypost::h1::Fields;
use waypost::json::Scanner;
use waypost::provider::{Call, Inbound};
use waypost::request::RequestHead;
use waypost::sse;
use waypost::types::{Cost, Operation, Price, Provenance, Rates, TokenUsage};
use waypost::usage::meter;

use crate::support::dialects::{DIALECTS, speaker};

/// An answer in a dialect, whole and as a stream, and what was used by both.
struct Case {
    dialect: &'static str,
    whole: String,
    stream: Vec<u8>,
    usage: TokenUsage,
}

fn events(events: &[Value]) -> Vec<u8> {
    let lines = events.iter().map(|event| {
        let kind = event["type"].as_str().unwrap_or("message");
        format!("event: {kind}\ndata: {event}\n\n")
    });
    lines.collect::<String>().into_bytes()
}

/// Amazon's frame of an event.
fn frame(kind: &str, payload: &Value) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [
        (":message-type", "event"),
        (":event-type", kind),
        (":content-type", "application/json"),
    ] {
        fields.push(u8::try_from(name.len()).expect("short"));
        fields.extend_from_slice(name.as_bytes());
        fields.push(7);
        fields.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let number = |n: usize| u32::try_from(n).expect("small").to_be_bytes();
    let mut out = number(16 + fields.len() + payload.len()).to_vec();
    out.extend_from_slice(&number(fields.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&fields);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

fn cases() -> Vec<Case> {
    let usage = TokenUsage {
        input: 100,
        output: 60,
        provenance: Provenance::Reported,
        ..TokenUsage::default()
    };
    let anthropic = json!({"input_tokens": 50, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 30,
        "output_tokens": 60, "output_tokens_details": {"thinking_tokens": 25}});
    let bedrock = json!({"inputTokens": 50, "cacheReadInputTokens": 30, "cacheWriteInputTokens": 20, "outputTokens": 60, "totalTokens": 160});
    let gemini = json!({"promptTokenCount": 90, "toolUsePromptTokenCount": 10, "candidatesTokenCount": 35, "thoughtsTokenCount": 25,
        "cachedContentTokenCount": 30, "totalTokenCount": 160,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 50}, {"modality": "AUDIO", "tokenCount": 25}, {"modality": "IMAGE", "tokenCount": 15}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "AUDIO", "tokenCount": 10}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 30}, {"modality": "AUDIO", "tokenCount": 5}]});
    let cohere =
        json!({"tokens": {"input_tokens": 100, "output_tokens": 60.0}, "cached_tokens": 30});
    let candidate = |usage: &Value| {
        json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": usage, "modelVersion": "m", "responseId": "r"})
    };
    let ollama = json!({"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": true, "done_reason": "stop",
        "prompt_eval_count": 100, "eval_count": 60});
    vec![
        Case {
            dialect: "anthropic",
            whole: json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
                "stop_reason": "end_turn", "usage": anthropic}).to_string(),
            stream: events(&[
                json!({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 50,
                    "cache_creation_input_tokens": 20, "cache_read_input_tokens": 30, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 60, "output_tokens_details": {"thinking_tokens": 25}}}),
                json!({"type": "message_stop"}),
            ]),
            usage: TokenUsage { cached_input: 30, cache_write: 20, reasoning: 25, ..usage },
        },
        Case {
            dialect: "bedrock",
            whole: json!({"output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn", "usage": bedrock}).to_string(),
            stream: [
                frame("messageStart", &json!({"role": "assistant"})),
                frame("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": "hi"}})),
                frame("contentBlockStop", &json!({"contentBlockIndex": 0})),
                frame("messageStop", &json!({"stopReason": "end_turn"})),
                frame("metadata", &json!({"usage": bedrock, "metrics": {"latencyMs": 1}})),
            ].concat(),
            usage: TokenUsage { cached_input: 30, cache_write: 20, ..usage },
        },
        Case {
            dialect: "cohere",
            whole: json!({"id": "1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}, "usage": cohere}).to_string(),
            stream: events(&[
                json!({"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}}),
                json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi"}}}}),
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": cohere}}),
            ]),
            usage: TokenUsage { cached_input: 30, ..usage },
        },
        Case {
            dialect: "gemini",
            whole: candidate(&gemini).to_string(),
            stream: events(&[candidate(&gemini)]),
            usage: TokenUsage { cached_input: 30, reasoning: 25, audio_input: 15, image_input: 15, audio_output: 5, ..usage },
        },
        Case {
            dialect: "ollama",
            whole: ollama.to_string(),
            stream: format!("{ollama}\n").into_bytes(),
            usage,
        },
    ]
}

/// What the answer in OpenAI's form says was used.
fn used(case: &Case, stream: bool) -> TokenUsage {
    let body = json!({"model": "g", "messages": [{"role": "user", "content": "hi"}], "stream": stream, "stream_options": {"include_usage": true}});
    let body = Bytes::from(body.to_string());
    let call = Call {
        operation: Operation::Chat,
        head: Arc::new(RequestHead::read(&body, None).expect("a request")),
        body,
        beta: None,
        id: "req_1".into(),
        created: 7,
    };
    let adapter = speaker(case.dialect);
    let Inbound::Translate(mut translator) = adapter.inbound(&call, &Fields::default()) else {
        panic!("{} is translated", case.dialect);
    };
    let mut out = BytesMut::new();
    let answer = if stream {
        &case.stream[..]
    } else {
        case.whole.as_bytes()
    };
    translator.push(answer, &mut out).expect("an answer");
    translator.finish(&mut out).expect("a whole answer");
    let found = if stream {
        let mut bodies = sse::events(&out).filter_map(|event| event.data);
        bodies.find_map(|data| {
            let chunk: Value = serde_json::from_slice(&data).ok()?;
            chunk["usage"]
                .is_object()
                .then(|| chunk["usage"].to_string())
        })
    } else {
        let answer: Value = serde_json::from_slice(&out).expect("JSON");
        Some(answer["usage"].to_string())
    };
    let found = found.unwrap_or_else(|| panic!("{}: no usage", case.dialect));
    let reported = meter::reported(&mut Scanner::new(found.as_bytes()));
    reported.expect("JSON").expect("tokens")
}

/// I16: the same tokens cost the same, streamed or not, and each is in the bucket the provider means.
#[test]
fn every_dialect_costs_the_same_streamed_and_plain() {
    let price = Price {
        rates: Rates {
            input: Cost(1),
            output: Cost(1_000),
            cached_input: Some(Cost(1_000_000)),
            cache_write: Some(Cost(1_000_000_000)),
            reasoning: Some(Cost(7)),
            audio_input: Some(Cost(11)),
            audio_output: Some(Cost(13)),
            image_input: Some(Cost(17)),
        },
        ..Price::default()
    };
    let cases = cases();
    let names: Vec<_> = cases.iter().map(|case| case.dialect).collect();
    let all: Vec<_> = DIALECTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, all, "a case for each dialect");
    for case in &cases {
        for stream in [false, true] {
            let used = used(case, stream);
            assert_eq!(used, case.usage, "{} {stream}", case.dialect);
            assert_eq!(used.buckets().total(), used.total());
            assert_eq!(price.of(&used), price.of(&case.usage));
        }
    }
}
