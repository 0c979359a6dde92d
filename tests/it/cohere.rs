//! Cohere behind the gateway: its own API to the provider, OpenAI's to the client.

use serde_json::{Value, json};
use waypost::types::Dialect;

use crate::support::{Answer, Gateway, Model, Reply, Scripted, Seen, Yaml, chat_body, load};

fn model(name: &str, url: &str) -> Model {
    Model::lines([
        "provider: cohere",
        "model: command-a",
        "api_key: k",
        &format!("api_base: {url}"),
        &format!("model_info: {{id: {name}}}"),
    ])
}

fn yaml(models: impl IntoIterator<Item = Model>) -> Yaml {
    Yaml::default().group("g", models)
}

async fn gateway(server: &Scripted) -> Gateway {
    Gateway::start(&yaml([model("a", &server.url())])).await
}

fn usage() -> Value {
    json!({"tokens": {"input_tokens": 11, "output_tokens": 3.0}, "billed_units": {"input_tokens": 2, "output_tokens": 3}})
}

fn whole(message: &Value, reason: &str) -> Reply {
    Reply::json(&json!({"id": "1", "finish_reason": reason, "message": message, "usage": usage()}))
}

fn text(content: &str) -> Value {
    json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": content}}}})
}

fn end(reason: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage()}})
}

