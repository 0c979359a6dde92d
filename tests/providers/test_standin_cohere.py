"""The Cohere stand-in takes what Cohere's own SDK sends, and the SDK understands what it answers."""

import base64
import json

import cohere
import pytest

import brain
from material import PNG, SCHEMA, TOOLS
from standins.cohere import Cohere

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute")

PLAIN, THINKS = "command-a-03-2025", "command-a-reasoning-08-2025"
FUNCTIONS = [
    {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
    for name, about, schema in TOOLS
]


@pytest.fixture(scope="module")
def provider():
    with Cohere() as provider:
        yield provider


@pytest.fixture
def client(provider):
    return cohere.ClientV2("co-test", base_url=provider.url)


ONCE = {"max_retries": 0}


def ask(client, messages, model=PLAIN, **more):
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return client.chat(model=model, messages=messages, request_options=ONCE, **more)


def stream(client, messages, model=PLAIN, **more):
    """The events put together as the plain answer has it."""
    messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    content, plan, calls, end = [], "", [], None
    for event in client.chat_stream(model=model, messages=messages, request_options=ONCE, **more):
        assert end is None
        message = getattr(getattr(event, "delta", None), "message", None)
        match event.type:
            case "content-start":
                content.append({"type": message.content.type, message.content.type: ""})
            case "content-delta":
                content[event.index][content[event.index]["type"]] += message.content.text or message.content.thinking
            case "tool-plan-delta":
                plan += message.tool_plan
            case "tool-call-start":
                calls.append(message.tool_calls.model_dump())
            case "tool-call-delta":
                calls[event.index]["function"]["arguments"] += message.tool_calls.function.arguments
            case "message-end":
                end = event.delta
    return content or None, plan or None, calls or None, end.finish_reason, end.usage.tokens


def parts(answer):
    message = answer.message
    content = [part.model_dump() for part in message.content] if message.content else None
    calls = [call.model_dump() for call in message.tool_calls] if message.tool_calls else None
    return content, message.tool_plan, calls, answer.finish_reason, answer.usage.tokens


def test_plain(client, provider):
    answer = ask(
        client,
        [{"role": "system", "content": "be"}, {"role": "system", "content": "brief"}, {"role": "user", "content": "hi 漢"}],
        temperature=0.3,
        p=0.9,
        k=3,
        seed=7,
    )
    assert answer.message.content[0].text.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”, my instructions are “be\n\nbrief”")
    assert answer.finish_reason == "COMPLETE" and answer.usage.tokens.input_tokens > 0
    assert provider.seen[-1]["conversation"]["settings"] == {"temperature": 0.3, "p": 0.9, "k": 3, "seed": 7}


@pytest.mark.parametrize("question, more", [
    ("hi 漢", {}), ("explain the weather", {"tools": FUNCTIONS}), ("hi", {"model": THINKS}),
    ("explain the weather", {"model": THINKS, "tools": FUNCTIONS}),
])
def test_a_stream_gives_the_plain_answer(client, question, more):
    assert stream(client, question, **more) == parts(ask(client, question, **more))


def test_parallel_tools_with_results(client):
    messages = [{"role": "user", "content": "explain the weather"}]
    first = ask(client, messages, tools=FUNCTIONS)
    assert first.finish_reason == "TOOL_CALL" and first.message.tool_plan.startswith("I shall look it up")
    calls = first.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris", "unit": "°C"}, {"city": "東京"}]
    messages.append(first.message)
    for call in reversed(calls):
        document = {"type": "document", "document": {"data": {"result": f"{call.function.name}: 18 °C"}}}
        messages.append({"role": "tool", "tool_call_id": call.id, "content": [document]})
    second = ask(client, messages, tools=FUNCTIONS)
    assert "gave “get_weather: 18 °C”" in second.message.content[0].text


def test_choice(client):
    def choose(tools=FUNCTIONS, **more):
        return [call.function.name for call in ask(client, "weather", tools=tools, **more).message.tool_calls or []]
    assert choose(tool_choice="NONE") == [] and choose(tool_choice="REQUIRED") == ["get_weather"] and len(choose()) == 2
    assert choose(tools=FUNCTIONS[1:], tool_choice="REQUIRED") == ["get_time"]


def test_image(client):
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    content = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = ask(client, [{"role": "user", "content": content}])
    assert f"I see image/png {len(PNG)} {brain.short_hash(PNG)}" in answer.message.content[0].text


def test_structured(client):
    answer = ask(client, "an animal", response_format={"type": "json_object", "json_schema": SCHEMA})
    assert json.loads(answer.message.content[0].text)["kind"] == "cat"


def test_thinking(client):
    shown = ask(client, "hi", model=THINKS, thinking={"type": "enabled", "token_budget": 500})
    assert shown.message.content[0].type == "thinking" and shown.message.content[1].type == "text"
    again = [{"role": "user", "content": "hi"}, shown.message, {"role": "user", "content": "again"}]
    assert "turns 3" in ask(client, again, model=THINKS).message.content[1].text
    assert len(ask(client, "hi", model=THINKS, thinking={"type": "disabled"}).message.content) == 1


def test_limits(client):
    stopped = ask(client, "count", stop_sequences=["STOP"])
    assert (stopped.finish_reason, stopped.message.content[0].text) == ("STOP_SEQUENCE", "one, two 漢字, three, ")
    short = ask(client, "a long story", max_tokens=17)
    assert (short.finish_reason, short.usage.tokens.output_tokens) == ("MAX_TOKENS", 17)
    cached = ask(client, [{"role": "system", "content": "This text is cached. " * 9}, {"role": "user", "content": "hi"}])
    assert 0 < cached.usage.cached_tokens < cached.usage.tokens.input_tokens


@pytest.mark.parametrize(
    "what, kind",
    [
        ("400", cohere.BadRequestError),
        ("401", cohere.UnauthorizedError),
        ("403", cohere.ForbiddenError),
        ("404", cohere.NotFoundError),
        ("408", cohere.GatewayTimeoutError),
        ("429", cohere.TooManyRequestsError),
        ("500", cohere.InternalServerError),
        ("503", cohere.ServiceUnavailableError),
        ("529", cohere.ServiceUnavailableError),
        ("context", cohere.BadRequestError),
    ],
)
@pytest.mark.parametrize("how", [ask, stream])
def test_failures(client, what, kind, how):
    with pytest.raises(kind):
        how(client, f"fail {what}")


@pytest.mark.parametrize("what", ["cut", "malformed", "late"])
def test_broken_streams(client, what):
    """The SDK hides the last two from its user: no end comes, or one that is an error."""
    try:
        end = stream(client, f"fail {what}")
    except Exception:
        return
    assert end[3] == "ERROR" or what == "malformed"


def test_embeddings(client, provider):
    answer = client.embed(model="embed-v4.0", texts=["one", "two 漢"], input_type="search_document", embedding_types=["float"],
                          output_dimension=256)
    assert answer.embeddings.float_ == [brain.embed("one", 256), brain.embed("two 漢", 256)]
    assert answer.meta.billed_units.input_tokens == 3 and provider.seen[-1]["input_type"] == "search_document"
    with pytest.raises(cohere.BadRequestError, match="output_dimension"):
        client.embed(model="embed-english-v3.0", texts=["one"], input_type="search_query", output_dimension=256)


TURN = {"role": "user", "content": "hi"}
CALL = {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize("message, body", [
    ("unknown key", {"top_p": 0.5}),
    ("unknown key", {"messages": [{"role": "user", "content": "a", "name": "me"}]}),
    ("is not one of", {"tool_choice": "auto"}),
    ("'developer' is not one of", {"messages": [{"role": "developer", "content": "a"}]}),
    ("tool_choice requires tools", {"tool_choice": "NONE"}),
    ("p must be between", {"p": 1}),
    ("frequency_penalty must be", {"frequency_penalty": -1}),
    ("at most 5", {"stop_sequences": list("abcdef")}),
    ("not supported with tools", {"tools": FUNCTIONS, "response_format": {"type": "json_object"}}),
    ("thinking is not supported", {"thinking": {"type": "enabled"}}),
    ("must follow the tool calls", {"messages": [TURN, CALL, TURN]}),
    ("is not one of", {"messages": [TURN, {"role": "tool", "tool_call_id": "x", "content": "y"}]}),
    ("the last message", {"messages": [TURN, {"role": "assistant", "content": "a"}]}),
    ("must not be empty", {"messages": [{"role": "user", "content": ""}]}),
])
def test_refuses(provider, message, body):
    import httpx

    answer = httpx.post(
        f"{provider.url}/v2/chat", headers={"authorization": "Bearer co-test"}, json={"model": PLAIN, "messages": [TURN]} | body
    )
    assert answer.status_code in (400, 422) and message in answer.json()["message"]


def test_refuses_a_wrong_key(provider):
    with pytest.raises(cohere.UnauthorizedError):
        ask(cohere.ClientV2("co-wrong", base_url=provider.url), "hi")
