//! What the clients send.

use std::fmt::Write as _;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::fleet;

/// What a request is, and so what its answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call that reaches a group.
    Call,
    /// No JSON object, or one of the wrong shape.
    BadJson,
    /// A model nobody has, another one each time.
    UnknownModel,
    /// A group that its key may not use.
    Forbidden,
    /// No key of ours, another one each time.
    WrongKey,
    /// A body over the limit.
    TooLarge,
    /// `Content-Length` and `Transfer-Encoding`.
    TwiceDeclared,
    /// A `Content-Encoding`.
    Encoded,
    /// A path nobody has, another one each time.
    NoSuchPath,
    /// The list of models.
    Models,
    /// The probe.
    Alive,
}

/// How often each kind is sent, of a thousand.
const SHARES: [(Kind, u32); 11] = [
    (Kind::Call, 910),
    (Kind::BadJson, 15),
    (Kind::UnknownModel, 20),
    (Kind::Forbidden, 10),
    (Kind::WrongKey, 15),
    (Kind::TooLarge, 2),
    (Kind::TwiceDeclared, 3),
    (Kind::Encoded, 5),
    (Kind::NoSuchPath, 10),
    (Kind::Models, 5),
    (Kind::Alive, 5),
];

/// What its client does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// Reads the answer, and keeps the connection for the next request or closes it.
    Reads { keeps: bool },
    /// Leaves after so many bytes of the request.
    LeavesInBody { at: usize },
    /// Leaves after the whole request.
    LeavesBeforeAnswer,
    /// Leaves after the answer's head.
    LeavesInAnswer,
}

/// A request as bytes.
pub(super) struct Request {
    /// Its place among all.
    pub(super) n: usize,
    /// Whether it has an id that says so.
    pub(super) named: bool,
    pub(super) kind: Kind,
    pub(super) ending: Ending,
    pub(super) bytes: Vec<u8>,
}

/// The id of the `n`th request.
pub(super) fn id(n: usize) -> String {
    format!("soak-{n}")
}

/// The place an id names.
pub(super) fn place(id: &str) -> Option<usize> {
    id.strip_prefix("soak-")?.parse().ok()
}

/// Makes requests.
pub(super) struct Draw {
    groups: Vec<&'static str>,
    filler: String,
}

impl Draw {
    pub(super) fn new() -> Self {
        Self {
            groups: fleet::groups().collect(),
            filler: "What is the capital of France, and why? ".repeat(4096),
        }
    }

    /// The `n`th one.
    pub(super) fn request(&self, rng: &mut StdRng, n: usize) -> Request {
        let kind = SHARES.choose_weighted(rng, |(_, share)| *share);
        let kind = kind.map_or(Kind::Call, |(kind, _)| *kind);
        let call = kind == Kind::Call;
        let leaves = if call { rng.random_range(0..100) } else { 100 };
        let named = !call || leaves < 10 || rng.random_bool(0.9);

        let group = match kind {
            Kind::Forbidden => "busy",
            _ => self.groups.choose(rng).copied().unwrap_or_default(),
        };
        let operation = match rng.random_range(0..10) {
            0 => "completions",
            1 => "embeddings",
            _ => "chat/completions",
        };
        let (method, path) = path(rng, kind, group, operation, n);
        let body = self.body(rng, kind, group, operation, n);

        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: soak\r\n");
        // Writing to a String does not fail.
        let _ = match kind {
            Kind::WrongKey => write!(text, "authorization: Bearer sk-made-up-{n}\r\n"),
            _ => write!(text, "{}\r\n", key(rng, kind, group)),
        };
        if named {
            let _ = write!(text, "x-request-id: {}\r\n", id(n));
        } else if rng.random_bool(0.5) {
            text += "x-request-id: not fit for a log\r\n";
        }
        if rng.random_bool(0.05) {
            text += "x-stainless-retry-count: 1\r\n";
        }
        if kind == Kind::Encoded {
            text += "content-encoding: gzip\r\n";
        }
        let head = push_body(&mut text, rng, kind, &body);
        let ending = match leaves {
            0..3 => Ending::LeavesInBody {
                at: rng.random_range(head..text.len()),
            },
            3..6 => Ending::LeavesBeforeAnswer,
            6..10 => Ending::LeavesInAnswer,
            _ => Ending::Reads {
                keeps: rng.random_bool(0.9),
            },
        };
        Request {
            n,
            named,
            kind,
            ending,
            bytes: text.into_bytes(),
        }
    }

