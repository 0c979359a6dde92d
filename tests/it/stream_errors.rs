//! Streams that break: before the first content another deployment is tried, after it the client is told.

use serde_json::json;
use waypost::lab::{Behaviour, Chunking, Fault, Framing};

use crate::support::pair::{Pair, last_error, said, stream_body};
use crate::support::raw::Raw;
use crate::support::{Answer, Gateway, Model, Yaml, lab};

const CONTENT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
const FINISH: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

fn stream_error(after: usize, kind: &str) -> Fault {
    let kind = kind.to_owned();
    Fault::StreamError { after, kind }
}

#[tokio::test]
async fn before_content_another_deployment_is_tried() {
    for fault in [
        stream_error(0, "server_error"),
        stream_error(0, "rate_limit_exceeded"),
        Fault::Reset,
        Fault::Cut { after: 0 },
        Fault::EndEarly { after: 0 },
        Fault::ErrorIn200,
        Fault::ServerError,
        Fault::MalformedJson,
        Fault::Redirect {
            location: "http://127.0.0.1:1/".into(),
        },
    ] {
        let pair = Pair::with(&["num_retries: 1"], &[]).await;
        for framing in [Framing::Lf, Framing::Crlf] {
            pair.a().set(Behaviour {
                framing,
                chunking: Chunking::SplitBytes(3),
                ..Behaviour::fault(fault.clone())
            });
            pair.b().set(Behaviour::text("all is well"));
            let answer = pair.streaming().send().await.ok();
            assert_eq!(said(answer.text()), "all is well", "{fault:?}");
            assert!(answer.text().ends_with("data: [DONE]\n\n"), "{fault:?}");
            assert!(!answer.text().contains("error"), "{fault:?}");
            assert_eq!(answer.deployment(), "b", "{fault:?}");
        }
        assert_eq!(pair.attempts("a", "success"), 0.0, "{fault:?}");
        assert_eq!(pair.attempts("b", "success"), 2.0, "{fault:?}");
        assert_eq!(pair.requests("ok"), 2.0, "{fault:?}");
        pair.stop().await;
    }
}

