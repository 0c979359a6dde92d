//! What a request asks a deployment to be able to do, and its prompt piece by piece.
//!
//! One walk over the bytes, made only where somebody wants to know. The body was found to be JSON before; what is not as
//! the API has it is passed over, for the provider to complain about.

use super::RequestHead;
use crate::json::{Scanner, Wrong};
use crate::types::Operation;

/// Abilities that a request asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// `tools`, or their forerunner `functions`, with at least one in it.
    pub tools: bool,
    /// An image in a message.
    pub images: bool,
    /// `response_format: {"type": "json_schema"}`
    pub json_schema: bool,
}

/// A piece of a prompt, in the order of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A message begins.
    Message,
    /// Another prompt begins: those of a list are answered each for itself.
    Next,
    /// A text, as the JSON string that it is, quotes included.
    Text(&'a [u8]),
    /// JSON that is meant as such: calls of tools, their definitions, a schema.
    Structure(&'a [u8]),
    /// An image, whatever its size.
    Image,
    /// So many tokens that the client has made itself.
    Ids(u64),
}

/// Walks a request of which `head` was read from `body`; `see` gets its prompt.
pub fn read<'b>(
    operation: Operation,
    head: &RequestHead,
    body: &'b [u8],
    see: &mut dyn FnMut(Piece<'b>),
) -> Wants {
    let mut wants = Wants::default();
    let prompt = match operation {
        Operation::Chat => "messages",
        Operation::Completions => "prompt",
        Operation::Embeddings => "input",
    };
    if let Some(raw) = head.raw(body, prompt) {
        let mut scanner = Scanner::new(raw);
        // An error can't be: all of it was scanned before.
        let _ = match operation {
            Operation::Chat => messages(&mut scanner, see).map(|images| wants.images = images),
            Operation::Completions | Operation::Embeddings => prompts(&mut scanner, see),
        };
    }
    if operation != Operation::Chat {
        return wants;
    }
    for tools in ["tools", "functions"]
        .into_iter()
        .filter_map(|name| head.raw(body, name))
    {
        let mut scanner = Scanner::new(tools);
        if scanner.array() && scanner.element() == Ok(true) {
            wants.tools = true;
            see(Piece::Structure(tools));
        }
    }
    if let Some(format) = head.raw(body, "response_format")
        && is_schema(format) == Ok(true)
    {
        wants.json_schema = true;
        see(Piece::Structure(format));
    }
    wants
}

/// The value of `messages`; returns whether there are images.
fn messages<'b>(scanner: &mut Scanner<'b>, see: &mut dyn FnMut(Piece<'b>)) -> Result<bool, Wrong> {
    let mut images = false;
    if !scanner.array() {
        return Ok(images);
    }
    while scanner.element()? {
        if !scanner.object() {
            scanner.skip()?;
            continue;
        }
        see(Piece::Message);
        while let Some(name) = scanner.member()? {
            match &*name {
                b"content" if scanner.array() => {
                    while scanner.element()? {
                        images |= part(scanner, see)?;
                    }
                }
                b"content" | b"refusal" => text(scanner.value()?, see),
                b"tool_calls" | b"function_call" => see(Piece::Structure(scanner.value()?)),
                _ => {
                    scanner.skip()?;
                }
            }
        }
    }
    Ok(images)
}

/// One part of a message's content; returns whether it is an image. What else is no text (sound, files) is of unknown
/// length and seen by nobody.
fn part<'b>(scanner: &mut Scanner<'b>, see: &mut dyn FnMut(Piece<'b>)) -> Result<bool, Wrong> {
    if !scanner.object() {
        text(scanner.value()?, see);
        return Ok(false);
    }
    let mut image = false;
    while let Some(name) = scanner.member()? {
        let value = scanner.value()?;
        match &*name {
            b"type" => {
                image |= matches!(
                    value,
                    br#""image_url""# | br#""input_image""# | br#""image""#
                )
            }
            b"image_url" => image = true,
            b"text" | b"refusal" => text(value, see),
            _ => {}
        }
    }
    if image {
        see(Piece::Image);
    }
    Ok(image)
}

/// The value of `prompt` or `input`: a text, a list of texts, a list of tokens, or a list of such lists.
fn prompts<'b>(scanner: &mut Scanner<'b>, see: &mut dyn FnMut(Piece<'b>)) -> Result<(), Wrong> {
    if !scanner.array() {
        text(scanner.value()?, see);
        return Ok(());
    }
    while scanner.element()? {
        match scanner.peek() {
            Some(b'"') => {
                see(Piece::Next);
                text(scanner.value()?, see);
            }
            Some(b'[') => {
                see(Piece::Next);
                scanner.array();
                let mut ids = 0;
                while scanner.element()? {
                    scanner.skip()?;
                    ids += 1;
                }
                see(Piece::Ids(ids));
            }
            Some(b'0'..=b'9') => {
                scanner.skip()?;
                see(Piece::Ids(1));
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    Ok(())
}

fn text<'b>(raw: &'b [u8], see: &mut dyn FnMut(Piece<'b>)) {
    if raw.first() == Some(&b'"') {
        see(Piece::Text(raw));
    }
}

fn is_schema(format: &[u8]) -> Result<bool, Wrong> {
    let mut scanner = Scanner::new(format);
    let mut is = false;
    if scanner.object() {
        while let Some(name) = scanner.member()? {
            let value = scanner.value()?;
            is |= *name == *b"type" && value == br#""json_schema""#;
        }
    }
    Ok(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look(operation: Operation, body: &str) -> (Wants, Vec<Piece<'_>>) {
        let head = RequestHead::read(body.as_bytes(), Some("m")).expect("a request");
        let mut pieces = Vec::new();
        let wants = read(operation, &head, body.as_bytes(), &mut |piece| {
            pieces.push(piece)
        });
        (wants, pieces)
    }

    #[test]
    fn chats() {
        use Piece::{Image, Message, Structure, Text};
        let none = Wants::default();
        let images = Wants {
            images: true,
            ..none
        };
        let tools = Wants {
            tools: true,
            ..none
        };
        let json_schema = Wants {
            json_schema: true,
            ..none
        };
        let cases: &[(&str, Wants, &[Piece<'_>])] = &[
            ("{}", none, &[]),
            (r#"{"messages":null}"#, none, &[]),
            (r#"{"messages":[3,[],{}]}"#, none, &[Message]),
            (
                r#"{"messages":[{"role":"system","content":"a\n"},{"content":"b","name":"c"}]}"#,
                none,
                &[Message, Text(br#""a\n""#), Message, Text(br#""b""#)],
            ),
            (
                r#"{"messages":[{"content":["x",{"type":"text","text":"a"},{"type":"file","file":{"file_data":"JVBE"}}]}]}"#,
                none,
                &[Message, Text(br#""x""#), Text(br#""a""#)],
            ),
            (
                r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"text":"a"}]}]}"#,
                images,
                &[Message, Image, Text(br#""a""#)],
            ),
            (
                r#"{"messages":[{"content":[{"image_url":"http://x","type":"input_image"},{"type":"image","source":{}}]}]}"#,
                images,
                &[Message, Image, Image],
            ),
            (
                r#"{"messages":[{"content":null,"tool_calls":[{"id":"1"}]}],"tools":[],"functions":null}"#,
                none,
                &[Message, Structure(br#"[{"id":"1"}]"#)],
            ),
            (
                r#"{"tools": [ {"type":"function"}]}"#,
                tools,
                &[Structure(br#"[ {"type":"function"}]"#)],
            ),
            (r#"{"functions":[{}]}"#, tools, &[Structure(b"[{}]")]),
            (r#"{"response_format":{"type":"json_object"}}"#, none, &[]),
            (r#"{"response_format":"json_schema"}"#, none, &[]),
            (
                r#"{"response_format":{"json_schema":{"schema":{}},"type":"json_schema"}}"#,
                json_schema,
                &[Structure(
                    br#"{"json_schema":{"schema":{}},"type":"json_schema"}"#,
                )],
            ),
        ];
        for (body, wants, pieces) in cases {
            assert_eq!(
                look(Operation::Chat, body),
                (*wants, pieces.to_vec()),
                "{body}"
            );
        }
    }

    #[test]
    fn lists_of_prompts() {
        use Piece::{Ids, Next, Text};
        let cases: &[(&str, &[Piece<'_>])] = &[
            (r#""a""#, &[Text(br#""a""#)]),
            (
                r#"["a","b"]"#,
                &[Next, Text(br#""a""#), Next, Text(br#""b""#)],
            ),
            ("[5, 7]", &[Ids(1), Ids(1)]),
            ("[[5, 7],[]]", &[Next, Ids(2), Next, Ids(0)]),
            (r#"[{"content":"a"},null]"#, &[]),
            ("7", &[]),
        ];
        for (input, pieces) in cases {
            for (operation, name) in [
                (Operation::Embeddings, "input"),
                (Operation::Completions, "prompt"),
            ] {
                let body =
                    format!(r#"{{"{name}":{input},"tools":[1],"messages":[{{"content":"x"}}]}}"#);
                let (wants, seen) = look(operation, &body);
                assert_eq!(
                    (wants, seen.as_slice()),
                    (Wants::default(), *pieces),
                    "{input}"
                );
            }
        }
    }

    proptest! {
        /// Whatever stands in the members: nothing panics, and pieces are values of the body.
        #[test]
        fn any_values(values in prop::collection::vec(r#"null|7|"t"|\[\]|\[1,"a",\{"type":"image"\}\]|\{"content":\["a"\]\}"#, 4)) {
            let [a, b, c, d] = values.try_into().expect("four");
            let body = format!(r#"{{"messages":[{a},{b}],"input":{c},"prompt":{b},"tools":{d},"response_format":{a}}}"#);
            for operation in Operation::ALL {
                for piece in look(operation, &body).1 {
                    if let Piece::Text(raw) | Piece::Structure(raw) = piece {
                        prop_assert!(serde_json::from_slice::<serde_json::Value>(raw).is_ok());
                    }
                }
            }
        }
    }
}
