"""The Mistral stand-in takes what Mistral's own SDK sends, and the SDK understands what it answers."""

import base64
import json

import httpx
import pytest
from mistralai.client import Mistral as Client
from mistralai.client import errors

import brain
from material import PNG, SCHEMA, TOOLS
from standins.mistral import ID, Mistral

PLAIN, THINKS = "mistral-large-latest", "mistral-small-latest"
FUNCTIONS = [
    {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
    for name, about, schema in TOOLS
]


@pytest.fixture(scope="module")
def provider():
    with Mistral() as provider:
        yield provider


@pytest.fixture
def client(provider):
    return Client(api_key="mistral-test", server_url=provider.url)


def ask(client, messages, model=PLAIN, **more):
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return client.chat.complete(model=model, messages=messages, **more)


def kinds(content) -> tuple[str, str]:
    """Thinking and text."""
    if not isinstance(content, list):
        return "", content or ""
    thoughts = "".join(one.text for chunk in content if chunk.type == "thinking" for one in chunk.thinking)
    return thoughts, "".join(chunk.text for chunk in content if chunk.type == "text")


def normal(answer):
    choice = answer.choices[0]
    calls = [call.model_dump() for call in choice.message.tool_calls or []]
    return *kinds(choice.message.content), calls, choice.finish_reason, answer.usage.model_dump()


def stream(client, messages, model=PLAIN, **more):
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    thoughts, text, calls, reason, usage = "", "", [], None, None
    for event in client.chat.stream(model=model, messages=messages, **more):
        choice = event.data.choices[0]
        assert reason is None
        more_thoughts, more_text = kinds(choice.delta.content)
        thoughts, text = thoughts + more_thoughts, text + more_text
        calls += [call.model_dump() for call in choice.delta.tool_calls or []]
        reason, usage = choice.finish_reason, event.data.usage
    return thoughts, text, calls, reason, usage and usage.model_dump()


def test_plain(client, provider):
    answer = ask(
        client,
        [{"role": "system", "content": "be"}, {"role": "system", "content": "brief"}, {"role": "user", "content": "hi 漢"}],
        temperature=0.3,
        random_seed=7,
    )
    assert answer.choices[0].message.content.startswith(
        f"Hello! {brain.AWKWARD} You said “hi 漢”, my instructions are “be\n\nbrief”"
    )
    assert answer.choices[0].finish_reason == "stop" and answer.usage.prompt_tokens > 0
    assert provider.seen[-1]["conversation"]["settings"] == {"temperature": 0.3, "random_seed": 7}


@pytest.mark.parametrize("question, more", [
    ("hi 漢", {}), ("explain the weather", {"tools": FUNCTIONS}), ("hi", {"model": THINKS, "reasoning_effort": "high"}),
])
def test_a_stream_gives_the_plain_answer(client, question, more):
    assert stream(client, question, **more) == normal(ask(client, question, **more))


def test_parallel_tools_with_results(client):
    messages = [{"role": "user", "content": "weather"}]
    first = ask(client, messages, tools=FUNCTIONS).choices[0]
    calls = first.message.tool_calls
    assert first.finish_reason == "tool_calls" and all(ID.fullmatch(call.id) for call in calls)
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris", "unit": "°C"}, {"city": "東京"}]
    messages.append(first.message)
    for call in reversed(calls):
        messages.append(
            {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": f"{call.function.name}: 18 °C"}
        )
    assert "gave “get_weather: 18 °C”" in ask(client, messages, tools=FUNCTIONS).choices[0].message.content
    assert len(ask(client, "weather", tools=FUNCTIONS, parallel_tool_calls=False).choices[0].message.tool_calls) == 1


def test_choice(client):
    def choose(choice):
        return [
            call.function.name
            for call in ask(client, "weather", tools=FUNCTIONS, tool_choice=choice).choices[0].message.tool_calls or []
        ]

    assert choose("none") == [] and choose("any") == choose("required") == ["get_weather"] and len(choose("auto")) == 2
    assert choose({"type": "function", "function": {"name": "get_time"}}) == ["get_time"]


def test_image(client):
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    content = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
    ]
    answer = ask(client, [{"role": "user", "content": content}])
    assert f"I see image/png {len(PNG)} {brain.short_hash(PNG)}, https://x/a.png" in answer.choices[0].message.content


def test_structured(client):
    form = {"type": "json_schema", "json_schema": {"name": "animal", "schema": SCHEMA, "strict": True}}
    assert json.loads(ask(client, "an animal", response_format=form).choices[0].message.content)["kind"] == "cat"
    assert json.loads(ask(client, "json", response_format={"type": "json_object"}).choices[0].message.content)["answer"]


def test_thinking(client):
    shown = ask(client, "hi", model=THINKS, reasoning_effort="high").choices[0].message
    assert kinds(shown.content)[0] and shown.content[0].closed
    again = [{"role": "user", "content": "hi"}, shown, {"role": "user", "content": "again"}]
    assert "turns 3" in ask(client, again, model=THINKS).choices[0].message.content


def test_limits(client):
    assert ask(client, "count", stop=["STOP"]).choices[0].message.content == "one, two 漢字, three, "
    short = ask(client, "a long story", max_tokens=17)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 17)


