"""Cohere's second version: `POST /v2/chat`, plain and as events, and `POST /v2/embed`. See `base`."""

from __future__ import annotations

import json
import re
from typing import Literal, Required, TypedDict

from cohere import types

import brain
from standins.base import Refused, Reply, Request, StandIn, Stream, refuse, sse, troubled
from standins.openai_direct import failing, read_call, read_part, read_tools
from standins.typed import conform

MODELS = {
    "command-r-08-2024": False,
    "command-r7b-12-2024": False,
    "command-a-03-2025": False,
    "command-a-reasoning-08-2025": True,
}
"""Name -> whether it thinks: by default, and shown; such a model writes no plan beside its calls."""
CHOOSING = tuple(name for name in MODELS if name != "command-r-08-2024")
"""Models that take tool_choice."""
EMBED_MODELS = {"embed-english-v3.0": (1024,), "embed-multilingual-v3.0": (1024,), "embed-v4.0": (256, 512, 1024, 1536)}
"""Name -> output dimensions; only the last takes `output_dimension`."""
FINISH = {
    "stop": "COMPLETE", "stop_sequence": "STOP_SEQUENCE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL",
    "content_filter": "COMPLETE",
}
BATCH = 96


class Chat(TypedDict, total=False):
    model: Required[str]
    messages: Required[list[types.ChatMessageV2]]
    tools: list[types.ToolV2]
    strict_tools: bool
    documents: list[dict]
    citation_options: types.CitationOptions
    response_format: types.ResponseFormatV2
    safety_mode: Literal["CONTEXTUAL", "STRICT", "OFF"]
    max_tokens: int
    stop_sequences: list[str]
    temperature: float
    seed: int
    frequency_penalty: float
    presence_penalty: float
    k: int
    p: float
    logprobs: bool
    tool_choice: Literal["REQUIRED", "NONE"]
    thinking: types.Thinking
    priority: int
    stream: bool


class Embed(TypedDict, total=False):
    model: Required[str]
    input_type: Required[Literal["search_document", "search_query", "classification", "clustering", "image"]]
    texts: list[str]
    inputs: list[types.EmbedInput]
    max_tokens: int
    output_dimension: int
    embedding_types: list[Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]]
    truncate: Literal["NONE", "START", "END"]
    priority: int


class Cohere(StandIn):
    name = "cohere"
    statuses = {"timeout": 504, "overloaded": 503}
    too_long = "too many tokens: size limit exceeded by 50000 tokens. The prompt is longer than the model's context length."

    def __init__(self, keys: tuple[str, ...] = ("co-test",)):
        super().__init__()
        self.keys = keys

    def routes(self):
        return [("POST", "/v2/chat", self.chat), ("POST", "/v2/embed", self.embed)]

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        return Reply(refusal.status, {"id": "req-standin", "message": refusal.message})

    def authorize(self, request: Request):
        kind, _, key = (request.header("authorization") or "").partition(" ")
        if kind.lower() != "bearer" or key not in self.keys:
            raise Refused(401, "invalid api token", "auth")

    def chat(self, request: Request):
        self.authorize(request)
        body = request.json()
        conversation = read(body)
        answer = self.think(request, conversation, model=body["model"])
        plan = bool(answer.calls) and not MODELS[body["model"]]
        whole = write(answer, plan)
        if not body.get("stream"):
            return self.whole(answer, whole)
        late = sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "the model broke off"}}, "message-end")
        return Stream(
            troubled(events(whole), answer.trouble, late, b'event: content-delta\ndata: {"type":"content-delta","index\n\n')
        )

    def embed(self, request: Request) -> Reply:
        self.authorize(request)
        body = request.json()
        if errors := conform(body, Embed, models=True):
            invalid(errors)
        texts, sizes = body.get("texts"), EMBED_MODELS.get(body["model"])
        if sizes is None:
            raise Refused(404, f"model '{body['model']}' not found", "not_found")
        if not texts or "" in texts:
            refuse("invalid request: the stand-in wants `texts`, none of them empty")
        if len(texts) > BATCH:
            refuse(f"invalid request: total number of texts must be at most {BATCH} - received {len(texts)}")
        size = body.get("output_dimension", 1024)
        if "output_dimension" in body and (len(sizes) == 1 or size not in sizes):
            refuse(f"invalid request: output_dimension {size} is not supported for model {body['model']}")
        if body.get("embedding_types", ["float"]) != ["float"]:
            refuse("the stand-in has only floats")
        self.note(request, inputs=texts, model=body["model"], input_type=body["input_type"])
        failing(texts)
        spent = sum(len(brain.tokens(text)) for text in texts)
        return Reply(200, {
            "id": "emb-standin", "response_type": "embeddings_by_type", "texts": texts,
            "embeddings": {"float": [brain.embed(text, size) for text in texts]},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": float(spent)}},
        })


