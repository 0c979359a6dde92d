"""What an application does with the openai package, against the gateway. Every test names the behaviour it is about."""

import asyncio
import base64
import json
import re
import struct
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
import pydantic
import pytest

HELLO = [{"role": "user", "content": "Hello"}]
TEXT = "Grüße aus Köln: 你好, wörld 👋!"

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


def said(stream) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


# ---- chat


def test_chat(client, lab):
    lab["plain-1"].behave(text=TEXT)
    answer = client.chat.completions.create(model="plain", messages=HELLO, temperature=0.3, user="someone")
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.model == "plain-1-model"  # left as the upstream sent it
    sent = lab["plain-1"].one()["body"]
    assert sent == {"model": "plain-1-model", "messages": HELLO, "temperature": 0.3, "user": "someone"}


def test_chat_keeps_fields_the_gateway_does_not_know(client, lab):
    client.chat.completions.create(
        model="plain", messages=HELLO, extra_body={"made_up": {"deep": [1, 2.50, None, "ü"]}, "seed": 7}
    )
    sent = lab["plain-1"].one()["body"]
    assert sent["made_up"] == {"deep": [1, 2.5, None, "ü"]}
    assert sent["seed"] == 7


def test_chat_several_choices(client, lab):
    lab["plain-1"].behave(text="one of several")
    answer = client.chat.completions.create(model="plain", messages=HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_the_clients_key_stays_here_and_the_configured_one_goes_up(client, lab, about):
    client.chat.completions.create(model="plain", messages=HELLO)
    request = lab["plain-1"].one()
    assert request["headers"]["authorization"] == f"Bearer {about['upstream_key']}"
    assert "sk-anything" not in json.dumps(request)


def test_raw_response_headers(client, lab):
    raw = client.chat.completions.with_raw_response.create(model="ordered", messages=HELLO)
    assert raw.headers["x-waypost-model-group"] == "ordered"
    assert "ordered-1" in raw.headers["x-waypost-deployment"]
    assert raw.headers["x-waypost-attempts"] == "1"
    assert raw.headers["x-request-id"]
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def test_many_at_once_keep_their_answers_apart(client, lab):
    lab["plain-1"].behave(echo_request=True, first_token="20ms")

    def ask(number):
        answer = client.chat.completions.create(model="plain", messages=[{"role": "user", "content": f"number {number}"}])
        return answer.model_extra["x_request"]["messages"][0]["content"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(64))) == [f"number {number}" for number in range(64)]


# ---- streams