    fn body(&self, rng: &mut StdRng, kind: Kind, group: &str, operation: &str, n: usize) -> String {
        let size = match rng.random_range(0..100) {
            _ if group == "cached" => 64,
            0 => rng.random_range(10_000..100_000),
            1..10 => rng.random_range(1_000..10_000),
            _ => rng.random_range(10..1_000),
        };
        let size = if kind == Kind::TooLarge {
            fleet::BODY_LIMIT
        } else {
            size
        };
        // Of the cached group's questions some come again.
        let asked = if group == "cached" {
            n % 1_000 * 1_000 + n % 7
        } else {
            n
        };
        let text = format!("{asked}: {}", &self.filler[..size]);
        let model = match kind {
            Kind::UnknownModel => format!("made-up-{n}"),
            _ => group.to_owned(),
        };
        let content = match operation {
            "completions" => format!(r#""prompt":"{text}""#),
            "embeddings" => format!(r#""input":["{text}"]"#),
            _ => format!(r#""messages":[{{"role":"user","content":"{text}"}}]"#),
        };
        let mut body = format!(r#"{{"model":"{model}",{content}"#);
        if operation == "embeddings" {
            body += [r#","encoding_format":"base64""#, ""][n % 2];
        } else {
            body += [
                "",
                "",
                r#","stream":true"#,
                r#","stream":true,"stream_options":{"include_usage":true}"#,
            ][n % 4];
        }
        match kind {
            Kind::BadJson => body += [r#","model":"x"}"#, r#","stream":1}"#, "", "]"][n / 4 % 4],
            _ if group == "cached" => body.push('}'),
            // Writing to a String does not fail.
            _ => drop(write!(body, r#","made-up-{n}":{n}}}"#)),
        }
        body
    }
}

fn path(
    rng: &mut StdRng,
    kind: Kind,
    group: &str,
    operation: &str,
    n: usize,
) -> (&'static str, String) {
    match kind {
        Kind::NoSuchPath => ("POST", format!("/v1/made-up-{n}")),
        Kind::Models => ("GET", "/v1/models".to_owned()),
        Kind::Alive => ("GET", "/livez".to_owned()),
        // In Azure's form the path would name the model.
        _ => match rng.random_range(0..4) {
            0 if kind == Kind::Call => (
                "POST",
                format!("/openai/deployments/{group}/{operation}?api-version=2024-10-21"),
            ),
            1 => ("POST", format!("/{operation}")),
            2 => ("POST", format!("/openai/v1/{operation}")),
            _ => ("POST", format!("/v1/{operation}")),
        },
    }
}

/// A header with a key that fits.
fn key(rng: &mut StdRng, kind: Kind, group: &str) -> String {
    let mut keys = vec![fleet::KEY, fleet::SECOND_KEY];
    if fleet::KEYED_GROUPS.contains(&group) {
        keys.push(fleet::NARROW_KEY);
    }
    if kind == Kind::Forbidden {
        keys = vec![fleet::NARROW_KEY];
    }
    let key = keys.choose(rng).copied().unwrap_or_default();
    let headers = ["authorization: Bearer ", "api-key: ", "x-api-key: "];
    let header = headers.choose(rng).copied().unwrap_or_default();
    format!("{header}{key}")
}

/// Ends the head and adds the body, with a length or in chunks; returns where the body begins.
fn push_body(text: &mut String, rng: &mut StdRng, kind: Kind, body: &str) -> usize {
    if matches!(kind, Kind::Models | Kind::Alive) {
        *text += "\r\n";
        return text.len();
    }
    let chunked = kind == Kind::TwiceDeclared || kind == Kind::Call && rng.random_bool(0.05);
    *text += "content-type: application/json\r\n";
    if !chunked || kind == Kind::TwiceDeclared {
        // Writing to a String does not fail.
        let _ = write!(text, "content-length: {}\r\n", body.len());
    }
    *text += if chunked {
        "transfer-encoding: chunked\r\n\r\n"
    } else {
        "\r\n"
    };
    let begin = text.len();
    if chunked {
        let (first, second) = body.split_at(body.len() / 2);
        for piece in [first, second, ""] {
            let _ = write!(text, "{:x}\r\n{piece}\r\n", piece.len());
        }
    } else {
        *text += body;
    }
    begin
}
