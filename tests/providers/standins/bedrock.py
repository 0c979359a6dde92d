"""Amazon Bedrock's runtime: Converse, ConverseStream, InvokeModel for embeddings, and the OpenAI-compatible path.

    Bedrock(credentials={...}, bearers={...}, profiles={arn: model})

Models: those of `claude.MODELS` as `[us.]anthropic.<name>[-v1:0]`, `amazon.nova-*`, and for InvokeModel
`amazon.titan-embed-text-v1`, `amazon.titan-embed-text-v2:0`, `cohere.embed-english-v3`, `cohere.embed-v4:0`.
"""

from __future__ import annotations

import base64
import json
import re

from anthropic.types import output_config_param, thinking_config_param, tool_choice_param

import brain
from standins import claude, openai_direct
from standins.anthropic import thinking_before_tools
from standins.aws import AwsStandIn, event_frame, exception_frame, fits, service_model, spoiled
from standins.base import Refused, Reply, Request, Stream, refuse, troubled
from standins.typed import conform

MODEL = service_model("bedrock-runtime")
CONVERSE = MODEL.operation_model("Converse").input_shape
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4"
STOP = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered",
    "stop_sequence": "stop_sequence",
}
CLAUDE_FIELDS = {
    "thinking": thinking_config_param.ThinkingConfigParam, "output_config": output_config_param.OutputConfigParam,
    "tool_choice": tool_choice_param.ToolChoiceParam, "top_k": int, "anthropic_beta": list[str],
}
"""What `additionalModelRequestFields` may hold for Claude."""
EXTRANEOUS = "Malformed input request: #: extraneous key [{}] is not permitted, please reformat your input and try again."


