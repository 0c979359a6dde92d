//! The requests: their bytes are made once and sent again and again.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::answers::Wish;

/// A request ready to be sent, and what its answer must be like.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) stream: bool,
}

/// Where requests go: a gateway's base URL, and headers it wants.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    /// The base URL's path, as `/v1`.
    pub(crate) base: String,
    /// Further header lines.
    pub(crate) headers: String,
}

/// The key that clients show; Waypost checks it.
pub(crate) const CLIENT_KEY: &str = "sk-client-key-0123456789";

impl Target {
    /// A chat request of about `size` bytes.
    pub(crate) fn request(&self, model: &str, wish: Wish, size: usize) -> Request {
        let body = body(model, wish, size);
        let mut text = format!("POST {}/chat/completions HTTP/1.1\r\n", self.base);
        let _ = write!(
            text,
            "host: {}\r\nauthorization: Bearer {CLIENT_KEY}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\n{}content-length: {}\r\n\r\n{body}",
            self.addr,
            self.headers,
            body.len()
        );
        Request {
            bytes: text.into_bytes().into(),
            stream: wish.stream(),
        }
    }
}

/// The fields in the order in which OpenAI's Python library sends them: the messages first, so that whoever looks for
/// the model has to get past the prompt.
fn body(model: &str, wish: Wish, size: usize) -> String {
    let marker = wish.marker();
    let stream = wish.stream();
    let with = |prompt: &str| {
        format!(
            r#"{{"messages":[{{"role":"system","content":"{marker} You are helpful."}},{{"role":"user","content":"{prompt}"}}],"model":"{model}","stream":{stream},"temperature":0.7}}"#
        )
    };
    with(&prompt(size.saturating_sub(with("").len())))
}

/// Text as prompts have it, inside a JSON string: a line end each 80 characters, a quoted word in each fifth line.
fn prompt(size: usize) -> String {
    const LINE: &str =
        r"The customer writes that the parcel has arrived, but the invoice is not in it.\n";
    const QUOTED: &str =
        r#"On the page it says \"sent with the goods\", and nobody answers the phone.\n"#;
    let mut text = String::with_capacity(size);
    for line in 0.. {
        let line = if line % 5 == 4 { QUOTED } else { LINE };
        if text.len() + line.len() > size {
            break;
        }
        text.push_str(line);
    }
    let missing = size - text.len();
    text.extend(std::iter::repeat_n('.', missing));
    text
}
