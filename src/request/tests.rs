use proptest::prelude::*;

use bytes::Bytes;

use super::payload::COALESCE;
use super::*;

fn read(text: &str) -> Result<RequestHead, RequestError> {
    RequestHead::read(text.as_bytes(), None)
}

fn spliced(text: &str, edits: &[Edit<'_>]) -> String {
    let body = Bytes::from(text.to_owned());
    let head = RequestHead::read(&body, None).expect("a request");
    String::from_utf8(splice(&body, &head, edits).to_bytes().to_vec()).expect("text")
}

fn set<'a>(name: &'a str, value: &'static str) -> Edit<'a> {
    Edit::Set(name, Bytes::from_static(value.as_bytes()))
}

#[test]
fn reads_what_it_needs() {
    let head = read(
        r#" {"mod\u0065l" : "a\"b", "stream":true, "stream_options": {"include_usage": true, "x": 1},
             "messages": [{"model": "not this one"}], "max_tokens": 7, "encoding_format":"base64"} "#,
    )
    .expect("a request");
    assert_eq!(head.model, "a\"b");
    assert!(head.stream && head.include_usage);
    assert_eq!(head.max_tokens, Some(7));
    assert_eq!(head.encoding_format, EncodingFormat::Base64);
    assert!(head.has("messages") && !head.has("input"));
}

