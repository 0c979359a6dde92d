"""The stand-ins of Bedrock and SageMaker take what boto3 sends and signs, and boto3 understands what they answer."""

import base64
import json
import struct
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.eventstream
import botocore.exceptions
import openai
import pytest

import brain
from material import PNG, SCHEMA, TOOLS
from standins import aws
from standins.aws import Credential
from standins.bedrock import PROFILE, Bedrock
from standins.sagemaker import SageMaker
from transcript import Program

CLAUDE, ADAPTIVE, NOVA = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-opus-4-6-v1", "amazon.nova-pro-v1:0"
TOOL_CONFIG = {"tools": [
    {"toolSpec": {"name": name, "description": about, "inputSchema": {"json": schema}}} for name, about, schema in TOOLS]}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
SHOWN = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}


def client(provider, service="bedrock-runtime", id="AKIDTEST", secret="secret/of+test", token=None, region="us-east-1"):
    return boto3.client(
        service, endpoint_url=provider.url, region_name=region, aws_access_key_id=id, aws_secret_access_key=secret,
        aws_session_token=token, config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=10),
    )


@pytest.fixture(scope="module")
def provider():
    credentials = {
        "AKIDTEST": Credential("secret/of+test"), "ASIATEST": Credential("other", token="to/ken=="),
        "ASIAOLD": Credential("old", token="t", expired=True),
    }
    with Bedrock(credentials, bearers={"bedrock-api-key-test": "acme"}) as provider:
        yield provider


@pytest.fixture(scope="module")
def bedrock(provider):
    return client(provider)


def user(*content):
    return {"role": "user", "content": [{"text": one} if isinstance(one, str) else one for one in content]}


