//! What translating costs: the same request, answer and piece of a stream in each dialect, beside OpenAI's, which pass through.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use waypost::gateway::parts;
use waypost::h1::Fields;
use waypost::provider::{Adapter, Authority, Call, Inbound, Translator, adapter};
use waypost::request::RequestHead;
use waypost::types::{Dialect, GoogleHost, Operation, Target};

use crate::cases::{Case, Step, case, deployment};

/// A dialect, and how it says what the others say.
struct Speaker {
    name: &'static str,
    dialect: fn() -> Dialect,
    /// A whole answer with this text.
    answer: fn(&str) -> Value,
    /// A stream up to its first text.
    opening: &'static str,
    /// A piece of text.
    piece: &'static str,
}

/// OpenAI's first: the others are held against it. A new dialect is a row.
const SPEAKERS: &[Speaker] = &[
    Speaker {
        name: "openai",
        dialect: || Dialect::OpenAi {
            completions_only: false,
        },
        answer: |text| {
            json!({"id": "chatcmpl-9xQ3", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 250, "completion_tokens": 80, "total_tokens": 330}})
        },
        opening: "data: {\"id\":\"chatcmpl-9xQ3\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\
            \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        piece: "data: {\"id\":\"chatcmpl-9xQ3\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\
            \"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
    },
    Speaker {
        name: "anthropic",
        dialect: || Dialect::Anthropic {
            version: "2023-06-01".to_owned(),
        },
        answer: |text| {
            json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 250, "output_tokens": 80}})
        },
        opening: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\
            \"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":250,\"output_tokens\":1}}}\n\n\
            event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
            \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        piece: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
            \"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n",
    },
    Speaker {
        name: "cohere",
        dialect: || Dialect::Cohere,
        answer: |text| {
            json!({"id": "1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
                "usage": {"tokens": {"input_tokens": 250.0, "output_tokens": 80.0}}})
        },
        opening: "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"1\",\"delta\":{\"message\":{\"role\":\"assistant\",\
            \"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n",
        piece: "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\
            \"delta\":{\"message\":{\"content\":{\"text\":\" word\"}}}}\n\n",
    },
    Speaker {
        name: "gemini",
        dialect: || Dialect::Gemini(GoogleHost::Studio),
        answer: |text| {
            json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 250, "candidatesTokenCount": 80, "totalTokenCount": 330},
                "modelVersion": "m", "responseId": "r1"})
        },
        opening: "",
        piece: "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" word\"}],\"role\": \"model\"},\"index\": 0}],\
            \"usageMetadata\": {\"promptTokenCount\": 250,\"candidatesTokenCount\": 7,\"totalTokenCount\": 257},\
            \"modelVersion\": \"m\",\"responseId\": \"r1\"}\n\n",
    },
    Speaker {
        name: "ollama",
        dialect: || Dialect::Ollama,
        answer: |text| {
            json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text},
                "done": true, "done_reason": "stop", "prompt_eval_count": 250, "eval_count": 80})
        },
        opening: "",
        piece: "{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00.5Z\",\
            \"message\":{\"role\":\"assistant\",\"content\":\" word\"},\"done\":false}\n",
    },
];

/// What is counted of each: the names of the cases are `{part} {dialect}`.
pub(crate) const PARTS: [&str; 3] = ["request", "answer", "chunk"];

/// The dialects' names, OpenAI's first.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SPEAKERS.iter().map(|speaker| speaker.name)
}

/// All cases: the parts of the first dialect, of the second one, and so on.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for speaker in SPEAKERS {
        let name = |part: &str| format!("{part} {}", speaker.name);
        cases.push(case(name(PARTS[0]), 200, || request(speaker)));
        cases.push(case(name(PARTS[1]), 200, || answer(speaker)));
        cases.push(case(name(PARTS[2]), 1000, || chunk(speaker)));
    }
    cases
}

fn speak(speaker: &Speaker, stream: bool) -> (Box<dyn Adapter>, Call) {
    let target = Target {
        dialect: (speaker.dialect)(),
        provider: speaker.name.into(),
        ..Target::clone(&deployment(0).target)
    };
    let adapter = adapter(&Arc::new(target)).expect("a target");
    let text = "She said \"no\":\n\tlet x = a[1] + 2; // naïve\n".repeat(5);
    let body = json!({
        "model": "g", "stream": stream, "temperature": 0.2, "max_tokens": 256, "stop": ["END"],
        "messages": [{"role": "system", "content": "You are terse."}, {"role": "user", "content": text},
            {"role": "assistant", "content": text}, {"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
    });
    let body = Bytes::from(body.to_string());
    let head = RequestHead::read(&body, None).expect("a request");
    let call = Call {
        operation: Operation::Chat,
        head: Arc::new(head),
        body,
        beta: None,
        id: "req_0123456789abcdef".into(),
        created: 1_700_000_000,
    };
    (adapter, call)
}

fn translator(adapter: &dyn Adapter, call: &Call) -> Option<Box<dyn Translator>> {
    match adapter.inbound(call, &Fields::default()) {
        Inbound::Passthrough => None,
        Inbound::Translate(translator) => Some(translator),
    }
}

/// From the client's body to what is sent.
fn request(speaker: &Speaker) -> Step {
    let (adapter, call) = speak(speaker, false);
    Box::new(move || {
        let request = adapter.outbound(black_box(&call), Authority::default());
        assert!(black_box(request).is_ok());
    })
}

/// From the provider's whole answer to what the client gets, which is looked at either way.
fn answer(speaker: &Speaker) -> Step {
    let (adapter, call) = speak(speaker, false);
    let text = "She said \"no\":\n\tlet x = a[1] + 2;\n".repeat(24);
    let body = Bytes::from((speaker.answer)(&text).to_string());
    Box::new(move || {
        let body = black_box(body.clone());
        let Some(mut translator) = translator(&*adapter, &call) else {
            assert!(parts::peek(&body));
            return;
        };
        let mut out = BytesMut::new();
        let done = translator.push(&body, &mut out);
        done.and_then(|()| translator.finish(&mut out))
            .expect("an answer");
        assert!(parts::peek(&out));
    })
}

/// One event of a stream, watched as every stream is.
fn chunk(speaker: &Speaker) -> Step {
    let (adapter, call) = speak(speaker, true);
    let mut watch = parts::watch_through(translator(&*adapter, &call));
    watch(Bytes::from_static(speaker.opening.as_bytes()));
    let piece = Bytes::from_static(speaker.piece.as_bytes());
    watch(piece.clone());
    Box::new(move || assert!(watch(black_box(piece.clone())) > 0))
}
