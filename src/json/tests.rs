use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// One value and nothing else, in UTF-8.
fn whole(text: &[u8]) -> Result<Range<usize>, Error> {
    fn walk(scanner: &mut Scanner<'_>) -> Result<Range<usize>, Wrong> {
        let range = scanner.skip()?;
        scanner.end()?;
        scanner.utf8()?;
        Ok(range)
    }
    let mut scanner = Scanner::new(text);
    walk(&mut scanner).map_err(|wrong| scanner.error(wrong))
}

/// Accepted by both with the same value, or by neither.
fn agrees(text: &[u8]) {
    let theirs = serde_json::from_slice::<&RawValue>(text);
    match (whole(text), theirs) {
        (Ok(range), Ok(raw)) => assert_eq!(&text[range], raw.get().as_bytes()),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!(
            "{}: {ours:?}, but serde_json: {theirs:?}",
            text.escape_ascii()
        ),
    }
}

/// The top-level members as `serde_json` has them: names unescaped, values as they stand.
fn members(text: &[u8]) -> Option<Vec<(String, String)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, String)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                all.push((name, value.get().to_owned()));
            }
            Ok(all)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let members = serde::Deserializer::deserialize_map(&mut deserializer, Members).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

fn walked(text: &[u8]) -> Option<Vec<(String, String)>> {
    let mut scanner = Scanner::new(text);
    let mut all = Vec::new();
    if !scanner.object() {
        return None;
    }
    while let Some(name) = scanner.member().ok()? {
        let value = scanner.value().ok()?;
        all.push((name.into_owned(), value.to_owned()));
    }
    scanner.end().ok()?;
    scanner.utf8().ok()?;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Some(all.into_iter().map(|(n, v)| (text(n), text(v))).collect())
}

#[test]
fn accepts_what_serde_json_accepts() {
    let cases: [&[u8]; 84] = [
        b"",
        b" ",
        b"null",
        b" null\n",
        b"nul",
        b"nulll",
        b"Null",
        b"true",
        b"false",
        b"tru",
        b"fals",
        b"falsey",
        b"0",
        b"-0",
        b"00",
        b"01",
        b"-",
        b"-a",
        b"1",
        b"12",
        b"1.",
        b"1.5",
        b"1.5.2",
        b".5",
        b"1e",
        b"1e+",
        b"1e5",
        b"1E-05",
        b"1.0e+10",
        b"1e5.0",
        b"0e0",
        b"0.0",
        b"0x1",
        b"+1",
        b"1e999",
        b"- 1",
        b"NaN",
        b"\"\"",
        b"\"",
        b"\"a",
        b"\"a\"b",
        b"\"\\\"",
        b"\"\\\"\"",
        b"\"\\\\\"",
        b"\"\\/\\b\\f\\n\\r\\t\"",
        b"\"\\a\"",
        b"\"\\u00e9\"",
        b"\"\\u00E\"",
        b"\"\\u00g9\"",
        b"\"\\ud800\"",
        b"\"\\udc00\\ud800\"",
        b"\"\\ud83e\\udd80\"",
        b"\"\\U0000\"",
        b"\"\n\"",
        b"\"\x1f\"",
        b"\"\x7f\"",
        b"\"\0\"",
        b"\"\xc3\xa9\"",
        b"\"\xc3\"",
        b"\"\xff\"",
        b"\"\xed\xa0\x80\"",
        b"\xef\xbb\xbf{}",
        b"[]",
        b"[ ]",
        b"[1]",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1,2",
        b"[",
        b"]",
        b"[1}",
        b"{}",
        b"{ }",
        b"{\"a\":1}",
        b"{\"a\" : [ {} , \"\" ] , \"\\u0062\":null}",
        b"{\"a\":1,}",
        b"{,}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{a:1}",
        b"{1:1}",
        b"{\"a\":1]",
        b"{\"a\":1} x",
    ];
    for text in cases {
        agrees(text);
        assert_eq!(walked(text), members(text), "{}", text.escape_ascii());
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    let cases: [(&[u8], Wrong, usize, usize); 15] = [
        (b"", Wrong::End, 1, 1),
        (b"{\n", Wrong::End, 2, 1),
        (b"{\"a\":\"b", Wrong::End, 1, 8),
        (b"{\"a\":\"\\", Wrong::End, 1, 8),
        (b"{\n  \"a\": x}", Wrong::Value, 2, 8),
        (b"[nulx]", Wrong::Value, 1, 5),
        (b"{1}", Wrong::Name, 1, 2),
        (b"{\"a\":1,}", Wrong::Name, 1, 8),
        (b"{\"a\" 1}", Wrong::Colon, 1, 6),
        (b"{\"a\":1 \"b\"}", Wrong::Object, 1, 8),
        (b"[1 2]", Wrong::Array, 1, 4),
        (b"[01]", Wrong::Number, 1, 3),
        (b"\"\\x\"", Wrong::Escape, 1, 3),
        (b"\"a\nb\"", Wrong::Control, 1, 3),
        (b"\"\xff\"", Wrong::Utf8, 1, 2),
    ];
    for (text, wrong, line, column) in cases {
        let expected = Error {
            wrong,
            line,
            column,
        };
        assert_eq!(whole(text), Err(expected), "{}", text.escape_ascii());
    }
    let text = whole(b"1 2").expect_err("two values").to_string();
    assert_eq!(text, "trailing characters at line 1 column 3");
}

/// A special byte at every place of every block, and none beyond the text.
#[test]
fn strings_of_all_lengths() {
    for length in 0..300 {
        for special in ["", "\\n", "\n", "é", "\\\"", "\"", "\\u00e9"] {
            let text = format!("\"{}{special}{}\"", "x".repeat(length), "y".repeat(length));
            agrees(text.as_bytes());
            agrees(&text.as_bytes()[..text.len() - 1]);
            let mut broken = text.clone().into_bytes();
            broken[1 + length] = 0xff;
            agrees(&broken);
        }
    }
}

#[test]
fn depth_is_no_danger() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 200, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(whole(text.as_bytes()), Ok(0..text.len()));
            let wrong = format!("{}1{}", open.repeat(depth), close.repeat(depth - 1));
            assert!(whole(wrong.as_bytes()).is_err());
            let wrong = text.replacen(['}', ']'], ")", 1);
            assert!(whole(wrong.as_bytes()).is_err());
        }
    }
}