#[test]
fn null_means_absent() {
    let head = read(r#"{"model":"a","stream":null,"stream_options":null,"encoding_format":null}"#)
        .expect("a request");
    assert!(!head.stream && !head.include_usage);
    assert_eq!(head.encoding_format, EncodingFormat::Float);
}

#[test]
fn refusals_name_the_member() {
    let cases: [(&str, RequestError); 8] = [
        ("[1]", RequestError::NotObject),
        (r#"{"messages":[]}"#, RequestError::Missing("model")),
        (
            r#"{"model":""}"#,
            RequestError::WrongType {
                member: "model",
                expected: "a non-empty string",
            },
        ),
        (
            r#"{"model":7}"#,
            RequestError::WrongType {
                member: "model",
                expected: "a non-empty string",
            },
        ),
        (
            r#"{"model":"a","model":"b"}"#,
            RequestError::Duplicate("model"),
        ),
        (
            r#"{"model":"a","mod\u0065l":"b"}"#,
            RequestError::Duplicate("model"),
        ),
        (
            r#"{"model":"a","stream":"yes"}"#,
            RequestError::WrongType {
                member: "stream",
                expected: "true or false",
            },
        ),
        (
            r#"{"model":"a","stream_options":3}"#,
            RequestError::WrongType {
                member: "stream_options",
                expected: "an object",
            },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).expect_err(text), expected, "{text}");
    }
    for text in [
        "",
        "{",
        r#"{"model":"a"}x"#,
        r#"{"model":"a",}"#,
        "\u{feff}{}",
    ] {
        assert!(
            matches!(read(text), Err(RequestError::NotJson(_))),
            "{text}"
        );
    }
}

#[test]
fn depth_is_no_danger() {
    let deep = format!(
        r#"{{"model":"a","x":{}{}}}"#,
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    assert!(read(&deep).is_ok());
}

#[test]
fn splice_changes_only_what_is_named() {
    let cases: [(&str, Vec<Edit<'_>>, &str); 11] = [
        (
            r#"{ "model" : "a" , "t": 1.0 }"#,
            vec![set("model", "\"b\"")],
            r#"{ "model" : "b" , "t": 1.0 }"#,
        ),
        (
            r#"{"model":"a"}"#,
            vec![set("s", "1")],
            r#"{"s":1,"model":"a"}"#,
        ),
        (
            r#"{"model":"a","x":1,"y":2}"#,
            vec![Edit::Remove("x")],
            r#"{"model":"a","y":2}"#,
        ),
        (
            r#"{"x":1, "model":"a"}"#,
            vec![Edit::Remove("x")],
            r#"{"model":"a"}"#,
        ),
        (
            r#"{"model":"a" , "x":1}"#,
            vec![Edit::Remove("x")],
            r#"{"model":"a"}"#,
        ),
        (
            r#"{"x":1,"y":2,"model":"a","z":3}"#,
            vec![Edit::Remove("x"), Edit::Remove("y"), Edit::Remove("z")],
            r#"{"model":"a"}"#,
        ),
        (r#"{"model":"a"}"#, vec![Edit::Remove("model")], "{}"),
        (
            r#"{"model":"a"}"#,
            vec![Edit::Remove("model"), set("s", "1")],
            r#"{"s":1}"#,
        ),
        (
            r#"{"model":"a","t":1}"#,
            vec![Edit::Default("t", Bytes::from_static(b"2"))],
            r#"{"model":"a","t":1}"#,
        ),
        (
            r#"{"model":"a","m\u0061x":1}"#,
            vec![Edit::Rename("max", "most")],
            r#"{"model":"a","most":1}"#,
        ),
        (
            r#"{"model":"a","x":1}"#,
            vec![Edit::Remove("x"), Edit::Rename("x", "y")],
            r#"{"model":"a"}"#,
        ),
    ];
    for (text, edits, expected) in cases {
        assert_eq!(spliced(text, &edits), expected, "{text} {edits:?}");
    }
}

#[test]
fn edits_see_what_those_before_them_left() {
    let default =
        |name, value: &'static str| Edit::Default(name, Bytes::from_static(value.as_bytes()));
    let cases: [(&str, Vec<Edit<'_>>, &str); 9] = [
        (
            r#"{"model":"a","x":1}"#,
            vec![set("x", "2"), set("x", "3")],
            r#"{"model":"a","x":3}"#,
        ),
        (
            r#"{"model":"a"}"#,
            vec![set("x", "2"), set("x", "3")],
            r#"{"x":3,"model":"a"}"#,
        ),
        (
            r#"{"model":"a"}"#,
            vec![default("x", "2"), set("x", "3")],
            r#"{"x":3,"model":"a"}"#,
        ),
        (
            r#"{"model":"a","x":1}"#,
            vec![Edit::Rename("x", "y"), default("y", "2")],
            r#"{"model":"a","y":1}"#,
        ),
        (
            r#"{"model":"a","x":1}"#,
            vec![Edit::Rename("x", "y"), set("y", "2")],
            r#"{"model":"a","y":2}"#,
        ),
        (
            r#"{"model":"a"}"#,
            vec![default("x", "2"), Edit::Rename("x", "y")],
            r#"{"y":2,"model":"a"}"#,
        ),
        (
            r#"{"model":"a","x":1}"#,
            vec![Edit::Remove("x"), set("x", "2")],
            r#"{"x":2,"model":"a"}"#,
        ),
        (
            r#"{"model":"a","x":1,"y":2,"x":3}"#,
            vec![set("x", "4")],
            r#"{"model":"a","x":4,"y":2}"#,
        ),
        (
            r#"{"x":1,"x":2,"model":"a"}"#,
            vec![Edit::Rename("x", "y"), Edit::Remove("y")],
            r#"{"model":"a"}"#,
        ),
    ];
    for (text, edits, expected) in cases {
        assert_eq!(spliced(text, &edits), expected, "{text} {edits:?}");
    }
}

#[test]
fn large_bodies_are_not_copied() {
    let text = format!(r#"{{"model":"a","x":"{}"}}"#, "y".repeat(COALESCE * 2));
    let body = Bytes::from(text);
    let head = RequestHead::read(&body, None).expect("a request");
    let payload = splice(&body, &head, &[set("model", "\"bcd\"")]);
    assert_eq!(payload.len(), body.len() + 2);
    assert_eq!(payload.to_bytes().len(), payload.len());
    let tail = payload.parts.last().expect("a tail");
    assert_eq!(tail.as_ptr_range().end, body.as_ptr_range().end);
}

prop_compose! {
    fn object()(pairs in prop::collection::vec(("[a-f\"\\\\é]{1,3}", any::<Option<i32>>()), 0..6),
                pad in "[ \n\t]{0,2}") -> (Vec<(String, Option<i32>)>, String) {
        let mut seen = std::collections::HashSet::new();
        (pairs.into_iter().filter(|(k, _)| seen.insert(k.clone())).collect(), pad)
    }
}

proptest! {
    /// The forwarded JSON minus the edited members is the client's JSON.
    #[test]
    fn splice_agrees_with_a_tree((pairs, pad) in object(), remove in any::<[bool; 6]>(), put in any::<bool>()) {
        let mut text = format!("{{{pad}\"model\"{pad}:{pad}\"m\"");
        for (key, value) in &pairs {
            text += &format!("{pad},{}{pad}:{}", quoted_text(key), serde_json::json!(value));
        }
        text += "}";
        let mut edits = vec![set("model", "\"n\"")];
        let mut tree: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("json");
        tree.insert("model".into(), "n".into());
        for ((key, _), gone) in pairs.iter().zip(remove) {
            if gone {
                edits.push(Edit::Remove(key));
                tree.remove(key);
            }
        }
        if put {
            edits.push(set("zz", "true"));
            tree.insert("zz".into(), true.into());
        }
        let got: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&spliced(&text, &edits)).expect("json");
        prop_assert_eq!(got, tree);
    }

    /// The head reader accepts exactly the objects serde_json accepts, and never panics.
    #[test]
    fn reading_agrees_with_serde_json(text in "[\\[\\]{}\",:a0-9.e\\-\\\\ tu]{0,40}") {
        let tree = serde_json::from_str::<serde_json::Value>(&text);
        match read(&text) {
            Ok(_) | Err(RequestError::Missing(_) | RequestError::WrongType { .. } | RequestError::Duplicate(_)) => prop_assert!(tree.is_ok_and(|t| t.is_object())),
            Err(RequestError::NotObject) => prop_assert!(!tree.is_ok_and(|t| t.is_object())),
            Err(RequestError::NotJson(_)) => prop_assert!(tree.is_err()),
        }
    }
}

fn quoted_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
