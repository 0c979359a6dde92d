//! Clients that leave: the upstream is cancelled at once, nothing stays counted, nobody is blamed.

use serde_json::json;
use waypost::lab::{Behaviour, Fault, Handle, Hold};

use crate::support::beside::Beside;
use crate::support::pair::{Pair, read_until, stream_body};
use crate::support::{Request, chat_body};

/// Sends a request, and leaves once the deployment is as `there` says.
async fn leave(
    request: Request,
    deployment: &Handle,
    there: impl FnMut(&waypost::lab::Stats) -> bool,
) {
    let client = Beside::start(request.send());
    deployment.wait_for(there).await;
    assert!(client.end().await, "it was still waiting");
}

/// What has to be true of every way to leave.
async fn nothing_is_left(pair: &Pair, outcome: &str) {
    let stats = pair.a().wait_for(|stats| stats.in_flight == 0).await;
    assert_eq!(stats.cancelled, 1, "{outcome}");
    pair.a().wait_for(|stats| stats.open_connections == 0).await;
    assert_eq!(pair.in_flight(), 0, "{outcome}");
    assert_eq!(pair.metric("waypost_in_flight", &[]), 0.0, "{outcome}");
    assert_eq!(pair.attempts("a", "cancelled"), 1.0, "{outcome}");
    assert_eq!(pair.requests("cancelled"), 1.0, "{outcome}");
    assert_eq!(pair.metric("waypost_cooling", &[]), 0.0, "{outcome}");
    assert_eq!(pair.b().stats().requests, 0, "{outcome}");
}

#[tokio::test]
async fn in_mid_stream() {
    let pair = Pair::with(&["allowed_fails: 0"], &[]).await;
    pair.a().set(Behaviour::hold(Hold::After(2)));
    let mut stream = pair.stream().await;
    read_until(&mut stream, " ").await;
    pair.a().wait_for(|stats| stats.held == 1).await;
    assert_eq!((pair.in_flight(), pair.requests("cancelled")), (1, 0.0));
    drop(stream);
    nothing_is_left(&pair, "in mid-stream").await;
    assert!(pair.tokens(0) > 0, "what was used so far counts");
    assert!(pair.metric("waypost_tokens_total", &["kind=\"output\""]) > 0.0);
    pair.stop().await;
}

#[tokio::test]
async fn before_the_head() {
    let cases = [
        ("/v1/chat/completions", stream_body()),
        ("/v1/chat/completions", chat_body("g")),
        ("/v1/completions", json!({"model": "g", "prompt": "x"})),
        (
            "/v1/completions",
            json!({"model": "g", "prompt": "x", "stream": true}),
        ),
        ("/v1/embeddings", json!({"model": "g", "input": "x"})),
    ];
    for (path, body) in cases {
        let pair = Pair::with(&["allowed_fails: 0"], &[]).await;
        pair.a().set(Behaviour::hold(Hold::BeforeHead));
        let request = pair.gateway.post(path).json(&body);
        leave(request, pair.a(), |stats| stats.held == 1).await;
        nothing_is_left(&pair, path).await;
        pair.stop().await;
    }
}

#[tokio::test]
async fn between_head_and_content() {
    for hold in [Hold::BeforeContent, Hold::After(1)] {
        for body in [stream_body(), chat_body("g")] {
            if body["stream"] == true && hold == Hold::After(1) {
                continue; // That is mid-stream.
            }
            let pair = Pair::with(&["allowed_fails: 0"], &[]).await;
            pair.a().set(Behaviour::hold(hold));
            let request = pair.gateway.chat_with(&body);
            leave(request, pair.a(), |stats| stats.held == 1).await;
            nothing_is_left(&pair, "between head and content").await;
            pair.stop().await;
        }
    }
}

#[tokio::test]
async fn while_another_attempt_is_waited_for() {
    for body in [stream_body(), chat_body("g")] {
        let pair = Pair::with(
            &[
                "num_retries: 5",
                "disable_cooldowns: true",
                "retry_after: 5",
            ],
            &[],
        )
        .await;
        pair.a().set(Fault::ServerError);
        pair.b().set(Fault::ServerError);
        let request = pair.gateway.chat_with(&body);
        leave(request, pair.b(), |stats| stats.completed == 1).await;
        while pair.requests("cancelled") == 0.0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            (pair.a().stats().requests, pair.b().stats().requests),
            (1, 1)
        );
        assert_eq!(pair.in_flight(), 0);
        pair.stop().await;
    }
}

#[tokio::test]
async fn in_the_second_attempt() {
    let pair = Pair::with(&["num_retries: 1", "disable_cooldowns: true"], &[]).await;
    pair.a().set(Fault::Reset);
    pair.b().set(Behaviour::hold(Hold::BeforeContent));
    leave(pair.streaming(), pair.b(), |stats| stats.held == 1).await;
    let stats = pair.b().wait_for(|stats| stats.in_flight == 0).await;
    assert_eq!(stats.cancelled, 1);
    assert_eq!(
        (
            pair.attempts("a", "broken"),
            pair.attempts("b", "cancelled")
        ),
        (1.0, 1.0)
    );
    assert_eq!(pair.requests("cancelled"), 1.0);
    pair.stop().await;
}

#[tokio::test]
async fn many_at_once_leave_nothing_behind() {
    let pair = Pair::with(&["routing_strategy: least-busy"], &[]).await;
    for handle in [pair.a(), pair.b()] {
        handle.set(Behaviour::hold(Hold::After(1)));
    }
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = pair.stream().await;
        read_until(&mut stream, "").await;
        streams.push(stream);
    }
    assert_eq!(pair.in_flight(), 20);
    let stay = streams.split_off(10);
    drop(streams);
    pair.a().wait_for(|stats| stats.in_flight == 10).await;
    assert_eq!(pair.in_flight(), 10);
    pair.a().release();
    for stream in stay {
        assert!(stream.finish().await.text().ends_with("data: [DONE]\n\n"));
    }
    assert_eq!(pair.in_flight(), 0);
    assert_eq!(
        (pair.requests("ok"), pair.requests("cancelled")),
        (10.0, 10.0)
    );
    pair.stop().await;
}
