//! A request to a deployment as it is written to a connection: the head's bytes, and the body's slices.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Uri};

use super::Payload;

/// Room for a token, the client's beta header and the length.
const VARYING: usize = 256;

/// One request. Cloning copies nothing, and so can be sent again.
#[derive(Clone)]
pub struct Outbound {
    /// The head in HTTP/1.1, the empty line included. Secret: it authenticates.
    pub head: Bytes,
    /// The body.
    pub payload: Payload,
    /// Parameters of the client's that are not in it, because the deployment has no counterpart.
    pub dropped: Vec<Cow<'static, str>>,
}

/// What the heads of all requests to one URL have in common, written once. What comes from outside comes as a
/// [`Uri`], a [`HeaderMap`] or a [`HeaderValue`], none of which can hold a line's end.
#[derive(Clone)]
pub struct Template {
    fixed: Vec<u8>,
}

impl Template {
    /// For `POST`s to `url`. The `host` is the URL's and the length is the payload's, whatever `headers` say.
    #[must_use]
    pub fn post(url: &Uri, headers: &HeaderMap) -> Self {
        let mut fixed = b"POST ".to_vec();
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        fixed.extend_from_slice(path.as_bytes());
        fixed.extend_from_slice(b" HTTP/1.1\r\n");
        let mut host = url.host().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            host = format!("{host}:{port}");
        }
        line(&mut fixed, HOST.as_str(), host.as_bytes());
        for (name, value) in headers {
            if ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                line(&mut fixed, name.as_str(), value.as_bytes());
            }
        }
        Self { fixed }
    }

    /// A request with those of these headers that have a value.
    #[must_use]
    pub fn request(
        &self,
        varying: &[(&'static str, Option<&HeaderValue>)],
        payload: Payload,
    ) -> Outbound {
        let mut head = BytesMut::with_capacity(self.fixed.len() + VARYING);
        head.put_slice(&self.fixed);
        for (name, value) in varying {
            if let Some(value) = value {
                line(&mut head, name, value.as_bytes());
            }
        }
        let mut length = itoa::Buffer::new();
        let length = length.format(payload.len());
        line(&mut head, CONTENT_LENGTH.as_str(), length.as_bytes());
        head.put_slice(b"\r\n");
        Outbound {
            head: head.freeze(),
            payload,
            dropped: Vec::new(),
        }
    }
}

fn line(head: &mut impl BufMut, name: &str, value: &[u8]) {
    head.put_slice(name.as_bytes());
    head.put_slice(b": ");
    head.put_slice(value);
    head.put_slice(b"\r\n");
}

impl Outbound {
    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text().split(' ').nth(1).unwrap_or("/")
    }

    /// The header lines, names in lower case, up to the first one that is no text.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.text().split("\r\n").skip(1);
        lines.filter_map(|line| line.split_once(": "))
    }

    /// The head up to the first value that is no text; those come last, from the client.
    fn text(&self) -> &str {
        match std::str::from_utf8(&self.head) {
            Ok(text) => text,
            Err(error) => {
                std::str::from_utf8(&self.head[..error.valid_up_to()]).unwrap_or_default()
            }
        }
    }

    /// With these header lines as well.
    #[must_use]
    pub fn with(mut self, fields: &[(&'static str, HeaderValue)]) -> Self {
        let mut head = BytesMut::with_capacity(self.head.len() + 2 * VARYING);
        // Before the empty line.
        head.put_slice(&self.head[..self.head.len().saturating_sub(2)]);
        for (name, value) in fields {
            line(&mut head, name, value.as_bytes());
        }
        head.put_slice(b"\r\n");
        self.head = head.freeze();
        self
    }

    /// The request line without the version: no secret.
    fn line(head: &[u8]) -> std::borrow::Cow<'_, str> {
        let end = head.windows(5).position(|part| part == b" HTTP");
        String::from_utf8_lossy(&head[..end.unwrap_or_default()])
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("line", &Self::line(&self.head))
            .field("length", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template")
            .field(&Outbound::line(&self.fixed))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(url: &'static str) -> Template {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("host", "elsewhere"),
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("x-two", "1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("x-two", HeaderValue::from_static("2"));
        Template::post(&Uri::from_static(url), &headers)
    }

    #[test]
    fn heads_say_where_from_whom_and_how_much() {
        let value = HeaderValue::from_static("v");
        for (url, path, host) in [
            ("http://host:1/v1/chat?a=b", "/v1/chat?a=b", "host:1"),
            ("https://user:pass@host", "/", "host"),
            ("https://[::1]:443/x", "/x", "[::1]:443"),
            ("http://host:/x", "/x", "host"),
        ] {
            let payload = Payload::from(Bytes::from_static(b"{}"));
            let request =
                template(url).request(&[("openai-beta", Some(&value)), ("x", None)], payload);
            let expected = format!(
                "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer k\r\nx-two: 1\r\nx-two: 2\r\n\
                 openai-beta: v\r\ncontent-length: 2\r\n\r\n"
            );
            assert_eq!(request.head, expected);
        }
    }

    #[test]
    fn lines_can_be_added_and_read() {
        let payload = Payload::from(Bytes::from_static(b"{}"));
        let request = template("http://host/a%3Ab?c").request(&[], payload);
        let signed = request.with(&[("x-sum", HeaderValue::from_static("1 2"))]);
        assert_eq!(signed.path(), "/a%3Ab?c");
        let fields: Vec<_> = signed.fields().collect();
        assert_eq!(fields[0], ("host", "host"));
        assert_eq!(fields[4..], [("content-length", "2"), ("x-sum", "1 2")]);
        assert!(signed.head.ends_with(b"x-sum: 1 2\r\n\r\n"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let template = template("http://host/v1");
        let request = template.request(&[], Payload::default());
        let shown = format!("{template:?} {request:?}");
        assert!(
            shown.contains("POST /v1") && !shown.contains("Bearer"),
            "{shown}"
        );
    }
}
