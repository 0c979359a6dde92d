//! What heads say, and which are none.

use super::*;

/// Reads `text` in two parts.
fn read(text: &[u8], at: usize) -> (Result<Option<Head>, HeadError>, Vec<u8>) {
    let (mut reader, mut buf) = (HeadReader::default(), BytesMut::from(&text[..at]));
    let mut got = reader.read(&mut buf);
    if matches!(got, Ok(None)) {
        buf.extend_from_slice(&text[at..]);
        got = reader.read(&mut buf);
    } else {
        buf.extend_from_slice(&text[at..]);
    }
    (got, buf.to_vec())
}

/// The framing and whether the connection can be used again, of an answer with these lines.
fn framed(status_line: &str, lines: &str) -> Result<(Framing, bool), HeadError> {
    let text = format!("{status_line}\r\n{lines}\r\nrest");
    let all: Vec<_> = (0..=text.len())
        .map(|at| {
            let (got, rest) = read(text.as_bytes(), at);
            got.map(|head| {
                let head = head.expect("a whole head");
                assert_eq!(rest, b"rest");
                (head.framing, head.reusable)
            })
        })
        .collect();
    assert!(
        all.iter().all(|one| *one == all[0]),
        "differs by the cut: {text}"
    );
    all[0]
}

#[test]
fn where_bodies_end_and_connections_with_them() {
    use Framing::{Chunked, Length, UntilClose};
    const OK: &str = "HTTP/1.1 200 OK";
    let none = Framing::None;
    let cases = [
        (OK, "content-length: 5\r\n", Ok((Length(5), true))),
        (OK, "Content-Length:  005 \r\n", Ok((Length(5), true))),
        (
            OK,
            "content-length: 5\r\ncontent-length: 5\r\n",
            Ok((Length(5), true)),
        ),
        (OK, "content-length: 5, 5\r\n", Ok((Length(5), true))),
        (
            OK,
            "content-length: 5\r\ncontent-length: 6\r\n",
            Err(HeadError::Length),
        ),
        (OK, "content-length: 5, 6\r\n", Err(HeadError::Length)),
        (OK, "content-length: +5\r\n", Err(HeadError::Length)),
        (OK, "content-length: -5\r\n", Err(HeadError::Length)),
        (OK, "content-length: 0x5\r\n", Err(HeadError::Length)),
        (OK, "content-length:\r\n", Err(HeadError::Length)),
        (OK, "content-length: 5 5\r\n", Err(HeadError::Length)),
        (
            OK,
            "content-length: 18446744073709551616\r\n",
            Err(HeadError::Length),
        ),
        (OK, "transfer-encoding: chunked\r\n", Ok((Chunked, true))),
        (
            OK,
            "transfer-encoding: gzip, Chunked\r\n",
            Ok((Chunked, true)),
        ),
        (
            OK,
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
            Ok((Chunked, true)),
        ),
        (OK, "transfer-encoding: gzip\r\n", Ok((UntilClose, false))),
        (
            OK,
            "transfer-encoding: chunked, gzip\r\n",
            Ok((UntilClose, false)),
        ),
        (
            OK,
            "transfer-encoding: xchunked\r\n",
            Ok((UntilClose, false)),
        ),
        (
            OK,
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            Ok((Chunked, false)),
        ),
        (
            OK,
            "content-length: 5\r\ntransfer-encoding: gzip\r\n",
            Ok((UntilClose, false)),
        ),
        (
            "HTTP/1.0 200 OK",
            "transfer-encoding: chunked\r\n",
            Ok((Chunked, false)),
        ),
        (
            "HTTP/1.0 200 OK",
            "content-length: 5\r\nconnection: keep-alive\r\n",
            Ok((Length(5), false)),
        ),
        (OK, "", Ok((UntilClose, false))),
        (
            OK,
            "content-length: 5\r\nconnection: x, Close\r\n",
            Ok((Length(5), false)),
        ),
        (
            OK,
            "content-length: 5\r\nconnection: closed\r\n",
            Ok((Length(5), true)),
        ),
        (
            "HTTP/1.1 204 No Content",
            "content-length: 5\r\n",
            Ok((none, true)),
        ),
        (
            "HTTP/1.1 304 x",
            "transfer-encoding: chunked\r\n",
            Ok((none, true)),
        ),
        ("HTTP/1.1 304", "content-length: x\r\n", Ok((none, true))),
        (
            "HTTP/1.1 429 Too Many",
            "content-length: 0\r\n",
            Ok((Length(0), true)),
        ),
        (
            "HTTP/1.1 101 x",
            "upgrade: x\r\n",
            Err(HeadError::Switching),
        ),
        (
            "HTTP/1.1 099 x",
            "content-length: 0\r\n",
            Err(HeadError::Status),
        ),
        (
            "HTTP/2 200",
            "",
            Err(HeadError::Syntax(httparse::Error::Version)),
        ),
        (
            OK,
            "a : b\r\n",
            Err(HeadError::Syntax(httparse::Error::HeaderName)),
        ),
        (
            OK,
            "a: b\r\n c\r\n",
            Err(HeadError::Syntax(httparse::Error::HeaderName)),
        ),
    ];
    for (status_line, lines, expected) in cases {
        assert_eq!(
            framed(status_line, lines),
            expected,
            "{status_line} {lines}"
        );
    }
}

