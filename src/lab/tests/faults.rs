//! Every fault as a client sees it.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Reply, ask, chat, lab, only, post};
use crate::lab::{Behaviour, Chance, Fault};

/// The answer to a chat request of a deployment with this fault.
async fn with(fault: Fault, stream: bool) -> Reply {
    let lab = lab(fault);
    ask(only(&lab), stream).await
}

#[tokio::test]
async fn error_statuses_have_the_words_of_providers() {
    let text = |json: &Value, pointer: &str| json.pointer(pointer).cloned().unwrap_or_default();
    for (fault, status, pointer, expected) in [
        (
            Fault::rate_limit(),
            429,
            "/error/code",
            json!("rate_limit_exceeded"),
        ),
        (
            Fault::InsufficientQuota,
            429,
            "/error/code",
            json!("insufficient_quota"),
        ),
        (
            Fault::ServerError,
            500,
            "/error/type",
            json!("server_error"),
        ),
        (
            Fault::Unavailable { retry_after: None },
            503,
            "/error/type",
            json!("overloaded_error"),
        ),
        (Fault::Loading, 503, "/error/code", json!(503)),
        (
            Fault::Unauthorized,
            401,
            "/error/code",
            json!("invalid_api_key"),
        ),
        (
            Fault::PaymentRequired,
            402,
            "/error/message",
            json!("Insufficient Balance"),
        ),
        (
            Fault::DeploymentNotFound,
            404,
            "/error/code",
            json!("DeploymentNotFound"),
        ),
        (
            Fault::ModelNotFound,
            404,
            "/error/code",
            json!("model_not_found"),
        ),
        (Fault::Timeout, 408, "/error/type", json!("timeout")),
        (
            Fault::ContextLength,
            400,
            "/error/code",
            json!("context_length_exceeded"),
        ),
        (
            Fault::ContentFilter,
            400,
            "/error/innererror/code",
            json!("ResponsibleAIPolicyViolation"),
        ),
        (
            Fault::BadRequest {
                param: "top_p".into(),
            },
            400,
            "/error/param",
            json!("top_p"),
        ),
        (Fault::ErrorIn200, 200, "/error/type", json!("server_error")),
        (
            Fault::status(418, json!({"tea": true})),
            418,
            "/tea",
            json!(true),
        ),
    ] {
        for stream in [false, true] {
            let reply = with(fault.clone(), stream).await;
            assert_eq!(reply.status, status, "{fault:?}");
            assert_eq!(text(&reply.json(), pointer), expected, "{fault:?}");
            assert_eq!(
                reply.header("content-type"),
                Some("application/json"),
                "{fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn retry_hints_come_as_headers() {
    let hint = |reply: &Reply| {
        let header = |name| reply.header(name).map(str::to_owned);
        (header("retry-after"), header("retry-after-ms"))
    };
    let seconds = with(Fault::rate_limit_for(Duration::from_millis(2500)), false).await;
    assert_eq!(hint(&seconds), (Some("3".into()), None), "rounded up");
    let both = Fault::RateLimit {
        retry_after: Some(Duration::from_secs(1)),
        retry_after_ms: Some(700),
    };
    assert_eq!(
        hint(&with(both, false).await),
        (Some("1".into()), Some("700".into()))
    );
    assert_eq!(hint(&with(Fault::rate_limit(), false).await), (None, None));
    let unavailable = Fault::Unavailable {
        retry_after: Some(Duration::from_secs(9)),
    };
    assert_eq!(
        hint(&with(unavailable, false).await).0.as_deref(),
        Some("9")
    );
}

#[tokio::test]
async fn any_status_can_have_any_body_and_headers() {
    let fault = Fault::Status {
        status: 502,
        body: "<html>Bad Gateway</html>".into(),
        headers: [("x-cache".into(), "miss".into())].into(),
    };
    let reply = with(fault, false).await;
    assert_eq!(
        (reply.status, reply.text()),
        (502, "<html>Bad Gateway</html>")
    );
    assert_eq!(reply.header("content-type"), Some("text/html"));
    assert_eq!(reply.header("x-cache"), Some("miss"));
}

#[tokio::test]
async fn a_redirect_names_the_place() {
    let reply = with(
        Fault::Redirect {
            location: "http://other.example/".into(),
        },
        false,
    )
    .await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some("http://other.example/"))
    );
}

#[tokio::test]
async fn the_key_is_repeated_only_where_that_is_the_fault() {
    let lab = lab(Fault::EchoAuthorization);
    for (path, header) in [
        ("/v1/chat/completions", "authorization"),
        ("/openai/v1/chat/completions", "api-key"),
    ] {
        let mut client = Client::connect(only(&lab)).await.expect("connected");
        client
            .send(
                "POST",
                path,
                &[(header, "Bearer sk-1234")],
                chat(false).to_string().as_bytes(),
            )
            .await;
        let reply = client.read().await;
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("Bearer sk-1234"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let reply = with(Fault::Reset, false).await;
    assert_eq!(
        (reply.status, reply.error),
        (0, Some(io::ErrorKind::ConnectionReset))
    );
}

#[tokio::test]
async fn a_reset_of_reused_connections_spares_fresh_ones() {
    let lab = lab(Fault::ResetReused);
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    client.post("/v1/chat/completions", &chat(false)).await;
    assert_eq!(client.read().await.status, 200);
    client.post("/v1/chat/completions", &chat(false)).await;
    assert_eq!(
        client.read().await.error,
        Some(io::ErrorKind::ConnectionReset)
    );
    assert_eq!(ask(only(&lab), false).await.status, 200);
}

#[tokio::test]
async fn hangs_are_silent_from_their_place_on() {
    for (fault, status, said) in [
        (Fault::HangBeforeHead, 0, ""),
        (Fault::HangBeforeContent, 200, ""),
        (Fault::Stall { after: 2 }, 200, "one two"),
    ] {
        let lab = lab(fault.clone());
        let deployment = only(&lab).clone();
        let mut client = Client::connect(&deployment).await.expect("connected");
        client.post("/v1/chat/completions", &chat(true)).await;
        deployment.wait_for(|stats| stats.in_flight == 1).await;
        if status != 0 {
            let so_far = client
                .read_until(|reply| reply.said() == said && !reply.chunks.is_empty())
                .await;
            assert_eq!(so_far.status, status, "{fault:?}");
        }
        // Nothing more comes: what the end of the lab brings is the end of the connection.
        lab.stop().await;
        let reply = client.read().await;
        assert_eq!(reply.status, status, "{fault:?}");
        assert!(reply.error.is_some() && !reply.complete);
        if status != 0 {
            assert_eq!(reply.said(), said);
        }
    }
}

#[tokio::test]
async fn a_hang_can_have_a_heartbeat() {
    let lab = lab(Behaviour {
        heartbeat: Some(Duration::from_millis(1)),
        ..Behaviour::fault(Fault::HangBeforeContent)
    });
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    client.post("/v1/chat/completions", &chat(true)).await;
    let reply = client
        .read_until(|reply| reply.text().matches(": keep-alive").count() >= 3)
        .await;
    assert!(!reply.complete);
    assert_eq!(reply.said(), "");
}

#[tokio::test]
async fn a_cut_stream_is_unfinished_and_an_early_end_is_not() {
    let cut = with(Fault::Cut { after: 3 }, true).await;
    assert_eq!(
        (cut.said().as_str(), cut.complete),
        ("one two three", false)
    );
    assert!(cut.error.is_some());
    let early = with(Fault::EndEarly { after: 3 }, true).await;
    assert_eq!(
        (early.said().as_str(), early.complete),
        ("one two three", true)
    );
    for reply in [cut, early] {
        assert!(
            !reply.text().contains("[DONE]") && !reply.text().contains("finish_reason\":\"stop")
        );
    }
    let all = with(Fault::Cut { after: 99 }, true).await;
    assert_eq!(
        all.said(),
        "one two three four five six seven eight",
        "cut at the end of the content"
    );
    assert!(!all.complete);
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_it_says() {
    for fault in [Fault::TruncatedBody, Fault::Cut { after: 0 }] {
        let reply = with(fault.clone(), false).await;
        let promised: usize = reply
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .expect("a length");
        assert!(
            !reply.body.is_empty() && reply.body.len() < promised,
            "{fault:?}"
        );
        assert!(reply.error.is_some());
    }
    let stream = with(Fault::TruncatedBody, true).await;
    assert_eq!(
        (stream.said().as_str(), stream.complete),
        ("one two three four", false)
    );
}

#[tokio::test]
async fn an_error_inside_a_stream_ends_it_without_the_mark() {
    for (after, said) in [(0, ""), (2, "one two")] {
        let reply = with(
            Fault::StreamError {
                after,
                kind: "rate_limit_exceeded".into(),
            },
            true,
        )
        .await;
        assert_eq!(
            (reply.status, reply.said().as_str(), reply.complete),
            (200, said, true)
        );
        let last: Value =
            serde_json::from_str(reply.events().last().expect("events")).expect("JSON");
        assert_eq!(last["error"]["code"], "rate_limit_exceeded");
    }
    let plain = with(
        Fault::StreamError {
            after: 2,
            kind: "server_error".into(),
        },
        false,
    )
    .await;
    assert!(plain.status == 200 && plain.json()["error"].is_object());
}

#[tokio::test]
async fn odd_events_do_not_end_a_stream() {
    let empty = with(Fault::EmptyChoices { after: 2 }, true).await;
    let malformed = with(Fault::MalformedEvent { after: 2 }, true).await;
    for reply in [&empty, &malformed] {
        assert_eq!(reply.said(), "one two three four five six seven eight");
        assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    }
    let odd: Value = serde_json::from_str(&empty.events()[3]).expect("JSON");
    assert_eq!(odd["choices"], json!([]));
    assert!(serde_json::from_str::<Value>(&malformed.events()[3]).is_err());
}

#[tokio::test]
async fn malformed_json_is_sent_as_json() {
    for fault in [Fault::MalformedJson, Fault::MalformedEvent { after: 0 }] {
        let reply = with(fault, false).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("application/json"))
        );
        assert!(serde_json::from_slice::<Value>(&reply.body).is_err() && reply.complete);
    }
}

#[tokio::test]
async fn a_slow_drip_is_the_whole_answer_in_small_writes() {
    let fault = Fault::SlowDrip {
        bytes: 64,
        every: Duration::from_micros(50),
    };
    let reply = with(fault.clone(), true).await;
    assert!(reply.chunks.iter().all(|chunk| chunk.len() <= 64));
    assert_eq!(reply.said(), "one two three four five six seven eight");
    assert!(with(fault, false).await.json()["choices"].is_array());
}

#[tokio::test]
async fn faults_touch_all_operations() {
    let lab = lab(Fault::ServerError);
    for path in ["/v1/completions", "/v1/embeddings"] {
        assert_eq!(
            post(only(&lab), path, &json!({"model": "m"})).await.status,
            500
        );
    }
    only(&lab).set(Fault::Cut { after: 0 });
    let body = json!({"model": "m", "input": "x"});
    assert!(!post(only(&lab), "/v1/embeddings", &body).await.complete);
}

#[tokio::test]
async fn chances_are_the_same_for_the_same_seed() {
    let behaviour = Behaviour {
        faults: vec![
            Chance {
                fault: Fault::ServerError,
                probability: 0.3,
            },
            Chance {
                fault: Fault::rate_limit(),
                probability: 0.3,
            },
        ],
        ..Behaviour::default()
    };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let lab = lab(behaviour.clone());
        let mut statuses = Vec::new();
        for _ in 0..30 {
            statuses.push(ask(only(&lab), false).await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    for status in [200, 429, 500] {
        assert!(runs[0].contains(&status), "{:?}", runs[0]);
    }
}
