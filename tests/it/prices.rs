//! What tokens cost: `waypost prices`, tables and files, and that a stream costs what a plain answer does.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use waypost::h1::Fields;
use waypost::json::Scanner;
use waypost::provider::{Call, Inbound};
use waypost::request::RequestHead;
use waypost::sse;
use waypost::types::{Cost, Operation, Price, Rates, TokenUsage};
use waypost::usage::meter;

use crate::support::dialects::speaker;
use crate::support::pair::sum;
use crate::support::{Gateway, Model, Reply, Scripted, Seen, Yaml, chat_body};

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

fn prices(args: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    let output = command.arg("prices").args(args).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output.status.success(), out, err)
}

#[test]
fn a_name_is_looked_up_as_a_configuration_would() {
    let args = [
        "azure/gpt-4o-2024-11-20",
        "--tokens",
        "input=1000,cached_input=400,output=50",
    ];
    let (known, out, _) = prices(&args);
    assert!(known);
    for part in [
        "row azure/gpt-4o of list 20",
        "600 input",
        "× 2.5",
        "= $0.0015",
        "400 cached_input",
        "50 output",
        "1050 tokens",
    ] {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    let (_, out, _) = prices(&[&args[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&out).expect("JSON");
    let rate = |name: &str| json["rates"][name].as_f64().expect("a rate");
    let expected = 600.0 * rate("input") + 400.0 * rate("cached_input") + 50.0 * rate("output");
    let cost = json["cost_dollars"].as_f64().expect("a cost");
    assert!((cost - expected / 1e6).abs() < 1e-12, "{json}");

    let (known, out, err) = prices(&["my-own-model"]);
    assert!(!known && out.is_empty());
    assert!(err.contains("my-own-model: unknown"), "{err}");
    let (known, _, err) = prices(&["gpt-4o", "--tokens", "words=3"]);
    assert!(
        !known && err.contains("words is no kind of tokens"),
        "{err}"
    );
}

#[test]
fn tables_of_a_configuration_come_first() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "prices.json",
        r#"{"acme/x": {"input_cost_per_token": 1e-06, "output_cost_per_reasoning_token": 3e-06,
            "input_cost_per_token_above_200k_tokens": 2e-06}}"#,
    );
    let file = write(
        folder.path(),
        "endpoints.yml",
        "model_groups:\n  - id: g\n    models:\n      - {provider: self-hosted, model: m, api_base: \"http://127.0.0.1:1/v1\", \
         input_cost_per_token: 0.000002, output_cost_per_token: 0, output_cost_per_reasoning_token: 0.000004, \
         input_cost_per_request: 0.01, model_info: {id: one}}\n\
         waypost: {prices_file: prices.json, prices: {gpt-4o: {input_cost_per_token: 0, cache_creation_input_token_cost: 1e-6}}}\n",
    );
    let look = |name: &str| {
        let (known, out, err) = prices(&[name, "--config", &file, "--format", "json"]);
        assert!(known, "{err}");
        serde_json::from_str::<Value>(&out).expect("JSON")
    };
    let own = look("openai/gpt-4o-2024-11-20");
    assert_eq!(
        (&own["model"], &own["version"]),
        (&json!("gpt-4o"), &json!("config"))
    );
    assert_eq!(
        own["rates"],
        json!({"input": 0.0, "output": 0.0, "cache_write": 1.0})
    );
    let of_file = look("acme/x");
    let version = of_file["version"].as_str().expect("a version");
    assert!(
        version.starts_with("file ") && version.len() == 13,
        "{version}"
    );
    assert_eq!(
        of_file["rates"],
        json!({"input": 1.0, "output": 0.0, "reasoning": 3.0})
    );
    assert_eq!(
        of_file["above"],
        json!({"input_tokens": 200_000, "rates": {"input": 2.0, "output": 0.0, "reasoning": 3.0}})
    );
    let deployment = look("one");
    assert_eq!(deployment["version"], "config");
    assert_eq!(
        deployment["rates"],
        json!({"input": 2.0, "output": 0.0, "reasoning": 4.0})
    );
    assert_eq!(deployment["request"], json!(0.01));
    let (known, out, _) = prices(&["--config", &file, "--find", "X", "--format", "json"]);
    let list: Value = serde_json::from_str(&out).expect("JSON");
    assert!(known && list[0]["model"] == "acme/x", "{out}");
}