def gathered(answer) -> dict:
    """The message and the rest of a stream."""
    blocks, out = {}, {}
    for event in answer["stream"]:
        (kind, data), = event.items()
        if kind == "contentBlockStart":
            blocks[data["contentBlockIndex"]] = {"toolUse": data["start"]["toolUse"] | {"input": ""}}
        elif kind == "contentBlockDelta":
            (what, delta), = data["delta"].items()
            block = blocks.setdefault(data["contentBlockIndex"], {})
            if what == "text":
                block["text"] = block.get("text", "") + delta
            elif what == "toolUse":
                block["toolUse"]["input"] += delta["input"]
            else:
                about = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                (key, value), = delta.items()
                about[key] = about.get(key, "") + value
        elif kind == "messageStop":
            out["stopReason"] = data["stopReason"]
        elif kind == "metadata":
            out["usage"] = data["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return out | {"output": {"message": {"role": "assistant", "content": list(blocks.values())}}}


def ask(bedrock, streamed, **about):
    if streamed:
        return gathered(bedrock.converse_stream(**about))
    answer = bedrock.converse(**about)
    return {name: answer[name] for name in ("output", "stopReason", "usage")}


@pytest.mark.parametrize("model", [CLAUDE, NOVA, PROFILE])
def test_plain_and_stream(bedrock, provider, model):
    system = [{"text": "be"}, {"cachePoint": {"type": "default"}}, {"text": "brief"}]
    about = {"modelId": model, "messages": [user("hi 漢")], "system": system}
    plain = ask(bedrock, False, **about)
    text = plain["output"]["message"]["content"][0]["text"]
    assert text.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”, my instructions are “be\n\nbrief”")
    assert plain == ask(bedrock, True, **about)
    assert provider.seen[-1]["target"].endswith("/converse-stream")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model, fields", [(CLAUDE, BUDGET), (ADAPTIVE, SHOWN)])
def test_thinking_tools_and_results(bedrock, model, fields, streamed):
    first = user("explain the weather")
    about = {"modelId": model, "toolConfig": TOOL_CONFIG, "additionalModelRequestFields": fields}
    about["inferenceConfig"] = {"maxTokens": 4096}
    answer = ask(bedrock, streamed, messages=[first], **about)
    message = answer["output"]["message"]
    assert answer["stopReason"] == "tool_use"
    assert [next(iter(block)) for block in message["content"]] == ["reasoningContent", "text", "toolUse", "toolUse"]
    calls = [block["toolUse"] for block in message["content"][2:]]
    results = user(*(
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": f"{call['name']} says 1"}]}} for call in calls
    ))
    second = ask(bedrock, streamed, messages=[first, message, results], **about)
    assert 'get_time({"city":"東京"}) gave “get_time says 1”' in second["output"]["message"]["content"][1]["text"]
    message["content"][0]["reasoningContent"]["reasoningText"]["signature"] = "AAAA"
    with pytest.raises(bedrock.exceptions.ValidationException, match="Invalid `signature`"):
        ask(bedrock, streamed, messages=[first, message, results], **about)


def test_thinking_is_counted_for_those_who_ask(bedrock):
    about = {"modelId": ADAPTIVE, "messages": [user("hi")], "additionalModelRequestFields": SHOWN}
    assert "additionalModelResponseFields" not in bedrock.converse(**about)
    answer = bedrock.converse(additionalModelResponseFieldPaths=["/usage/output_tokens_details"], **about)
    assert answer["additionalModelResponseFields"]["usage"]["output_tokens_details"]["thinking_tokens"] > 5


def test_image_schema_choices_and_limits(bedrock):
    def converse(text="weather", **more):
        return bedrock.converse(modelId=CLAUDE, messages=[user(*([text] if isinstance(text, str) else text))], **more)

    def names(**choice):
        content = converse(toolConfig=TOOL_CONFIG | {"toolChoice": choice})["output"]["message"]["content"]
        return [block["toolUse"]["name"] for block in content]

    seen = converse(["what?", {"image": {"format": "png", "source": {"bytes": PNG}}}])
    assert f"I see image/png {len(PNG)} {brain.short_hash(PNG)}" in seen["output"]["message"]["content"][0]["text"]
    form = {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "animal"}}}
    content = converse("a cat", outputConfig={"textFormat": form})["output"]["message"]["content"]
    assert json.loads(content[0]["text"])["kind"] == "cat"
    assert names(auto={}) == ["get_weather", "get_time"] and names(any={}) == ["get_weather"]
    assert names(tool={"name": "get_time"}) == ["get_time"]
    assert converse("long", inferenceConfig={"maxTokens": 9})["stopReason"] == "max_tokens"
    assert converse("count", inferenceConfig={"stopSequences": ["STOP"]})["stopReason"] == "stop_sequence"
    assert converse("fail filter")["stopReason"] == "content_filtered"
    single = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    one = converse(toolConfig=TOOL_CONFIG, additionalModelRequestFields=single)
    assert len(one["output"]["message"]["content"]) == 1
    usage = converse("hi", system=[{"text": "some cached text"}])["usage"]
    assert usage["cacheReadInputTokens"] and usage["cacheWriteInputTokens"]


@pytest.mark.parametrize("what, name", [
    ("400", "ValidationException"), ("401", "UnrecognizedClientException"), ("403", "AccessDeniedException"),
    ("404", "ResourceNotFoundException"), ("408", "ModelTimeoutException"), ("429", "ThrottlingException"),
    ("500", "InternalServerException"), ("503", "ServiceUnavailableException"), ("context", "ValidationException"),
])
def test_errors(bedrock, what, name):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        bedrock.converse(modelId=CLAUDE, messages=[user(f"fail {what}")])
    assert caught.value.response["Error"]["Code"] == name and caught.value.response["Error"]["Message"]


def test_broken_streams(bedrock):
    def stream(text):
        return gathered(bedrock.converse_stream(modelId=CLAUDE, messages=[user(text)]))

    with pytest.raises(botocore.exceptions.EventStreamError, match="throttlingException"):
        stream("fail late")
    with pytest.raises(botocore.eventstream.ChecksumMismatch):
        stream("fail malformed")
    with pytest.raises(Exception, match="(?i)incomplete|connection broken|ended prematurely"):
        stream("fail cut")