def test_stream(client, lab):
    lab["plain-1"].behave(text=TEXT)
    chunks = list(client.chat.completions.create(model="plain", messages=HELLO, stream=True))
    assert said(chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"


@pytest.mark.parametrize("behaviour", [
    {"chunking": {"split_bytes": 1}}, {"chunking": "coalesced"}, {"framing": "crlf", "chunking": {"split_bytes": 3}},
    {"framing": "compact"}, {"heartbeat": "5ms", "per_token": "8ms"}, {"fault": {"empty_choices": {"after": 2}}},
], ids=lambda behaviour: json.dumps(behaviour))
def test_stream_however_it_is_cut_into_pieces(client, lab, behaviour):
    lab["plain-1"].behave(text=TEXT, **behaviour)
    assert said(client.chat.completions.create(model="plain", messages=HELLO, stream=True)) == TEXT


def test_stream_with_usage(client, lab):
    lab["plain-1"].behave(text="three words here")
    stream = client.chat.completions.create(
        model="plain", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 3


def test_stream_comes_as_it_is_made(client, lab):
    lab["plain-1"].behave(text="one two three four five", hold={"after": 2})
    begin = time.monotonic()
    with client.chat.completions.create(model="plain", messages=HELLO, stream=True) as stream:
        text = ""
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            if text == "one two":
                break
    assert text == "one two"  # while the deployment still holds the rest
    assert time.monotonic() - begin < 5


def test_stream_left_early_is_cancelled_at_the_deployment(client, lab):
    lab["plain-1"].behave(tokens=10_000, per_token="10ms")
    with client.chat.completions.create(model="plain", messages=HELLO, stream=True) as stream:
        for _, _chunk in zip(range(5), stream):
            pass
    lab["plain-1"].wait_cancelled()


def test_async_streams(lab, about):
    lab["plain-1"].behave(text=TEXT, per_token="2ms")

    async def one(client):
        stream = await client.chat.completions.create(model="plain", messages=HELLO, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{about['gateway']}/v1", api_key="x", max_retries=0) as client:
            return await asyncio.gather(*(one(client) for _ in range(8)))

    assert asyncio.run(all_of_them()) == [TEXT] * 8


def test_async_stream_left_early_is_cancelled_at_the_deployment(lab, about):
    lab["plain-1"].behave(tokens=10_000, per_token="10ms")

    async def leave():
        async with openai.AsyncOpenAI(base_url=f"{about['gateway']}/v1", api_key="x", max_retries=0) as client:
            stream = await client.chat.completions.create(model="plain", messages=HELLO, stream=True)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
            await stream.close()

    asyncio.run(leave())
    lab["plain-1"].wait_cancelled()


def test_request_cancelled_while_waiting_is_cancelled_at_the_deployment(lab, about):
    lab["plain-1"].behave(fault="hang_before_head")

    async def cancel():
        async with openai.AsyncOpenAI(base_url=f"{about['gateway']}/v1", api_key="x", max_retries=0) as client:
            task = asyncio.create_task(client.chat.completions.create(model="plain", messages=HELLO))
            while not lab["plain-1"].requests():
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    lab["plain-1"].wait_cancelled()


@pytest.mark.parametrize("fault", [{"stream_error": {"after": 3}}, {"cut": {"after": 3}}, {"end_early": {"after": 3}}],
                         ids=lambda fault: next(iter(fault)))
def test_stream_that_breaks_raises_after_what_came(client, lab, fault):
    lab["ordered-1"].behave(text="one two three four five", fault=fault)
    text = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="ordered", messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    assert text == "one two three"
    assert caught.value.message
    assert lab["ordered-2"].requests() == []  # begun is begun: never mixed from two deployments


@pytest.mark.parametrize("fault", ["server_error", "error_in_200", "reset", "refused", {"stream_error": {"after": 0}},
                                   {"cut": {"after": 0}}, "unavailable", "loading", "rate_limit"],
                         ids=lambda fault: fault if isinstance(fault, str) else next(iter(fault)))
def test_stream_that_fails_before_it_begins_is_served_by_another(client, lab, fault):
    lab["ordered-1"].behave(fault=fault)
    lab["ordered-2"].behave(text="from the second")
    raw = client.chat.completions.with_raw_response.create(model="ordered", messages=HELLO, stream=True)
    assert said(raw.parse()) == "from the second"
    assert raw.headers["x-waypost-attempts"] == "2"
    assert "ordered-2" in raw.headers["x-waypost-deployment"]


# ---- tools, structured output, images


def test_tools_round_trip(client, lab):
    messages = [{"role": "user", "content": "Weather in Köln?"}]
    first = client.chat.completions.create(model="plain", messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    call = first.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city", "unit"}

    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'},
    ]
    lab["plain-1"].reset()
    lab["plain-1"].behave(tool_calls=0, text="21 degrees")
    second = client.chat.completions.create(model="plain", messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content == "21 degrees"
    sent = lab["plain-1"].one()["body"]
    assert sent["tools"] == [WEATHER]
    assert sent["messages"] == json.loads(json.dumps(messages))


def test_parallel_tool_calls(client, lab):
    lab["plain-1"].behave(tool_calls=3)
    answer = client.chat.completions.create(model="plain", messages=HELLO, tools=[WEATHER])
    calls = answer.choices[0].message.tool_calls
    assert len(calls) == 3 and len({call.id for call in calls}) == 3
    answer = client.chat.completions.create(model="plain", messages=HELLO, tools=[WEATHER], parallel_tool_calls=False)
    assert len(answer.choices[0].message.tool_calls) == 1


def test_streamed_tool_arguments(client, lab):
    lab["plain-1"].behave(tool_calls=2, chunking={"split_bytes": 7})
    whole = client.chat.completions.create(model="plain", messages=HELLO, tools=[WEATHER])
    with client.chat.completions.stream(model="plain", messages=HELLO, tools=[WEATHER]) as stream:
        for _event in stream:
            pass
        streamed = stream.get_final_completion()
    assert [(call.function.name, json.loads(call.function.arguments)) for call in streamed.choices[0].message.tool_calls] \
        == [(call.function.name, json.loads(call.function.arguments)) for call in whole.choices[0].message.tool_calls]
    assert streamed.choices[0].finish_reason == "tool_calls"


class Step(pydantic.BaseModel):
    what: str
    minutes: int


class Recipe(pydantic.BaseModel):
    name: str
    vegetarian: bool
    steps: list[Step]


def test_json_schema(client, lab):
    answer = client.chat.completions.parse(model="plain", messages=HELLO, response_format=Recipe)
    recipe = answer.choices[0].message.parsed
    assert isinstance(recipe, Recipe) and recipe.steps[0].minutes >= 0
    format_ = lab["plain-1"].one()["body"]["response_format"]
    assert format_["type"] == "json_schema"
    assert format_["json_schema"]["name"] == "Recipe" and format_["json_schema"]["strict"] is True
    assert set(format_["json_schema"]["schema"]["properties"]) == {"name", "vegetarian", "steps"}


def test_json_schema_streamed(client, lab):
    with client.chat.completions.stream(model="plain", messages=HELLO, response_format=Recipe) as stream:
        recipe = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(recipe, Recipe)


def test_an_image_arrives_as_it_was_sent(client, lab):
    image = base64.b64encode(bytes(range(256)) * 4096).decode()  # 1 MiB, every byte value
    url = f"data:image/png;base64,{image}"
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    client.chat.completions.create(model="plain", messages=[{"role": "user", "content": content}])
    assert lab["plain-1"].one()["body"]["messages"][0]["content"] == content


# ---- embeddings, completions, models


@pytest.mark.parametrize("encoding", ["both", "floats_only", "base64_only"])
def test_embeddings_have_their_length_and_values(client, lab, encoding):
    lab["plain-1"].behave(dimensions=48, embeddings=encoding)
    texts = ["one", "two", "drei"]
    default = client.embeddings.create(model="plain", input=texts)
    sent = lab["plain-1"].one()["body"]
    assert sent["input"] == texts
    floats = client.embeddings.create(model="plain", input=texts, encoding_format="float")
    assert [item.index for item in default.data] == [0, 1, 2]
    for by_default, as_float in zip(default.data, floats.data, strict=True):
        assert len(by_default.embedding) == 48
        assert [struct.pack("<f", x) for x in by_default.embedding] == [struct.pack("<f", x) for x in as_float.embedding]
        assert any(by_default.embedding)
    assert default.data[0].embedding != default.data[1].embedding
    assert default.usage.total_tokens > 0


def test_embeddings_with_dimensions(client, lab):
    assert len(client.embeddings.create(model="plain", input="one", dimensions=5).data[0].embedding) == 5


def test_completions(client, lab):
    lab["plain-1"].behave(text="and so on")
    answer = client.completions.create(model="plain", prompt="Once upon a time", max_tokens=10)
    assert answer.choices[0].text == "and so on"
    assert lab["plain-1"].one()["path"].endswith("/completions")
    stream = client.completions.create(model="plain", prompt="Once upon a time", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == "and so on"


def test_chat_over_a_deployment_that_only_completes(client, lab):
    lab["prompts-1"].behave(text="an answer", completions_only=True)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    answer = client.chat.completions.create(model="prompts", messages=messages)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content == "an answer"
    assert lab["prompts-1"].one()["body"]["prompt"] == "Be brief.\n\nHello"
    assert said(client.chat.completions.create(model="prompts", messages=messages, stream=True)) == "an answer"


def test_models(client, lab, about):
    assert sorted(model.id for model in client.models.list()) == about["groups"]
    assert client.models.retrieve("plain").id == "plain"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no-such-model")
    assert caught.value.code == "model_not_found"


# ---- errors


def test_unknown_model(client, lab):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert "no-such-model" in caught.value.message
    assert caught.value.type == "invalid_request_error"


def test_a_bad_request_is_refused_with_the_parameter_and_not_retried(client, lab):
    lab["ordered-1"].behave(fault={"bad_request": {"param": "temperature"}})
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="ordered", messages=HELLO, temperature=99)
    assert caught.value.param == "temperature"
    assert len(lab["ordered-1"].requests()) == 1
    assert lab["ordered-2"].requests() == []


def test_a_body_without_model_is_refused(about):
    request = urllib.request.Request(
        f"{about['gateway']}/v1/chat/completions", data=b'{"messages": []}', headers={"content-type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    error = json.load(caught.value)["error"]
    assert caught.value.code == 400
    assert error["param"] == "model" and error["type"] == "invalid_request_error" and error["message"]


def test_context_length_exceeded(client, lab):
    for name in ("ordered-1", "ordered-2"):
        lab[name].behave(fault="context_length")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="ordered", messages=HELLO)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"


def test_content_filter(client, lab):
    for name in ("ordered-1", "ordered-2"):
        lab[name].behave(fault="content_filter")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="ordered", messages=HELLO)
    assert caught.value.code == "content_filter"


def test_a_key_is_needed_where_keys_are_configured(lab, about):
    def ask(key, model="plain"):
        with openai.OpenAI(base_url=f"{about['keyed']}/v1", api_key=key, max_retries=0) as client:
            return client.chat.completions.create(model=model, messages=HELLO)

    with pytest.raises(openai.AuthenticationError) as caught:
        ask("sk-wrong")
    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)
    assert lab["plain-1"].requests() == []
    assert ask(about["client_key"]).choices[0].message.content
    assert ask(about["limited_key"], "ordered").choices[0].message.content
    with pytest.raises((openai.PermissionDeniedError, openai.NotFoundError)):
        ask(about["limited_key"])
    with openai.OpenAI(base_url=f"{about['keyed']}/v1", api_key=about["limited_key"], max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["ordered"]


def test_a_providers_refusal_does_not_show_its_key(client, lab, about):
    lab["plain-1"].behave(fault="echo_authorization")
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="plain", messages=HELLO)
    assert about["upstream_key"] not in str(caught.value) + caught.value.response.text


def test_all_cooling(client, lab):
    for name in ("cooling-1", "cooling-2"):
        lab[name].behave(fault={"rate_limit": {"retry_after": "20s"}})
    with pytest.raises(openai.RateLimitError) as first:
        client.chat.completions.create(model="cooling", messages=HELLO)
    assert len(lab["cooling-1"].requests()) == len(lab["cooling-2"].requests()) == 1
    with pytest.raises(openai.RateLimitError) as second:
        client.chat.completions.create(model="cooling", messages=HELLO)
    assert len(lab["cooling-1"].requests()) == len(lab["cooling-2"].requests()) == 1, "asked while cooling"
    for caught in (first, second):
        assert 15 <= float(caught.value.response.headers["retry-after"]) <= 21
    assert "cooling-1" in second.value.message and "cooling-2" in second.value.message


# ---- retries and time limits


@pytest.mark.parametrize("fault", ["server_error", "unavailable", "rate_limit", "reset", "refused", "malformed_json",
                                   "truncated_body", "error_in_200", "unauthorized", "insufficient_quota", "timeout",
                                   "deployment_not_found"])
def test_a_failing_deployment_is_replaced_by_another(client, lab, fault):
    lab["ordered-1"].behave(fault=fault)
    lab["ordered-2"].behave(text="from the second")
    raw = client.chat.completions.with_raw_response.create(model="ordered", messages=HELLO)
    assert raw.parse().choices[0].message.content == "from the second"
    assert raw.headers["x-waypost-attempts"] == "2"
    assert "ordered-2" in raw.headers["x-waypost-deployment"]
    assert lab["ordered-2"].one()["body"]["messages"] == HELLO


def test_one_failure_then_well_again(client, lab):
    lab["ordered-1"].behave_next(1, fault="server_error")
    assert client.chat.completions.with_raw_response.create(model="ordered", messages=HELLO).headers["x-waypost-attempts"] == "2"
    assert client.chat.completions.with_raw_response.create(model="ordered", messages=HELLO).headers["x-waypost-attempts"] == "1"


def test_the_sdks_own_retries_do_not_multiply_the_gateways(lab, about):
    for name in ("budget-1", "budget-2"):
        lab[name].behave(fault="server_error")
    with openai.OpenAI(base_url=f"{about['gateway']}/v1", api_key="x", max_retries=3, timeout=30) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="budget", messages=HELLO)
    calls = len(lab["budget-1"].requests()) + len(lab["budget-2"].requests())
    assert calls == 2, "num_retries: 1 allows two calls, whatever the client's own retries are"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_the_clients_time_limit_ends_the_call_at_the_deployment_too(lab, about):
    lab["plain-1"].behave(fault="hang_before_head")
    with openai.OpenAI(base_url=f"{about['gateway']}/v1", api_key="x", max_retries=0, timeout=0.3) as client:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="plain", messages=HELLO)
    lab["plain-1"].wait_cancelled()


@pytest.mark.parametrize("stream", [False, True])
def test_the_gateways_time_limit(client, lab, stream):
    lab["hasty-1"].behave(fault="hang_before_head")
    begin = time.monotonic()
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="hasty", messages=HELLO, stream=stream)
    assert 0.8 < time.monotonic() - begin < 5
    assert caught.value.status_code in (408, 504)
    lab["hasty-1"].wait_cancelled()


