//! Anthropic's Messages behind the gateway.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use waypost::config;
use waypost::types::{Auth, Dialect};

use crate::support::{Gateway, Model, Reply, Scripted, Seen, Yaml, chat_body};

const KEY: &str = "sk-ant-of-the-deployment";

fn model(name: &str, url: &str) -> Model {
    Model::lines([
        "provider: anthropic",
        "model: claude-opus-4-6",
        &format!("api_base: {url}"),
        &format!("api_key: {KEY}"),
        &format!("model_info: {{id: {name}}}"),
    ])
}

async fn gateway(server: &Scripted) -> Gateway {
    Gateway::start(&Yaml::default().group("g", [model("a", &server.url())])).await
}

fn message(text: &str) -> Reply {
    Reply::json(&json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-6",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3}}))
    .header("request-id", "req_upstream")
}

fn error(status: u16, kind: &str, text: &str) -> Reply {
    let body =
        json!({"type": "error", "error": {"type": kind, "message": text}, "request_id": "r"});
    Reply::json(&body).status(status)
}

fn event(data: &Value) -> String {
    format!(
        "event: {}\ndata: {data}\n\n",
        data["type"].as_str().unwrap_or_default()
    )
}

fn start() -> String {
    event(
        &json!({"type": "message_start", "message": {"model": "claude-opus-4-6", "usage": {"input_tokens": 10, "output_tokens": 1}}}),
    )
}

fn piece(text: &str) -> String {
    event(
        &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
    )
}

fn block() -> String {
    event(
        &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    )
}

fn end() -> String {
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}});
    [
        json!({"type": "content_block_stop", "index": 0}),
        delta,
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(event)
    .collect()
}