#[test]
fn a_caller_descends_where_it_wants() {
    let text = br#" {"a":[1,{"b":[]},"c"],"d\u0065":{"f":{}}} "#;
    let mut scanner = Scanner::new(text);
    assert!(!scanner.array() && scanner.object());
    assert_eq!(
        scanner.member().expect("a member").as_deref(),
        Some(&b"a"[..])
    );
    assert!(!scanner.object() && scanner.array());
    let mut elements = Vec::new();
    while scanner.element().expect("valid") {
        elements.push(scanner.value().expect("valid"));
    }
    assert_eq!(elements, [&b"1"[..], br#"{"b":[]}"#, br#""c""#]);
    assert_eq!(
        scanner.member().expect("a member").as_deref(),
        Some(&b"de"[..])
    );
    assert!(scanner.object());
    assert_eq!(
        scanner.member().expect("a member").as_deref(),
        Some(&b"f"[..])
    );
    assert!(scanner.object());
    for _ in 0..3 {
        assert_eq!(scanner.member(), Ok(None));
    }
    assert_eq!(scanner.end(), Ok(()));
}

/// Any JSON text, with white space and escapes in unusual places.
fn json() -> impl Strategy<Value = String> {
    let space = || "[ \t\r\n]{0,2}";
    let string = r#""([ -!#-\[\]-~é🦀\x7f]|\\[\\"/bfnrt]|\\u[0-9a-fA-F]{4}|[a-z ]{10,90}){0,8}""#;
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        string,
    ];
    let value = leaf.prop_recursive(6, 48, 6, move |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, v, b)| a + &v + &b);
        let member = (space(), string, space(), element.clone())
            .prop_map(|(a, name, b, v)| a + &name + &b + ":" + &v);
        prop_oneof![
            prop::collection::vec(element, 0..6).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    });
    (space(), value, space()).prop_map(|(a, v, b)| a + &v + &b)
}

proptest! {
    #[test]
    fn valid_texts_agree(text in json()) {
        prop_assert!(whole(text.as_bytes()).is_ok(), "{}", text);
        agrees(text.as_bytes());
        prop_assert_eq!(walked(text.as_bytes()), members(text.as_bytes()));
    }

    /// Bytes changed, taken out, put in, and cut off.
    #[test]
    fn mutated_texts_agree(
        text in json(),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..4_u8, prop_oneof![prop::sample::select(b"{}[]\",:\\u0e+-. \n".to_vec()), any::<u8>()]), 1..4),
    ) {
        let mut text = text.into_bytes();
        for (at, kind, byte) in changes {
            let at = at.index(text.len() + 1);
            match kind {
                0 => text.insert(at, byte),
                1 if at < text.len() => text[at] = byte,
                2 if at < text.len() => { text.remove(at); }
                _ => text.truncate(at),
            }
        }
        agrees(&text);
        prop_assert_eq!(walked(&text), members(&text));
    }

    #[test]
    fn any_bytes_agree(text in "[\\[\\]{}\",:a0-9.e\\-\\\\ tu\n]{0,40}") {
        agrees(text.as_bytes());
        prop_assert_eq!(walked(text.as_bytes()), members(text.as_bytes()));
    }
}

#[test]
fn scalars() {
    assert_eq!(string(br#""a b""#).as_deref(), Some("a b"));
    assert_eq!(string(br#""a\"\u00e9""#).as_deref(), Some("a\"é"));
    for raw in [&br#""\ud800""#[..], b"\"\xff\"", b"null", b"\"", b"7"] {
        assert_eq!(string(raw), None, "{}", raw.escape_ascii());
    }
    assert_eq!(integer(b"0"), Some(0));
    assert_eq!(integer(b"18446744073709551615"), Some(u64::MAX));
    for raw in ["18446744073709551616", "-1", "-0", "1.0", "1e3", "null"] {
        assert_eq!(integer(raw.as_bytes()), None, "{raw}");
    }
}