def invalid(errors: list[str]):
    raise Refused(422, f"invalid request: {'; '.join(errors[:5])}")


# ---- in

def read(body: dict) -> brain.Conversation:
    if errors := conform(body, Chat, models=True):
        invalid(errors)
    thinks = MODELS.get(body["model"])
    if thinks is None:
        raise Refused(404, f"model '{body['model']}' not found", "not_found")
    tools = read_tools(body.get("tools") or [])
    check(body, tools, thinks)
    system, turns = read_messages(body["messages"], thinks)
    form = body.get("response_format") or {}
    thinking = body.get("thinking") or {}
    return brain.Conversation(
        system=brain.join_system(system),
        turns=turns,
        tools=tools,
        choice=read_choice(body, tools),
        schema=form.get("json_schema"),
        json_object=form.get("type") == "json_object" and "json_schema" not in form,
        max_tokens=body.get("max_tokens"),
        stop=body.get("stop_sequences") or [],
        effort="on" if thinks and thinking.get("type") != "disabled" else None,
        settings={
            name: body[name]
            for name in body
            if name
            in (
                "temperature",
                "p",
                "k",
                "seed",
                "frequency_penalty",
                "presence_penalty",
                "safety_mode",
                "thinking",
                "strict_tools",
                "logprobs",
            )
        },
    )


RANGES = {
    "temperature": (0, 2),
    "p": (0.01, 0.99),
    "k": (0, 500),
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "max_tokens": (1, 10**6),
}


def check(body: dict, tools: list, thinks: bool):
    for name, (low, high) in RANGES.items():
        if name in body and not low <= body[name] <= high:
            refuse(f"invalid request: {name} must be between {low} and {high} inclusive, not {body[name]}")
    if len(body.get("stop_sequences") or []) > 5:
        refuse("invalid request: stop_sequences: at most 5")
    if "tool_choice" in body:
        if not tools:
            refuse("invalid request: tool_choice requires tools")
        if body["model"] not in CHOOSING:
            refuse(f"invalid request: tool_choice is not supported with model {body['model']}")
    form = body.get("response_format")
    if form is not None and form.get("type") is None:
        refuse("invalid request: response_format.type is missing")
    if (form or {}).get("type") == "json_object" and (tools or "documents" in body):
        refuse("invalid request: response_format json_object is not supported with tools or documents")
    if (form or {}).get("type") == "text" and "json_schema" in form:
        refuse("invalid request: json_schema goes with json_object")
    if "thinking" in body:
        if not thinks:
            refuse(f"invalid request: thinking is not supported with model {body['model']}")
        if body["thinking"].get("token_budget", 1) < 1:
            refuse("invalid request: thinking.token_budget must be positive")
    if len({tool.name for tool in tools}) < len(tools) or not all(
        re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]*", tool.name) for tool in tools
    ):
        refuse("invalid request: tool names must be unique, of letters, digits and underscores")


def read_choice(body: dict, tools: list) -> str:
    """Requiring the only tool is how one tool is named here."""
    choice = body.get("tool_choice")
    if choice == "REQUIRED":
        return f"name:{tools[0].name}" if len(tools) == 1 else "required"
    return "none" if choice == "NONE" else "auto"


def read_messages(messages: list, thinks: bool) -> tuple[list[str], list[brain.Turn]]:
    system, turns, open_calls = [], [], []
    for index, message in enumerate(messages):
        at, role = f"messages[{index}]", message.get("role")
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                refuse(f"invalid request: {at}: tool_call_id {message['tool_call_id']} is not one of {open_calls}")
            open_calls.remove(message["tool_call_id"])
            turns.append(brain.Turn("user", [brain.ToolResult(message["tool_call_id"], read_result(message["content"], at))]))
            continue
        if open_calls:
            refuse(f"invalid request: {at}: tool results for {open_calls} must follow the tool calls")
        if role == "system":
            system.append(read_text(message["content"], at))
        elif role == "user":
            turns.append(brain.Turn("user", read_user(message["content"], at)))
        elif role == "assistant":
            turns.append(brain.Turn("assistant", read_assistant(message, thinks, at)))
            open_calls = [part.id for part in turns[-1].parts if isinstance(part, brain.ToolCall)]
        else:
            refuse(f"invalid request: {at}: role {role!r} is not one of system, user, assistant, tool")
    if not turns or turns[-1].role != "user" or open_calls:
        refuse("invalid request: the last message must be from the user, or hold the results of all tool calls")
    return system, turns