/// A stream of these events behind the first one.
fn events(events: impl IntoIterator<Item = Value>) -> Reply {
    let start = json!({"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}});
    let events = [start].into_iter().chain(events);
    let chunk = |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"]);
    Reply::chunks("text/event-stream", events.map(chunk))
}

fn streaming() -> Value {
    let mut body = chat_body("g");
    body["stream"] = true.into();
    body
}

/// The data of each event.
fn data(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let data = text.split("\n\n").filter_map(|e| e.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into()))
        .collect()
}

#[tokio::test]
async fn chats_whole_and_in_pieces() {
    let server = Scripted::start(|seen: &Seen| {
        if seen.json()["stream"] == true {
            events([text("hé"), text("y"), end("COMPLETE")])
        } else {
            whole(
                &json!({"content": [{"type": "text", "text": "hey"}]}),
                "COMPLETE",
            )
        }
    })
    .await;
    let gateway = gateway(&server).await;
    let mut asked = chat_body("g");
    asked["user"] = "u".into();
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header("x-waypost-dropped-params"), Some("user"));
    let got = answer.json();
    assert_eq!(got["choices"][0]["message"]["content"], "hey");
    assert_eq!(got["usage"]["prompt_tokens"], 11);
    let seen = &server.seen()[0];
    assert_eq!(seen.uri, "/v2/chat");
    assert_eq!(
        seen.json(),
        json!({"model": "command-a", "messages": [{"role": "user", "content": "hello"}]})
    );

    let answer = gateway.chat_with(&streaming()).send().await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let got = data(&answer);
    let said: Vec<&Value> = got
        .iter()
        .map(|event| &event["choices"][0]["delta"]["content"])
        .collect();
    assert_eq!(said[..3], [&json!(""), &json!("hé"), &json!("y")]);
    assert_eq!(got[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(got[4], "[DONE]", "usage that was not asked for stays here");
    gateway.stop().await;
}

#[tokio::test]
async fn tools_both_ways() {
    let call = json!({"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let message = json!({"tool_plan": "I plan.", "tool_calls": [call]});
    let server = Scripted::start(move |_| whole(&message, "TOOL_CALL")).await;
    let gateway = gateway(&server).await;
    let mut asked = chat_body("g");
    asked["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let got = gateway.chat_with(&asked).send().await.ok().json();
    let choice = &got["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    // The client sends it back with what came of it.
    let answer = json!({"role": "tool", "tool_call_id": "f_1", "content": "sun"});
    asked["messages"] = json!([{"role": "user", "content": "hello"}, choice["message"], answer]);
    gateway.chat_with(&asked).send().await.ok();
    let sent = server.seen()[1].json();
    assert_eq!(
        sent["messages"][1],
        json!({"role": "assistant", "tool_plan": "I plan.", "tool_calls": [call]})
    );
    assert_eq!(sent["messages"][2], answer);
    gateway.stop().await;
}

#[tokio::test]
async fn many_embeddings_are_several_calls() {
    let server = Scripted::start(|seen: &Seen| {
        let asked = seen.json();
        let texts = asked["texts"].as_array().expect("texts").clone();
        let vector = |text: &Value| json!([text.as_str().and_then(|t| t.parse::<u32>().ok())]);
        let vectors: Vec<Value> = texts.iter().map(vector).collect();
        Reply::json(&json!({"id": "1", "embeddings": {"float": vectors}, "meta": {"tokens": {"input_tokens": texts.len()}}}))
    })
    .await;
    let gateway = gateway(&server).await;
    let input: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let asked = json!({"model": "g", "input": input, "input_type": "search_query"});
    let got = gateway
        .post("/v1/embeddings")
        .json(&asked)
        .send()
        .await
        .ok()
        .json();
    let numbers: Vec<u64> = got["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["embedding"][0].as_u64())
        .collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert_eq!(got["usage"]["prompt_tokens"], 100);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.uri, "/v2/embed");
        assert_eq!(seen.json()["input_type"], "search_query");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn errors_in_openais_words() {
    let server =
        Scripted::start(|_| Reply::json(&json!({"message": "invalid request: no"})).status(400))
            .await;
    let gateway = gateway(&server).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.message()),
        (400, "invalid request: no".to_owned())
    );
    let mut asked = chat_body("g");
    asked["n"] = 2.into();
    let answer = gateway.chat_with(&asked).send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "n");
    assert_eq!(server.seen().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn what_breaks_before_any_content_is_tried_elsewhere() {
    let failed = json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "the model failed"}});
    let cases = [
        events([]),
        events([failed]),
        events([end("TIMEOUT")]),
        Reply::json(&json!({"message": "invalid api token"})).status(498),
        Reply::json(&json!({"message": "internal"})).status(500),
    ];
    for case in cases {
        let shown = format!("{case:?}");
        let broken = Scripted::start(move |_| case.clone()).await;
        let sound = Scripted::start(|_| events([text("hey"), end("COMPLETE")])).await;
        let models = [
            model("broken", &broken.url()).with("order: 1"),
            model("sound", &sound.url()).with("order: 2"),
        ];
        let gateway = Gateway::start(&yaml(models)).await;
        let answer = gateway.chat_with(&streaming()).send().await.ok();
        assert_eq!(
            (answer.deployment(), answer.attempts()),
            ("sound", 2),
            "{shown}"
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_cut_stream_ends_in_an_error() {
    let server = Scripted::start(|_| events([text("hey")])).await;
    let gateway = gateway(&server).await;
    let got = data(&gateway.chat_with(&streaming()).send().await.ok());
    assert_eq!(
        got.last().expect("events")["error"]["code"],
        "upstream_truncated"
    );
    gateway.stop().await;
}

#[test]
fn bases_say_which_api_is_meant() {
    let openai = Dialect::OpenAi {
        completions_only: false,
    };
    for (base, dialect, expected) in [
        (None, Dialect::Cohere, "https://api.cohere.com"),
        (Some("https://h/v1"), Dialect::Cohere, "https://h"),
        (Some("https://h/v2/"), Dialect::Cohere, "https://h"),
        (Some("https://h/x/v2/chat"), Dialect::Cohere, "https://h/x"),
        (
            Some("https://api.cohere.ai/compatibility/v1"),
            openai,
            "https://api.cohere.ai/compatibility/v1",
        ),
    ] {
        let mut one = Model::lines(["provider: cohere_chat", "model: m", "api_key: k"]);
        if let Some(base) = base {
            one = one.with(&format!("api_base: {base}"));
        }
        let config = load(&yaml([one]).to_string());
        let target = &config.groups[0].deployments[0].target;
        assert_eq!((&target.dialect, &*target.base_url), (&dialect, expected));
    }
}