class Bedrock(AwsStandIn):
    name = "bedrock"
    service = "bedrock"
    too_long = "Input is too long for requested model."
    error_names = {
        "bad_request": (400, "ValidationException"), "context": (400, "ValidationException"),
        "auth": (403, "UnrecognizedClientException"), "forbidden": (403, "AccessDeniedException"),
        "not_found": (404, "ResourceNotFoundException"), "timeout": (408, "ModelTimeoutException"),
        "rate": (429, "ThrottlingException"), "server": (500, "InternalServerException"),
        "unavailable": (503, "ServiceUnavailableException"), "overloaded": (503, "ServiceUnavailableException"),
    }

    def __init__(self, credentials=None, bearers=None, profiles: dict[str, str] | None = None):
        super().__init__(credentials, bearers)
        self.profiles = profiles or {PROFILE: "anthropic.claude-sonnet-4-5-20250929-v1:0"}

    def routes(self):
        # A model id is one segment: an ARN's slashes must come percent-encoded.
        return [
            ("POST", "/model/(?P<model>[^/]+)/converse", self.converse),
            ("POST", "/model/(?P<model>[^/]+)/converse-stream", self.converse_stream),
            ("POST", "/model/(?P<model>[^/]+)/invoke", self.invoke),
            ("POST", "/openai/v1/chat/completions", self.openai_chat),
        ]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        if request.path.startswith("/openai/"):
            kind = refusal.kind if refusal.kind in openai_direct.KINDS else "auth"
            status = 401 if kind == "auth" else refusal.status
            return Reply(status, openai_direct.error_body(Refused(status, refusal.message, kind)))
        return super().refused(refusal, request)

    def model(self, request: Request) -> str:
        model = request.arg("model")
        model = self.profiles.get(model, model)
        if claude.rules(model) is None and not re.match(r"(\w+\.)?amazon\.(nova|titan)-|cohere\.embed-", model):
            raise Refused(404, f"Could not resolve the foundation model from the model identifier: {model}", "not_found")
        return model

    def converse(self, request: Request):
        return self.reply(request, stream=False)

    def converse_stream(self, request: Request):
        return self.reply(request, stream=True)

    def reply(self, request: Request, stream: bool):
        account, model, body = self.authorize(request), self.model(request), request.json()
        conversation, shows = read(body, model)
        secret = claude.secret(model, account) if claude.rules(model) else None
        if secret:
            claude.verify(conversation, secret, "messages")
        counts = secret and "/usage/output_tokens_details" in body.get("additionalModelResponseFieldPaths", [])
        answer = self.think(request, conversation, model=model, account=account, reports_reasoning=bool(counts))
        content = write_content(answer, secret, shows)
        # Converse itself has no count of reasoning; Claude's own usage does, for those who ask for that field.
        fields = {"usage": {"output_tokens_details": {"thinking_tokens": answer.usage.reasoning}}}
        extra = {"additionalModelResponseFields": fields} if counts else {}
        headers = {"x-amzn-requestid": f"req-{answer.digest}"}
        if not stream:
            return self.whole(answer, {
                "output": {"message": {"role": "assistant", "content": content}}, "stopReason": STOP[answer.finish],
                "usage": write_usage(answer.usage), "metrics": {"latencyMs": 7},
            } | extra, headers)
        late = exception_frame("throttlingException", {"message": "Too many requests, please wait before trying again."})
        broken = spoiled(event_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "spoiled"}}))
        events = troubled(frames(answer, content, extra), answer.trouble, late, broken)
        return Stream(events, "application/vnd.amazon.eventstream", headers)

    def openai_chat(self, request: Request):
        self.authorize(request)
        body = request.json()
        if not re.fullmatch(r"openai\.gpt-[a-z0-9.-]+", body.get("model") or ""):
            raise Refused(404, f"The model {body.get('model')!r} does not exist", "not_found")
        return openai_direct.chat(self, request, body)

    def invoke(self, request: Request) -> Reply:
        self.authorize(request)
        model, body = self.model(request), request.json()
        if "titan-embed" in model:
            return self.titan(request, model, body)
        if "cohere.embed" in model:
            return self.cohere(request, model, body)
        refuse(f"the stand-in invokes only embedding models, not {model}")

    def titan(self, request: Request, model: str, body: dict) -> Reply:
        second = "-v2" in model
        allowed = {"inputText": str} | ({"dimensions": int, "normalize": bool, "embeddingTypes": list} if second else {})
        only(body, allowed, ["inputText"])
        if not body["inputText"]:
            refuse("Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try again.")
        if body.get("dimensions", 1024) not in (256, 512, 1024):
            refuse(f"Malformed input request: #/dimensions: {body['dimensions']} is not a valid enum value")
        self.note(request, inputs=[body["inputText"]])
        openai_direct.failing([body["inputText"]])
        vector = brain.embed(body["inputText"], body.get("dimensions", 1024))
        kinds = {kind: vector for kind in body.get("embeddingTypes", ["float"])}
        return Reply(200, {"embedding": vector, "inputTextTokenCount": len(brain.tokens(body["inputText"]))}
                     | ({"embeddingsByType": kinds} if second else {}))

    def cohere(self, request: Request, model: str, body: dict) -> Reply:
        fourth = "v4" in model
        allowed = {"texts": list, "input_type": str, "truncate": str, "embedding_types": list}
        allowed |= {"output_dimension": int} if fourth else {}
        only(body, allowed, ["texts", "input_type"])
        if not 1 <= len(body["texts"]) <= 96 or not all(isinstance(text, str) and text for text in body["texts"]):
            refuse(f"Malformed input request: #/texts: 1 to 96 texts, not {len(body['texts'])}")
        if body["input_type"] not in ("search_document", "search_query", "classification", "clustering"):
            refuse(f"Malformed input request: #/input_type: {body['input_type']} is not a valid enum value")
        self.note(request, inputs=body["texts"])
        openai_direct.failing(body["texts"])
        vectors = [brain.embed(text, body.get("output_dimension", 1024)) for text in body["texts"]]
        by_type = {kind: vectors for kind in body["embedding_types"]} if "embedding_types" in body else None
        return Reply(200, {
            "id": "e1", "texts": body["texts"], "response_type": "embeddings_by_type" if by_type else "embeddings_floats",
            "embeddings": by_type or vectors,
        }, {"x-amzn-bedrock-input-token-count": str(sum(len(brain.tokens(text)) for text in body["texts"]))})


def only(body: dict, allowed: dict[str, type], required: list[str]):
    for name, value in body.items():
        if name not in allowed:
            refuse(EXTRANEOUS.format(name))
        if not isinstance(value, allowed[name]):
            refuse(f"Malformed input request: #/{name}: expected type: {allowed[name].__name__}")
    for name in required:
        if name not in body:
            refuse(f"Malformed input request: #: required key [{name}] not found, please reformat your input and try again.")


# ---- in

