//! Ollama's own API behind the gateway: chosen where an option needs it, and OpenAI to the client.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use waypost::types::Dialect;

use crate::support::{Gateway, Model, Reply, Scripted, Seen, Yaml, chat_body, load};

/// A deployment with an option that needs Ollama's own API.
fn model(name: &str, url: &str) -> Model {
    Model::lines([
        "provider: ollama",
        "model: llama3.1",
        &format!("api_base: {url}"),
        &format!("model_info: {{id: {name}}}"),
        "num_ctx: 8192",
        "keep_alive: 10m",
    ])
}

async fn gateway(server: &Scripted) -> Gateway {
    Gateway::start(&Yaml::default().group("g", [model("a", &server.url())])).await
}

fn line(content: &str) -> String {
    let line = json!({"model": "llama3.1", "message": {"role": "assistant", "content": content}, "done": false});
    format!("{line}\n")
}

fn end() -> String {
    let line = json!({"model": "llama3.1", "message": {"role": "assistant", "content": ""}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 3});
    format!("{line}\n")
}

fn lines(lines: impl IntoIterator<Item = String>) -> Reply {
    Reply::chunks("application/x-ndjson", lines)
}

fn whole(message: &Value) -> Reply {
    Reply::json(
        &json!({"model": "llama3.1", "message": message, "done": true, "done_reason": "stop",
        "prompt_eval_count": 11, "eval_count": 3}),
    )
}

fn streaming(mut body: Value) -> Value {
    body["stream"] = true.into();
    body
}

