"""Anthropic Messages: `POST /v1/messages`, plain and as named events. See `base` for how a stand-in works.

`Anthropic(keys={key: account})`. `messages` is the body's whole treatment and serves Vertex's `rawPredict` too:

    messages(standin, request, body, model, account, stream, variant="vertex")
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming

import brain
from standins import claude
from standins.base import Refused, Reply, Request, StandIn, Stream, refuse, sse, troubled
from standins.typed import conform

VERSIONS = ("2023-06-01", "2026-10-21")
KINDS = {
    "bad_request": "invalid_request_error", "context": "invalid_request_error", "auth": "authentication_error",
    "forbidden": "permission_error", "not_found": "not_found_error", "timeout": "timeout_error",
    "rate": "rate_limit_error", "server": "api_error", "unavailable": "api_error", "overloaded": "overloaded_error",
}
STOP = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
}
SAMPLING = {"temperature": float, "top_p": float, "top_k": int}
"""Version 2023-06-01 still has them, for older models; the SDK's types do not any more."""
VERTEX_VERSIONS = ("vertex-2023-10-16", "2026-10-21")


class Anthropic(StandIn):
    name = "anthropic"
    too_long = "prompt is too long: 250000 tokens > 200000 maximum"

    def __init__(self, keys: dict[str, str] | None = None):
        super().__init__()
        self.keys = keys or {"sk-ant-test": "acme"}

    def routes(self):
        return [("POST", "/v1/messages", self.create), ("POST", "/v1/messages/count_tokens", self.count_tokens)]

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        return Reply(refusal.status, error_body(refusal.kind, refusal.message), {"request-id": "req_standin"})

    def account(self, request: Request) -> str:
        """x-api-key wins over the bearer."""
        bearer = request.header("authorization") or ""
        key = request.header("x-api-key") or bearer.removeprefix("Bearer ")
        if key not in self.keys:
            raise Refused(401, f"invalid x-api-key or bearer {key!r}", "auth")
        version = request.header("anthropic-version")
        if version not in VERSIONS:
            refuse(f"anthropic-version: header must be one of {VERSIONS}, not {version!r}")
        return self.keys[key]

    def create(self, request: Request):
        account, body = self.account(request), request.json()
        return messages(self, request, body, body.get("model"), account, body.get("stream", False))

    def count_tokens(self, request: Request) -> Reply:
        self.account(request)
        body = request.json() | {"max_tokens": 1}
        conversation, _ = read(body, body.get("model"), "acme", request.header("anthropic-version"))
        return Reply(200, {"input_tokens": brain.count(brain.Answer(), conversation).input})


def messages(standin: StandIn, request: Request, body: dict, model: str, account: str, stream: bool, variant: str = "api"):
    """Reads, checks and answers one request. `variant` "vertex": `anthropic_version` in the body, no `model` in it."""
    version = request.header("anthropic-version")
    if variant == "vertex":
        version = body.get("anthropic_version")
        if version not in VERTEX_VERSIONS:
            refuse(f"anthropic_version: must be one of {VERTEX_VERSIONS}, not {version!r}")
        if "model" in body:
            refuse("model: Extra inputs are not permitted (it is in the path)")
        body = {name: value for name, value in body.items() if name not in ("anthropic_version", "anthropic_beta")}
        body["model"] = model
    conversation, shows = read(body, model, account, version)
    answer = standin.think(request, conversation, model=model, account=account)
    message = write(answer, conversation, model, account, shows)
    headers = {"request-id": "req_standin"}
    if not stream:
        return standin.whole(answer, message, headers)
    late = sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
    broken = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"ty\n\n'
    return Stream(troubled(events(message), answer.trouble, late, broken), headers=headers)


def error_body(kind: str, message: str) -> dict:
    return {"type": "error", "error": {"type": KINDS[kind], "message": message}, "request_id": "req_standin"}


# ---- in

