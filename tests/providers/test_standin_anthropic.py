"""The Anthropic stand-in takes what Anthropic's own SDK sends, and the SDK understands what it answers."""

import base64
import json

import anthropic
import pytest

import brain
from material import PNG, SCHEMA, TOOLS
from standins.anthropic import Anthropic, error_body, messages
from standins.base import Reply, StandIn

pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated", "ignore:Using Claude with")

OLD, ADAPTIVE, ALWAYS, ALWAYS_ACCOUNT = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5-5", "claude-haiku-5-5"
ANTHROPIC_TOOLS = [{"name": name, "description": about, "input_schema": schema} for name, about, schema in TOOLS]
OF_2023 = {"anthropic-version": "2023-06-01"}
BUDGET = {"type": "enabled", "budget_tokens": 1024}
SHOWN = {"type": "adaptive", "display": "summarized"}


@pytest.fixture(scope="module")
def provider():
    with Anthropic({"sk-ant-test": "acme", "sk-ant-other": "other"}) as provider:
        yield provider


@pytest.fixture
def client(provider):
    return anthropic.Anthropic(api_key="sk-ant-test", base_url=provider.url, max_retries=0)


def ask(client, content, streamed=False, **more):
    about = {"model": OLD, "max_tokens": 4096, "extra_headers": OF_2023} | more
    about.setdefault("messages", [{"role": "user", "content": content}])
    if not streamed:
        return client.messages.create(**about)
    with client.messages.stream(**about) as stream:
        return stream.get_final_message()


def test_plain(client, provider):
    answer = ask(client, "hi 漢", system=[{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}])
    assert answer.content[0].text.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”, my instructions are “be\n\nbrief”")
    assert answer.stop_reason == "end_turn" and answer.usage.input_tokens > 0
    assert provider.seen[-1]["conversation"]["system"] == "be\n\nbrief"