#[test]
fn interim_answers_are_read_over_up_to_a_bound() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
    let text = format!("{}{answer}ok", interim.repeat(8));
    for at in 0..=text.len() {
        let (head, rest) = read(text.as_bytes(), at);
        let head = head.expect("valid").expect("whole");
        assert_eq!((head.status, rest), (StatusCode::OK, b"ok".to_vec()));
        assert!(head.fields.get("link").is_none());
    }
    let text = format!("{}{answer}", interim.repeat(9));
    let (head, _) = read(text.as_bytes(), 0);
    assert_eq!(head.err(), Some(HeadError::Interim));
}

#[test]
fn values_are_not_copied_and_lines_keep_their_order() {
    let text =
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-b: \xe9\r\nx-a:  2\t\r\nx-c:\r\ncontent-length: 0\r\n\r\n";
    let mut buf = BytesMut::from(&text[..]);
    let all = buf.as_ptr().addr()..buf.as_ptr().addr() + buf.len();
    let head = HeadReader::default().read(&mut buf);
    let head = head.expect("valid").expect("whole");
    let mut fields = head.fields;
    let values: Vec<_> = fields.all("x-a").collect();
    assert_eq!(values, [b"1", b"2"]);
    assert!(all.contains(&values[1].as_ptr().addr()));
    assert_eq!(fields.get("X-B"), Some(&b"\xe9"[..]));
    assert_eq!(fields.get("x-c"), Some(&b""[..]));
    assert_eq!(fields.to_map().len(), 5);
    fields.retain(|name, _| name != b"content-length");
    fields.rename("x-c", "x-d");
    fields.set("x-a", "3");
    let lines: Vec<_> = fields.iter().collect();
    let expected: [(&[u8], &[u8]); 3] = [(b"x-b", b"\xe9"), (b"x-d", b""), (b"x-a", b"3")];
    assert_eq!(lines, expected);
}

#[test]
fn heads_are_bounded() {
    let with = |lines: String| format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    let lines = |n: usize| with("a: b\r\n".repeat(n));
    let long = |n: usize| with(format!("a: {}\r\n", "b".repeat(n)));
    let whole = LARGEST - long(0).len();
    let cases = [
        (lines(LINES), None),
        (
            lines(LINES + 1),
            Some(HeadError::Syntax(httparse::Error::TooManyHeaders)),
        ),
        (long(whole), None),
        (long(whole + 1), Some(HeadError::TooLarge)),
        (long(whole)[..LARGEST - 1].to_owned(), None),
    ];
    for (text, expected) in cases {
        for at in [0, 1, text.len() / 2, text.len() - 1, text.len()] {
            let (head, _) = read(text.as_bytes(), at);
            assert_eq!(head.err(), expected, "{} bytes at {at}", text.len());
        }
    }
}
