//! What answers come to.

use http_body_util::BodyExt;

use super::*;
use crate::request::{Edit, RequestHead, splice};

/// What a request comes to that is met with `text` and then, if `closes`, with the connection's end; and whether the
/// connection was kept.
async fn met(text: &str, closes: bool) -> (Result<(u16, String), String>, bool) {
    let pair = Pair::new().await;
    let serve = async {
        let mut stream = pair.accept().await;
        request(&mut stream).await;
        write(&mut stream, text.as_bytes()).await;
        if closes {
            stream.shutdown().await.expect("shut down");
        }
        stream
    };
    let work = async { read(pair.send().await).await };
    let (got, _stream) = tokio::join!(work, serve);
    let text = |body: Bytes| String::from_utf8(body.to_vec()).expect("text");
    let got = got.map(|(status, body)| (status.as_u16(), text(body)));
    (got, pair.upstream.connections() == 1)
}

#[tokio::test]
async fn whole_ones_and_broken_ones() {
    const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\n";
    let ok = |body: &str| Ok((200, body.to_owned()));
    let cases = [
        (format!("{LENGTH}hello"), ok("hello"), true),
        (format!("{LENGTH}hello!"), ok("hello"), false),
        (
            format!("{LENGTH}hel"),
            Err("the connection was closed with 2 bytes of the answer missing"),
            false,
        ),
        (
            format!("{CHUNKED}2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
            ok("hello"),
            true,
        ),
        (format!("{CHUNKED}0\r\nx: y\r\n\r\n"), ok(""), true),
        (
            format!("{CHUNKED}5\r\nhello\r\n0\r\n"),
            Err("the connection was closed before the end of the answer"),
            false,
        ),
        (
            format!("{CHUNKED}5\r\nhel"),
            Err("the connection was closed before the end of the answer"),
            false,
        ),
        (
            format!("{CHUNKED}hello"),
            Err("the answer's body is malformed: a chunk's size is no"),
            false,
        ),
        (format!("{CLOSE}hello"), ok("hello"), false),
        (
            format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\n{LENGTH}hello"),
            ok("hello"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".to_owned(),
            ok("x"),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx".to_owned(),
            ok("x"),
            false,
        ),
        (
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Ok((204, String::new())),
            true,
        ),
        (
            "HTTP/1.1 429 x\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Ok((429, String::new())),
            true,
        ),
        (
            "HTTP/1.1 101 x\r\n\r\n".to_owned(),
            Err("no answer came: the answer's head is malformed"),
            false,
        ),
        (
            "SSH-2.0-x\r\n\r\n".to_owned(),
            Err("no answer came: the answer's head is malformed"),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\n".to_owned(),
            Err("no answer came: the connection was closed in the middle of the answer's head"),
            false,
        ),
        (
            String::new(),
            Err("no answer came: the connection was closed before an answer"),
            false,
        ),
    ];
    for (text, expected, reused) in cases {
        let closes = expected.is_err() || text.starts_with(CLOSE);
        let (got, kept) = met(&text, closes).await;
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(*got, expected, "{text}"),
            (Err(got), Err(expected)) => assert!(got.starts_with(expected), "{text}: {got}"),
            (_, expected) => panic!("{text}: {got:?}, not {expected:?}"),
        }
        assert_eq!(kept, reused, "{text}");
    }
}

/// Bodies of many reads, in every framing.
#[tokio::test]
async fn large_ones() {
    let body: Vec<u8> = (0_u8..=250).cycle().take(3_000_000).collect();
    let mut chunks = Vec::new();
    for chunk in body.chunks(70_000) {
        crate::h1::chunk_line(chunk.len(), &mut chunks);
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    let length = format!("content-length: {}", body.len());
    for (line, framed) in [
        (&*length, &body),
        ("transfer-encoding: chunked", &chunks),
        ("x: y", &body),
    ] {
        for whole in [true, false] {
            let pair = Pair::new().await;
            let serve = async {
                let mut stream = pair.accept().await;
                request(&mut stream).await;
                let head = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
                write(&mut stream, head.as_bytes()).await;
                write(&mut stream, framed).await;
            };
            let work = async {
                let answer = pair.send().await.expect("a head").1;
                if whole {
                    answer.collect_up_to(usize::MAX).await.expect("a body").0
                } else {
                    answer.collect().await.expect("a body").to_bytes()
                }
            };
            let (got, ()) = tokio::join!(work, serve);
            assert!(got == body, "{line}: {} bytes", got.len());
        }
    }
}

#[tokio::test]
async fn small_chunks_that_come_together_are_one_and_an_error_waits_behind_them() {
    let pair = Pair::new().await;
    let chunks = "2\r\nhe\r\n3\r\nllo\r\nx\r\n";
    let serve = async {
        let mut stream = pair.accept().await;
        request(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        write(&mut stream, format!("{head}{chunks}").as_bytes()).await;
        stream
    };
    let (answer, _stream) = tokio::join!(pair.send(), serve);
    let mut body = answer.expect("a head").1.joined();
    let frame = body.frame().await.expect("data").expect("before the error");
    assert_eq!(frame.into_data().ok(), Some(Bytes::from_static(b"hello")));
    let error = body
        .frame()
        .await
        .expect("an error")
        .expect_err("malformed");
    assert!(matches!(error, BrokenError::Chunk(_)), "{error:?}");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn no_more_is_read_than_wanted() {
    for line in ["content-length: 300000", "x: y"] {
        let pair = Pair::new().await;
        let serve = async {
            let mut stream = pair.accept().await;
            request(&mut stream).await;
            let head = format!("HTTP/1.1 500 x\r\n{line}\r\n\r\n");
            write(&mut stream, head.as_bytes()).await;
            // It may be cut off at any time.
            let _cut = stream.write_all(&[b'x'; 300_000]).await;
        };
        let work = async {
            let answer = pair.send().await.expect("a head").1;
            answer.collect_up_to(1000).await.expect("a beginning")
        };
        let ((got, complete), ()) = tokio::join!(work, serve);
        assert!(got.len() >= 1000 && !complete, "{line}: {}", got.len());
        assert_eq!(pair.upstream.connections(), 0);
    }
}

/// Whoever refuses a large request often does so without reading it, and some then close.
#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_heard() {
    for stays in [true, false] {
        let pair = Pair::new().await;
        let large = outbound(vec![b' '; 16 * 1024 * 1024]);
        let serve = async {
            let mut stream = pair.accept().await;
            stream.readable().await.expect("a request");
            write(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n").await;
            write(
                &mut stream,
                b"HTTP/1.1 413 x\r\ncontent-length: 9\r\n\r\ntoo large",
            )
            .await;
            stays.then_some(stream)
        };
        let (answer, stream) = tokio::join!(send(&pair.endpoint, large), serve);
        let (status, body) = read(answer).await.expect("an answer");
        assert_eq!((status.as_u16(), &*body), (413, &b"too large"[..]));
        assert_eq!(pair.upstream.connections(), 0);
        drop(stream);
    }
}

#[tokio::test]
async fn large_requests_arrive_as_they_are() {
    let whole: Vec<u8> = (0_u8..=250).cycle().take(2_000_000).collect();
    for payload in [Payload::from(Bytes::from(whole)), in_many_parts()] {
        let pair = Pair::new().await;
        let sent = Outbound {
            payload,
            ..outbound("")
        };
        let expected = [&sent.head[..], &sent.payload.to_bytes()].concat();
        let serve = async {
            let mut stream = pair.accept().await;
            let mut got = vec![0; expected.len()];
            stream.read_exact(&mut got).await.expect("a request");
            assert!(got == expected, "another request");
            answer(&mut stream).await;
            stream
        };
        let (answer, _stream) = tokio::join!(send(&pair.endpoint, sent), serve);
        read(answer).await.expect("an answer");
        assert_eq!(pair.upstream.connections(), 1);
    }
}

/// More than are written at once.
fn in_many_parts() -> Payload {
    let names: Vec<String> = (0..20).map(|n| format!("member{n}")).collect();
    let mut members: Vec<String> = vec![r#""model":"m""#.to_owned()];
    members.extend(
        names
            .iter()
            .map(|name| format!(r#""{name}":"{}""#, "x".repeat(50_000))),
    );
    let body = Bytes::from(format!("{{{}}}", members.join(",")));
    let head = RequestHead::read(&body, None).expect("a request");
    let set = |name| Edit::Set(name, Bytes::from("1".repeat(30_000)));
    let edits: Vec<Edit<'_>> = names.iter().step_by(2).map(|name| set(name)).collect();
    let payload = splice(&body, &head, &edits);
    assert!(payload.parts().len() > 20, "{}", payload.parts().len());
    payload
}