@pytest.mark.parametrize(
    "what, status",
    [
        ("400", 400),
        ("401", 401),
        ("403", 403),
        ("404", 404),
        ("408", 408),
        ("429", 429),
        ("500", 500),
        ("503", 503),
        ("529", 503),
        ("context", 400),
    ],
)
@pytest.mark.parametrize("how", [ask, stream])
def test_failures(client, what, status, how):
    with pytest.raises(errors.SDKError) as raised:
        how(client, f"fail {what}")
    assert raised.value.status_code == status


@pytest.mark.parametrize("what", ["cut", "malformed", "late"])
def test_broken_streams(client, what):
    with pytest.raises(Exception):
        stream(client, f"fail {what}")


def test_embeddings(client, provider):
    answer = client.embeddings.create(model="codestral-embed", inputs=["one", "two 漢"], output_dimension=256)
    assert [one.embedding for one in answer.data] == [brain.embed("one", 256), brain.embed("two 漢", 256)]
    assert answer.usage.prompt_tokens == 3 and provider.seen[-1]["inputs"] == ["one", "two 漢"]
    with pytest.raises(errors.SDKError, match="output_dimension"):
        client.embeddings.create(model="mistral-embed", inputs="one", output_dimension=256)


def test_what_is_invalid_is_told_as_such(client):
    with pytest.raises(errors.HTTPValidationError):
        ask(client, "hi", temperature=2)


TURN = {"role": "user", "content": "hi"}


def called(id="abcdefghi"):
    return {"role": "assistant", "tool_calls": [{"id": id, "function": {"name": "f", "arguments": "{}"}}]}


def result(id="abcdefghi"):
    return {"role": "tool", "tool_call_id": id, "content": "x"}


@pytest.mark.parametrize("message, body", [
    ("unknown key", {"seed": 1}),
    ("unknown key", {"max_completion_tokens": 1}),
    ("unknown key", {"stream_options": {"include_usage": True}}),
    ("unknown key", {"messages": [TURN | {"name": "me"}]}),
    ("role", {"messages": [{"role": "developer", "content": "a"}]}),
    ("Field required", {"messages": [{"content": "a"}]}),
    ("with a length of 9", {"messages": [TURN, called("call_123"), result("call_123")]}),
    ("Not the same number", {"messages": [TURN, called(), TURN]}),
    ("Unexpected tool call id", {"messages": [TURN, called(), result("zzzzzzzzz")]}),
    ("after role 'tool'", {"messages": [TURN, called(), result(), TURN]}),
    ("Expected last role", {"messages": [TURN, {"role": "assistant", "content": "a"}]}),
    ("either content or tool_calls", {"messages": [TURN, {"role": "assistant"}, TURN]}),
    ("reasoning_effort is not enabled", {"reasoning_effort": "low"}),
    ("there are no tools", {"tool_choice": "any"}),
])
def test_refuses(provider, message, body):
    answer = httpx.post(f"{provider.url}/v1/chat/completions", headers={"authorization": "Bearer mistral-test"},
                        json={"model": PLAIN, "messages": [TURN]} | body)
    assert answer.status_code in (400, 422) and message in answer.text
