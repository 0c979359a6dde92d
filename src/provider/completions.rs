//! Chat over a deployment that only has `/completions` (`use_chat_completions_endpoint: false`).
//!
//! The messages' texts are joined by blank lines, in order: no chat template is known, and for the single rendered
//! prompt that Rasa sends this is exactly that prompt. What a completion can't express (tools, response formats,
//! images) is refused by name. The answer, whole or streamed, is given the shape of a chat again.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{AdaptError, Call, Translator};
use crate::request::{Edit, quoted};
use crate::sse;

/// Members that a completion has no counterpart for.
const UNSUPPORTED: [&str; 8] = [
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "logprobs",
    "modalities",
    "audio",
];

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// Adds the edits that turn a chat request into a completion request.
pub(super) fn edit(call: &Call, edits: &mut Vec<Edit<'_>>) -> Result<(), AdaptError> {
    for param in UNSUPPORTED {
        if call
            .head
            .raw(&call.body, param)
            .is_some_and(|raw| !matches!(raw, b"null" | b"[]" | b"false" | b"\"none\""))
        {
            return Err(unsupported(
                param,
                format!(
                    "`{param}` is not available: this model group is configured with \
                 use_chat_completions_endpoint: false, so its deployments only complete a prompt"
                ),
            ));
        }
    }
    let raw = call.head.raw(&call.body, "messages").unwrap_or(b"null");
    let messages: Vec<Message> = serde_json::from_slice(raw).map_err(|e| {
        unsupported(
            "messages",
            format!("`messages` must be a list of messages with text: {e}"),
        )
    })?;
    let mut prompt = String::new();
    for content in messages.into_iter().filter_map(|m| m.content) {
        let parts = match content {
            Content::Text(text) => vec![text],
            Content::Parts(parts) => parts.into_iter().map(text_of).collect::<Result<_, _>>()?,
        };
        for text in parts {
            if !prompt.is_empty() {
                prompt.push_str("\n\n");
            }
            prompt.push_str(&text);
        }
    }
    edits.push(Edit::Remove("messages"));
    edits.push(Edit::Set("prompt", quoted(&prompt)));
    if !edits
        .iter()
        .any(|e| matches!(e, Edit::Rename("max_completion_tokens", _)))
    {
        edits.push(Edit::Rename("max_completion_tokens", "max_tokens"));
    }
    Ok(())
}

fn text_of(part: Part) -> Result<String, AdaptError> {
    part.text.ok_or_else(|| {
        let message = format!(
            "a message part of type `{}` is not available: this model group's deployments only \
             complete a text prompt",
            part.kind
        );
        unsupported("messages", message)
    })
}

fn unsupported(param: &'static str, message: String) -> AdaptError {
    AdaptError::Unsupported {
        param: param.into(),
        message,
    }
}

/// The way back.
pub(super) fn translator(stream: bool) -> Box<dyn Translator> {
    if stream {
        Box::new(Events::default())
    } else {
        Box::new(Whole::default())
    }
}

#[derive(Debug, Default)]
struct Whole(BytesMut);

