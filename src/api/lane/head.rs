//! Which requests are plain, told from their heads. The parser is the one hyper uses, so both read the same.

use std::mem::MaybeUninit;

use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::{Header, ParserConfig, Request, Status};

use super::super::debug::DRY_RUN;
use super::super::edge::operation;
use crate::types::Operation;

/// More headers than clients send. Requests that have more are hyper's.
const HEADERS: usize = 48;
/// Digits of the largest length that is looked at.
const LENGTH_DIGITS: usize = 12;

/// Headers that nearly every request has and nothing here asks for. All others are kept.
const UNUSED: [&str; 17] = [
    "host",
    "accept",
    "user-agent",
    "content-type",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "sec-fetch-mode",
    "x-stainless-lang",
    "x-stainless-package-version",
    "x-stainless-os",
    "x-stainless-arch",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
    "x-stainless-async",
];

/// The head of a plain request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) operation: Operation,
    /// Without those that are of no use.
    pub(super) headers: HeaderMap,
    /// Its own length.
    pub(super) bytes: usize,
    /// The body's length.
    pub(super) body: usize,
    /// The client wants the connection closed after the answer.
    pub(super) close: bool,
}

/// What stands at the beginning of `bytes`.
#[derive(Debug)]
pub(super) enum Parsed {
    Plain(Head),
    /// A head that is not complete.
    Partial,
    /// Anything else, well-formed or not.
    Other,
}

pub(super) fn read(bytes: &[u8]) -> Parsed {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS];
    let mut request = Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        bytes,
        &mut headers,
    );
    // Three bytes tell HTTP/2 from all else.
    if bytes.len() < 3 && may_become(b"PRI", bytes) {
        return Parsed::Partial;
    }
    match parsed {
        // What can't become a plain head is not waited for.
        Ok(Status::Partial) if may_become(b"POST ", bytes) => Parsed::Partial,
        Ok(Status::Complete(length)) => {
            plain(&request, length).map_or(Parsed::Other, Parsed::Plain)
        }
        Ok(Status::Partial) | Err(_) => Parsed::Other,
    }
}

/// Whether `bytes` begin with `word`, as far as either goes.
fn may_become(word: &[u8], bytes: &[u8]) -> bool {
    word.iter().zip(bytes).all(|(a, b)| a == b)
}

fn plain(request: &Request<'_, '_>, bytes: usize) -> Option<Head> {
    if request.method != Some("POST") || request.version != Some(1) {
        return None;
    }
    let operation = operation(request.path?)?;
    let mut headers = HeaderMap::new();
    let (mut body, mut close) = (None, false);
    for header in &*request.headers {
        let named = |name: &str| header.name.eq_ignore_ascii_case(name);
        if named("content-length") {
            if body.replace(length(header.value)?).is_some() {
                return None;
            }
        } else if named("connection") {
            close |= header.value.eq_ignore_ascii_case(b"close");
            if !close && !header.value.eq_ignore_ascii_case(b"keep-alive") {
                return None;
            }
        } else if ["transfer-encoding", "expect", "upgrade", "content-encoding"]
            .into_iter()
            .any(named)
        {
            return None;
        }
        if !UNUSED.into_iter().any(named) {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            if name == DRY_RUN {
                return None;
            }
            headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
    }
    Some(Head {
        operation,
        headers,
        bytes,
        body: body?,
        close,
    })
}

/// A length, in digits only.
fn length(value: &[u8]) -> Option<usize> {
    let fits = (1..=LENGTH_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    fits.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Parsed {
        read(
            format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n{{}}")
                .as_bytes(),
        )
    }

    #[test]
    fn what_is_plain() {
        let Parsed::Plain(head) = head(
            "Content-Length: 2\r\nAuthorization: Bearer k\r\nConnection: Keep-Alive\r\nX-Stainless-Lang: js\r\nX-New: é",
        ) else {
            panic!("as plain as can be");
        };
        assert_eq!(
            (head.operation, head.body, head.close),
            (Operation::Chat, 2, false)
        );
        assert_eq!(head.headers.len(), 2, "{:?}", head.headers.keys());
        assert_eq!(head.headers["authorization"], "Bearer k");
    }

    #[test]
    fn what_is_hypers() {
        for lines in [
            "accept: */*",
            "content-length: 2\r\ncontent-length: 2",
            "content-length: 2, 2",
            "content-length: +2",
            "content-length: 0x2",
            "content-length: ",
            "content-length: 99999999999999999999",
            "content-length: 2\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked",
            "content-length: 2\r\nexpect: 100-continue",
            "content-length: 2\r\nupgrade: h2c\r\nconnection: upgrade",
            "content-length: 2\r\nconnection: keep-alive, x",
            "content-length: 2\r\ncontent-encoding: gzip",
            "content-length : 2",
            "content-length: 2\r\nX-Waypost-Dry-Run: 1",
            "content-length: 2\r\n folded",
            "content-length: 2\r\nbad\u{0}name: x",
        ] {
            assert!(matches!(head(lines), Parsed::Other), "{lines}");
        }
        let many = (0..60).fold("content-length: 2".to_owned(), |lines, n| {
            format!("{lines}\r\nx-{n}: 1")
        });
        assert!(matches!(head(&many), Parsed::Other));
        for line in [
            "GET /v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions HTTP/1.0",
            "POST /v1/chat/completions?a=b HTTP/1.1",
            "POST http://a/v1/chat/completions HTTP/1.1",
            "POST /v1/models HTTP/1.1",
            "post /v1/chat/completions HTTP/1.1",
            "PRI * HTTP/2.0",
        ] {
            let text = format!("{line}\r\ncontent-length: 2\r\n\r\n{{}}");
            assert!(matches!(read(text.as_bytes()), Parsed::Other), "{line}");
        }
        assert!(matches!(read(b"PRI * HTTP/2.0\r\n"), Parsed::Other));
        assert!(matches!(read(b"\x16\x03\x01"), Parsed::Other));
    }

    #[test]
    fn every_beginning_of_a_plain_head_is_partial() {
        let text = b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";
        for end in 1..text.len() {
            assert!(matches!(read(&text[..end]), Parsed::Partial), "{end}");
        }
        assert!(matches!(read(text), Parsed::Plain(head) if head.bytes == text.len()));
    }
}
