//! Gemini behind the gateway, at AI Studio and at Vertex AI.

use serde_json::{Value, json};
use waypost::types::{Dialect, GoogleHost, Partner};

use crate::support::{Gateway, Logs, Model, Reply, Scripted, Seen, Yaml, chat_body, load};

const KEY: &str = "AIza-s3cret";

fn model(name: &str, url: &str) -> Model {
    Model::lines([
        "provider: gemini",
        "model: gemini/gemini-3-pro-preview",
        &format!("api_base: {url}"),
        &format!("api_key: {KEY}"),
        &format!("model_info: {{id: {name}}}"),
    ])
}

async fn gateway(server: &Scripted) -> Gateway {
    Gateway::start(&Yaml::default().group("g", [model("a", &server.url())])).await
}

fn candidate(index: usize, parts: &Value) -> Value {
    json!({"index": index, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"})
}

fn answer(candidates: &[Value]) -> Value {
    json!({"candidates": candidates, "modelVersion": "gemini-3-pro-001",
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 18}})
}

fn text(text: &str) -> Value {
    answer(&[candidate(0, &json!([{"text": text}]))])
}

fn events(chunks: &[Value]) -> Reply {
    let chunks: Vec<String> = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\r\n\r\n"))
        .collect();
    Reply::chunks("text/event-stream", chunks)
}

fn with(more: &Value) -> Value {
    let mut body = chat_body("g");
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn plain_and_several_choices() {
    let server = Scripted::start(|seen: &Seen| {
        let n = seen.json()["generationConfig"]["candidateCount"].as_u64();
        let texts = ["hey", "ho"]
            .into_iter()
            .enumerate()
            .take(usize::from(n == Some(2)) + 1);
        let all: Vec<Value> = texts
            .map(|(i, text)| candidate(i, &json!([{"text": text}])))
            .collect();
        Reply::json(&answer(&all))
    })
    .await;
    let gateway = gateway(&server).await;
    let got = gateway.chat("g").await.ok().json();
    assert_eq!(
        got["choices"][0]["message"],
        json!({"role": "assistant", "content": "hey"})
    );
    assert_eq!(got["model"], "gemini-3-pro-001");
    assert_eq!(
        got["usage"],
        json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "completion_tokens_details": {"reasoning_tokens": 4}})
    );
    let got = gateway
        .chat_with(&with(&json!({"n": 2})))
        .send()
        .await
        .ok()
        .json();
    let said: Vec<&Value> = got["choices"]
        .as_array()
        .expect("choices")
        .iter()
        .map(|c| &c["message"]["content"])
        .collect();
    assert_eq!(said, ["hey", "ho"]);

    for seen in server.seen() {
        assert_eq!(
            seen.uri,
            "/v1beta/models/gemini-3-pro-preview:generateContent"
        );
        assert_eq!(seen.header("x-goog-api-key"), Some(KEY));
        assert_eq!(seen.header("authorization"), None);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream() {
    let server = Scripted::start(|_| {
        let part = |text: &str| json!({"candidates": [{"index": 0, "content": {"parts": [{"text": text}]}}], "modelVersion": "m"});
        events(&[part("h"), part("é"), text("y")])
    })
    .await;
    let gateway = gateway(&server).await;
    let asked = with(&json!({"stream": true, "stream_options": {"include_usage": true}}));
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let got = answer.events();
    let said: String = got
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "héy");
    assert_eq!(got[got.len() - 2]["usage"]["completion_tokens"], 7);
    assert_eq!(got.last(), Some(&json!("[DONE]")));
    assert_eq!(
        server.seen()[0].uri,
        "/v1beta/models/gemini-3-pro-preview:streamGenerateContent?alt=sse"
    );

    let got = gateway
        .chat_with(&with(&json!({"stream": true})))
        .send()
        .await
        .ok()
        .events();
    assert!(
        got.iter().all(|event| event.get("usage").is_none()),
        "{got:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn signatures_come_back_however_little_a_client_keeps() {
    let call = json!([{"functionCall": {"name": "weather", "args": {"city": "Bern"}}, "thoughtSignature": "c2lnbmVk+/="}]);
    let server = Scripted::start(move |_| Reply::json(&answer(&[candidate(0, &call)]))).await;
    let gateway = gateway(&server).await;
    let got = gateway.chat("g").await.ok().json();
    let message = &got["choices"][0]["message"];
    let own = &message["tool_calls"][0];
    assert_eq!(got["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        own["extra_content"]["google"]["thought_signature"],
        "c2lnbmVk+/="
    );
    let id_only = json!({"id": own["id"], "type": "function", "function": own["function"]});
    let extra_only = json!({"id": "call_x", "type": "function", "function": own["function"], "extra_content": own["extra_content"]});
    let neither = json!({"id": "call_x", "type": "function", "function": own["function"]});
    for (kept, expected) in [
        (own, "c2lnbmVk+/="),
        (&id_only, "c2lnbmVk+/="),
        (&extra_only, "c2lnbmVk+/="),
        (&neither, "skip_thought_signature_validator"),
    ] {
        let messages = json!([{"role": "user", "content": "?"}, {"role": "assistant", "content": null, "tool_calls": [kept]},
            {"role": "tool", "tool_call_id": kept["id"], "content": "sun"}]);
        gateway
            .chat_with(&with(&json!({"messages": messages})))
            .send()
            .await
            .ok();
        let sent = server.seen().last().expect("a request").json();
        let part = &sent["contents"][1]["parts"][0];
        assert_eq!(part["thoughtSignature"], expected, "{kept}");
        let id = part["functionCall"]["id"].as_str().expect("an id");
        assert!(!id.contains("__thought__"), "{id}");
        let response = &sent["contents"][2]["parts"][0]["functionResponse"];
        assert_eq!(
            response,
            &json!({"id": id, "name": "weather", "response": {"result": "sun"}})
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_wait_is_handed_on() {
    let server = Scripted::start(|_| {
        Reply::json(&json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33.2s"}]}}))
        .status(429)
    })
    .await;
    let yaml = Yaml::default()
        .group("g", [model("a", &server.url())])
        .router("num_retries: 0");
    let gateway = Gateway::start(&yaml).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (429, "slow down")
    );
    assert_eq!(answer.header("retry-after"), Some("34"));
    assert_eq!(answer.code(), "RESOURCE_EXHAUSTED");
    gateway.stop().await;
}

#[tokio::test]
async fn blocked_prompts_are_no_failure() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}});
    let server = Scripted::start(move |seen: &Seen| {
        if seen.uri.contains("stream") {
            events(std::slice::from_ref(&blocked))
        } else {
            Reply::json(&blocked)
        }
    })
    .await;
    let gateway = gateway(&server).await;
    let got = gateway.chat("g").await.ok().json();
    assert_eq!(got["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(got["choices"][0]["message"]["content"], "");
    let got = gateway
        .chat_with(&with(&json!({"stream": true})))
        .send()
        .await
        .ok()
        .events();
    assert_eq!(got[1]["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(got[2], "[DONE]");
    assert_eq!(server.seen().len(), 2);
    gateway.stop().await;
}

#[tokio::test]
async fn what_the_model_fails_at_is_tried_elsewhere() {
    let failed = json!({"candidates": [{"index": 0, "content": {}, "finishReason": "MALFORMED_FUNCTION_CALL"}]});
    let cut = json!({"candidates": [{"index": 0, "content": {"parts": [{"text": ""}]}}]});
    for (stream, broken) in [(false, &failed), (true, &failed), (true, &cut)] {
        let broken = broken.clone();
        let reply = move |_: &Seen| {
            if stream {
                events(std::slice::from_ref(&broken))
            } else {
                Reply::json(&broken)
            }
        };
        let broken = Scripted::start(reply).await;
        let sound = Scripted::start(move |_| {
            if stream {
                events(&[text("hey")])
            } else {
                Reply::json(&text("hey"))
            }
        })
        .await;
        let models = [
            model("broken", &broken.url()).with("order: 1"),
            model("sound", &sound.url()).with("order: 2"),
        ];
        let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
        let answer = gateway
            .chat_with(&with(&json!({"stream": stream})))
            .send()
            .await
            .ok();
        assert_eq!((answer.deployment(), answer.attempts()), ("sound", 2));
        gateway.stop().await;
    }
}

#[tokio::test]
async fn many_embeddings_are_several_calls() {
    let server = Scripted::start(|seen: &Seen| {
        let asked = seen.json();
        let requests = asked["requests"].as_array().expect("requests");
        let vector = |request: &Value| {
            let text = request["content"]["parts"][0]["text"]
                .as_str()
                .expect("a text");
            json!({"values": [text.parse::<f64>().expect("a number"), 0.5]})
        };
        let all: Vec<Value> = requests.iter().map(vector).collect();
        Reply::json(&json!({"embeddings": all, "usageMetadata": {"promptTokenCount": all.len()}}))
    })
    .await;
    let model = model("a", &server.url()).with("model: gemini-embedding-001");
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    let texts: Vec<String> = (0..250).map(|n: u32| n.to_string()).collect();
    let asked = json!({"model": "g", "input": texts, "encoding_format": "float", "dimensions": 2});
    let got = gateway
        .post("/v1/embeddings")
        .json(&asked)
        .send()
        .await
        .ok()
        .json();
    let data = got["data"].as_array().expect("data");
    assert_eq!(
        (data.len(), &got["usage"]["prompt_tokens"]),
        (250, &json!(250))
    );
    for (n, one) in data.iter().enumerate() {
        assert_eq!(
            (&one["index"], one["embedding"][0].as_f64()),
            (&json!(n), u32::try_from(n).ok().map(f64::from))
        );
    }
    let mut sizes: Vec<usize> = server
        .seen()
        .iter()
        .map(|seen| seen.json()["requests"].as_array().map_or(0, Vec::len))
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    assert_eq!(
        server.seen()[0].uri,
        "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn parameters_are_refused_or_left_out() {
    let server = Scripted::start(|_| Reply::json(&text("hey"))).await;
    let strict = gateway(&server).await;
    let asked = with(&json!({"logit_bias": {"1": 2}}));
    let answer = strict.chat_with(&asked).send().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (400, &json!("logit_bias"))
    );
    let answer = strict
        .post("/v1/completions")
        .json(&json!({"model": "g", "prompt": "x"}))
        .send()
        .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["param"]),
        (400, &json!("prompt"))
    );
    assert!(server.seen().is_empty());
    strict.stop().await;

    let lenient = Gateway::start(
        &Yaml::default().group("g", [model("a", &server.url()).with("drop_params: true")]),
    )
    .await;
    let answer = lenient.chat_with(&asked).send().await.ok();
    assert_eq!(
        answer.header("x-waypost-dropped-params"),
        Some("logit_bias")
    );
    lenient.stop().await;
}

#[tokio::test]
async fn keys_stay_where_they_belong() {
    let server = Scripted::start(|seen: &Seen| {
        let key = seen.header("x-goog-api-key").unwrap_or_default();
        let message = format!("API key not valid: {key}");
        Reply::json(&json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}))
        .status(400)
    })
    .await;
    let logs = Logs::listen();
    let gateway = Gateway::logging(
        &Yaml::default().group("g", [model("a", &server.url())]),
        &logs,
    )
    .await;
    let answer = gateway.chat("g").await;
    assert!(
        answer.status >= 500,
        "the key is ours, not the client's: {}",
        answer.status
    );
    let metrics = gateway.app().gateway().metrics();
    let deployments = format!("{:?}", gateway.deployments("g"));
    for text in [answer.text(), &logs.text(), &metrics, &deployments] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    assert!(!format!("{:?}", answer.headers).contains("s3cret"));
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| !seen.uri.contains("s3cret"))
    );
    gateway.stop().await;
}