def message(*parts, role="user"):
    return {"role": role, "content": list(parts)}


def spec(**more):
    return {"toolConfig": {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}} | more}]}}


HI = {"text": "hi"}
USE = {"toolUse": {"toolUseId": "t1", "name": "a", "input": {}}}
REFUSED = [
    ("unknown member", {"messages": [message(HI)], "seed": 1}),
    ("unknown member", {"messages": [message({"text": "hi", "type": "text"})]}),
    ("exactly one member", {"messages": [message({"text": "hi", "image": {"format": "png", "source": {"bytes": "AAAA"}}})]}),
    ("is not one of", {"messages": [message({"image": {"format": "image/png", "source": {"bytes": "AAAA"}}})]}),
    ("is not base64", {"messages": [message({"image": {"format": "png", "source": {"bytes": "A!"}}})]}),
    ("must start with a user", {"messages": [message(HI, role="assistant")]}),
    ("must alternate", {"messages": [message(HI), message(HI)]}),
    ("is blank", {"messages": [message({"text": " "})]}),
    ("is empty", {"messages": [message()]}),
    ("toolConfig field must be defined", {"messages": [message(HI), message(USE, role="assistant"), message(HI)]}),
    ("Expected toolResult", {"messages": [message(HI), message(USE, role="assistant"), message(HI)]} | spec()),
    ("exceeds the number of toolUse", {"messages": [message({"toolResult": {"toolUseId": "x", "content": [HI]}})]} | spec()),
    ("regular expression", {"messages": [message(HI)]} | spec(name="a.b")),
    ("not within", {"messages": [message(HI)]} | spec(description="")),
    ("extraneous key .seed.", {"messages": [message(HI)], "additionalModelRequestFields": {"seed": 1}}),
    ("not within", {"messages": [message(HI)], "inferenceConfig": {"temperature": 1.5}}),
    ("cannot both be", {"messages": [message(HI)], "inferenceConfig": {"temperature": 0.5, "topP": 0.5}}),
]