def read(body: dict, model: str, account: str, version: str | None) -> tuple[brain.Conversation, str | None]:
    """The conversation, and how thinking shows (see `claude.check`)."""
    if not isinstance(model, str) or claude.rules(model) is None:
        raise Refused(404, f"model: {model}", "not_found")
    params = MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming
    errors = conform({name: value for name, value in body.items() if name not in SAMPLING}, params)
    errors += [f"{name}: must be {kind.__name__}" for name, kind in SAMPLING.items() if conform(body.get(name), kind | None)]
    if errors:
        refuse("; ".join(errors[:5]))
    for name in ("temperature", "top_p"):
        if not 0 <= body.get(name, 1) <= 1:
            refuse(f"{name}: range: 0..1, not {body[name]}")
    if body["max_tokens"] < 1:
        refuse("max_tokens: must be at least 1")
    if any(not stop.strip() for stop in body.get("stop_sequences", [])):
        refuse("stop_sequences: each stop sequence must contain non-whitespace")
    if (marks := json.dumps(body).count('"cache_control": {')) > 4:
        refuse(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    output = body.get("output_config") or {}
    choice = body.get("tool_choice") or {}
    conversation = brain.Conversation(
        system=read_system(body.get("system", "")),
        turns=read_turns(body["messages"], claude.rules(model).prefill),
        tools=read_tools(body.get("tools", []), claude.rules(model).names),
        choice=read_choice(choice, body.get("tools", [])),
        parallel=not choice.get("disable_parallel_tool_use", False),
        schema=(output.get("format") or {}).get("schema"),
        max_tokens=body["max_tokens"], stop=body.get("stop_sequences", []),
        settings={name: body[name] for name in ("temperature", "top_p", "top_k", "metadata", "service_tier", "thinking",
                                                "output_config") if name in body},
    )
    asked = claude.Asked(
        thinking=body.get("thinking"), effort=output.get("effort"), max_tokens=body["max_tokens"],
        temperature=body.get("temperature"), top_p=body.get("top_p"), top_k=body.get("top_k"),
        forced=choice.get("type") in ("any", "tool"), schema=conversation.schema,
        roles=[message["role"] for message in body["messages"]],
    )
    shows = claude.check(model, asked, version_2026=version == VERSIONS[1])
    if (body.get("thinking") or {}).get("type") == "enabled":
        thinking_before_tools(conversation)
    claude.verify(conversation, claude.secret(model, account), "messages")
    if shows is not None:
        conversation.effort = output.get("effort") or "on"
    return conversation, shows


def read_system(system) -> str:
    if isinstance(system, list):
        if any(not block["text"].strip() for block in system):
            refuse("system: text content blocks must be non-empty")
        return brain.join_system([block["text"] for block in system])
    return system


def read_turns(messages: list, prefill: bool) -> list[brain.Turn]:
    if not messages or messages[0]["role"] != "user":
        refuse('messages: first message must use the "user" role')
    turns, open_calls = [], []
    for index, message in enumerate(messages):
        at = f"messages.{index}"
        if message["role"] == "system":
            refuse(f"{at}: this model takes system text only in the top-level field")
        blocks = message["content"]
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        if not blocks:
            refuse(f"{at}: all messages must have non-empty content except for the optional final assistant message")
        parts = [read_block(block, message["role"], f"{at}.content.{k}") for k, block in enumerate(blocks)]
        turn = brain.Turn(message["role"], parts)
        check_results(turn, open_calls, at)
        # Neighbours of one role are one turn: calls stay open over the assistant's next message.
        calls = [part.id for part in turn.parts if isinstance(part, brain.ToolCall)]
        open_calls = open_calls + calls if turn.role == "assistant" else []
        turns.append(turn)
    if open_calls:
        refuse(f"messages.{len(turns) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
               f"{', '.join(open_calls)}")
    return turns


def check_results(turn: brain.Turn, open_calls: list[str], at: str):
    """Results answer the calls of the message before, all of them, once each, before any text."""
    if turn.role == "assistant":
        return
    results = [part.id for part in turn.parts if isinstance(part, brain.ToolResult)]
    if unknown := [id for id in results if id not in open_calls]:
        refuse(f"{at}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(unknown)}. Each `tool_result` block "
               "must have a corresponding `tool_use` block in the previous message.")
    if missing := [id for id in open_calls if id not in results]:
        refuse(f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}")
    if len(set(results)) < len(results):
        refuse(f"{at}: each tool_use must have a single result. Found multiple `tool_result` blocks with one id")
    if not all(isinstance(part, brain.ToolResult) for part in turn.parts[: len(results)]):
        refuse(f"{at}: `tool_result` blocks must come first in the content")


def read_block(block: dict, role: str, at: str):
    kind = block["type"]
    if kind == "text":
        if not block["text"].strip():
            refuse(f"{at}: text content blocks must contain non-whitespace text")
        return brain.Text(block["text"])
    if kind == "image" and role == "user":
        source = block["source"]
        if source["type"] == "url":
            if not re.match(r"https?://", source["url"]):
                refuse(f"{at}.source.url: Only HTTP(S) URLs are supported")
            return brain.Image(url=source["url"])
        if source["type"] == "base64":
            return brain.Image(source["media_type"], decode(source["data"], at))
    if kind == "tool_use" and role == "assistant":
        if not re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]):
            refuse(f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        return brain.ToolCall(block["id"], block["name"], block["input"])
    if kind == "tool_result" and role == "user":
        content = block.get("content", "")
        if isinstance(content, list):
            if other := [one["type"] for one in content if one["type"] != "text"]:
                refuse(f"{at}.content: the stand-in reads only text in results, not {other}")
            content = "".join(one["text"] for one in content)
        return brain.ToolResult(block["tool_use_id"], content)
    if kind == "thinking" and role == "assistant":
        return brain.Thinking(block["thinking"], block["signature"])
    refuse(f"{at}: {kind!r} is not taken in a {role} turn")


def decode(data: str, at: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        refuse(f"{at}: invalid base64 data: {error}")


def read_tools(tools: list, longest: int) -> list[brain.Tool]:
    read = []
    for index, tool in enumerate(tools):
        at = f"tools.{index}"
        if tool.get("type") not in (None, "custom"):
            refuse(f"{at}: the stand-in has no server tools ({tool['type']})")
        if not re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{longest}}}", tool["name"]):
            refuse(f"{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,{longest}}}$'")
        if tool["input_schema"].get("type") != "object":
            refuse(f"{at}.custom.input_schema.type: must be 'object'")
        if tool.get("strict"):
            claude.closed(tool["input_schema"], f"{at}.custom.input_schema")
        read.append(brain.Tool(tool["name"], tool.get("description", ""), tool["input_schema"]))
    if len({tool.name for tool in read}) < len(read):
        refuse("tools: Tool names must be unique.")
    return read


