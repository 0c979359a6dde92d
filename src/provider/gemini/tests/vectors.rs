//! Each folder: a request, what is sent for it, what comes back, and what the client gets of that, wherever it is cut.
//! `model` names another model than the usual one; an `error.json` comes with the status in it, and `refusal.json` says
//! what it means.

use std::path::Path;

use super::*;

#[test]
fn gemini() {
    run("gemini", GoogleHost::Studio, 20);
}

#[test]
fn vertex() {
    run("vertex", GoogleHost::Vertex, 6);
}

fn run(folder: &str, host: GoogleHost, at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(folder);
    let mut cases: Vec<_> = folder
        .read_dir()
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    assert!(cases.len() >= at_least, "{cases:?}");
    for case in cases {
        self::case(&case, host);
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("json")
}

fn case(case: &Path, host: GoogleHost) {
    let read = |name: &str| std::fs::read_to_string(case.join(name)).ok();
    let must = |name: &str| read(name).unwrap_or_else(|| panic!("{}/{name}", case.display()));
    let model = read("model");
    let model = model.as_deref().map_or("gemini-3-pro-preview", str::trim);
    let adapter = adapter(host, model);
    let request = must("request.json").replace("ACCOUNT", &adapter.account);
    let embeds = request.contains("\"input\"");
    let operation = if embeds {
        Operation::Embeddings
    } else {
        Operation::Chat
    };
    let call = call(operation, &request);
    let sent = adapter
        .outbound(&call, Authority::default())
        .expect("it can be said")
        .payload
        .to_bytes();
    let sent: Value = serde_json::from_slice(&sent).expect("json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(case.join("outbound.json"), format!("{sent:#}\n")).expect("written");
    }
    assert_eq!(sent, parse(&must("outbound.json")), "{}", case.display());
    if let Some(error) = read("error.json") {
        let body = parse(&error);
        let status = body
            .pointer("/error/code")
            .or(body.pointer("/0/error/code"));
        let status = status
            .and_then(Value::as_u64)
            .and_then(|code| u16::try_from(code).ok());
        let status = StatusCode::from_u16(status.expect("a code")).expect("a status");
        let refusal = adapter.refusal(status, &Fields::default(), error.as_bytes());
        let got = json!({
            "status": refusal.status.as_u16(),
            "retry_after": refusal.retry_after.map(|wait| wait.as_secs_f64()),
            "body": parse(std::str::from_utf8(&refusal.body.expect("a body")).expect("text")),
        });
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(case.join("refusal.json"), format!("{got:#}\n")).expect("written");
        }
        assert_eq!(got, parse(&must("refusal.json")), "{}", case.display());
        return;
    }
    let streams = call.head.stream;
    let (upstream, expected) = if streams {
        ("upstream.sse", "response.sse")
    } else {
        ("upstream.json", "response.json")
    };
    let upstream = must(upstream);
    for cut in 0..=upstream.len() {
        let got = back(&adapter, &call, upstream.as_bytes(), cut).expect("an answer");
        let got = got.replace(&adapter.account, "ACCOUNT");
        if cut == 0 && std::env::var_os("BLESS").is_some() {
            let text = if streams {
                got.clone()
            } else {
                format!("{:#}\n", parse(&got))
            };
            std::fs::write(case.join(expected), text).expect("written");
        }
        if streams {
            assert_eq!(got, must(expected), "{} cut at {cut}", case.display());
        } else {
            assert_eq!(
                parse(&got),
                parse(&must(expected)),
                "{} cut at {cut}",
                case.display()
            );
        }
    }
}