#[tokio::test]
async fn silence_before_content_is_waited_for_as_long_as_its_clock_says() {
    for fault in [
        Fault::HangBeforeHead,
        Fault::HangBeforeContent,
        Fault::Stall { after: 0 },
    ] {
        let lab = lab(["a", "b"]);
        let models = [
            Model::of(lab.deployment("a"))
                .with("order: 1")
                .with("stream_timeout: 0.05"),
            Model::of(lab.deployment("b")).with("order: 2"),
        ];
        let gateway =
            Gateway::start(&Yaml::default().group("g", models).router("num_retries: 1")).await;
        lab.deployment("a").set(Behaviour {
            // Comments are no sign of life.
            heartbeat: Some(std::time::Duration::from_millis(5)),
            ..Behaviour::fault(fault.clone())
        });
        let answer = gateway.chat_with(&stream_body()).send().await.ok();
        assert_eq!(
            (answer.deployment(), answer.attempts()),
            ("b", 2),
            "{fault:?}"
        );
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{fault:?}");
        let stats = lab.deployment("a").wait_for(|s| s.in_flight == 0).await;
        assert_eq!(stats.cancelled, 1, "{fault:?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn if_all_fail_before_content_the_status_says_so() {
    let cases: [(Fault, u16, &str); 6] = [
        (stream_error(0, "server_error"), 500, ""),
        (
            stream_error(0, "rate_limit_exceeded"),
            429,
            "rate_limit_exceeded",
        ),
        (
            stream_error(0, "insufficient_quota"),
            502,
            "upstream_quota_exceeded",
        ),
        (Fault::Cut { after: 0 }, 502, "upstream_broken"),
        (Fault::EndEarly { after: 0 }, 502, "upstream_broken"),
        (Fault::Reset, 502, "upstream_broken"),
    ];
    for (fault, status, code) in cases {
        let pair = Pair::with(&["num_retries: 1"], &[]).await;
        pair.a().set(fault.clone());
        pair.b().set(fault.clone());
        let answer = pair.streaming().send().await;
        assert_eq!(answer.status, status, "{fault:?}: {}", answer.text());
        assert_eq!(answer.attempts(), 2, "{fault:?}");
        assert_eq!(answer.code(), code, "{fault:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{fault:?}"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{fault:?}");
        assert_eq!(pair.requests("failed"), 1.0, "{fault:?}");
        pair.stop().await;
    }
}

#[tokio::test]
async fn after_content_the_client_is_told_and_the_deployment_charged() {
    for (fault, outcome) in [
        (Fault::Cut { after: 2 }, "broken"),
        (Fault::EndEarly { after: 2 }, "broken"),
        (Fault::TruncatedBody, "broken"),
        (Fault::Stall { after: 2 }, "timeout"),
        (stream_error(2, "server_error"), "server_error"),
        (stream_error(2, "rate_limit_exceeded"), "rate_limit"),
    ] {
        for chunking in [Chunking::Whole, Chunking::SplitBytes(5)] {
            let pair = Pair::with(
                &["num_retries: 3", "allowed_fails: 0"],
                &["timeouts: {gap: 100ms}"],
            )
            .await;
            pair.a().set(Behaviour {
                chunking,
                ..Behaviour::fault(fault.clone())
            });
            let answer = pair.streaming().send().await.ok();
            last_error(&answer);
            assert!(!said(answer.text()).is_empty(), "{fault:?}");
            assert_eq!(
                (answer.deployment(), answer.attempts()),
                ("a", 1),
                "{fault:?}"
            );
            assert_eq!(pair.b().stats().requests, 0, "{fault:?}");
            assert_eq!(pair.attempts("a", outcome), 1.0, "{fault:?}");
            assert_eq!(pair.requests("broken_stream"), 1.0, "{fault:?}");
            assert!(pair.tokens(0) > 0, "{fault:?}: what was said counts");
            assert_eq!(
                pair.metric("waypost_cooling", &["deployment=\"a\""]),
                1.0,
                "{fault:?}"
            );
            assert_eq!(
                pair.gateway.chat("g").await.ok().deployment(),
                "b",
                "{fault:?}"
            );
            pair.a().wait_for(|stats| stats.in_flight == 0).await;
            pair.stop().await;
        }
    }
}

#[tokio::test]
async fn what_the_provider_says_in_mid_stream_is_handed_on() {
    let pair = Pair::new().await;
    pair.a().set(stream_error(1, "rate_limit_exceeded"));
    let error = last_error(&pair.streaming().send().await.ok());
    assert_eq!(error["code"], "rate_limit_exceeded");
    pair.stop().await;
}

#[tokio::test]
async fn three_broken_streams_cool_like_three_failures() {
    let pair = Pair::new().await;
    pair.a().set(Fault::Cut { after: 1 });
    for _ in 0..3 {
        assert_eq!(pair.metric("waypost_cooling", &["deployment=\"a\""]), 0.0);
        last_error(&pair.streaming().send().await.ok());
    }
    assert_eq!(pair.metric("waypost_cooling", &["deployment=\"a\""]), 1.0);
    assert_eq!(
        pair.metric(
            "waypost_cooldowns_total",
            &["deployment=\"a\"", "cause=\"broken\""]
        ),
        1.0
    );
    pair.stop().await;
}

#[tokio::test]
async fn the_attempts_time_runs_out_in_mid_stream() {
    let pair = Pair::with(&["allowed_fails: 0"], &["timeouts: {total: 500ms}"]).await;
    pair.a().set(Behaviour {
        // Events keep coming, so no other clock strikes.
        per_token: waypost::lab::Latency::from(std::time::Duration::from_millis(20)),
        tokens: 10_000,
        ..Behaviour::default()
    });
    let answer = pair.streaming().send().await.ok();
    let error = last_error(&answer);
    assert_eq!(error["code"], "upstream_timeout");
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("total") && message.contains("0.5 s"),
        "{message}"
    );
    assert!(
        !message.contains("silent"),
        "it spoke all the time: {message}"
    );
    assert_eq!(pair.attempts("a", "timeout"), 1.0);
    assert_eq!(pair.metric("waypost_cooling", &["deployment=\"a\""]), 1.0);
    pair.stop().await;
}

#[tokio::test]
async fn the_requests_deadline_in_mid_stream_blames_no_deployment() {
    let pair = Pair::with(&["allowed_fails: 0"], &["timeouts: {request: 500ms}"]).await;
    pair.a().set(Fault::Stall { after: 2 });
    let answer = pair.streaming().send().await.ok();
    let error = last_error(&answer);
    assert_eq!(error["code"], "request_timeout");
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.contains("request") && message.contains("0.5 s"),
        "{message}"
    );
    assert_eq!(pair.attempts("a", "timeout"), 0.0);
    assert_eq!(pair.attempts("a", "cancelled"), 1.0);
    assert_eq!(pair.requests("failed"), 1.0);
    assert!(pair.tokens(0) > 0);
    assert_eq!(pair.metric("waypost_cooling", &["deployment=\"a\""]), 0.0);
    pair.stop().await;
}

/// The answer of a gateway whose only deployment sends these pieces.
async fn answer_of(pieces: &[&str], more: &str) -> (Answer, f64) {
    let raw = Raw::streaming(pieces).await;
    let lab = lab(["a"]);
    let model = Model::of(lab.deployment("a")).with(&format!("api_base: http://{}/v1", raw.addr));
    let yaml = Yaml::default().group("g", [model]).router("num_retries: 0");
    let gateway = Gateway::start(&if more.is_empty() {
        yaml
    } else {
        yaml.waypost(more)
    })
    .await;
    let answer = gateway.chat_with(&stream_body()).send().await;
    let text = gateway.app().gateway().metrics();
    let success =
        crate::support::pair::sum(&text, "waypost_attempts_total", &["outcome=\"success\""]);
    gateway.stop().await;
    assert_eq!(raw.received().len(), 1);
    (answer, success)
}

#[tokio::test]
async fn half_an_event_is_never_handed_on() {
    for half in [
        "data: {\"choices\":[{\"ind",
        "data: ",
        "d",
        "event: x\ndata: {\"choices\":[]}",
        ": comm",
    ] {
        let (answer, success) = answer_of(&[CONTENT, half], "").await;
        let error = last_error(&answer.ok());
        assert_eq!(error["code"], "upstream_truncated", "{half}");
        assert_eq!(success, 0.0, "{half}");
        // All has been said, but the last event is incomplete, and not only for want of a blank line.
        if !half.ends_with('}') {
            let (answer, _) = answer_of(&[CONTENT, FINISH, half], "").await;
            assert_eq!(answer.ok().text(), [CONTENT, FINISH].concat(), "{half}");
        }
    }
}

#[tokio::test]
async fn a_stream_of_half_an_event_has_no_content() {
    let (answer, _) = answer_of(&[CONTENT.trim_end()], "").await;
    assert_eq!(
        (answer.status, answer.code()),
        (502, "upstream_broken".into())
    );
}

#[tokio::test]
async fn the_last_blank_line_may_be_missing() {
    for (end, with) in [
        ("data: [DONE]", "data: [DONE]"),
        ("data: [DONE]\n", "data: [DONE]\n"),
        ("data:[DONE]\r\n", "data:[DONE]\r\n"),
    ] {
        let (answer, success) = answer_of(&[CONTENT, end], "").await;
        assert_eq!(answer.ok().text(), format!("{CONTENT}{with}"));
        assert_eq!(success, 1.0);
    }
    // A finish reason is an end, too; nothing is invented.
    let (answer, success) = answer_of(&[CONTENT, FINISH], "").await;
    assert_eq!(
        (answer.ok().text(), success),
        (&*[CONTENT, FINISH].concat(), 1.0)
    );
}

#[tokio::test]
async fn an_error_event_of_several_lines_stays_one_event() {
    let error = "event: error\ndata: {\"error\":\ndata: {\"message\":\"m\",\"type\":\"t\",\"code\":\"c\"}}\n\n";
    let (answer, _) = answer_of(&[CONTENT, error], "").await;
    assert_eq!(last_error(&answer.ok())["code"], "c");
}

#[tokio::test]
async fn errors_of_other_shapes_get_openais() {
    for error in [
        "{\"error\":\"overloaded\"}",
        "{\"error\":{\"message\":\"m\"}}",
        "{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":500}}",
        "{\"error\":{\"message\":\"m\",\"type\":null,\"param\":null,\"code\":null}}",
        "{\"error\":{\"code\":503,\"message\":\"m\",\"type\":\"unavailable_error\"}}",
        "{\"object\":\"error\",\"message\":\"m\",\"error\":{\"code\":\"x\"}}",
    ] {
        let event = format!("data: {error}\n\n");
        let (answer, success) = answer_of(&[CONTENT, &event, "data: [DONE]\n\n"], "").await;
        let answer = answer.ok();
        last_error(&answer);
        assert_eq!(success, 0.0, "{error}");
    }
}