def typed(part: dict, at: str) -> str:
    if "type" not in part:
        refuse(f"invalid request: {at}: type is missing")
    return part["type"]


def read_text(content, at: str) -> str:
    if isinstance(content, str):
        return content
    if any(typed(part, at) != "text" for part in content):
        refuse(f"invalid request: {at}: only text is taken here")
    return "".join(part["text"] for part in content)


def read_user(content, at: str) -> list:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not parts or any(typed(part, at) == "text" and not part["text"] for part in parts):
        refuse(f"invalid request: {at}: content must not be empty")
    return [read_part(part, at) for part in parts]


def read_assistant(message: dict, thinks: bool, at: str) -> list:
    """A plan counts as text, for it is what was said before the calls; of a model that thinks it is its thinking."""
    parts = []
    content = message.get("content") or []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        parts.append(brain.Thinking(part["thinking"]) if typed(part, at) == "thinking" else brain.Text(part["text"]))
    calls = message.get("tool_calls") or []
    if "tool_plan" in message:
        if not calls:
            refuse(f"invalid request: {at}: tool_plan goes with tool_calls")
        parts.append((brain.Thinking if thinks else brain.Text)(message["tool_plan"]))
    for call in calls:
        if "type" not in call or not call.get("function", {}).get("name") or "arguments" not in call["function"]:
            refuse(f"invalid request: {at}: a tool call needs id, type, function.name and function.arguments")
        parts.append(read_call(call, at))
    if not parts:
        refuse(f"invalid request: {at}: an assistant message needs content or tool calls")
    return [part for part in parts if not (isinstance(part, brain.Text) and not part.text)]


def read_result(content, at: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for part in content:
        if typed(part, at) == "document":
            data = part["document"]["data"]
            [only] = data.values() if isinstance(data, dict) and len(data) == 1 else [data]
            texts.append(only if isinstance(only, str) else brain.compact(only))
        else:
            texts.append(part["text"])
    return "".join(texts)


# ---- out

def write(answer: brain.Answer, plan: bool) -> dict:
    message = {"role": "assistant"}
    content = [{"type": "thinking", "thinking": answer.thinking}] if answer.thinking else []
    if plan and answer.text:
        message["tool_plan"] = answer.text
    elif answer.text:
        content.append({"type": "text", "text": answer.text})
    if content:
        message["content"] = content
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": f"{call.name}_{call.id[:12]}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in answer.calls
        ]
    usage = answer.usage
    return {
        "id": f"msg-{answer.digest}", "finish_reason": FINISH[answer.finish], "message": message,
        "usage": {
            "billed_units": {"input_tokens": float(usage.input - 3), "output_tokens": float(usage.output)},
            "tokens": {"input_tokens": float(usage.input), "output_tokens": float(usage.output)},
            "cached_tokens": float(usage.cached),
        },
    }


def events(whole: dict):
    def event(kind: str, **more):
        return sse({"type": kind} | more, kind)

    message = whole["message"]
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", id=whole["id"], delta={"message": start})
    for index, part in enumerate(message.get("content", [])):
        kind = part["type"]
        yield event("content-start", index=index, delta={"message": {"content": {"type": kind, kind: ""}}})
        for piece in brain.pieces(part[kind]):
            yield event("content-delta", index=index, delta={"message": {"content": {kind: piece}}})
        yield event("content-end", index=index)
    for piece in brain.pieces(message.get("tool_plan", "")):
        yield event("tool-plan-delta", delta={"message": {"tool_plan": piece}})
    for index, call in enumerate(message.get("tool_calls", [])):
        empty = call | {"function": call["function"] | {"arguments": ""}}
        yield event("tool-call-start", index=index, delta={"message": {"tool_calls": empty}})
        for piece in brain.pieces(call["function"]["arguments"]):
            yield event("tool-call-delta", index=index, delta={"message": {"tool_calls": {"function": {"arguments": piece}}}})
        yield event("tool-call-end", index=index)
    yield event("message-end", id=whole["id"], delta={"finish_reason": whole["finish_reason"], "usage": whole["usage"]})