#[test]
fn all_rows_are_listed() {
    let (known, table, _) = prices(&["--provider", "azure", "--find", "gpt-4o-mini"]);
    assert!(known && table.contains("  azure/gpt-4o-mini "), "{table}");
    assert!(!table.contains("openai/"), "{table}");
    let (_, out, _) = prices(&["--provider", "azure", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let width = reader.headers().expect("a head").len();
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert!(rows.len() > 20 && rows.iter().all(|row| row.len() == width));
    let (_, out, _) = prices(&["--provider", "azure", "--format", "json"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(rows.len()));
}

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
        provenance: waypost::types::Provenance::Reported,
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
    let all: Vec<_> = crate::support::dialects::DIALECTS
        .iter()
        .map(|(name, _)| *name)
        .collect();
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

/// The same through the gateway in OpenAI's dialect, and of a model whose price nobody knows.
#[tokio::test]
async fn what_costs_nobody_knows_is_counted_as_that() {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 60, "total_tokens": 160,
        "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 10, "image_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 25, "audio_tokens": 5}});
    let server = Scripted::start(move |seen: &Seen| {
        let choice = |member: &str| json!([{"index": 0, member: {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]);
        let mut chunk = json!({"id": "1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choice("delta")});
        if seen.json()["stream"] == true {
            let first = format!("data: {chunk}\n\n");
            chunk["choices"] = json!([]);
            chunk["usage"] = usage.clone();
            let pieces = [
                first,
                format!("data: {chunk}\n\n"),
                "data: [DONE]\n\n".to_owned(),
            ];
            return Reply::chunks("text/event-stream", pieces);
        }
        chunk["object"] = "chat.completion".into();
        chunk["choices"] = choice("message");
        chunk["usage"] = usage.clone();
        Reply::json(&chunk)
    });
    let server = server.await;
    let model = |id: &str| {
        Model::lines([
            "provider: self-hosted",
            "model: my-own",
            &format!("api_base: {}", server.url()),
            &format!("model_info: {{id: {id}}}"),
        ])
    };
    let prices = [
        ("input_cost_per_token", "0.001"),
        ("output_cost_per_token", "0.01"),
        ("cache_read_input_token_cost", "0"),
        ("cache_creation_input_token_cost", "0.1"),
        ("output_cost_per_reasoning_token", "1"),
        ("input_cost_per_audio_token", "10"),
        ("output_cost_per_audio_token", "100"),
        ("input_cost_per_image_token", "1000"),
        ("input_cost_per_request", "10000"),
    ];
    let priced = prices.into_iter().fold(model("a"), |model, (key, value)| {
        model.with(&format!("{key}: {value}"))
    });
    let yaml = Yaml::default()
        .group("priced", [priced])
        .group("unpriced", [model("b")]);
    let gateway = Gateway::start(&yaml).await;
    let metric = |name: &str, deployment: &str| {
        let label = format!("deployment=\"{deployment}\"");
        sum(&gateway.app().gateway().metrics(), name, &[&label])
    };
    let expected = 35.0 * 0.001
        + 20.0 * 0.1
        + 10.0 * 10.0
        + 5.0 * 1000.0
        + 30.0 * 0.01
        + 25.0
        + 5.0 * 100.0
        + 10_000.0;
    for (asked, stream) in [(1.0, false), (2.0, true)] {
        for group in ["priced", "unpriced"] {
            let mut body = chat_body(group);
            body["stream"] = stream.into();
            gateway.chat_with(&body).send().await.ok();
        }
        let cost = metric("waypost_cost_dollars_total", "a");
        assert!(
            (cost - asked * expected).abs() < 1e-6,
            "{cost} after {asked}"
        );
        assert_eq!(metric("waypost_unpriced_tokens_total", "a"), 0.0);
        assert_eq!(metric("waypost_cost_dollars_total", "b"), 0.0);
        assert_eq!(metric("waypost_unpriced_tokens_total", "b"), asked * 160.0);
    }
    gateway.stop().await;
}
