"""The stand-ins of OpenAI's dialect with rules of their own, driven by the vendors' SDKs where there are such, else by openai."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request

import groq
import openai
import pytest

import brain
from standins.azure import Azure
from standins.flavours import Databricks, Groq, HuggingFace
from standins.openai_direct import OpenAi
from standins.watsonx import GRANT, Watsonx
from transcript import CHAT_CASES, EMBEDDING_CASES, TOOL_PARAMS, Program

ERRORS = [case for case in CHAT_CASES + EMBEDDING_CASES if "error" in case]
CASES = [case for case in CHAT_CASES + EMBEDDING_CASES if case not in ERRORS]


@pytest.fixture(scope="module")
def reference():
    with OpenAi() as standin:
        yield Program(f"{standin.url}/v1", "gpt-test", "embed-test", key="sk-openai-test")


@pytest.fixture(scope="module")
def azure():
    with Azure() as provider:
        yield provider


def azure_client(provider, **more):
    return openai.AzureOpenAI(
        azure_endpoint=provider.url, max_retries=0, **{"api_key": "azure-test", "api_version": "2024-12-01-preview"} | more
    )


def program(client, model, embedding_model=None):
    made = Program("http://unused/v1", model, embedding_model)
    made.client = client
    return made


def same(made, reference, case, without=()):
    """The case gives what OpenAI gives, but for details of usage."""
    def bare(value):
        if isinstance(value, list):
            return [bare(one) for one in value]
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items() if name not in without}
        return value
    assert bare(getattr(made, f"case_{case}")()) == bare(getattr(reference, f"case_{case}")())


# ---- Azure

@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("path", ["classic", "v1"])
def test_azure_gives_the_transcript(azure, reference, path, case):
    if path == "classic":
        client = azure_client(azure)
    else:
        client = openai.OpenAI(base_url=f"{azure.url}/openai/v1", api_key="azure-test", max_retries=0)
    same(program(client, "my-gpt", "my-embeddings"), reference, case)


def ask(client, text="hi", model="my-gpt", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def test_azure_filters(azure):
    client = azure_client(azure)
    answer = ask(client)
    assert answer.prompt_filter_results and answer.choices[0].content_filter_results["hate"]["severity"] == "safe"
    first = next(iter(ask(client, stream=True)))
    assert first.choices == [] and first.id == "" and first.prompt_filter_results
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, "please block the prompt")
    assert raised.value.code == "content_filter" and raised.value.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"


def test_azure_refuses(azure):
    with pytest.raises(openai.NotFoundError, match="deployment for this resource"):
        ask(azure_client(azure), model="other")
    with pytest.raises(openai.AuthenticationError):
        ask(azure_client(azure, api_key="wrong"))
    old = azure_client(azure, api_version="2024-02-15-preview")
    for member in (
        {"max_completion_tokens": 9},
        {"stream_options": {"include_usage": True}, "stream": True},
        {"parallel_tool_calls": True, "tools": TOOL_PARAMS},
    ):
        with pytest.raises(openai.BadRequestError, match="Unrecognized request argument"):
            ask(old, **member)
    assert ask(old, max_tokens=9).choices[0].finish_reason == "length"


def post(url, fields, headers=()):
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode(), dict(headers))
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def test_azure_tokens(azure):
    fields = {
        "grant_type": "client_credentials",
        "client_id": "client-test",
        "client_secret": "secret-test",
        "scope": azure.scope,
    }
    token = post(f"{azure.url}/tenant/oauth2/v2.0/token", fields)["access_token"]
    client = azure_client(azure, api_key=None, azure_ad_token=token)
    ask(client)
    azure.expire()
    with pytest.raises(openai.AuthenticationError):
        ask(client)
    for wrong in ({"client_secret": "x"}, {"scope": "x"}, {"more": "x"}):
        with pytest.raises(urllib.error.HTTPError):
            post(f"{azure.url}/tenant/oauth2/v2.0/token", fields | wrong)


# ---- Groq

@pytest.fixture(scope="module")
def groq_standin():
    with Groq() as provider:
        yield provider


def groq_client(provider, key="gsk-test"):
    return groq.Groq(api_key=key, base_url=provider.url, max_retries=0)


def test_groq_plain_and_stream(groq_standin):
    client = groq_client(groq_standin)
    about = {"model": "openai/gpt-oss-120b", "messages": [{"role": "user", "content": "hi 漢"}], "reasoning_effort": "low"}
    answer = client.chat.completions.create(**about)
    assert (
        answer.choices[0].message.content.startswith("Hello!")
        and answer.choices[0].message.reasoning
        and answer.usage.queue_time
    )
    chunks = list(client.chat.completions.create(stream=True, **about))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    reasoning = "".join(chunk.choices[0].delta.reasoning or "" for chunk in chunks)
    assert (text, reasoning) == (answer.choices[0].message.content, answer.choices[0].message.reasoning)
    assert chunks[-1].x_groq.usage.completion_tokens == answer.usage.completion_tokens


def test_groq_tools(groq_standin):
    client, messages = groq_client(groq_standin), [{"role": "user", "content": "weather"}]
    first = (
        client.chat.completions.create(model="llama-3.3-70b-versatile", messages=messages, tools=TOOL_PARAMS).choices[0].message
    )
    messages.append(first.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "fine"} for call in first.tool_calls]
    second = client.chat.completions.create(model="llama-3.3-70b-versatile", messages=messages, tools=TOOL_PARAMS)
    assert "get_weather" in second.choices[0].message.content
    messages[1]["function_call"] = None
    with pytest.raises(groq.BadRequestError, match="function_call: must be"):
        client.chat.completions.create(model="llama-3.3-70b-versatile", messages=messages, tools=TOOL_PARAMS)


@pytest.mark.parametrize(
    "message, more",
    [
        ("'n' :", {"n": 2}),
        ("'logprobs' is unsupported", {"logprobs": True}),
        ("unknown key", {"extra_body": {"top_k": 3}}),
        ("'metadata' is unsupported", {"metadata": {}}),
        ("cannot be streamed", {"stream": True, "response_format": {"type": "json_object"}}),
        ("is not supported with this model", {"reasoning_effort": "low"}),
        ("frequency_penalty", {"frequency_penalty": 1}),
    ],
)
def test_groq_refuses(groq_standin, message, more):
    with pytest.raises(groq.BadRequestError, match=message):
        groq_client(groq_standin).chat.completions.create(
            model="llama-3.3-70b-versatile", messages=[{"role": "user", "content": "hi"}], **more)


@pytest.mark.parametrize(
    "what, kind",
    [
        ("400", groq.BadRequestError),
        ("401", groq.AuthenticationError),
        ("429", groq.RateLimitError),
        ("503", groq.InternalServerError),
    ],
)
def test_groq_failures(groq_standin, what, kind):
    with pytest.raises(kind):
        groq_client(groq_standin).chat.completions.create(
            model="openai/gpt-oss-120b", messages=[{"role": "user", "content": f"fail {what}"}]
        )


# ---- Hugging Face, Databricks

def test_hugging_face():
    with HuggingFace() as provider:
        client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="hf_test", max_retries=0)
        answer = ask(client, model="meta-llama/Llama-3.3-70B-Instruct:novita")
        assert answer.choices[0].finish_reason == "eos_token"
        with pytest.raises(openai.NotFoundError):
            ask(client, model="other")


@pytest.fixture(scope="module")
def databricks():
    with Databricks() as provider:
        yield provider


def test_databricks(databricks):
    client = openai.OpenAI(base_url=f"{databricks.url}/serving-endpoints", api_key="dapi-test", max_retries=0)
    answer = ask(client, model="databricks-claude-sonnet-4", max_tokens=99, reasoning_effort="low")
    thought, text = answer.choices[0].message.content
    assert thought["type"] == "reasoning" and thought["summary"][0]["text"] and text["text"].startswith("Hello!")
    chunks = list(ask(client, model="databricks-claude-sonnet-4", stream=True, reasoning_effort="low"))
    assert any(isinstance(chunk.choices[0].delta.content, list) for chunk in chunks)
    for member in ("max_completion_tokens", "seed", "frequency_penalty"):
        with pytest.raises(openai.BadRequestError, match="unknown field"):
            ask(client, model="m", **{member: 1})


def test_databricks_tokens(databricks):
    login = base64.b64encode(b"client-test:secret-test").decode()
    fields = {"grant_type": "client_credentials", "scope": "all-apis"}
    token = post(f"{databricks.url}/oidc/v1/token", fields, {"authorization": f"Basic {login}"})["access_token"]
    client = openai.OpenAI(base_url=f"{databricks.url}/serving-endpoints", api_key=token, max_retries=0)
    ask(client, model="m")
    databricks.expire()
    with pytest.raises(openai.AuthenticationError):
        ask(client, model="m")
    with pytest.raises(urllib.error.HTTPError):
        post(f"{databricks.url}/oidc/v1/token", fields, {"authorization": "Basic eDp5"})


# ---- watsonx, by hand: its SDK is heavy and types nothing of the wire

@pytest.fixture(scope="module")
def watsonx():
    with Watsonx() as provider:
        yield provider


def call(provider, path, body, token=None, version="2026-11-01"):
    token = token or post(f"{provider.url}/identity/token", {"grant_type": GRANT, "apikey": "ibm-test"})["access_token"]
    about = {"model_id": "ibm/granite-4", "project_id": "project-1"} | body
    request = urllib.request.Request(f"{provider.url}/ml/v1/text/{path}?version={version}", json.dumps(about).encode(),
                                     {"authorization": f"Bearer {token}", "content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def hello(**more):
    return {"messages": [{"role": "user", "content": "hi 漢"}]} | more


def test_watsonx(watsonx):
    whole = json.loads(call(watsonx, "chat", hello(max_tokens=500, stop=["never"])))
    assert whole["choices"][0]["message"]["content"].startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”")
    assert whole["model_id"] == "ibm/granite-4" and set(whole["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    events = [json.loads(line[6:]) for line in call(watsonx, "chat_stream", hello()).splitlines() if line.startswith("data: ")]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1])
    assert text == whole["choices"][0]["message"]["content"] and events[-1]["usage"] == whole["usage"]
    tools = [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        }
    ]
    called = json.loads(call(watsonx, "chat", hello(tools=tools, tool_choice_option="required")))
    assert called["choices"][0]["finish_reason"] == "tool_calls"
    vectors = json.loads(call(watsonx, "embeddings", {"inputs": ["one"]}))
    assert vectors["results"][0]["embedding"] == brain.embed("one") and vectors["input_token_count"] == 1


@pytest.mark.parametrize("message, body", [
    ("unknown key", hello(stream=True)), ("unknown key", hello(model="x")), ("exactly one of", hello(space_id="x")),
    ("additionalProperties", hello(tools=TOOL_PARAMS)), ("tool_choice", hello(tool_choice="auto")), ("rate_limit", {"messages": [
        {"role": "user", "content": "fail 429"}]}),
])
def test_watsonx_refuses(watsonx, message, body):
    assert message in call(watsonx, "chat", body)


def test_watsonx_wants_a_version_and_a_token(watsonx):
    assert "version" in call(watsonx, "chat", hello(), version="1")
    assert "authentication" in call(watsonx, "chat", hello(), token="wrong")