#[tokio::test]
async fn vertex_is_asked_with_a_token() {
    let server = Scripted::start(|seen: &Seen| match seen.uri.as_str() {
        "/token" => Reply::json(
            &json!({"access_token": "t-s3cret", "expires_in": 3600, "token_type": "Bearer"}),
        ),
        uri if uri.contains("claude") => Reply::json(&json!({"id": "m", "type": "message", "role": "assistant", "model": "claude",
            "content": [{"type": "text", "text": "bonjour"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}})),
        uri if uri.contains("Predict") => Reply::chat(),
        _ => Reply::json(&text("hey")),
    })
    .await;
    let credentials = format!(
        r#"{{type: authorized_user, client_id: c, client_secret: s, refresh_token: r, token_uri: "{}/token"}}"#,
        server.url()
    );
    let at = |name: &str| {
        let url = server.url();
        Model::lines([
            "provider: vertex_ai",
            &format!("model: {name}"),
            &format!("api_base: {url}"),
            "vertex_project: p",
            "vertex_location: europe-west4",
            &format!("vertex_credentials: {credentials}"),
        ])
    };
    let yaml = Yaml::default()
        .group("g", [at("vertex_ai/gemini-2.5-flash")])
        .group("m", [at("mistral-large-2411@001")])
        .group("c", [at("claude-sonnet-4-5@20250929")]);
    let gateway = Gateway::start(&yaml).await;
    let got = gateway.chat("g").await.ok().json();
    assert_eq!(got["choices"][0]["message"]["content"], "hey");
    gateway.chat("m").await.ok();
    let got = gateway.chat("c").await.ok().json();
    assert_eq!(got["choices"][0]["message"]["content"], "bonjour");
    let asked: Vec<Seen> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.uri != "/token")
        .collect();
    let place = "/v1/projects/p/locations/europe-west4/publishers";
    assert_eq!(
        asked[0].uri,
        format!("{place}/google/models/gemini-2.5-flash:generateContent")
    );
    assert_eq!(
        asked[1].uri,
        format!("{place}/mistralai/models/mistral-large-2411@001:rawPredict")
    );
    assert_eq!(
        asked[2].uri,
        format!("{place}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict")
    );
    let sent = asked[2].json();
    assert_eq!(sent["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(sent.get("model"), None);
    assert!(
        asked
            .iter()
            .all(|seen| seen.header("authorization") == Some("Bearer t-s3cret"))
    );
    gateway.stop().await;
}

/// The dialect and base of one deployment with these lines.
fn chosen(lines: &[&str]) -> (Dialect, String, String) {
    let yaml = Yaml::default().group("g", [Model::lines(lines.iter().copied())]);
    let target = load(&yaml.to_string()).groups[0].deployments[0]
        .target
        .clone();
    (
        target.dialect.clone(),
        target.base_url.clone(),
        target.model.to_string(),
    )
}

#[test]
fn addresses() {
    let studio = Dialect::Gemini(GoogleHost::Studio);
    for (base, expected) in [
        ("https://h", "https://h/v1beta/models"),
        ("https://h/v1/", "https://h/v1/models"),
        ("https://h/x/v1beta/models", "https://h/x/v1beta/models"),
        ("https://h/gemini", "https://h/gemini/v1beta/models"),
    ] {
        let base = format!("api_base: {base}");
        let got = chosen(&[
            "provider: gemini",
            "model: models/gemini-2.5-pro",
            "api_key: k",
            &base,
        ]);
        assert_eq!(
            got,
            (
                studio.clone(),
                expected.to_owned(),
                "gemini-2.5-pro".to_owned()
            )
        );
    }
    let own = chosen(&["provider: gemini", "model: gemini-2.5-pro", "api_key: k"]);
    assert_eq!(
        own.1,
        "https://generativelanguage.googleapis.com/v1beta/models"
    );

    let vertex = Dialect::Gemini(GoogleHost::Vertex);
    let openai = Dialect::OpenAi {
        completions_only: false,
    };
    let regional =
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1";
    for (model, location, dialect, base, name) in [
        ("gemini-2.5-pro", "us-central1", &vertex, format!("{regional}/publishers/google/models"), "gemini-2.5-pro"),
        ("gemini-2.5-pro", "global", &vertex, "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models".to_owned(), "gemini-2.5-pro"),
        ("gemini-2.5-pro", "eu", &vertex, "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google/models".to_owned(), "gemini-2.5-pro"),
        ("endpoints/4711", "us-central1", &vertex, format!("{regional}/endpoints"), "4711"),
        ("projects/q/locations/l/endpoints/4711", "us-central1", &vertex, "https://us-central1-aiplatform.googleapis.com/v1/projects/q/locations/l/endpoints".to_owned(), "4711"),
        ("meta/llama-4-maas", "us-central1", &openai, format!("{regional}/endpoints/openapi"), "meta/llama-4-maas"),
        ("mistral-small-2503", "us-central1", &Dialect::VertexRaw(Partner::OpenAi), format!("{regional}/publishers/mistralai/models"), "mistral-small-2503"),
    ] {
        let (model, location) = (format!("model: {model}"), format!("vertex_location: {location}"));
        let got = chosen(&["provider: vertex_ai", &model, &location, "vertex_project: p"]);
        assert_eq!(got, (dialect.clone(), base, name.to_owned()));
    }
}