fn overloaded() -> String {
    event(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
}

fn stream(events: impl IntoIterator<Item = String>) -> Reply {
    Reply::chunks("text/event-stream; charset=utf-8", events)
}

fn streaming() -> Value {
    let mut body = chat_body("g");
    body["stream"] = true.into();
    body
}

#[tokio::test]
async fn a_plain_chat() {
    let server = Scripted::start(|_| message("hey")).await;
    let gateway = gateway(&server).await;
    let answer = gateway.chat("g").await.ok();
    let got = answer.json();
    assert_eq!(got["choices"][0]["message"]["content"], "hey");
    assert_eq!(got["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (
            &got["usage"]["prompt_tokens"],
            &got["usage"]["total_tokens"]
        ),
        (&json!(15), &json!(18))
    );
    assert_eq!(answer.header("request-id"), Some("req_upstream"));
    assert_eq!(answer.header("x-waypost-dropped-params"), None);

    let [seen] = &server.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.uri, "/v1/messages");
    assert_eq!(seen.header("x-api-key"), Some(KEY));
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(
        seen.json(),
        json!({"model": "claude-opus-4-6", "max_tokens": 128_000,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]})
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_becomes_openais() {
    let server =
        Scripted::start(|_| stream([start(), block(), piece("hé"), piece("y"), end()])).await;
    let gateway = gateway(&server).await;
    let mut asked = streaming();
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let got = answer.events();
    let content = |index: usize| &got[index]["choices"][0]["delta"]["content"];
    assert_eq!((content(1), content(2)), (&json!("hé"), &json!("y")));
    assert_eq!(got[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(got[4], "[DONE]", "usage was not asked for: {got:?}");

    asked["stream_options"] = json!({"include_usage": true});
    let got = gateway.chat_with(&asked).send().await.ok().events();
    assert_eq!(
        got[4]["usage"],
        json!({"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13})
    );
    assert_eq!(got[5], "[DONE]");
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.json()["stream"] == true)
    );
    gateway.stop().await;
}

#[tokio::test]
async fn parameters_are_dropped_by_name_or_refused() {
    let server = Scripted::start(|_| message("hey")).await;
    let strict = model("strict", &server.url());
    let loose = model("loose", &server.url()).with("drop_params: true");
    let yaml = Yaml::default().group("g", [strict]).group("loose", [loose]);
    let gateway = Gateway::start(&yaml).await;
    let mut asked = chat_body("g");
    asked["seed"] = 7.into();
    asked["store"] = true.into();
    let answer = gateway.chat_with(&asked).send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "unsupported_parameter")
    );
    assert_eq!(answer.json()["error"]["param"], "seed");
    assert!(
        answer.message().contains("drop_params"),
        "{}",
        answer.message()
    );
    assert!(server.seen().is_empty());

    asked["model"] = "loose".into();
    let answer = gateway.chat_with(&asked).send().await.ok();
    let dropped = answer.header("x-waypost-dropped-params").expect("a header");
    let mut dropped: Vec<&str> = dropped.split(',').collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["seed", "store"]);

    for path in ["/v1/completions", "/v1/embeddings"] {
        let asked = json!({"model": "g", "prompt": "x", "input": "x"});
        let answer = gateway.post(path).json(&asked).send().await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(
            answer.message().contains("chat only"),
            "{}",
            answer.message()
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn errors_are_openais() {
    let cases = [
        (
            400,
            "invalid_request_error",
            "max_tokens: too large",
            400,
            "",
        ),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            400,
            "context_length_exceeded",
        ),
        (
            413,
            "request_too_large",
            "Request exceeds the maximum size",
            413,
            "request_too_large",
        ),
    ];
    for (status, kind, text, expected, code) in cases {
        let server = Scripted::start(move |_| error(status, kind, text)).await;
        let gateway = gateway(&server).await;
        let answer = gateway.chat("g").await;
        assert_eq!((answer.status, answer.message().as_str()), (expected, text));
        let error = &answer.json()["error"];
        assert_eq!(error["code"].as_str().unwrap_or_default(), code);
        assert_eq!(error["type"], "invalid_request_error");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_limit_is_told_with_its_wait() {
    let server = Scripted::start(|_| {
        error(429, "rate_limit_error", "Slow down").header("retry-after", "17")
    })
    .await;
    let gateway = gateway(&server).await;
    let answer = gateway.chat("g").await;
    assert_eq!(answer.status, 429);
    let wait = answer
        .header("retry-after")
        .and_then(|wait| wait.parse::<u64>().ok());
    assert!(
        wait.is_some_and(|wait| (1..=17).contains(&wait)),
        "{answer:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_fails_before_any_content_is_tried_elsewhere() {
    let cases = [
        error(529, "overloaded_error", "Overloaded"),
        error(500, "api_error", "Internal server error"),
        error(401, "authentication_error", "invalid x-api-key"),
        error(402, "billing_error", "Lapsed"),
        error(404, "not_found_error", "model: claude-opus-4-6"),
        error(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API",
        ),
        stream([start(), overloaded()]),
        stream([start(), block()]),
        stream([start(), block()]).cut(),
        stream(["data: {\"type\":\"content_block_start\"}\n\n".to_owned()]),
    ];
    for case in cases {
        let shown = format!("{case:?}");
        let broken = Scripted::start(move |_| case.clone()).await;
        let sound = Scripted::start(|_| stream([start(), block(), piece("hey"), end()])).await;
        let models = [
            model("broken", &broken.url()).with("order: 1"),
            model("sound", &sound.url()).with("order: 2"),
        ];
        let yaml = Yaml::default().group("g", models).router("num_retries: 1");
        let gateway = Gateway::start(&yaml).await;
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
async fn a_group_of_two_dialects_answers_alike() {
    let down = Scripted::start(|_| error(529, "overloaded_error", "Overloaded")).await;
    let openai = Scripted::start(|_| Reply::chat()).await;
    let other = Model::lines([
        "provider: openai",
        "model: gpt",
        &format!("api_base: {}/v1", openai.url()),
        "api_key: k",
        "model_info: {id: openai}",
    ]);
    let models = [
        model("a", &down.url()).with("order: 1"),
        other.with("order: 2"),
    ];
    let yaml = Yaml::default().group("g", models).router("num_retries: 1");
    let gateway = Gateway::start(&yaml).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("openai", 2));
    assert_eq!(openai.seen()[0].json(), chat_body_for("gpt"));
    gateway.stop().await;
}

fn chat_body_for(model: &str) -> Value {
    let mut body = chat_body("g");
    body["model"] = model.into();
    body
}

#[tokio::test]
async fn what_breaks_after_content_is_told() {
    let begun = || [start(), block(), piece("hey")].concat();
    let cases = [
        (stream([begun()]), "upstream_truncated"),
        (stream([begun()]).cut(), "upstream_broken"),
        (
            stream([begun(), "data: nope\n\n".to_owned()]),
            "upstream_malformed",
        ),
        (stream([begun(), overloaded(), end()]), "overloaded_error"),
    ];
    for (case, code) in cases {
        // The head is there when the first content is: only then the rest may come.
        let gate = Arc::new(Semaphore::new(0));
        let case = case.gate(&gate);
        let server = Scripted::start(move |_| case.clone()).await;
        let gateway = gateway(&server).await;
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
async fn tools_and_thinking_go_round() {
    let content = json!([{"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}]);
    let server = Scripted::start(move |_: &Seen| {
        Reply::json(&json!({"type": "message", "model": "m", "content": content, "stop_reason": "tool_use"}))
    })
    .await;
    let gateway = gateway(&server).await;
    let mut asked = chat_body("g");
    asked["tools"] =
        json!([{"type": "function", "function": {"name": "weather", "parameters": {}}}]);
    asked["reasoning_effort"] = "medium".into();
    let got = gateway.chat_with(&asked).send().await.ok().json();
    let said = &got["choices"][0]["message"];
    assert_eq!(got["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(said["reasoning_content"], "Hm.");

    asked["messages"] = json!([{"role": "user", "content": "hello"}, said,
        {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "sun"}]);
    gateway.chat_with(&asked).send().await.ok();
    let sent = server.seen()[1].json();
    assert_eq!(
        sent["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": "Hm.", "signature": "sig"},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}])
    );
    assert_eq!(
        sent["messages"][2]["content"],
        json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sun"}])
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_key_is_not_shown() {
    let server = Scripted::start(|_| {
        error(
            400,
            "invalid_request_error",
            &format!("your key {KEY} is wrong"),
        )
    })
    .await;
    let gateway = gateway(&server).await;
    let answer = gateway.chat("g").await;
    assert_eq!(answer.message(), "your key *** is wrong");
    gateway.stop().await;
}

#[test]
fn bases_versions_and_keys() {
    let target = |lines: &[&str], variables: &[(&str, &str)]| {
        let all = ["provider: anthropic", "model: claude-opus-4-6"].into_iter();
        let model = Model::lines(all.chain(lines.iter().copied()));
        let yaml = Yaml::default().group("g", [model]).to_string();
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (config, _) = config::load_str("test.yml", &yaml, &variable, false)
            .unwrap_or_else(|findings| panic!("{findings:#?}"));
        config.groups[0].deployments[0].target.clone()
    };
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "https://api.anthropic.com", "2023-06-01"),
        (&["api_base: https://h/v1"], "https://h", "2023-06-01"),
        (
            &["api_base: https://h/x/v1/messages/"],
            "https://h/x",
            "2023-06-01",
        ),
        (
            &["api_base: https://h/anthropic", "api_version: 2026-10-21"],
            "https://h/anthropic",
            "2026-10-21",
        ),
    ];
    for (lines, base, version) in cases {
        let target = target(lines, &[("ANTHROPIC_API_KEY", "k")]);
        assert_eq!(target.base_url, *base);
        let version = (*version).to_owned();
        assert_eq!(target.dialect, Dialect::Anthropic { version });
        assert!(matches!(&target.auth, Auth::Header("x-api-key", key) if key.expose() == "k"));
    }
    let token = target(&[], &[("ANTHROPIC_AUTH_TOKEN", "t")]);
    assert!(matches!(&token.auth, Auth::Bearer(key) if key.expose() == "t"));
    let both = [("ANTHROPIC_AUTH_TOKEN", "t"), ("ANTHROPIC_API_KEY", "k")];
    assert!(matches!(&target(&[], &both).auth, Auth::Header(..)));
    let databricks = "api_base: https://w.cloud.databricks.com/serving-endpoints/anthropic";
    let target = target(&[databricks, "api_key: t"], &[]);
    assert!(matches!(&target.auth, Auth::Bearer(_)));
}