def read_choice(choice: dict, tools: list) -> str:
    if choice and not tools:
        refuse("tool_choice may only be specified while providing tools.")
    if choice.get("type") == "tool":
        if choice["name"] not in [tool["name"] for tool in tools]:
            refuse(f"Tool '{choice['name']}' not found in provided tools")
        return f"name:{choice['name']}"
    return {"any": "required"}.get(choice.get("type"), choice.get("type", "auto"))


def thinking_before_tools(conversation: brain.Conversation):
    """With a thinking budget, an assistant turn whose results come last must begin with its thinking."""
    turns = conversation.merged()
    if len(turns) > 1 and any(isinstance(part, brain.ToolResult) for part in turns[-1].parts):
        if not isinstance(turns[-2].parts[0], brain.Thinking):
            refuse("Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final "
                   "`assistant` message must start with a thinking block (before the last `tool_use` and `tool_result` blocks).")


# ---- out

def write(answer: brain.Answer, conversation: brain.Conversation, model: str, account: str, shows: str | None) -> dict:
    content = []
    if shows is not None and answer.thinking:
        text = answer.thinking if shows == "summarized" else ""
        signature = brain.sign(claude.secret(model, account), text, answer.digest)
        content.append({"type": "thinking", "thinking": text, "signature": signature})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        content.append({"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": call.arguments})
    usage = answer.usage
    return {
        "id": f"msg_{answer.digest}", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": STOP[answer.finish], "stop_sequence": answer.stop_sequence,
        "usage": {
            "input_tokens": usage.input - usage.cached - usage.cache_write, "cache_read_input_tokens": usage.cached,
            "cache_creation_input_tokens": usage.cache_write, "output_tokens": usage.output, "service_tier": "standard",
            "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
            "output_tokens_details": {"thinking_tokens": usage.reasoning},
        },
    }


def events(message: dict):
    """The message as the events of a stream."""
    def event(kind: str, **data):
        return sse({"type": kind} | data, kind)

    final = message["usage"]
    usage = final | {"output_tokens": 1}
    del usage["output_tokens_details"]
    yield event("message_start", message=message | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage})
    yield event("ping")
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            start, deltas = block | {"text": ""}, [{"type": "text_delta", "text": piece} for piece in brain.pieces(block["text"])]
        elif block["type"] == "thinking":
            start = block | {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in brain.pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            start = block | {"input": {}}
            arguments = brain.compact(block["input"]) if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *brain.pieces(arguments)]]
        yield event("content_block_start", index=index, content_block=start)
        for number, delta in enumerate(deltas):
            yield event("content_block_delta", index=index, delta=delta)
            if number == 2:
                yield event("ping")
        yield event("content_block_stop", index=index)
    yield event(
        "message_delta", delta={"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]},
        usage={name: final[name] for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
                                              "output_tokens", "output_tokens_details")},
    )
    yield event("message_stop")
