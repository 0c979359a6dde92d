"""The Ollama stand-in takes what Ollama's own client sends, and the client understands what it answers."""

import json

import ollama
import pytest

import brain
from material import PNG, SCHEMA, TOOLS
from standins.ollama import Ollama

FUNCTIONS = [{"type": "function", "function": {"name": name, "description": about, "parameters": {
    key: value for key, value in schema.items() if key != "additionalProperties"}}} for name, about, schema in TOOLS]


@pytest.fixture(scope="module")
def provider():
    with Ollama() as provider:
        yield provider


@pytest.fixture
def client(provider):
    return ollama.Client(host=provider.url)


def ask(client, messages, model="llama3.2", **more):
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return client.chat(model=model, messages=messages, **more)


def stream(client, messages, **more):
    lines = list(ask(client, messages, stream=True, **more))
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    calls = [call for line in lines for call in line.message.tool_calls or []]
    return ("".join(line.message.thinking or "" for line in lines) or None, "".join(line.message.content or "" for line in lines),
            calls or None, lines[-1].done_reason, lines[-1].eval_count)


def test_plain(client, provider):
    answer = ask(
        client,
        [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi 漢"}],
        options={"temperature": 0.5, "num_ctx": 4096},
    )
    assert answer.message.content.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”, my instructions are “be brief”")
    assert answer.done_reason == "stop" and answer.prompt_eval_count > 0
    assert provider.seen[-1]["conversation"]["settings"] == {"temperature": 0.5, "num_ctx": 4096}


@pytest.mark.parametrize(
    "question, more", [("hi 漢", {}), ("explain the weather", {"tools": FUNCTIONS}), ("hi", {"model": "qwen3", "think": True})]
)
def test_a_stream_gives_the_plain_answer(client, question, more):
    answer = ask(client, question, **more)
    message = answer.message
    assert stream(client, question, **more) == (
        message.thinking,
        message.content,
        message.tool_calls,
        answer.done_reason,
        answer.eval_count,
    )


def test_parallel_tools_with_results(client):
    messages = [{"role": "user", "content": "weather"}]
    first = ask(client, messages, tools=FUNCTIONS).message
    assert [call.function.arguments for call in first.tool_calls] == [{"city": "Paris", "unit": "°C"}, {"city": "東京"}]
    messages.append(first)
    for call in reversed(first.tool_calls):
        messages.append({"role": "tool", "tool_name": call.function.name, "content": f"{call.function.name}: 18 °C"})
    assert "gave “get_weather: 18 °C”" in ask(client, messages, tools=FUNCTIONS).message.content


def test_image_and_format_and_limits(client):
    seen = ask(client, [{"role": "user", "content": "What?", "images": [PNG]}]).message.content
    assert f"I see image/png {len(PNG)} {brain.short_hash(PNG)}" in seen
    assert json.loads(ask(client, "an animal", format=SCHEMA).message.content)["kind"] == "cat"
    assert json.loads(ask(client, "json", format="json").message.content)["answer"]
    short = ask(client, "a long story", options={"num_predict": 17})
    assert (short.done_reason, short.eval_count) == ("length", 17)
    assert ask(client, "count", options={"stop": ["STOP"]}).message.content == "one, two 漢字, three, "


@pytest.mark.parametrize("what, status", [("400", 400), ("404", 404), ("429", 429), ("500", 500), ("503", 503), ("context", 400)])
@pytest.mark.parametrize("how", [ask, stream])
def test_failures(client, what, status, how):
    with pytest.raises(ollama.ResponseError) as raised:
        how(client, f"fail {what}")
    assert raised.value.status_code == status


@pytest.mark.parametrize("what", ["cut", "malformed", "late"])
def test_broken_streams(client, what):
    with pytest.raises(Exception):
        stream(client, f"fail {what}")


def test_embeddings(client):
    answer = client.embed(model="llama3.2", input=["one", "two 漢"], dimensions=256)
    assert answer.embeddings == [brain.embed("one", 256), brain.embed("two 漢", 256)] and answer.prompt_eval_count == 3


@pytest.mark.parametrize(
    "message, body",
    [
        ("unknown key", {"temperature": 1}),
        ("unknown key", {"options": {"max_tokens": 3}}),
        ("does not support thinking", {"think": True}),
        ("belongs to no call", {"messages": [{"role": "tool", "content": "x"}]}),
        ("invalid format", {"format": "xml"}),
        (
            "must be an object",
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
        ),
        ("not found", {"model": "other"}),
        ("must be an array", {"messages": "x"}),
    ],
)
def test_refuses(provider, message, body):
    import httpx

    answer = httpx.post(
        f"{provider.url}/api/chat", json={"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}]} | body
    )
    assert answer.status_code in (400, 404) and message in answer.json()["error"]