@pytest.mark.parametrize("words, body", REFUSED, ids=[f"{index} {words}" for index, (words, _) in enumerate(REFUSED)])
def test_refuses(provider, words, body):
    """Bodies that botocore itself would not send, with a bearer key."""
    request = urllib.request.Request(
        f"{provider.url}/model/{CLAUDE}/converse", json.dumps(body).encode(),
        {"authorization": "Bearer bedrock-api-key-test", "content-type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 400 and caught.value.headers["x-amzn-errortype"].startswith("ValidationException:")
    assert words.replace(".seed.", "[seed]") in json.load(caught.value)["message"]


@pytest.mark.parametrize("name, about", [
    ("UnrecognizedClientException", {"id": "AKIDNOBODY"}), ("InvalidSignatureException", {"secret": "wrong"}),
    ("InvalidSignatureException", {"region": "eu-west-1"}), ("UnrecognizedClientException", {"id": "ASIATEST", "secret": "other"}),
    ("ExpiredTokenException", {"id": "ASIAOLD", "secret": "old", "token": "t"}),
])
def test_signatures(provider, name, about):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client(provider, **about).converse(modelId=CLAUDE, messages=[user("hi")])
    assert caught.value.response["Error"]["Code"] == name
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    client(provider, id="ASIATEST", secret="other", token="to/ken==").converse(modelId=PROFILE, messages=[user("hi")])


def test_a_late_signature(provider, monkeypatch):
    monkeypatch.setattr(aws, "SKEW", -aws.SKEW)
    with pytest.raises(botocore.exceptions.ClientError, match="Signature expired"):
        client(provider).converse(modelId=CLAUDE, messages=[user("hi")])


def test_frames_are_botocores():
    """Our encoder against botocore's decoder, byte by byte."""
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    raw = aws.frame('{"a":"é漢🙂"}'.encode(), headers) + aws.frame(b"", {":message-type": "event"})
    buffer = botocore.eventstream.EventStreamBuffer()
    seen = []
    for at in range(len(raw)):
        buffer.add_data(raw[at : at + 1])
        seen += list(buffer)
    assert [one.headers for one in seen] == [headers, {":message-type": "event"}]
    assert seen[0].payload.decode() == '{"a":"é漢🙂"}' and seen[1].payload == b""


@pytest.mark.parametrize("model, body, vector", [
    ("amazon.titan-embed-text-v1", {"inputText": "é"}, lambda answer: answer["embedding"]),
    ("amazon.titan-embed-text-v2:0", {"inputText": "é", "dimensions": 256, "normalize": True},
     lambda answer: answer["embeddingsByType"]["float"]),
    ("cohere.embed-english-v3", {"texts": ["é"], "input_type": "search_query"}, lambda answer: answer["embeddings"][0]),
    ("cohere.embed-v4:0", {"texts": ["é"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 256},
     lambda answer: answer["embeddings"]["float"][0]),
])
def test_embeddings(bedrock, model, body, vector):
    def invoke(body):
        kind = "application/json"
        answer = bedrock.invoke_model(modelId=model, body=json.dumps(body), contentType=kind, accept=kind)
        return json.loads(answer["body"].read())

    size = body.get("dimensions") or body.get("output_dimension") or 1024
    assert vector(invoke(body)) == brain.embed("é", size)
    with pytest.raises(bedrock.exceptions.ValidationException, match="extraneous key"):
        invoke(body | {"encoding_format": "float"})


def test_openai_path(provider):
    program = Program(f"{provider.url}/openai/v1", "openai.gpt-oss-120b", key="bedrock-api-key-test")
    assert program.case_stream() == program.case_turns()
    wrong = openai.OpenAI(base_url=f"{provider.url}/openai/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model="openai.gpt-oss-120b", messages=[{"role": "user", "content": "hi"}])


@pytest.fixture(scope="module")
def runtime():
    with SageMaker() as provider:
        yield client(provider, "sagemaker-runtime")


class TestSageMaker:
    def body(self, text, **more):
        return {"EndpointName": "llm-endpoint", "ContentType": "application/json",
                "Body": json.dumps({"messages": [{"role": "user", "content": text}]} | more)}

    def test_plain_and_stream(self, runtime):
        plain = json.loads(runtime.invoke_endpoint(**self.body("hi 漢"))["Body"].read())
        answer = runtime.invoke_endpoint_with_response_stream(**self.body("hi 漢", stream=True))
        raw = b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]).decode()
        events = [line.removeprefix("data: ") for line in raw.split("\n\n") if line]
        assert events[-1] == "[DONE]"
        text = "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])
        assert text == plain["choices"][0]["message"]["content"] and text.startswith("Hello")

    def test_embeddings(self, runtime):
        about = self.body("") | {"Body": json.dumps({"input": ["é"], "encoding_format": "base64"})}
        answer = json.loads(runtime.invoke_endpoint(**about)["Body"].read())
        raw = base64.b64decode(answer["data"][0]["embedding"])
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == brain.embed("é")

    def test_errors(self, runtime):
        with pytest.raises(runtime.exceptions.ModelError) as caught:
            runtime.invoke_endpoint(**self.body("fail 429"))
        assert caught.value.response["OriginalStatusCode"] == 429
        with pytest.raises(runtime.exceptions.ModelError, match="unknown key"):
            runtime.invoke_endpoint(**self.body("hi", surprise=1))
        with pytest.raises(botocore.exceptions.ClientError, match="ValidationError"):
            runtime.invoke_endpoint(**self.body("hi") | {"EndpointName": "nobody"})
        with pytest.raises(botocore.exceptions.EventStreamError, match="broke off"):
            list(runtime.invoke_endpoint_with_response_stream(**self.body("fail late", stream=True))["Body"])