# ---- Azure


def test_azure_client(lab, about):
    with openai.AzureOpenAI(
        azure_endpoint=about["gateway"], azure_deployment="plain", api_version="2024-10-21", api_key="x", max_retries=0
    ) as client:
        lab["plain-1"].behave(text=TEXT)
        answer = client.chat.completions.create(model="whatever", messages=HELLO)
        assert answer.choices[0].message.content == TEXT
        assert lab["plain-1"].one()["body"]["model"] == "plain-1-model"
        assert said(client.chat.completions.create(model="whatever", messages=HELLO, stream=True)) == TEXT
        assert len(client.embeddings.create(model="whatever", input="one").data[0].embedding) == 8


def test_azure_client_with_a_key(lab, about):
    def client(key):
        return openai.AzureOpenAI(
            azure_endpoint=about["keyed"], azure_deployment="plain", api_version="2024-10-21", api_key=key, max_retries=0
        )

    with client("sk-wrong") as wrong, pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model="plain", messages=HELLO)
    with client(about["client_key"]) as right:
        assert right.chat.completions.create(model="plain", messages=HELLO).choices[0].message.content


def test_azure_deployment_behind_the_gateway(client, lab, about):
    lab["azure-1"].behave(text=TEXT)
    assert client.chat.completions.create(model="azure", messages=HELLO).choices[0].message.content == TEXT
    request = lab["azure-1"].one()
    assert re.fullmatch(r"/openai/deployments/azure-1/chat/completions(\?api-version=2024-10-21)?", request["path"])
    assert request["headers"]["api-key"] == about["upstream_key"]
    assert "authorization" not in request["headers"]
    assert said(client.chat.completions.create(model="azure", messages=HELLO, stream=True)) == TEXT
