//! Streams that end well: what passes, what is hidden, what is counted.

use serde_json::json;
use waypost::lab::{Behaviour, Chunking, Fault, Framing, Handle, Hold};

use crate::support::pair::{Pair, events, read_until, said, stream_body, timeless};
use crate::support::{Answer, Gateway, Model, Request, Yaml, lab};

const TEXT: &str = "Grüße, 世界! \u{1f980} ça va?";

/// What the deployment answers when asked with what it was last asked with, the gateway left out.
async fn direct(handle: &Handle) -> Answer {
    let last = handle.last_request().expect("a request");
    let request = Request::new(handle.addr(), http::Method::POST, &last.path);
    request.body(last.body).send().await
}

#[tokio::test]
async fn every_byte_passes_however_it_is_cut() {
    let pair = Pair::new().await;
    let framings = [Framing::Lf, Framing::Crlf, Framing::Compact];
    let chunkings = [1, 2, 3, 5, 7, 64, 1000].map(Chunking::SplitBytes);
    let whole = [Chunking::Whole, Chunking::Coalesced];
    let mut body = stream_body();
    body["stream_options"] = json!({"include_usage": true});
    for framing in framings {
        for chunking in chunkings.into_iter().chain(whole) {
            let behaviour = Behaviour {
                framing,
                chunking,
                ..Behaviour::text(TEXT)
            };
            pair.a().set(behaviour);
            let answer = pair.gateway.chat_with(&body).send().await.ok();
            let expected = direct(pair.a()).await;
            let (got, expected) = (timeless(&answer.body), timeless(&expected.body));
            assert_eq!(got, expected, "{framing:?} {chunking:?}");
            assert_eq!(said(&got), TEXT);
            assert_eq!(
                answer.header("content-type"),
                Some("text/event-stream; charset=utf-8")
            );
        }
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_is_odd_but_harmless_passes() {
    let pair = Pair::new().await;
    let mut body = stream_body();
    body["stream_options"] = json!({"include_usage": true});
    for after in [0, 3] {
        for fault in [
            Fault::MalformedEvent { after },
            Fault::EmptyChoices { after },
        ] {
            pair.a().set(fault.clone());
            let answer = pair.gateway.chat_with(&body).send().await.ok();
            let expected = direct(pair.a()).await;
            assert_eq!(
                timeless(&answer.body),
                timeless(&expected.body),
                "{fault:?}"
            );
            assert!(answer.text().ends_with("data: [DONE]\n\n"), "{fault:?}");
            assert_eq!(
                (answer.deployment(), answer.attempts()),
                ("a", 1),
                "{fault:?}"
            );
        }
    }
    assert_eq!(pair.attempts("a", "success"), 4.0);
    pair.stop().await;
}

#[tokio::test]
async fn comments_pass_before_and_between_content() {
    let pair = Pair::new().await;
    pair.a().set(Behaviour {
        heartbeat: Some(std::time::Duration::from_millis(1)),
        first_token: waypost::lab::Latency::from(std::time::Duration::from_millis(5)),
        per_token: waypost::lab::Latency::from(std::time::Duration::from_millis(3)),
        ..Behaviour::text("one two")
    });
    let answer = pair.streaming().send().await.ok();
    let text = answer.text();
    let (before, after) = text.split_once("one").expect("content");
    assert!(
        before.contains(": keep-alive\n\n") && after.contains(": keep-alive\n\n"),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    pair.stop().await;
}

#[tokio::test]
async fn azures_first_chunk_without_choices_is_no_content() {
    let lab = lab(["a", "b"]);
    let azure = |name: &str| Model::azure(lab.deployment(name), "2024-10-21");
    let models = [azure("a").with("order: 1"), azure("b").with("order: 2")];
    let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
    let answer = gateway.chat_with(&stream_body()).send().await.ok();
    let expected = direct(lab.deployment("a")).await;
    let first = &events(answer.text())[0];
    assert!(first.contains("\"choices\":[]"), "{first}");
    assert_eq!(said(answer.text()), said(expected.text()));

    lab.deployment("a").set(Fault::StreamError {
        after: 0,
        kind: "server_error".into(),
    });
    let answer = gateway.chat_with(&stream_body()).send().await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    gateway.stop().await;
}

#[tokio::test]
async fn content_arrives_while_the_rest_is_held() {
    let pair = Pair::new().await;
    for chunking in [Chunking::Whole, Chunking::SplitBytes(1)] {
        pair.a().set(Behaviour {
            text: Some("one two three".into()),
            chunking,
            ..Behaviour::hold(Hold::After(1))
        });
        let mut stream = pair.stream().await;
        assert_eq!(stream.status, 200);
        let seen = read_until(&mut stream, "one").await;
        assert!(!seen.contains("two"), "{seen}");
        pair.a().wait_for(|stats| stats.held == 1).await;
        assert_eq!(pair.in_flight(), 1);
        pair.a().release();
        let rest = stream.finish().await;
        assert_eq!(said(&(seen + rest.text())), "one two three");
    }
    pair.stop().await;
}

#[tokio::test]
async fn usage_is_shown_to_those_who_ask() {
    let pair = Pair::new().await;
    let cases = [
        (json!(null), false),
        (json!({}), false),
        (json!({"include_usage": false}), false),
        (json!({"include_usage": true}), true),
        (
            json!({"include_usage": true, "include_obfuscation": false}),
            true,
        ),
        (json!({"include_obfuscation": false}), false),
    ];
    for (options, wanted) in cases {
        let mut body = stream_body();
        body["stream_options"] = options.clone();
        let answer = pair.gateway.chat_with(&body).send().await.ok();
        let shown = answer.text().contains("\"usage\":{");
        assert_eq!(shown, wanted, "{options}: {}", answer.text());
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{options}");
        let sent = pair.a().last_request().expect("a request").json();
        assert_eq!(sent["stream_options"]["include_usage"], true, "{options}");
        let own = &options["include_obfuscation"];
        assert_eq!(
            &sent["stream_options"]["include_obfuscation"], own,
            "{options}"
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn where_only_usage_is_hidden_nothing_else_is_missing() {
    let pair = Pair::new().await;
    let answer = pair.streaming().send().await.ok();
    let expected = direct(pair.a()).await;
    let expected: String = timeless(&expected.body)
        .split_inclusive("\n\n")
        .filter(|event| !event.contains("\"usage\":{"))
        .collect();
    assert_eq!(timeless(&answer.body), expected);
    pair.stop().await;
}

#[tokio::test]
async fn streams_and_plain_answers_count_alike() {
    let mut counted = Vec::new();
    for (stream, options) in [
        (false, json!(null)),
        (true, json!(null)),
        (true, json!({"include_usage": true})),
    ] {
        let pair = Pair::with(
            &[],
            &["prices: {a: {input_cost_per_token: 0.001, output_cost_per_token: 0.01}}"],
        )
        .await;
        let mut body = stream_body();
        body["stream"] = stream.into();
        if !options.is_null() {
            body["stream_options"] = options;
        }
        pair.gateway.chat_with(&body).send().await.ok();
        let kind = |kind: &str| pair.metric("waypost_tokens_total", &["deployment=\"a\"", kind]);
        let (input, output) = (kind("kind=\"input\""), kind("kind=\"output\""));
        assert!(input > 0.0 && output > 0.0);
        let cost = pair.metric("waypost_cost_dollars_total", &["deployment=\"a\""]);
        assert!(
            (cost - (input * 0.001 + output * 0.01)).abs() < 1e-9,
            "{cost}"
        );
        assert_eq!(
            pair.metric("waypost_first_content_seconds_count", &["deployment=\"a\""]),
            1.0
        );
        assert_eq!(pair.requests("ok"), 1.0);
        counted.push((
            pair.tokens(0),
            input.to_bits(),
            output.to_bits(),
            cost.to_bits(),
        ));
        pair.stop().await;
    }
    assert!(counted.iter().all(|c| *c == counted[0]), "{counted:?}");
}

#[tokio::test]
async fn usage_that_is_not_reported_is_estimated() {
    let pair = Pair::new().await;
    pair.a().set(Behaviour {
        usage: false,
        ..Behaviour::text("one two three")
    });
    pair.streaming().send().await.ok();
    assert!(pair.tokens(0) > 3, "{}", pair.tokens(0));
    pair.stop().await;
}

#[tokio::test]
async fn the_model_is_what_the_upstream_says() {
    let pair = Pair::new().await;
    pair.a().set(Behaviour {
        model: Some("gpt-\"x\"-2024".into()),
        ..Behaviour::default()
    });
    let plain = pair.gateway.chat("g").await.ok();
    assert_eq!(plain.json()["model"], "gpt-\"x\"-2024");
    let stream = pair.streaming().send().await.ok();
    let expected = direct(pair.a()).await;
    assert_eq!(models(stream.text()), models(expected.text()));
    pair.stop().await;
}

#[tokio::test]
async fn the_model_is_the_group_where_that_is_wanted() {
    let pair = Pair::with(&[], &["response_model: group"]).await;
    for framing in [Framing::Lf, Framing::Crlf, Framing::Compact] {
        pair.a().set(Behaviour {
            framing,
            chunking: Chunking::SplitBytes(3),
            ..Behaviour::text(TEXT)
        });
        let plain = pair.gateway.chat("g").await.ok();
        assert_eq!(plain.json()["model"], "g");
        let expected = direct(pair.a()).await;
        let expected = timeless(&expected.body).replace("\"model\":\"a\"", "\"model\":\"g\"");
        assert_eq!(timeless(&plain.body), expected);
        let stream = pair.streaming().send().await.ok();
        assert_eq!(models(stream.text()), ["g"]);
        assert_eq!(said(stream.text()), TEXT);
        assert!(stream.text().trim_end().ends_with("[DONE]"));
    }
    let body = json!({"model": "g", "input": "x"});
    let embedding = pair
        .gateway
        .post("/v1/embeddings")
        .json(&body)
        .send()
        .await
        .ok();
    assert_eq!(embedding.json()["model"], "g");
    pair.stop().await;
}

/// The different values of `model` in a stream.
fn models(text: &str) -> Vec<String> {
    let chunks = events(text)
        .into_iter()
        .filter_map(|e| serde_json::from_str::<serde_json::Value>(&e).ok());
    let mut models: Vec<String> = chunks
        .filter_map(|c| c["model"].as_str().map(str::to_owned))
        .collect();
    models.dedup();
    models
}

#[tokio::test]
async fn completions_stream_too() {
    let pair = Pair::new().await;
    pair.a().set(Behaviour::text(TEXT));
    let body = json!({"model": "g", "prompt": "x", "stream": true});
    let answer = pair
        .gateway
        .post("/v1/completions")
        .json(&body)
        .send()
        .await
        .ok();
    let expected = direct(pair.a()).await;
    let expected: String = timeless(&expected.body)
        .split_inclusive("\n\n")
        .filter(|event| !event.contains("\"usage\":{"))
        .collect();
    assert_eq!(timeless(&answer.body), expected);
    assert!(answer.text().contains("世界"), "{}", answer.text());
    pair.stop().await;
}

#[tokio::test]
async fn reasoning_and_tool_calls_are_content() {
    let pair = Pair::new().await;
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    for (behaviour, tools) in [
        (
            Behaviour {
                reasoning: Some("hm".into()),
                ..Behaviour::text("x")
            },
            json!(null),
        ),
        (
            Behaviour {
                tool_calls: 2,
                ..Behaviour::default()
            },
            tools,
        ),
    ] {
        pair.a().set(behaviour);
        let mut body = stream_body();
        if !tools.is_null() {
            body["tools"] = tools;
        }
        body["stream_options"] = json!({"include_usage": true});
        let answer = pair.gateway.chat_with(&body).send().await.ok();
        let expected = direct(pair.a()).await;
        assert_eq!(timeless(&answer.body), timeless(&expected.body));
    }
    pair.stop().await;
}