impl Translator for Whole {
    fn push(&mut self, chunk: &[u8], _: &mut BytesMut) -> Result<(), AdaptError> {
        self.0.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        let answer = parse(&self.0)?;
        out.extend_from_slice(
            chat(answer, "message", "chat.completion")
                .to_string()
                .as_bytes(),
        );
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Events {
    splitter: sse::Splitter,
    begun: Vec<u64>,
}

impl Translator for Events {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        let whole = self.splitter.push(Bytes::copy_from_slice(chunk));
        for event in sse::events(&whole) {
            self.event(event, out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        let rest = self.splitter.finish();
        let data = sse::data(&rest);
        let bytes = &rest;
        self.event(sse::Event { bytes, data }, out);
        Ok(())
    }
}

impl Events {
    /// Events that are no completion chunks (comments, `[DONE]`, errors, malformed ones) stay as they are.
    fn event(&mut self, event: sse::Event<'_>, out: &mut BytesMut) {
        let chunk = event
            .data
            .and_then(|data| parse(&data).ok())
            .filter(|c| c.get("choices").is_some_and(Value::is_array));
        let Some(chunk) = chunk else {
            out.extend_from_slice(event.bytes);
            return;
        };
        let mut chunk = chat(chunk, "delta", "chat.completion.chunk");
        for choice in chunk["choices"].as_array_mut().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or(0);
            if !self.begun.contains(&index) {
                self.begun.push(index);
                choice["delta"]["role"] = "assistant".into();
            }
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(chunk.to_string().as_bytes());
        out.extend_from_slice(b"\n\n");
    }
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, AdaptError> {
    serde_json::from_slice(body).map_err(|e| AdaptError::Malformed(e.to_string()))
}

/// A completion answer or chunk as a chat one: each choice's `text` becomes its message's content.
fn chat(mut answer: Map<String, Value>, holder: &str, object: &str) -> Value {
    answer.insert("object".to_owned(), object.into());
    for choice in answer
        .get_mut("choices")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(choice) = choice.as_object_mut() else {
            continue;
        };
        let text = choice.remove("text").unwrap_or_else(|| "".into());
        let message = if holder == "message" {
            json!({"role": "assistant", "content": text})
        } else {
            json!({"content": text})
        };
        choice.insert(holder.to_owned(), message);
        choice.insert("logprobs".to_owned(), Value::Null);
    }
    Value::Object(answer)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::request::{RequestHead, splice};
    use crate::types::Operation;

    fn completion(body: &str) -> Result<Value, AdaptError> {
        let head = Arc::new(RequestHead::read(body.as_bytes(), None).expect("a request"));
        let call = Call {
            operation: Operation::Chat,
            head,
            body: Bytes::from(body.to_owned()),
            beta: None,
            id: "r".into(),
            created: 0,
        };
        let mut edits = vec![];
        edit(&call, &mut edits)?;
        Ok(
            serde_json::from_slice(&splice(&call.body, &call.head, &edits).to_bytes())
                .expect("json"),
        )
    }

    #[test]
    fn messages_become_a_prompt() {
        let body = r#"{"model":"g","max_completion_tokens":3,"tools":[],"messages":[
            {"role":"system","content":"be kind"},
            {"role":"user","content":[{"type":"text","text":"hi"},{"type":"text","text":"there"}]},
            {"role":"assistant","content":null}]}"#;
        let expected =
            json!({"model":"g","max_tokens":3,"tools":[],"prompt":"be kind\n\nhi\n\nthere"});
        assert_eq!(completion(body), Ok(expected));
    }

    #[test]
    fn what_a_prompt_cannot_say_is_refused_by_name() {
        let cases = [
            (r#"{"model":"g","messages":[],"tools":[{}]}"#, "tools"),
            (
                r#"{"model":"g","messages":[],"response_format":{"type":"json_object"}}"#,
                "response_format",
            ),
            (
                r#"{"model":"g","messages":[{"content":[{"type":"image_url"}]}]}"#,
                "messages",
            ),
            (r#"{"model":"g","messages":"hi"}"#, "messages"),
            (r#"{"model":"g"}"#, "messages"),
        ];
        for (body, expected) in cases {
            match completion(body) {
                Err(AdaptError::Unsupported { param, .. }) => assert_eq!(param, expected),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn answers_become_chats() {
        let mut whole = translator(false);
        let mut out = BytesMut::new();
        let answer = r#"{"id":"c","object":"text_completion","choices":[{"text":"hey","index":0,"finish_reason":"stop"}],"usage":{"x":1},"y":2}"#;
        let (a, b) = answer.split_at(20);
        whole.push(a.as_bytes(), &mut out).expect("half");
        whole.push(b.as_bytes(), &mut out).expect("half");
        whole.finish(&mut out).expect("whole");
        let got: Value = serde_json::from_slice(&out).expect("json");
        assert_eq!(
            got,
            json!({"id":"c","object":"chat.completion","usage":{"x":1},"y":2,"choices":[
                {"message":{"role":"assistant","content":"hey"},"index":0,"finish_reason":"stop","logprobs":null}]})
        );
    }

    #[test]
    fn streams_become_chats_however_they_are_cut() {
        let stream = "data: {\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"hé\"}]}\n\n: ping\n\n\
                      data: {\"choices\":[{\"index\":0,\"text\":\"y\",\"finish_reason\":\"stop\"}]}\n\n\
                      data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n";
        let translate = |cut: usize| {
            let (mut events, mut out) = (translator(true), BytesMut::new());
            for part in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
                events.push(part, &mut out).expect("events");
            }
            events.finish(&mut out).expect("the end");
            out
        };
        let whole = translate(0);
        let text = std::str::from_utf8(&whole).expect("text");
        assert!(
            text.starts_with(
                "data: {\"choices\":[{\"delta\":{\"content\":\"hé\",\"role\":\"assistant\"}"
            ),
            "{text}"
        );
        assert!(
            text.contains("{\"content\":\"y\"},\"finish_reason\":\"stop\""),
            "{text}"
        );
        assert!(
            text.ends_with("\"usage\":{}}\n\ndata: [DONE]\n\n"),
            "{text}"
        );
        for cut in 0..stream.len() {
            assert_eq!(translate(cut), whole);
        }
    }
}
