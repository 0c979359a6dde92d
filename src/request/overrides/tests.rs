//! Members and headers, what is wrong with them, and that they do not go on.

use super::*;
use http::{HeaderName, HeaderValue};

fn read(body: &str, headers: &[(&'static str, &'static str)]) -> Result<Option<Overrides>, String> {
    let headers = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    let head = RequestHead::read(body.as_bytes(), None).expect("a request");
    Overrides::read(&head, body.as_bytes(), &headers).map_err(|error| error.to_string())
}

fn found(body: &str) -> Overrides {
    read(body, &[]).expect("right").expect("some")
}

#[test]
fn a_plain_request_has_none() {
    let body = r#"{"model":"m","messages":[],"metadata":{"tags":["a"]},"user":"u","priority":3}"#;
    assert_eq!(read(body, &[("x-request-id", "1")]), Ok(None));
}

#[test]
fn members_are_read() {
    let o = found(
        r#"{"model":"m","fallbacks":["b",{"model":"c","temperature":0,"stream":true}],"num_retries":3,"timeout":2.5,
           "stream_timeout":1,"allowed_model_region":"eu","tags":["x"],"mock_testing_fallbacks":true,
           "disable_fallbacks":false,"mock_response":null,"litellm_call_id":"1"}"#,
    );
    let changed = Fallback {
        model: "c".to_owned(),
        changes: vec![("temperature".to_owned(), Bytes::from_static(b"0"))],
    };
    let plain = Fallback {
        model: "b".to_owned(),
        changes: Vec::new(),
    };
    assert_eq!(o.fallbacks, Some(vec![plain, changed]));
    assert_eq!(o.num_retries, Some(3));
    assert_eq!(o.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(o.stream_timeout, Some(Duration::from_secs(1)));
    assert_eq!(o.region.as_deref(), Some("eu"));
    assert_eq!(o.tags, ["x"]);
    assert_eq!(o.mock, Some(Mock::Server));
    assert!(!o.disable_fallbacks && o.mock_response.is_none() && o.mocks());
}

#[test]
fn headers_are_read_and_the_body_stands_above_them() {
    let headers = [
        ("x-litellm-num-retries", "7"),
        ("x-litellm-timeout", "9"),
        ("x-litellm-stream-timeout", "nonsense"),
        ("x-litellm-tags", "a, b,,"),
    ];
    let o = read(r#"{"model":"m","num_retries":1,"tags":["c"]}"#, &headers)
        .expect("right")
        .expect("some");
    assert_eq!(
        (o.num_retries, o.deadline),
        (Some(1), Some(Duration::from_secs(9)))
    );
    assert_eq!(
        (o.stream_timeout, o.tags.as_slice()),
        (None, &["a", "b", "c"].map(str::to_owned)[..])
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (member, value) in [
        ("fallbacks", "\"b\""),
        ("fallbacks", "[{\"temperature\":1}]"),
        ("num_retries", "-1"),
        ("timeout", "0"),
        ("timeout", "1e99"),
        ("disable_fallbacks", "1"),
        ("tags", "[1]"),
        ("mock_testing_fallbacks", "\"yes\""),
        ("mock_response", "{}"),
    ] {
        let error =
            read(&format!(r#"{{"model":"m","{member}":{value}}}"#), &[]).expect_err("wrong");
        assert!(
            error.starts_with(&format!("`{member}` must be ")),
            "{error}"
        );
    }
}

#[test]
fn they_do_not_go_on() {
    let mut body = String::from(r#"{"model":"m""#);
    for name in OWN {
        body += &format!(r#", "{name}": [null, {{"a": 1}}]"#);
    }
    body += r#", "metadata": {"tags": ["t"]}, "temperature": 1}"#;
    let head = RequestHead::read(body.as_bytes(), None).expect("a request");
    let changes = [("temperature".to_owned(), Bytes::from_static(b"0"))];
    let rest = without(&Bytes::from(body.clone()), &head, &changes);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&rest).expect("JSON"),
        serde_json::json!({"model": "m", "metadata": {"tags": ["t"]}, "temperature": 0})
    );
    assert_eq!(metadata_tags(&head, body.as_bytes()), ["t"]);
}