def read(body: dict, model: str) -> tuple[brain.Conversation, str | None]:
    """The conversation, and how thinking shows."""
    if errors := fits(body, CONVERSE):
        refuse("; ".join(errors[:5]))
    limits, tools = body.get("inferenceConfig", {}), body.get("toolConfig", {})
    fields = body.get("additionalModelRequestFields", {})
    choice = next(iter(tools.get("toolChoice", {"auto": {}}).items()))
    schema = read_schema(body)
    conversation = brain.Conversation(
        system=read_system(body.get("system", [])), turns=read_turns(body.get("messages", []), bool(tools)),
        tools=read_tools(tools.get("tools", [])), schema=schema,
        choice={"auto": "auto", "any": "required"}.get(choice[0]) or f"name:{choice[1]['name']}",
        max_tokens=limits.get("maxTokens"), stop=limits.get("stopSequences", []),
        settings={name: body[name] for name in ("inferenceConfig", "additionalModelRequestFields", "requestMetadata",
                                                "serviceTier", "performanceConfig", "guardrailConfig", "outputConfig") if name in body},
    )
    if conversation.choice.startswith("name:") and conversation.choice[5:] not in [tool.name for tool in conversation.tools]:
        refuse(f"Tool '{conversation.choice[5:]}' not found in provided tools")
    if claude.rules(model) is None:
        for name in fields:
            if name not in ("inferenceConfig", "reasoningConfig"):
                refuse(EXTRANEOUS.format(name))
        return conversation, None
    return conversation, read_claude(body, model, conversation, fields, limits)


def read_claude(body: dict, model: str, conversation: brain.Conversation, fields: dict, limits: dict) -> str | None:
    """What Claude asks for beyond Converse: the rules of the Messages API hold behind it."""
    for name, value in fields.items():
        if name not in CLAUDE_FIELDS:
            refuse(EXTRANEOUS.format(name))
        if errors := conform(value, CLAUDE_FIELDS[name], name):
            refuse("; ".join(errors))
    effort = (body.get("outputConfig") or {}).get("effort") or (fields.get("output_config") or {}).get("effort")
    if choice := fields.get("tool_choice"):
        conversation.parallel = not choice.get("disable_parallel_tool_use", False)
    shows = claude.check(model, claude.Asked(
        thinking=fields.get("thinking"), effort=effort, max_tokens=limits.get("maxTokens", 4096),
        temperature=limits.get("temperature"), top_p=limits.get("topP"), top_k=fields.get("top_k"),
        forced=conversation.choice not in ("auto", "none") or (choice or {}).get("type") in ("any", "tool"),
        schema=conversation.schema, roles=[turn.role for turn in conversation.turns],
    ))
    if shows is not None:
        conversation.effort = effort or "on"
    if (fields.get("thinking") or {}).get("type") == "enabled":
        thinking_before_tools(conversation)
    return shows


def read_schema(body: dict) -> dict | None:
    form = (body.get("outputConfig") or {}).get("textFormat")
    if form is None:
        return None
    try:
        return json.loads(form["structure"]["jsonSchema"]["schema"])
    except ValueError as error:
        refuse(f"outputConfig.textFormat.structure.jsonSchema.schema: is not JSON: {error}")


def read_system(blocks: list) -> str:
    return brain.join_system([block["text"] for block in blocks if "text" in block])


def read_tools(tools: list) -> list[brain.Tool]:
    read = []
    for tool in tools:
        if "toolSpec" in tool:
            about = tool["toolSpec"]
            if about["inputSchema"]["json"].get("type") != "object":
                refuse(f"The value at toolConfig.tools.{len(read)}.toolSpec.inputSchema.json.type must be one of the "
                       "following: object.")
            read.append(brain.Tool(about["name"], about.get("description", ""), about["inputSchema"]["json"]))
    if len({tool.name for tool in read}) < len(read):
        refuse("The toolConfig field contains duplicate tool names")
    return read


