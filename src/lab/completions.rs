//! `/completions`: text in, text out.

use serde_json::{Value, json};

use super::answer::{Answer, Asked, Event, Part, prompt_tokens, tokens_of, usage};
use super::behaviour::Behaviour;

/// The answer to a completions request. Every prompt of a list gets `n` choices.
pub(super) fn answer(asked: &Asked, behaviour: &Behaviour) -> Answer {
    let prompts = prompts(&asked.body["prompt"]);
    let (said, cut) = tokens_of(behaviour, asked.max_tokens());
    let finish = if cut { "length" } else { "stop" };
    let echo = behaviour.echo_prompt || asked.body["echo"] == true;
    let choices: Vec<Vec<String>> = prompts
        .iter()
        .flat_map(|prompt| std::iter::repeat_n(prompt, asked.choices()))
        .map(|prompt| {
            let echoed = echo.then(|| prompt.clone()).into_iter();
            echoed.chain(said.iter().cloned()).collect()
        })
        .collect();
    let usage = usage(
        prompt_tokens(&asked.body["prompt"]),
        said.len() * choices.len(),
        0,
    );
    let logprobs = |tokens: &[String]| match asked.body["logprobs"].as_u64() {
        Some(_) => json!({
            "tokens": tokens,
            "token_logprobs": vec![-0.25; tokens.len()],
            "top_logprobs": null,
            "text_offset": offsets(tokens),
        }),
        None => Value::Null,
    };
    let frame = || asked.frame("text_completion", behaviour);

    if !asked.stream() {
        let mut body = frame();
        let listed: Vec<Value> = choices
            .iter()
            .enumerate()
            .map(|(index, tokens)| {
                json!({"index": index, "text": tokens.concat(), "logprobs": logprobs(tokens), "finish_reason": finish})
            })
            .collect();
        body.insert("choices".into(), listed.into());
        if behaviour.usage {
            body.insert("usage".into(), usage);
        }
        asked.echo_into(&mut body, behaviour);
        return Answer::Whole {
            body: body.into(),
            tokens: said.len(),
        };
    }

    let with_usage = asked.include_usage() && behaviour.usage;
    let mut events = Vec::new();
    let mut push = |part: Part, choices: Value, usage: Value| {
        let mut chunk = frame();
        chunk.insert("choices".into(), choices);
        if with_usage {
            chunk.insert("usage".into(), usage);
        }
        if events.is_empty() {
            asked.echo_into(&mut chunk, behaviour);
        }
        events.push(Event::json(part, &chunk.into()));
    };
    let longest = choices.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..longest {
        for (index, tokens) in choices.iter().enumerate() {
            if let Some(token) = tokens.get(at) {
                let part = if index == 0 {
                    Part::Content
                } else {
                    Part::Along
                };
                let logprobs = logprobs(std::slice::from_ref(token));
                let choice = json!([{"index": index, "text": token, "logprobs": logprobs, "finish_reason": null}]);
                push(part, choice, Value::Null);
            }
        }
    }
    for index in 0..choices.len() {
        let choice =
            json!([{"index": index, "text": "", "logprobs": null, "finish_reason": finish}]);
        push(Part::Tail, choice, Value::Null);
    }
    if with_usage {
        push(Part::Tail, json!([]), usage);
    }
    events.push(Event::done());
    Answer::Stream(events)
}

/// The prompts of a request as texts; a prompt given as tokens is their compact JSON.
fn prompts(prompt: &Value) -> Vec<String> {
    match prompt {
        Value::Array(items) if !items.first().is_some_and(Value::is_number) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect(),
        Value::String(text) => vec![text.clone()],
        Value::Null => vec![String::new()],
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            vec![prompt.to_string()]
        }
    }
}

fn offsets(tokens: &[String]) -> Vec<usize> {
    tokens
        .iter()
        .scan(0, |offset, token| {
            let start = *offset;
            *offset += token.chars().count();
            Some(start)
        })
        .collect()
}
