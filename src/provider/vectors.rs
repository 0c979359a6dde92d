//! The vectors of `tests/vectors`: for each dialect a folder, for each case a folder in it.
//!
//! | File | Holds |
//! |---|---|
//! | `request.json` | what a client asks; one with `input` asks for embeddings |
//! | `outbound.json` | the body that is sent for it |
//! | `upstream.json`, or another ending for a stream | what comes back; of a case `error-NNN` with that status |
//! | `response.json`, `response.sse` | what the client gets of that, wherever it is cut |
//!
//! JSON is compared as values, and the data of events too: the order of members says nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::Value;

use super::{AdaptError, Adapter, Authority, Call, Inbound};
use crate::h1::Fields;
use crate::request::RequestHead;
use crate::sse;
use crate::types::Operation;

/// A call as the gateway would make it.
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

/// What is sent for a call.
pub(super) fn sent(adapter: &dyn Adapter, call: &Call) -> Result<Value, AdaptError> {
    let request = adapter.outbound(call, Authority::default())?;
    Ok(serde_json::from_slice(&request.payload.to_bytes()).expect("JSON"))
}

/// The answer to a call, fed in pieces that end at `cuts`.
pub(super) fn back(
    adapter: &dyn Adapter,
    call: &Call,
    answer: &[u8],
    cuts: &[usize],
) -> Result<String, AdaptError> {
    let Inbound::Translate(mut translator) = adapter.inbound(call, &Fields::default()) else {
        panic!("it translates")
    };
    let (mut out, mut from) = (BytesMut::new(), 0);
    for cut in cuts.iter().copied().chain([answer.len()]) {
        translator.push(&answer[from..cut], &mut out)?;
        from = cut;
    }
    translator.finish(&mut out)?;
    Ok(String::from_utf8(out.to_vec()).expect("text"))
}

/// Runs the cases of a dialect; `names` are those that must be there.
pub(super) fn run(dialect: &str, adapter: &dyn Adapter, names: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(dialect);
    for name in names {
        assert!(folder.join(name).is_dir(), "{dialect} has no case {name}");
    }
    let cases = folder.read_dir().expect("the folder");
    for case in cases {
        run_case(adapter, &case.expect("an entry").path());
    }
}

fn run_case(adapter: &dyn Adapter, case: &Path) {
    let shown = case.display();
    let read =
        |path: PathBuf| std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let name = case.file_name().expect("a name").to_string_lossy();
    let request = String::from_utf8(read(case.join("request.json"))).expect("text");
    let operation = if value(request.as_bytes()).get("input").is_some() {
        Operation::Embeddings
    } else {
        Operation::Chat
    };
    let call = call(operation, &request);
    let outbound = sent(adapter, &call).unwrap_or_else(|e| panic!("{shown}: {e}"));
    assert_eq!(
        outbound,
        value(&read(case.join("outbound.json"))),
        "{shown}"
    );
    let upstream = read(file(case, "upstream"));
    let expected = file(case, "response");
    let events = expected.extension().is_some_and(|kind| kind == "sse");
    let expected = read(expected);
    if let Some(status) = name.strip_prefix("error-").and_then(|n| n.parse().ok()) {
        let status = StatusCode::from_u16(status).expect("a status");
        let body = adapter.refusal(status, &Fields::default(), &upstream).body;
        let body = body.as_deref().unwrap_or(&upstream);
        assert_eq!(value(body), value(&expected), "{shown}");
        return;
    }
    let whole = back(adapter, &call, &upstream, &[]).unwrap_or_else(|e| panic!("{shown}: {e}"));
    if events {
        assert_eq!(data(whole.as_bytes()), data(&expected), "{shown}");
    } else {
        assert_eq!(value(whole.as_bytes()), value(&expected), "{shown}");
    }
    for cut in 0..=upstream.len() {
        let got = back(adapter, &call, &upstream, &[cut]);
        assert_eq!(got.as_deref(), Ok(&*whole), "{shown} cut at {cut}");
    }
}

/// The one file of that name, whatever its ending.
fn file(case: &Path, stem: &str) -> PathBuf {
    let files = case.read_dir().expect("a folder");
    let mut files = files.map(|entry| entry.expect("an entry").path());
    let found = files.find(|path| path.file_stem().is_some_and(|own| own == stem));
    found.unwrap_or_else(|| panic!("{} has no {stem}", case.display()))
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json)
        .unwrap_or_else(|e| panic!("{}: {e}", String::from_utf8_lossy(json)))
}

/// The data of a stream's events; what is no JSON, as text.
pub(super) fn data(stream: &[u8]) -> Vec<Value> {
    let data = sse::events(stream).filter_map(|event| event.data);
    data.map(|data| {
        serde_json::from_slice(&data)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&data).into_owned()))
    })
    .collect()
}