#[tokio::test]
async fn an_event_too_large_to_look_at_is_no_failure() {
    let large = "x".repeat(9 << 20);
    let large = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{large}\"}}}}]}}\n\n"
    );
    let (answer, success) = answer_of(&[CONTENT, &large, FINISH, "data: [DONE]\n\n"], "").await;
    let answer = answer.ok();
    assert_eq!(
        answer.body.len(),
        CONTENT.len() + large.len() + FINISH.len() + "data: [DONE]\n\n".len()
    );
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(success, 1.0);
}

#[tokio::test]
async fn the_callers_own_error_in_a_stream_blames_nobody() {
    let pair = Pair::with(&["num_retries: 3", "allowed_fails: 0"], &[]).await;
    pair.a().set(stream_error(0, "content_filter"));
    let answer = pair.streaming().send().await;
    assert_eq!((answer.status, answer.attempts()), (400, 1));
    assert_eq!(answer.code(), "content_filter");
    pair.a().set(stream_error(2, "content_filter"));
    assert_eq!(
        last_error(&pair.streaming().send().await.ok())["code"],
        "content_filter"
    );
    assert_eq!(pair.attempts("a", "refused"), 2.0);
    assert_eq!(pair.requests("rejected"), 2.0);
    assert_eq!(pair.b().stats().requests, 0);
    assert_eq!(pair.metric("waypost_cooling", &["deployment=\"a\""]), 0.0);
    pair.stop().await;
}

#[tokio::test]
async fn a_plain_answer_to_a_streams_request_passes() {
    // Some servers ignore `stream`.
    let body =
        json!({"id": "x", "choices": [{"message": {"content": "x"}}], "model": "a"}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let raw = Raw::answering(vec![head.into_bytes(), body.clone().into_bytes()]).await;
    let lab = lab(["a"]);
    let model = Model::of(lab.deployment("a")).with(&format!("api_base: http://{}/v1", raw.addr));
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    let answer = gateway.chat_with(&stream_body()).send().await.ok();
    assert_eq!(answer.text(), body);
    gateway.stop().await;
}
