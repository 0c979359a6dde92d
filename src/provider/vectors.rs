//! The vectors of `tests/vectors`: what a dialect sends and answers, as files.
//!
//! A folder for each dialect, and in it one for each case:
//!
//! | File | Holds |
//! |---|---|
//! | `request.json` | what the client asks |
//! | `deployment.json` | how the deployment differs from the dialect's usual one: `model`, `defaults`, `extra_body`, `drop_params` |
//! | `outbound.json` | the body that is sent |
//! | `refused` | or the parameter that can't be had |
//! | `dropped` | the parameters that are left out, one a line |
//! | `upstream.json`, or with any other ending for a stream | what comes back |
//! | `status` | its status, if that is no success |
//! | `response.json` or `response.sse` | what the client gets of that; a stream that was cut has no `[DONE]` |
//!
//! Answers are fed cut in two at every byte, and byte by byte; the client gets the same each time. With `VECTORS=write` in
//! the environment what there is becomes what is expected, for people to read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};

use super::{AdaptError, Adapter, Authority, Call, Inbound, adapter};
use crate::catalog;
use crate::h1::Fields;
use crate::request::RequestHead;
use crate::types::{
    Auth, Dialect, Dropping, GoogleHost, Operation, Quirks, Secret, Target, TlsOptions,
    WatsonxScope,
};