#[tokio::test]
async fn a_plain_chat() {
    let server = Scripted::start(|_| whole(&json!({"role": "assistant", "content": "hey"}))).await;
    let gateway = gateway(&server).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let got = answer.json();
    assert_eq!(
        got["choices"],
        json!([{"index": 0, "message": {"role": "assistant", "content": "hey"}, "logprobs": null, "finish_reason": "stop"}])
    );
    assert_eq!(got["usage"]["total_tokens"], 14);
    let id = format!("chatcmpl-{}", answer.header("x-request-id").expect("an id"));
    assert_eq!(
        (&got["object"], &got["id"]),
        (&json!("chat.completion"), &json!(id))
    );
    assert!(got["created"].as_u64().is_some_and(|unix| unix > 0));

    let [seen] = &server.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.uri, "/api/chat");
    assert_eq!(
        seen.json(),
        json!({"model": "llama3.1", "messages": [{"role": "user", "content": "hello"}], "stream": false,
            "keep_alive": "10m", "options": {"num_ctx": 8192}})
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_becomes_events() {
    let server = Scripted::start(|_| lines([line("hé"), line("y"), end()])).await;
    let gateway = gateway(&server).await;
    let mut asked = streaming(chat_body("g"));
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let got = answer.events();
    let deltas: Vec<&Value> = got.iter().map(|e| &e["choices"][0]["delta"]).collect();
    assert_eq!(deltas[0], &json!({"role": "assistant", "content": ""}));
    assert_eq!(
        (&deltas[1]["content"], &deltas[2]["content"]),
        (&json!("hé"), &json!("y"))
    );
    assert_eq!(got[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        got[4], "[DONE]",
        "usage that was not asked for stays here: {got:?}"
    );

    asked["stream_options"] = json!({"include_usage": true});
    let got = gateway.chat_with(&asked).send().await.ok().events();
    assert_eq!(got[4]["usage"]["prompt_tokens"], 11);
    assert_eq!(got[5], "[DONE]");
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.json()["stream"] == true)
    );
    let metrics = gateway.app().gateway().metrics();
    assert!(
        metrics
            .lines()
            .any(|l| l.contains("tokens_total") && l.contains("input") && l.ends_with(" 22")),
        "{metrics}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn tools_both_ways() {
    let call = json!({"function": {"name": "weather", "arguments": {"city": "Bern"}}});
    let message = json!({"role": "assistant", "content": "", "tool_calls": [call]});
    let server = Scripted::start(move |seen: &Seen| {
        if seen.json()["stream"] == true {
            let line = json!({"model": "m", "message": message, "done": false});
            lines([format!("{line}\n"), end()])
        } else {
            whole(&message)
        }
    })
    .await;
    let gateway = gateway(&server).await;
    let mut asked = chat_body("g");
    asked["tools"] =
        json!([{"type": "function", "function": {"name": "weather", "parameters": {}}}]);
    let got = gateway.chat_with(&asked).send().await.ok().json();
    let choice = &got["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], r#"{"city":"Bern"}"#);

    // The client sends the call back with what came of it.
    let mut next = asked.clone();
    next["messages"] = json!([{"role": "user", "content": "hello"}, choice["message"],
        {"role": "tool", "tool_call_id": calls[0]["id"], "content": "sun"}]);
    gateway.chat_with(&next).send().await.ok();
    let sent = server.seen()[1].json();
    assert_eq!(
        sent["messages"][1]["tool_calls"][0]["function"],
        json!({"name": "weather", "arguments": {"city": "Bern"}})
    );
    assert_eq!(sent["messages"][2]["tool_name"], "weather");
    assert_eq!(sent["tools"], asked["tools"]);

    let got = gateway
        .chat_with(&streaming(asked))
        .send()
        .await
        .ok()
        .events();
    assert_eq!(
        got[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["name"],
        "weather"
    );
    assert_eq!(got[2]["choices"][0]["finish_reason"], "tool_calls");
    gateway.stop().await;
}

#[tokio::test]
async fn embeddings_in_the_encoding_asked_for() {
    let server = Scripted::start(|_| {
        Reply::json(
            &json!({"model": "llama3.1", "embeddings": [[1.5, -2.0]], "prompt_eval_count": 2}),
        )
    })
    .await;
    let gateway = gateway(&server).await;
    let asked = json!({"model": "g", "input": "x", "encoding_format": "base64"});
    let request = gateway.post("/v1/embeddings").json(&asked);
    let got = request.send().await.ok().json();
    assert_eq!(
        got["data"],
        json!([{"object": "embedding", "index": 0, "embedding": "AADAPwAAAMA="}])
    );
    assert_eq!(
        (&got["object"], &got["usage"]["prompt_tokens"]),
        (&json!("list"), &json!(2))
    );
    let seen = &server.seen()[0];
    assert_eq!(seen.uri, "/api/embed");
    assert_eq!(
        seen.json(),
        json!({"model": "llama3.1", "input": "x", "keep_alive": "10m", "options": {"num_ctx": 8192}})
    );
    gateway.stop().await;
}

#[tokio::test]
async fn completions_go_to_the_openai_path() {
    let server = Scripted::start(|_| Reply::chat()).await;
    let gateway = gateway(&server).await;
    let asked = json!({"model": "g", "prompt": "x"});
    gateway
        .post("/v1/completions")
        .json(&asked)
        .send()
        .await
        .ok();
    assert_eq!(server.seen()[0].uri, "/v1/completions");
    gateway.stop().await;
}

#[tokio::test]
async fn errors_keep_their_text() {
    let server = Scripted::start(|_| {
        Reply::json(&json!({"error": "invalid option: seed must be a number"})).status(400)
    })
    .await;
    let gateway = gateway(&server).await;
    let answer = gateway.chat("g").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.message(), "invalid option: seed must be a number");

    let mut asked = chat_body("g");
    asked["messages"] = json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]}]);
    let answer = gateway.chat_with(&asked).send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "unsupported_parameter")
    );
    assert_eq!(answer.json()["error"]["param"], "messages");
    assert_eq!(server.seen().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn what_breaks_before_any_content_is_tried_elsewhere() {
    let cases = [
        lines(Vec::<String>::new()),
        lines([line("")]),
        lines([line("")]).cut(),
        lines(["{\"model\":\"llama3.1\",\"mess".to_owned()]),
        lines(["{\"error\":\"the model runner has stopped\"}\n".to_owned()]),
        lines(["<html>\n".to_owned()]),
    ];
    for case in cases {
        let shown = format!("{case:?}");
        let broken = Scripted::start(move |_| case.clone()).await;
        let sound = Scripted::start(|_| lines([line("hey"), end()])).await;
        let models = [
            model("broken", &broken.url()).with("order: 1"),
            model("sound", &sound.url()).with("order: 2"),
        ];
        let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
        let answer = gateway
            .chat_with(&streaming(chat_body("g")))
            .send()
            .await
            .ok();
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
        (lines([line("hey")]), "upstream_truncated"),
        (lines([line("hey")]).cut(), "upstream_broken"),
        (
            lines([line("hey"), "nope\n".to_owned()]),
            "upstream_malformed",
        ),
        (
            lines([line("hey"), "{\"error\":\"stopped\"}\n".to_owned(), end()]),
            "",
        ),
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
        assert_eq!(error["code"].as_str().unwrap_or_default(), code, "{got:?}");
        if code.is_empty() {
            assert_eq!(error["message"], "stopped");
        }
        gateway.stop().await;
    }
}

/// The dialect and base of one deployment with these lines.
fn chosen(lines: &[&str]) -> (Dialect, String) {
    let all = ["provider: ollama", "model: m"].into_iter();
    let yaml = Yaml::default().group("g", [Model::lines(all.chain(lines.iter().copied()))]);
    let target = load(&yaml.to_string()).groups[0].deployments[0]
        .target
        .clone();
    (target.dialect.clone(), target.base_url.clone())
}

#[test]
fn only_what_the_openai_path_ignores_is_a_reason_for_the_other() {
    let openai = Dialect::OpenAi {
        completions_only: false,
    };
    let (local, root) = ("http://localhost:11434/v1", "http://localhost:11434");
    let cases: [(&[&str], Dialect, &str); 10] = [
        (&[], openai.clone(), local),
        (
            &["temperature: 1", "max_tokens: 5", "stop: [x]"],
            openai.clone(),
            local,
        ),
        (&["num_ctx: 8192"], Dialect::Ollama, root),
        (&["think: false"], Dialect::Ollama, root),
        (&["options: {min_p: 0.1}"], Dialect::Ollama, root),
        (&["extra_body: {keep_alive: -1}"], Dialect::Ollama, root),
        (&["num_ctx: null"], openai, local),
        (
            &["top_k: 5", "api_base: https://h/x/v1/"],
            Dialect::Ollama,
            "https://h/x",
        ),
        (
            &["top_k: 5", "api_base: https://h/api/chat"],
            Dialect::Ollama,
            "https://h",
        ),
        (
            &["top_k: 5", "api_base: https://h/x"],
            Dialect::Ollama,
            "https://h/x",
        ),
    ];
    for (lines, dialect, base) in cases {
        assert_eq!(chosen(lines), (dialect, base.to_owned()), "{lines:?}");
    }
}

#[tokio::test]
async fn numbers_from_variables_are_numbers() {
    let server = Scripted::start(|_| whole(&json!({"content": "hey"}))).await;
    let model = model("a", &server.url())
        .with("num_ctx: \"4096\"")
        .with("think: \"false\"")
        .with("keep_alive: \"-1\"");
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    let request = gateway.request(Method::POST, "/v1/chat/completions");
    request.json(&chat_body("g")).send().await.ok();
    let sent = server.seen()[0].json();
    assert_eq!(sent["options"]["num_ctx"], 4096);
    assert_eq!(
        (&sent["think"], &sent["keep_alive"]),
        (&json!(false), &json!(-1))
    );
    gateway.stop().await;
}
