//! How a request's length is said, and how it must not be.

use crate::support::pair::Pair;
use crate::support::wire::{Reply, Wire};

const BODY: &str = r#"{"model":"g","messages":[{"role":"user","content":"hello"}]}"#;

async fn connect(pair: &Pair) -> Wire {
    Wire::connect(pair.gateway.addr()).await.expect("connected")
}

fn head(headers: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n{headers}\r\n"
    )
}

fn chunked(body: &str) -> String {
    let (first, second) = body.split_at(body.len() / 2);
    format!(
        "{:x}\r\n{first}\r\n{:x};ext=1\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    )
}

fn ambiguous(reply: &Reply) {
    assert_eq!(
        (reply.status(), &*reply.code()),
        (400, "ambiguous_length"),
        "{}",
        reply.text()
    );
    assert_eq!(reply.head.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let pair = Pair::new().await;
    let mut wire = connect(&pair).await;
    for _ in 0..2 {
        wire.send(head("transfer-encoding: chunked\r\n") + &chunked(BODY))
            .await;
        assert_eq!(wire.reply().await.status(), 200);
    }
    // The words may stand anywhere but in the head.
    let body = BODY.replace("hello", "\\r\\n\\r\\nContent-Length: 3\\r\\n");
    wire.send(head("transfer-encoding: chunked\r\n") + &chunked(&body))
        .await;
    assert_eq!(wire.reply().await.status(), 200);
    pair.stop().await;
}

#[tokio::test]
async fn two_lengths_are_refused_in_whatever_order() {
    let pair = Pair::new().await;
    let (length, chunks) = (format!("content-length: {}\r\n", BODY.len()), chunked(BODY));
    for headers in [
        format!("{length}transfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\n{length}"),
        format!(
            "Transfer-Encoding: chunked\r\nCONTENT-LENGTH:{}\r\n",
            BODY.len()
        ),
        "transfer-encoding: chunked\r\nx: y\r\nContent-Length: 0\r\n".to_owned(),
    ] {
        let mut wire = connect(&pair).await;
        wire.send(head(&headers) + &chunks).await;
        ambiguous(&wire.reply().await);
        assert!(wire.ends().await, "{headers}");

        let mut wire = connect(&pair).await;
        wire.send(head(&length) + BODY).await;
        assert_eq!(wire.reply().await.status(), 200);
        wire.send(head(&headers) + &chunks).await;
        ambiguous(&wire.reply().await);
        assert!(wire.ends().await, "{headers}");
    }
    pair.stop().await;
}

#[tokio::test]
async fn a_second_request_cannot_be_hidden_behind_two_lengths() {
    let pair = Pair::new().await;
    let length = "content-length: 4\r\n";
    let padding = format!("x-padding: {}\r\n", "p".repeat(5000)).repeat(3);
    let hidden = "GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n";
    let smuggled = chunked(BODY) + hidden;
    for headers in [
        format!("transfer-encoding: chunked\r\n{length}"),
        format!("{padding}transfer-encoding: chunked\r\n{length}"),
    ] {
        // Alone, and right behind another request, before that one is answered.
        for before in ["", "GET /livez HTTP/1.1\r\nhost: g\r\n\r\n"] {
            let mut wire = connect(&pair).await;
            wire.send(before.to_owned() + &head(&headers) + &smuggled)
                .await;
            let mut replies = Vec::new();
            while let Some(reply) = wire.try_reply().await {
                replies.push(reply);
            }
            let listed = replies
                .iter()
                .any(|r| r.text().contains("\"object\":\"list\""));
            assert!(
                !listed,
                "{} headers behind {before:?}: {replies:?}",
                headers.len()
            );
        }
    }
    pair.stop().await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let pair = Pair::with(&[], &["body_limit: 1KiB"]).await;
    let frame = r#"{"model":"g","messages":[],"x":""}"#;
    let fits = frame.replace("\"\"", &format!("\"{}\"", "x".repeat(1024 - frame.len())));
    assert_eq!(fits.len(), 1024);
    pair.gateway
        .post("/v1/chat/completions")
        .body(fits.clone())
        .send()
        .await
        .ok();
    let large = fits + " ";
    let answer = pair
        .gateway
        .post("/v1/chat/completions")
        .body(large.clone())
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (413, "request_too_large".into()),
        "{}",
        answer.text()
    );

    let mut wire = connect(&pair).await;
    wire.send(head("transfer-encoding: chunked\r\n") + &chunked(&large))
        .await;
    assert_eq!(wire.reply().await.status(), 413);
    // Said, but not sent: no body is waited for.
    let mut wire = connect(&pair).await;
    wire.send(head("content-length: 99999999999999\r\n")).await;
    assert_eq!(wire.reply().await.status(), 413);
    // Sent without end: no end is waited for.
    let mut wire = connect(&pair).await;
    wire.send(head("transfer-encoding: chunked\r\n")).await;
    for _ in 0..40 {
        wire.send(format!("64\r\n{}\r\n", "x".repeat(100))).await;
    }
    assert_eq!(wire.reply().await.status(), 413);
    assert_eq!(pair.a().stats().requests, 1);
    pair.stop().await;
}

#[tokio::test]
async fn lengths_that_are_none_are_refused() {
    let pair = Pair::new().await;
    for headers in [
        "content-length: 3\r\ncontent-length: 4\r\n",
        "content-length: -1\r\n",
        "content-length: 3 4\r\n",
        "content-length: 0x10\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding : chunked\r\n",
        "x y: z\r\n",
    ] {
        let mut wire = connect(&pair).await;
        wire.send(head(headers) + &chunked(BODY)).await;
        let status = wire.try_reply().await.map(|reply| reply.status());
        assert!(matches!(status, None | Some(400)), "{headers}: {status:?}");
        assert!(wire.ends().await, "{headers}");
    }
    assert_eq!(pair.a().stats().requests, 0);
    pair.stop().await;
}

#[tokio::test]
async fn a_client_may_wait_for_permission() {
    let pair = Pair::with(&[], &["body_limit: 1KiB"]).await;
    let mut wire = connect(&pair).await;
    wire.send(head(&format!(
        "expect: 100-continue\r\ncontent-length: {}\r\n",
        BODY.len()
    )))
    .await;
    let go_on = wire.head().await.expect("a head");
    assert_eq!(go_on.status, 100);
    wire.send(BODY).await;
    assert_eq!(wire.reply().await.status(), 200);

    let mut wire = connect(&pair).await;
    wire.send(head("expect: 100-continue\r\ncontent-length: 5000\r\n"))
        .await;
    assert_eq!(
        wire.reply().await.status(),
        413,
        "refused before it is sent"
    );
    pair.stop().await;
}

#[tokio::test]
async fn a_refusal_says_whether_the_connection_goes_on() {
    let key = format!("key: {}", "k".repeat(20));
    let pair = Pair::with(
        &[],
        &["body_limit: 1KiB", &format!("keys: [{{name: a, {key}}}]")],
    )
    .await;
    let length = format!("content-length: {}\r\n", BODY.len());
    let elsewhere = head(&length).replace("chat", "chats");
    let mut wire = connect(&pair).await;
    for (head, status) in [(head(&length), 401), (elsewhere, 404)] {
        for _ in 0..2 {
            wire.send(&head).await;
            wire.send(BODY).await;
            let reply = wire.reply().await;
            assert_eq!(reply.status(), status, "{}", reply.text());
            assert_eq!(reply.head.header("connection"), None);
        }
    }
    // Nobody waits for a large body only to throw it away.
    let large = 1 << 20;
    let authorized = format!("authorization: Bearer {}\r\n", "k".repeat(20));
    for (headers, status) in [("", 401), (&*authorized, 413)] {
        let mut wire = connect(&pair).await;
        wire.send(head(&format!("content-length: {large}\r\n{headers}")))
            .await;
        let reply = wire.reply().await;
        assert_eq!(reply.status(), status, "{}", reply.text());
        assert_eq!(reply.head.header("connection"), Some("close"));
        assert!(wire.try_reply().await.is_none());
    }
    pair.stop().await;
}

#[tokio::test]
async fn encoded_bodies_are_refused() {
    let pair = Pair::new().await;
    for encoding in ["gzip", "br", "deflate, gzip"] {
        let answer = pair
            .gateway
            .post("/v1/chat/completions")
            .body(BODY)
            .header("content-encoding", encoding)
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (415, "unsupported_encoding".into())
        );
    }
    for encoding in ["identity", "Identity"] {
        pair.gateway
            .post("/v1/chat/completions")
            .body(BODY)
            .header("content-encoding", encoding)
            .send()
            .await
            .ok();
    }
    pair.stop().await;
}

#[tokio::test]
async fn heads_of_any_reasonable_size_and_no_more() {
    let pair = Pair::new().await;
    let length = format!("content-length: {}\r\n", BODY.len());
    let mut wire = connect(&pair).await;
    wire.send(head(&format!("{length}x: {}\r\n", "y".repeat(32 * 1024))) + BODY)
        .await;
    assert_eq!(wire.reply().await.status(), 200);
    let mut wire = connect(&pair).await;
    wire.send(head(&format!("{length}x: {}\r\n", "y".repeat(2 << 20))) + BODY)
        .await;
    let status = wire.try_reply().await.map(|reply| reply.status());
    assert!(matches!(status, None | Some(431)), "{status:?}");
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let mut wire = connect(&pair).await;
    wire.send(head(&(many + &length)) + BODY).await;
    let status = wire.try_reply().await.map(|reply| reply.status());
    assert!(matches!(status, None | Some(431)), "{status:?}");
    // It still serves.
    pair.gateway.chat("g").await.ok();
    pair.stop().await;
}