/// A folder, and its usual deployment.
type Folder = (&'static str, fn() -> Target);

const FOLDERS: &[Folder] = &[
    ("anthropic", || Target {
        auth: Auth::Header("x-api-key", Secret::new("k")),
        ..target(
            "anthropic",
            Dialect::Anthropic {
                version: "2023-06-01".to_owned(),
            },
            "claude-opus-4-6",
        )
    }),
    ("databricks", || row("databricks")),
    ("mistral", || row("mistral")),
    ("gemini", || google(GoogleHost::Studio)),
    ("vertex", || google(GoogleHost::Vertex)),
    ("cohere", || target("cohere", Dialect::Cohere, "m")),
    ("bedrock", || {
        let region = "us-east-1".to_owned();
        let model = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        target("bedrock", Dialect::Bedrock { region }, model)
    }),
    ("ollama", || Target {
        defaults: fields(&json!({"num_ctx": 8192, "keep_alive": "10m"})),
        ..target("ollama", Dialect::Ollama, "m")
    }),
    ("perplexity", || row("perplexity")),
    ("watsonx", || row("watsonx")),
];

/// Cases that each dialect has.
const CASES: [&str; 9] = [
    "basic",
    "system",
    "tools",
    "image",
    "stream",
    "stream-tools",
    "error-400",
    "error-429",
    "cut-stream",
];

/// A deployment of a group `g`.
pub(super) fn target(provider: &str, dialect: Dialect, model: &str) -> Target {
    Target {
        id: format!("g/{model}").into(),
        provider: provider.into(),
        dialect,
        base_url: "http://host".to_owned(),
        model: model.into(),
        price_model: model.into(),
        auth: Auth::Bearer(Secret::new("k")),
        defaults: vec![],
        extra_body: vec![],
        extra_headers: vec![],
        renames: &[],
        stream_options: true,
        quirks: &Quirks::OPENAI,
        encoding_format: true,
        dropping: Dropping::default(),
        tls: TlsOptions::default(),
        organization: None,
    }
}

/// A deployment of a provider that differs from OpenAI by a row of the catalog.
pub(super) fn row(name: &str) -> Target {
    let row = catalog::find(name).expect("a provider");
    let dialect = match name {
        "watsonx" => Dialect::Watsonx {
            api_version: "2024-10-08".to_owned(),
            scope: Some(WatsonxScope::Project("p1".to_owned())),
        },
        _ => Dialect::OpenAi {
            completions_only: row.completions_only,
        },
    };
    Target {
        renames: row.renames,
        stream_options: row.stream_options,
        encoding_format: row.encoding_format,
        quirks: row.quirks,
        ..target(name, dialect, "m")
    }
}

fn google(host: GoogleHost) -> Target {
    target("gemini", Dialect::Gemini(host), "gemini-3-pro-preview")
}

/// An object's members.
pub(super) fn fields(object: &Value) -> Vec<(String, Value)> {
    let object = object.as_object().cloned().unwrap_or_default();
    object.into_iter().collect()
}

/// A call with this body.
pub(super) fn call(operation: Operation, body: &str) -> Call {
    let head = Arc::new(RequestHead::read(body.as_bytes(), None).expect("a request"));
    Call {
        operation,
        head,
        body: Bytes::from(body.to_owned()),
        beta: None,
        id: "req_1".into(),
        created: 7,
    }
}

/// The answer to a call, fed in these pieces.
pub(super) fn back<'a>(
    adapter: &dyn Adapter,
    call: &Call,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<String, AdaptError> {
    let mut out = BytesMut::new();
    match adapter.inbound(call, &Fields::default()) {
        Inbound::Passthrough => pieces
            .into_iter()
            .for_each(|piece| out.extend_from_slice(piece)),
        Inbound::Translate(mut translator) => {
            for piece in pieces {
                translator.push(piece, &mut out)?;
            }
            translator.finish(&mut out)?;
        }
    }
    Ok(String::from_utf8(out.to_vec()).expect("text"))
}

struct Case {
    folder: PathBuf,
    write: bool,
}

impl Case {
    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }

    fn upstream(&self) -> Option<(Vec<u8>, bool)> {
        let files = self.folder.read_dir().expect("a folder");
        let mut files = files.map(|entry| entry.expect("an entry").path());
        let file = files.find(|file| file.file_stem().is_some_and(|stem| stem == "upstream"))?;
        let stream = file.extension().is_some_and(|ending| ending != "json");
        Some((std::fs::read(file).expect("a file"), stream))
    }

    fn holds(&self, name: &str, got: &str) {
        if self.write {
            std::fs::write(self.folder.join(name), got).expect("written");
            return;
        }
        let expected = self.read(name).unwrap_or_default();
        assert_eq!(got, expected, "{}/{name}", self.folder.display());
    }

    /// `target` as the case has it.
    fn deployment(&self, mut target: Target) -> Target {
        let Some(text) = self.read("deployment.json") else {
            return target;
        };
        let how: Value = serde_json::from_str(&text).expect("json");
        if let Some(model) = how["model"].as_str() {
            target.model = model.into();
            target.price_model = model.into();
        }
        target.defaults.extend(fields(&how["defaults"]));
        target.extra_body.extend(fields(&how["extra_body"]));
        target.dropping.all = how["drop_params"] == true;
        target
    }

    fn check(&self, target: Target) {
        let adapter = adapter(&Arc::new(self.deployment(target))).expect("a target");
        let request = self.read("request.json").expect("a request");
        let operation = if request.contains("\"input\":") {
            Operation::Embeddings
        } else {
            Operation::Chat
        };
        let call = call(operation, &request);
        let sent = adapter.outbound(&call, Authority::default());
        if let Some(param) = self.read("refused") {
            assert!(
                matches!(&sent, Err(AdaptError::Unsupported { param: refused, .. }) if refused == param.trim()),
                "{}: {sent:?}",
                self.folder.display()
            );
            return;
        }
        let sent = sent.unwrap_or_else(|e| panic!("{}: {e}", self.folder.display()));
        let body: Value = serde_json::from_slice(&sent.payload.to_bytes()).expect("json");
        let parse = |text: String| serde_json::from_str::<Value>(&text).expect("json");
        let expected = self.read("outbound.json").map(parse);
        if self.write && expected.as_ref() != Some(&body) {
            let text = serde_json::to_string_pretty(&body).expect("json");
            self.holds("outbound.json", &(text + "\n"));
        } else {
            assert_eq!(Some(body), expected, "{}", self.folder.display());
        }
        let dropped: String = sent
            .dropped
            .iter()
            .map(|name| format!("{name}\n"))
            .collect();
        if self.read("dropped").is_some() || !dropped.is_empty() {
            self.holds("dropped", &dropped);
        }
        if let Some((upstream, stream)) = self.upstream() {
            self.answer(&*adapter, &call, &upstream, stream);
        }
    }

    fn answer(&self, adapter: &dyn Adapter, call: &Call, upstream: &[u8], stream: bool) {
        if let Some(status) = self.read("status") {
            let status = StatusCode::from_bytes(status.trim().as_bytes()).expect("a status");
            let refusal = adapter.refusal(status, &Fields::default(), upstream);
            let body = refusal.body.unwrap_or_else(|| upstream.to_vec().into());
            let body = String::from_utf8_lossy(&body);
            self.holds("response.json", &format!("{}\n", body.trim_end()));
            return;
        }
        let whole = back(adapter, call, [upstream]).expect("an answer");
        if stream {
            self.holds("response.sse", &whole);
        } else {
            self.holds("response.json", &format!("{whole}\n"));
        }
        let show = || self.folder.display();
        for cut in 0..=upstream.len() {
            let (one, two) = upstream.split_at(cut);
            let got = back(adapter, call, [one, two]).expect("an answer");
            assert_eq!(got, whole, "{} cut at {cut}", show());
        }
        let got = back(adapter, call, upstream.chunks(1)).expect("an answer");
        assert_eq!(got, whole, "{} byte by byte", show());
    }
}

#[test]
fn vectors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let write = std::env::var_os("VECTORS").is_some_and(|value| value == "write");
    for (folder, target) in FOLDERS {
        let cases = root.join(folder).read_dir().expect("the folder");
        let mut cases: Vec<PathBuf> = cases.map(|entry| entry.expect("an entry").path()).collect();
        cases.sort();
        assert!(cases.len() >= CASES.len(), "{cases:?}");
        for name in CASES {
            let case = root.join(folder).join(name);
            assert!(cases.contains(&case), "{folder}/{name}");
        }
        for folder in cases {
            Case { folder, write }.check(target());
        }
    }
    let unknown = root.read_dir().expect("the folder").find(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        !FOLDERS.iter().any(|(folder, _)| name == *folder)
    });
    assert!(unknown.is_none(), "nobody reads {unknown:?}");
}
