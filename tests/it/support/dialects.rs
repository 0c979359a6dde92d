//! What holds for every dialect's answers, whatever comes: the fuzz targets and `tests/it/dialects.rs` try it.
//!
//! No panic; the same bytes wherever the answer is cut; and what comes out is what a client of OpenAI's can read, up to
//! the point where the answer was found to be malformed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use waypost::h1::Fields;
use waypost::provider::{Adapter, Call, Inbound, adapter};
use waypost::request::RequestHead;
use waypost::sse;
use waypost::types::{Auth, Dialect, Dropping, GoogleHost, Operation, Quirks, Target, TlsOptions};

/// A dialect by its name.
pub(crate) type Row = (&'static str, fn() -> Dialect);

/// The dialects by the names of their fuzz targets and of their folders in `tests/vectors`. A new one is a row here, and a
/// target beside the others.
pub(crate) const DIALECTS: &[Row] = &[
    ("anthropic", || Dialect::Anthropic {
        version: "2023-06-01".to_owned(),
    }),
    ("bedrock", || Dialect::Bedrock {
        region: "us-east-1".into(),
    }),
    ("cohere", || Dialect::Cohere),
    ("gemini", || Dialect::Gemini(GoogleHost::Studio)),
    ("ollama", || Dialect::Ollama),
];

const CALLS: [(Operation, &str); 3] = [
    (
        Operation::Chat,
        r#"{"model":"g","messages":[{"role":"user","content":"hi"}],"stream":true}"#,
    ),
    (
        Operation::Chat,
        r#"{"model":"g","messages":[{"role":"user","content":"hi"}]}"#,
    ),
    (Operation::Embeddings, r#"{"model":"g","input":"hi"}"#),
];

/// What came out, and whether the answer was one.
type Outcome = (BytesMut, bool);

/// The adapter of a dialect.
pub(crate) fn speaker(name: &str) -> Box<dyn Adapter> {
    let row = DIALECTS.iter().find(|(own, _)| *own == name);
    let (_, dialect) = row.expect("a dialect");
    let target = Target {
        id: "g/m".into(),
        provider: name.into(),
        dialect: dialect(),
        base_url: "http://host".to_owned(),
        model: "m".into(),
        price_model: "m".into(),
        auth: Auth::None,
        defaults: vec![],
        extra_body: vec![],
        extra_headers: vec![],
        renames: &[],
        stream_options: true,
        encoding_format: true,
        quirks: &Quirks::OPENAI,
        dropping: Dropping::default(),
        tls: TlsOptions::default(),
        organization: None,
    };
    adapter(&Arc::new(target)).expect("a target")
}

/// Tries an answer of a dialect's, cut at these places, as each kind of answer.
pub(crate) fn try_answer(name: &str, answer: &[u8], cuts: &[usize]) {
    let adapter = speaker(name);
    for (operation, body) in CALLS {
        let head = RequestHead::read(body.as_bytes(), None).expect("a request");
        let streams = head.stream;
        let call = Call {
            operation,
            head: Arc::new(head),
            body: Bytes::from_static(body.as_bytes()),
            beta: None,
            id: "req_1".into(),
            created: 7,
        };
        let Some(whole) = translated(&*adapter, &call, answer, &[]) else {
            continue;
        };
        check(&whole, streams);
        let every: Vec<usize> = (0..answer.len().min(512)).collect();
        for cuts in [cuts, &every] {
            let got = translated(&*adapter, &call, answer, cuts);
            assert_eq!(got.as_ref(), Some(&whole), "{name} cut at {cuts:?}");
        }
    }
}

/// `None`: it is not translated.
fn translated(
    adapter: &dyn Adapter,
    call: &Call,
    answer: &[u8],
    cuts: &[usize],
) -> Option<Outcome> {
    let Inbound::Translate(mut translator) = adapter.inbound(call, &Fields::default()) else {
        return None;
    };
    let (mut out, mut from) = (BytesMut::new(), 0);
    for cut in cuts.iter().copied().chain([answer.len()]) {
        if translator.push(&answer[from..cut], &mut out).is_err() {
            return Some((out, false));
        }
        from = cut;
    }
    let sound = translator.finish(&mut out).is_ok();
    Some((out, sound))
}

fn check((out, sound): &Outcome, streams: bool) {
    let shown = || String::from_utf8_lossy(out);
    let object =
        |json: &[u8]| serde_json::from_slice::<Value>(json).is_ok_and(|value| value.is_object());
    if !streams {
        assert!(!sound || object(out), "no object: {}", shown());
        return;
    }
    assert!(
        out.is_empty() || out.ends_with(b"\n\n"),
        "half an event: {}",
        shown()
    );
    let mut over = false;
    for event in sse::events(out) {
        assert!(!over, "more behind the end: {}", shown());
        let data = event.data.unwrap_or_else(|| panic!("no data: {}", shown()));
        over = &*data == b"[DONE]";
        assert!(
            over || object(&data),
            "neither an object nor an end: {}",
            shown()
        );
    }
}
