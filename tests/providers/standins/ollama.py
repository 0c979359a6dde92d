"""Ollama's own API: `POST /api/chat`, which streams lines of JSON unless told not to, and `POST /api/embed`. No key. See `base`."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, Required, TypedDict

from ollama import Options

import brain
from standins.base import Refused, Reply, Request, StandIn, Stream, refuse, troubled
from standins.openai_direct import failing, read_tools
from standins.typed import conform

MODELS = {"llama3.2": False, "qwen3": True}
"""Name -> whether it can think."""
IMAGE_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


class Function(TypedDict, total=False):
    name: Required[str]
    arguments: Required[dict[str, Any]]
    index: int


class Call(TypedDict, total=False):
    id: str
    type: Literal["function"]
    function: Required[Function]


class Message(TypedDict, total=False):
    role: Required[Literal["system", "user", "assistant", "tool"]]
    content: str
    thinking: str
    images: list[str]
    tool_calls: list[Call]
    tool_name: str
    tool_call_id: str


class Chat(TypedDict, total=False):
    model: Required[str]
    messages: Required[list[Message]]
    tools: list[dict]
    format: str | dict[str, Any]
    options: Options
    think: bool | Literal["low", "medium", "high", "max"]
    stream: bool
    keep_alive: float | str
    logprobs: bool
    top_logprobs: int


class Embed(TypedDict, total=False):
    model: Required[str]
    input: Required[str | list[str]]
    truncate: bool
    dimensions: int
    options: Options
    keep_alive: float | str


class Ollama(StandIn):
    name = "ollama"
    statuses = {"auth": 401, "overloaded": 503}
    too_long = "the prompt is longer than the context: it exceeds the available context size"

    def routes(self):
        return [("POST", "/api/chat", self.chat), ("POST", "/api/embed", self.embed)]

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        return Reply(refusal.status, {"error": refusal.message})

    def chat(self, request: Request):
        body = request.json()
        conversation = read(body)
        answer = self.think(request, conversation, model=body["model"])
        if body.get("stream", True) is False:
            return self.whole(answer, write(answer, body["model"]))
        late = line({"error": "the model runner has unexpectedly stopped"})
        return Stream(
            troubled(lines(answer, body["model"]), answer.trouble, late, b'{"model":"llama3.2","mess\n'), "application/x-ndjson"
        )

    def embed(self, request: Request) -> Reply:
        body = request.json()
        if errors := conform(body, Embed, models=True):
            refuse("; ".join(errors[:5]))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        self.note(request, inputs=texts, model=body["model"])
        failing(texts)
        return Reply(
            200,
            {
                "model": body["model"],
                "embeddings": [brain.embed(text, body.get("dimensions", 1024)) for text in texts],
                "total_duration": 5_000_000,
                "load_duration": 1_000_000,
                "prompt_eval_count": sum(len(brain.tokens(text)) for text in texts),
            },
        )


# ---- in

def read(body: dict) -> brain.Conversation:
    if errors := conform(body, Chat, models=True):
        refuse("; ".join(errors[:5]))
    thinks = MODELS.get(body["model"].removesuffix(":latest"))
    if thinks is None:
        raise Refused(404, f"model '{body['model']}' not found", "not_found")
    if body.get("think") and not thinks:
        refuse(f'"{body["model"]}" does not support thinking')
    form, options = body.get("format"), body.get("options") or {}
    if isinstance(form, str) and form not in ("", "json"):
        refuse(f"invalid format: {form!r}; expected \"json\" or a valid JSON Schema")
    system, turns = read_messages(body["messages"])
    limit = options.get("num_predict", -1)
    return brain.Conversation(
        system=brain.join_system(system), turns=turns, tools=read_tools(body.get("tools") or []),
        schema=form if isinstance(form, dict) else None, json_object=form == "json", max_tokens=limit if limit > 0 else None,
        stop=options.get("stop") or [], effort="on" if body.get("think") else None,
        settings={name: value for name, value in options.items() if name not in ("num_predict", "stop")}
        | {name: body[name] for name in ("think", "keep_alive") if name in body},
    )


def read_messages(messages: list) -> tuple[list[str], list[brain.Turn]]:
    """Results go to the call with their id, or else to the next one of their tool's name, or else to the next one."""
    system, turns, open_calls = [], [], []
    for index, message in enumerate(messages):
        at, role, text = f"messages[{index}]", message["role"], message.get("content", "")
        if role == "system":
            system.append(text)
        elif role == "tool":
            fits = [
                call
                for call in open_calls
                if message.get("tool_call_id") in (None, call.id) and message.get("tool_name") in (None, call.name)
            ]
            if not fits:
                refuse(f"{at}: the result belongs to no call of {[(call.id, call.name) for call in open_calls]}")
            open_calls.remove(fits[0])
            turns.append(brain.Turn("user", [brain.ToolResult(fits[0].id, text)]))
        else:
            parts = [brain.Text(text)] if text else []
            parts += [read_image(one, at) for one in message.get("images") or []]
            calls = [
                brain.ToolCall(
                    call.get("id") or f"call {index}.{number}", call["function"]["name"], call["function"]["arguments"]
                )
                for number, call in enumerate(message.get("tool_calls") or [])
            ]
            open_calls = open_calls if role == "user" else calls
            turns.append(brain.Turn(role, parts + calls))
    return system, turns


def read_image(data: str, at: str) -> brain.Image:
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        refuse(f"{at}: illegal base64 data: {error}")
    kind = next((kind for start, kind in IMAGE_TYPES.items() if raw.startswith(start)), None)
    if kind is None:
        refuse(f"{at}: Failed to create new sequence: failed to process inputs: image: unknown format")
    return brain.Image(kind, raw)


# ---- out

def line(data: dict) -> bytes:
    return brain.compact(data).encode() + b"\n"


def write_call(call: brain.ToolCall, index: int) -> dict:
    return {"id": f"call_{call.id[:8]}", "function": {"index": index, "name": call.name, "arguments": call.arguments}}


def ending(answer: brain.Answer) -> dict:
    return {
        "done": True, "done_reason": "length" if answer.finish == "length" else "stop", "total_duration": 9_000_000,
        "load_duration": 1_000_000, "prompt_eval_count": answer.usage.input, "prompt_eval_duration": 2_000_000,
        "eval_count": answer.usage.output, "eval_duration": 6_000_000,
    }


def write(answer: brain.Answer, model: str) -> dict:
    message = {"role": "assistant", "content": answer.text}
    if answer.thinking:
        message["thinking"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [write_call(call, index) for index, call in enumerate(answer.calls)]
    return {"model": model, "created_at": "2026-11-21T10:00:00.000000001Z", "message": message} | ending(answer)


def lines(answer: brain.Answer, model: str):
    about = {"model": model, "created_at": "2026-11-21T10:00:00.000000001Z"}

    def message(**more) -> bytes:
        return line(about | {"message": {"role": "assistant", "content": ""} | more, "done": False})

    for piece in brain.pieces(answer.thinking):
        yield message(thinking=piece)
    for piece in brain.pieces(answer.text):
        yield message(content=piece)
    for index, call in enumerate(answer.calls):
        yield message(tool_calls=[write_call(call, index)])
    yield line(about | {"message": {"role": "assistant", "content": ""}} | ending(answer))