def read_turns(messages: list, has_tools: bool) -> list[brain.Turn]:
    if not messages or messages[0]["role"] != "user":
        refuse("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
    turns, open_calls = [], []
    for index, message in enumerate(messages):
        at = f"messages.{index}"
        if message["role"] == "system":
            refuse(f"{at}: this model does not take the role system in messages")
        if index and message["role"] == messages[index - 1]["role"]:
            refuse("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between "
                   f"user and assistant roles and try again. ({at})")
        if not message["content"]:
            refuse(f"The content field in the Message object at {at} is empty. Add a ContentBlock object to the content "
                   "field and try again.")
        turn = brain.Turn(message["role"], [
            part for k, block in enumerate(message["content"]) if (part := read_block(block, message["role"], f"{at}.content.{k}"))
        ])
        results = [part.id for part in turn.parts if isinstance(part, brain.ToolResult)]
        calls = [part.id for part in turn.parts if isinstance(part, brain.ToolCall)]
        if (results or calls) and not has_tools:
            refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        if extra := [id for id in results if id not in open_calls]:
            refuse(f"The number of toolResult blocks at {at}.content exceeds the number of toolUse blocks of previous turn. "
                   f"({extra})")
        if missing := [id for id in open_calls if id not in results]:
            refuse(f"Expected toolResult blocks at {at}.content for the following Ids: {', '.join(missing)}")
        open_calls = calls
        turns.append(turn)
    if open_calls:
        refuse(f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {', '.join(open_calls)}")
    return turns


def read_block(block: dict, role: str, at: str):
    kind, value = next(iter(block.items()))
    if kind == "cachePoint":
        return None
    if kind == "text":
        if not value.strip():
            refuse(f"The text field in the ContentBlock object at {at} is blank. Add text to the text field, and try again.")
        return brain.Text(value)
    if kind == "image" and role == "user" and "bytes" in value["source"]:
        return brain.Image(f"image/{value['format']}", base64.b64decode(value["source"]["bytes"]))
    if kind == "toolUse" and role == "assistant":
        if not isinstance(value["input"], dict):
            refuse(f"The format of the value at {at}.toolUse.input is invalid. Provide a json object for the field and try again.")
        return brain.ToolCall(value["toolUseId"], value["name"], value["input"])
    if kind == "toolResult" and role == "user":
        if not all(one.keys() & {"text", "json"} for one in value["content"]):
            refuse(f"{at}: the stand-in reads only text and json in results")
        text = "".join(one["text"] if "text" in one else brain.compact(one["json"]) for one in value["content"])
        return brain.ToolResult(value["toolUseId"], text)
    if kind == "reasoningContent" and role == "assistant" and "reasoningText" in value:
        return brain.Thinking(value["reasoningText"]["text"], value["reasoningText"].get("signature", ""))
    refuse(f"{at}: {kind} is not taken in a {role} turn here")


# ---- out

def write_content(answer: brain.Answer, secret: str | None, shows: str | None) -> list[dict]:
    content = []
    if shows is not None and answer.thinking:
        text = answer.thinking if shows == "summarized" else ""
        signature = brain.sign(secret, text, answer.digest)
        content.append({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}})
    if answer.text:
        content.append({"text": answer.text})
    return content + [
        {"toolUse": {"toolUseId": f"tooluse_{call.id}", "name": call.name, "input": call.arguments}} for call in answer.calls
    ]


def write_usage(usage: brain.Usage) -> dict:
    fresh = usage.input - usage.cached - usage.cache_write
    caches = {"cacheReadInputTokens": usage.cached, "cacheWriteInputTokens": usage.cache_write}
    return {"inputTokens": fresh, "outputTokens": usage.output, "totalTokens": usage.input + usage.output} | caches


def frames(answer: brain.Answer, content: list[dict], extra: dict):
    """As the service does it: no start for texts, padding `p` in every payload, metadata after messageStop."""
    def event(kind: str, **data) -> bytes:
        return event_frame(kind, data | {"p": "abcdefghijklmnopqrstuvwxyz"[: len(str(data)) % 26]})

    yield event("messageStart", role="assistant")
    for index, block in enumerate(content):
        at = {"contentBlockIndex": index}
        if "text" in block:
            deltas = [{"text": piece} for piece in brain.pieces(block["text"])]
        elif "toolUse" in block:
            call = block["toolUse"]
            yield event("contentBlockStart", start={"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}, **at)
            deltas = [{"toolUse": {"input": piece}} for piece in brain.pieces(brain.compact(call["input"]))]
        else:
            about = block["reasoningContent"]["reasoningText"]
            deltas = [{"reasoningContent": {"text": piece}} for piece in brain.pieces(about["text"])]
            deltas.append({"reasoningContent": {"signature": about["signature"]}})
        for delta in deltas:
            yield event("contentBlockDelta", delta=delta, **at)
        yield event("contentBlockStop", **at)
    yield event("messageStop", stopReason=STOP[answer.finish], **extra)
    yield event("metadata", usage=write_usage(answer.usage), metrics={"latencyMs": 7})
