//! One connection, however its requests follow each other: those served directly and those served by hyper.

use waypost::lab::{Behaviour, Hold};

use crate::support::pair::{Pair, stream_body};
use crate::support::wire::Wire;

const BODY: &str = r#"{"model":"g","messages":[{"role":"user","content":"hello"}]}"#;

fn request(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: g\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

fn chat(headers: &str) -> String {
    request("/v1/chat/completions", headers, BODY)
}

async fn connect(pair: &Pair) -> Wire {
    Wire::connect(pair.gateway.addr()).await.expect("connected")
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let pair = Pair::new().await;
    let mut wire = connect(&pair).await;
    let stream = stream_body().to_string();
    let all = [
        chat("x-request-id: one\r\n"),
        request("/v1/chat/completions", "x-request-id: two\r\n", &stream),
        // From here on it is hyper's.
        "GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(),
        chat("x-request-id: four\r\n"),
        request("/v1/nowhere", "", "{}"),
        chat("x-request-id: six\r\nconnection: close\r\n"),
    ];
    wire.send(all.concat()).await;
    for (status, id) in [
        (200, Some("one")),
        (200, Some("two")),
        (200, None),
        (200, Some("four")),
        (404, None),
        (200, Some("six")),
    ] {
        let reply = wire.reply().await;
        assert_eq!(reply.status(), status, "{}", reply.text());
        assert_eq!(reply.head.header("x-request-id"), id);
        assert!(
            reply
                .head
                .header("date")
                .is_some_and(|date| date.ends_with("GMT"))
        );
    }
    assert!(wire.try_reply().await.is_none(), "closed, as it was asked");
    pair.stop().await;
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let pair = Pair::new().await;
    let mut wire = connect(&pair).await;
    let text = chat("");
    for piece in [1, 3, 50, text.len() - 1] {
        for part in text.as_bytes().chunks(piece) {
            wire.send(part).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(wire.reply().await.status(), 200, "{piece}");
    }
    pair.stop().await;
}

#[tokio::test]
async fn a_connection_ends_after_the_answer_if_the_client_wants_that() {
    let pair = Pair::new().await;
    for body in [BODY.to_owned(), stream_body().to_string()] {
        let mut wire = connect(&pair).await;
        for header in ["", "connection: keep-alive\r\n", "Connection: Close\r\n"] {
            wire.send(request("/v1/chat/completions", header, &body))
                .await;
            let reply = wire.reply().await;
            assert_eq!(reply.status(), 200);
            let closes = header.contains("Close").then_some("close");
            assert_eq!(reply.head.header("connection"), closes);
        }
        assert!(wire.try_reply().await.is_none());
    }
    pair.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_behind_what_it_sent_ahead() {
    let pair = Pair::new().await;
    pair.a().set(Behaviour::hold(Hold::BeforeHead));
    let mut wire = connect(&pair).await;
    wire.send(chat("") + &chat("")).await;
    pair.a().wait_for(|stats| stats.held == 1).await;
    drop(wire);
    let stats = pair.a().wait_for(|stats| stats.in_flight == 0).await;
    assert_eq!((stats.requests, stats.cancelled), (1, 1));
    pair.stop().await;
}