def test_a_stream_gives_the_plain_answer(client):
    assert ask(client, "hi 漢", streamed=True).model_dump() == ask(client, "hi 漢").model_dump()
    with client.messages.stream(model=OLD, max_tokens=99, messages=[{"role": "user", "content": "slow"}]) as stream:
        kinds = [event.type for event in stream]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model, thinking", [
    (OLD, BUDGET), (ADAPTIVE, BUDGET), (ADAPTIVE, SHOWN), (ALWAYS, SHOWN), (ALWAYS_ACCOUNT, SHOWN),
])
def test_thinking_tools_and_results(client, provider, model, thinking, streamed):
    first = {"role": "user", "content": "explain the weather"}
    about = {"model": model, "tools": ANTHROPIC_TOOLS, "thinking": thinking, "streamed": streamed}
    answer = ask(client, None, messages=[first], **about)
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input["city"] for block in answer.content[2:]] == ["Paris", "東京"]
    assert answer.usage.output_tokens_details.thinking_tokens > 5
    content = [block.model_dump(exclude_none=True) for block in answer.content]
    results = {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": block["id"], "content": f"{block['name']} says 1"} for block in content[2:]]}

    def follow(content, results=results, client=client):
        return ask(client, None, messages=[first, {"role": "assistant", "content": content}, results], **about)

    assert 'get_time({"city":"東京"}) gave “get_time says 1”' in follow(content).content[1].text
    changed = [content[0] | {"thinking": "Something else"}, *content[1:]]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        follow(changed)
    with pytest.raises(anthropic.BadRequestError, match="`tool_use` ids were found without"):
        follow(content, {"role": "user", "content": results["content"][:1]})
    with pytest.raises(anthropic.BadRequestError, match="must come first"):
        follow(content, {"role": "user", "content": [{"type": "text", "text": "here"}, *results["content"]]})
    other = anthropic.Anthropic(api_key="sk-ant-other", base_url=provider.url, max_retries=0)
    if thinking == BUDGET:
        with pytest.raises(anthropic.BadRequestError, match="Expected `thinking`"):
            follow(content[1:])
    if model == ALWAYS_ACCOUNT:
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            follow(content, client=other)
    else:
        follow(content, client=other)


def test_images(client):
    data = base64.b64encode(PNG).decode()
    answer = ask(client, [
        {"type": "text", "text": "what is it?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ])
    assert answer.content[0].text.startswith(f"I see image/png {len(PNG)} {brain.short_hash(PNG)}, https://example.com/a.png.")


def test_structured_output(client):
    answer = ask(client, "a cat", output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert json.loads(answer.content[0].text)["kind"] == "cat"
    with pytest.raises(anthropic.BadRequestError, match="additionalProperties"):
        ask(client, "a cat", output_config={"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}})


def test_choices_and_limits(client):
    def called(**choice):
        answer = ask(client, "weather", tools=ANTHROPIC_TOOLS, tool_choice=choice)
        return [block.name for block in answer.content if block.type == "tool_use"]

    assert called(type="auto") == ["get_weather", "get_time"]
    assert called(type="auto", disable_parallel_tool_use=True) == ["get_weather"]
    assert called(type="any") == ["get_weather"] and called(type="tool", name="get_time") == ["get_time"]
    assert called(type="none") == []
    cut = ask(client, "long", max_tokens=9)
    assert cut.stop_reason == "max_tokens" and cut.usage.output_tokens == 9
    stopped = ask(client, "count", stop_sequences=["STOP"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "STOP")
    assert stopped.content[0].text == "one, two 漢字, three, "
    assert ask(client, "fail filter").stop_reason == "refusal"
    usage = ask(client, "hi", system="please cached text").usage
    assert usage.cache_read_input_tokens and usage.cache_creation_input_tokens
    assert client.messages.count_tokens(model=OLD, messages=[{"role": "user", "content": "hi"}]).input_tokens == 4


@pytest.mark.parametrize("what, kind, status", [
    ("400", anthropic.BadRequestError, 400), ("401", anthropic.AuthenticationError, 401),
    ("403", anthropic.PermissionDeniedError, 403), ("404", anthropic.NotFoundError, 404), ("429", anthropic.RateLimitError, 429), ("500", anthropic.InternalServerError, 500),
    ("529", anthropic.OverloadedError, 529), ("context", anthropic.BadRequestError, 400),
])
def test_errors(client, what, kind, status):
    with pytest.raises(kind) as caught:
        ask(client, f"fail {what}")
    assert caught.value.status_code == status and caught.value.body["error"]["message"]


def test_broken_answers(client):
    with pytest.raises(anthropic.APIConnectionError):
        ask(client, "fail cut")
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        ask(client, "fail late", streamed=True)
    with pytest.raises(Exception, match="incomplete chunked read"):
        ask(client, "fail cut", streamed=True)
    with pytest.raises(json.JSONDecodeError):
        ask(client, "fail malformed", streamed=True)


REFUSED = [
    ("range: 0..1", {"extra_body": {"temperature": 1.5}}),
    ("unknown key", {"extra_body": {"seed": 1}}),
    ("messages.0.content.0.txt: unknown key",
     {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "txt": 1}]}]}),
    ("first message must use", {"messages": [{"role": "assistant", "content": "hi"}]}),
    ("non-whitespace", {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}),
    ("non-empty content", {"messages": [{"role": "user", "content": []}]}),
    ("max_tokens: missing", {"max_tokens": anthropic.omit}),
    ("cannot both be specified", {"extra_body": {"temperature": 0.5, "top_p": 0.5}}),
    ("takes no sampling", {"extra_body": {"temperature": 0.5}, "model": ALWAYS}),
    ("does not take 'disabled'", {"thinking": {"type": "disabled"}, "model": ALWAYS}),
    ("does not take 'enabled'", {"thinking": BUDGET, "model": ALWAYS}),
    ("does not take 'low'", {"output_config": {"effort": "low"}}),
    ("must be greater than `thinking.budget_tokens`", {"thinking": BUDGET, "max_tokens": 1024}),
    ("only auto and none", {"tools": ANTHROPIC_TOOLS, "tool_choice": {"type": "any"}, "model": ALWAYS}),
    ("may not be enabled when tool_choice forces", {"tools": ANTHROPIC_TOOLS, "tool_choice": {"type": "any"}, "thinking": BUDGET}),
    ("prefill", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "model": ADAPTIVE}),
    ("only be specified while providing tools", {"tool_choice": {"type": "auto"}}),
    ("should match pattern", {"tools": [ANTHROPIC_TOOLS[0] | {"name": "a.b"}]}),
    ("must be 'object'", {"tools": [ANTHROPIC_TOOLS[0] | {"input_schema": {}}]}),
    ("stop_sequences", {"stop_sequences": ["\n"]}),
    ("anthropic-version", {"extra_headers": {"anthropic-version": "2020-01-01"}}),
    ("not supported with this anthropic-version",
     {"extra_headers": {"anthropic-version": "2026-10-21"}, "extra_body": {"temperature": 1}}),
]


def test_older_models_take_sampling(client, provider):
    ask(client, "hi", extra_body={"temperature": 0.5, "top_k": 3})
    assert provider.seen[-1]["conversation"]["settings"] == {"temperature": 0.5, "top_k": 3}


@pytest.mark.parametrize("message, more", REFUSED, ids=[message for message, _ in REFUSED])
def test_refuses(client, message, more):
    body = {"model": OLD, "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}], "extra_headers": OF_2023} | more
    if body["max_tokens"] is anthropic.omit:
        with pytest.raises(anthropic.BadRequestError, match=message):
            client.post("/v1/messages", body={name: body[name] for name in ("model", "messages")}, cast_to=object)
        return
    with pytest.raises(anthropic.BadRequestError, match=message):
        client.messages.create(**body)


def test_refuses_a_wrong_key(provider):
    with pytest.raises(anthropic.AuthenticationError):
        ask(anthropic.Anthropic(api_key="sk-wrong", base_url=provider.url, max_retries=0), "hi")


class OnVertex(StandIn):
    """Just enough of Vertex to show that `messages` takes what the SDK sends there."""

    name = "vertex"

    def routes(self):
        at = "/projects/p/locations/us-east5/publishers/anthropic/models/(?P<model>[^/:]+)"
        return [("POST", f"{at}:rawPredict", self.predict), ("POST", f"{at}:streamRawPredict", self.predict)]

    def predict(self, request):
        body = request.json()
        return messages(self, request, body, request.arg("model"), "p", body.get("stream", False), variant="vertex")

    def refused(self, refusal, _request):
        return Reply(refusal.status, error_body(refusal.kind, refusal.message))


@pytest.mark.parametrize("streamed", [False, True])
def test_on_vertex(streamed):
    with OnVertex() as provider:
        client = anthropic.AnthropicVertex(
            base_url=provider.url, region="us-east5", project_id="p", access_token="t", max_retries=0)
        answer = ask(client, "hi", streamed, model="claude-sonnet-4-5@20250929", thinking=BUDGET)
        assert [block.type for block in answer.content] == ["thinking", "text"]
        with pytest.raises(anthropic.BadRequestError, match="anthropic_version"):
            ask(client, "hi", streamed, model="claude-sonnet-4-5@20250929", extra_body={"anthropic_version": "2023-06-01"})
