//! Clients of other kinds: old, new, slow.

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use waypost::lab::{Behaviour, Hold};

use crate::support::beside::Beside;
use crate::support::chat_body;
use crate::support::pair::{Pair, said, stream_body};
use crate::support::wire::Wire;

#[tokio::test]
async fn http_1_0() {
    let pair = Pair::new().await;
    for body in [chat_body("g"), stream_body()] {
        let (stream, body) = (body["stream"] == true, body.to_string());
        let mut wire = Wire::connect(pair.gateway.addr()).await.expect("connected");
        wire.send(format!(
            "POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let reply = wire.reply().await;
        assert_eq!((reply.status(), &*reply.head.version), (200, "HTTP/1.0"));
        assert_eq!(
            reply.head.header("transfer-encoding"),
            None,
            "HTTP/1.0 knows none"
        );
        assert_eq!(
            stream,
            reply.text().ends_with("data: [DONE]\n\n"),
            "{}",
            reply.text()
        );
        assert!(wire.ends().await);
    }
    pair.stop().await;
}

#[tokio::test]
async fn http_2_without_asking_first() {
    let pair = Pair::new().await;
    let stream = TcpStream::connect(pair.gateway.addr())
        .await
        .expect("connected");
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.expect("HTTP/2");
    let connection = Beside::start(connection);
    let url = format!("http://{}/v1/chat/completions", pair.gateway.addr());
    let ask = move |body: serde_json::Value| {
        let mut sender = sender.clone();
        let request =
            http::Request::post(&url).body(Full::new(bytes::Bytes::from(body.to_string())));
        async move {
            sender
                .send_request(request.expect("a request"))
                .await
                .expect("an answer")
        }
    };
    // Several at once on one connection; one of them is dropped in mid-stream.
    pair.a().behave_next(1, Behaviour::hold(Hold::After(1)));
    let held = ask(stream_body()).await;
    pair.a().wait_for(|stats| stats.held == 1).await;
    let (plain, stream) = tokio::join!(ask(chat_body("g")), ask(stream_body()));
    for (answer, stream) in [(plain, false), (stream, true)] {
        assert_eq!(
            (answer.status(), answer.version()),
            (http::StatusCode::OK, http::Version::HTTP_2)
        );
        let text = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert_eq!(text.ends_with(b"data: [DONE]\n\n"), stream);
    }
    drop(held);
    let stats = pair.a().wait_for(|stats| stats.in_flight == 0).await;
    assert_eq!((stats.cancelled, pair.in_flight()), (1, 0));
    drop(ask);
    connection.result().await.expect("a clean end");
    pair.stop().await;
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let pair = Pair::new().await;
    let mut wire = Wire::connect(pair.gateway.addr()).await.expect("connected");
    for n in 0..6 {
        let body = if n % 2 == 0 {
            chat_body("g")
        } else {
            stream_body()
        };
        wire.request(
            "POST",
            "/v1/chat/completions",
            &[],
            body.to_string().as_bytes(),
        )
        .await;
        assert_eq!(wire.reply().await.status(), 200);
        wire.request("POST", "/v1/chat/completions", &[], b"{")
            .await;
        assert_eq!(wire.reply().await.status(), 400);
        wire.request("GET", "/v1/models", &[], b"").await;
        assert_eq!(wire.reply().await.status(), 200);
    }
    // And so does the one behind.
    assert_eq!(pair.a().stats().connections, 1);
    // Sent in one go, answered in order.
    let body = chat_body("g").to_string();
    let one = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.send(one.repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(wire.reply().await.status(), 200);
    }
    drop(wire);
    pair.stop().await;
}

#[tokio::test]
async fn a_slow_reader_is_not_the_deployments_fault() {
    let gap = std::time::Duration::from_millis(50);
    let pair = Pair::with(&["allowed_fails: 0"], &["timeouts: {gap: 50ms}"]).await;
    // More than the buffers on the way can take.
    let text = format!("{} ", "long".repeat(5_000)).repeat(1_000);
    pair.a().set(Behaviour::text(&text));
    let mut wire = Wire::connect(pair.gateway.addr()).await.expect("connected");
    wire.request(
        "POST",
        "/v1/chat/completions",
        &[],
        stream_body().to_string().as_bytes(),
    )
    .await;
    assert_eq!(wire.head().await.expect("a head").status, 200);
    let mut body = Vec::new();
    // Reads, stands still for longer than the gap clock, reads on.
    for _ in 0..3 {
        body.extend(wire.chunk().await.expect("more"));
        tokio::time::sleep(4 * gap).await;
    }
    while let Some(chunk) = wire.chunk().await {
        body.extend(chunk);
    }
    let body = String::from_utf8(body).expect("UTF-8");
    assert!(
        body.ends_with("data: [DONE]\n\n"),
        "{}",
        &body[body.len().saturating_sub(300)..]
    );
    assert_eq!(said(&body), text);
    assert_eq!(pair.attempts("a", "success"), 1.0);
    drop(wire);
    pair.stop().await;
}

#[tokio::test]
async fn a_reader_that_stands_still_takes_nothing_from_others() {
    let pair = Pair::new().await;
    pair.a().behave_next(
        1,
        Behaviour::text(format!("{} ", "long".repeat(5_000)).repeat(1_000)),
    );
    let mut still = Wire::connect(pair.gateway.addr()).await.expect("connected");
    still
        .request(
            "POST",
            "/v1/chat/completions",
            &[],
            stream_body().to_string().as_bytes(),
        )
        .await;
    assert_eq!(still.head().await.expect("a head").status, 200);
    for _ in 0..10 {
        pair.gateway.chat("g").await.ok();
    }
    drop(still);
    pair.a().wait_for(|stats| stats.in_flight == 0).await;
    pair.stop().await;
}
