"""Mistral's La Plateforme: `POST /v1/chat/completions` and `/v1/embeddings`. OpenAI's dialect at first sight. See `base`.

What differs: unknown members are refused (422), so are `developer`, `seed` and `max_completion_tokens`; ids of calls are nine
letters or digits; a tool's message is followed by the assistant's; content may be a list, and thinking is a part of it.
"""

from __future__ import annotations

import base64
import re
import struct

from mistralai.client.models.chatcompletionrequest import ChatCompletionRequest
from mistralai.client.models.embeddingrequest import EmbeddingRequest

import brain
from standins.base import Refused, Reply, Request, StandIn, Stream, refuse, sse, troubled
from standins.openai_direct import failing, read_call, read_part
from standins.typed import conform

MODELS = {
    "mistral-small-latest": True,
    "magistral-medium-latest": True,
    "mistral-large-latest": False,
    "open-mistral-nemo": False,
}
"""Name -> whether it thinks when told to."""
EMBED_MODELS = {"mistral-embed": False, "codestral-embed": True}
"""Name -> whether it takes `output_dimension`."""
CODES = {"bad_request": "3051", "rate": "1300", "not_found": "1500", "context": "3051", "server": "1000", "unavailable": "1000"}
TYPES = {"rate": "rate_limited"}
FINISH = {"stop_sequence": "stop", "content_filter": "stop"}
ID = re.compile(r"[a-zA-Z0-9]{9}")


class Mistral(StandIn):
    name = "mistral"
    statuses = {"overloaded": 503}
    too_long = "Prompt contains 250000 tokens and 0 draft tokens, too large for model with 128000 maximum context length"

    def __init__(self, keys: tuple[str, ...] = ("mistral-test",)):
        super().__init__()
        self.keys = keys

    def routes(self):
        return [("POST", "/v1/chat/completions", self.chat), ("POST", "/v1/embeddings", self.embeddings)]

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        if isinstance(refusal, Invalid):
            return Reply(422, {"detail": [
                {"type": "extra_forbidden", "loc": ["body", *error.partition(":")[0].split(".")], "msg": error, "input": None}
                for error in refusal.errors
            ]})
        if refusal.kind == "auth":
            return Reply(401, {"detail": "Unauthorized"})
        return Reply(
            refusal.status,
            {
                "object": "error",
                "message": refusal.message,
                "type": TYPES.get(refusal.kind, "invalid_request_error" if refusal.status < 500 else "internal_error"),
                "param": None,
                "code": CODES.get(refusal.kind, "3000"),
            },
        )

    def authorize(self, request: Request):
        kind, _, key = (request.header("authorization") or "").partition(" ")
        if kind != "Bearer" or key not in self.keys:
            raise Refused(401, "Unauthorized", "auth")

    def chat(self, request: Request):
        self.authorize(request)
        body = request.json()
        conversation = read(body)
        answer = self.think(request, conversation, model=body["model"])
        if not body.get("stream"):
            return self.whole(answer, write(answer, body["model"]))
        late = sse({"object": "error", "message": "the model broke off", "type": "internal_error", "param": None, "code": "1000"})
        return Stream(troubled(chunks(answer, body["model"]), answer.trouble, late, b'data: {"choices":[{"delta":{"con\n\n'))

    def embeddings(self, request: Request) -> Reply:
        self.authorize(request)
        body = request.json()
        if errors := conform(body, EmbeddingRequest, models=True):
            raise Invalid(errors)
        sizes = EMBED_MODELS.get(body["model"])
        if sizes is None:
            raise Refused(400, f"Invalid model: {body['model']}")
        if "output_dimension" in body and not sizes:
            refuse(f"Model {body['model']} does not support output_dimension")
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        self.note(request, inputs=texts, model=body["model"])
        failing(texts)
        vectors = [brain.embed(text, body.get("output_dimension") or 1024) for text in texts]
        if body.get("encoding_format") == "base64":
            vectors = [base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in vectors]
        spent = sum(len(brain.tokens(text)) for text in texts)
        return Reply(200, {
            "id": "emb-standin", "object": "list", "model": body["model"],
            "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)],
            "usage": {"prompt_tokens": spent, "completion_tokens": 0, "total_tokens": spent},
        })


class Invalid(Refused):
    def __init__(self, errors: list[str]):
        super().__init__(422, "; ".join(errors[:5]))
        self.errors = errors[:5]


# ---- in

def read(body: dict) -> brain.Conversation:
    if errors := conform(body, ChatCompletionRequest, models=True) or untyped(body):
        raise Invalid(errors)
    thinks = MODELS.get(body["model"])
    if thinks is None:
        raise Refused(400, f"Invalid model: {body['model']}")
    effort = body.get("reasoning_effort")
    if effort is not None and not thinks:
        refuse(f"reasoning_effort is not enabled for this model: {body['model']}")
    if len(body.get("tools") or []) > 0 and (form := body.get("response_format") or {}).get("type") == "json_object":
        refuse("Cannot use json response type with tools")
    tools = [
        brain.Tool(one["function"]["name"], one["function"].get("description", ""), one["function"].get("parameters", {}))
        for one in body.get("tools") or []
    ]
    system, turns = read_messages(body["messages"])
    form = body.get("response_format") or {}
    return brain.Conversation(
        system=brain.join_system(system), turns=turns, tools=tools, choice=read_choice(body, tools),
        parallel=body.get("parallel_tool_calls", True), schema=(form.get("json_schema") or {}).get("schema"),
        json_object=form.get("type") == "json_object", max_tokens=body.get("max_tokens"),
        stop=[body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or [],
        effort=effort if effort != "none" else None,
        settings={name: body[name] for name in ("temperature", "top_p", "random_seed", "safe_prompt", "prompt_mode", "metadata",
                                                "presence_penalty", "frequency_penalty", "n") if name in body},
    )


def untyped(body: dict) -> list[str]:
    """What the SDK's models fill in by themselves, the API wants said."""
    errors = [f"messages.{index}.role: Field required" for index, message in enumerate(body["messages"]) if "role" not in message]
    if not body["messages"]:
        errors.append("messages: must not be empty")
    if (body.get("temperature") or 0) > 1.5:
        errors.append("temperature: Input should be less than or equal to 1.5")
    if not 0 < (body.get("top_p") or 1) <= 1:
        errors.append("top_p: Input should be greater than 0 and at most 1")
    for index, tool in enumerate(body.get("tools") or []):
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", (tool.get("function") or {}).get("name", "")):
            errors.append(f"tools.{index}.function.name: must be a-z, A-Z, 0-9, or contain underscores and dashes")
    return errors


def read_choice(body: dict, tools: list) -> str:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto"
    if not tools and choice != "none":
        refuse("tool_choice is set but there are no tools")
    if isinstance(choice, str):
        return {"any": "required"}.get(choice, choice)
    if choice["function"]["name"] not in [tool.name for tool in tools]:
        refuse(f"tool_choice: there is no tool {choice['function']['name']}")
    return f"name:{choice['function']['name']}"


def read_messages(messages: list) -> tuple[list[str], list[brain.Turn]]:
    system, turns, open_calls, before = [], [], [], None
    for index, message in enumerate(messages):
        at, role = f"messages[{index}]", message["role"]
        if open_calls and role != "tool":
            refuse(f"Not the same number of function calls and responses: {at} is due to answer {open_calls}")
        if before == "tool" and role not in ("tool", "assistant"):
            refuse(f"Unexpected role '{role}' after role 'tool'")
        if role == "system":
            system.append(text_of(message["content"], at))
        elif role == "tool":
            if (id := message.get("tool_call_id")) not in open_calls:
                refuse(f"Unexpected tool call id {id} in tool results")
            open_calls.remove(id)
            turns.append(brain.Turn("user", [brain.ToolResult(id, text_of(message["content"], at))]))
        elif role == "user":
            turns.append(brain.Turn("user", [part for one in chunk_list(message["content"]) for part in read_chunk(one, at)]))
        else:
            turns.append(brain.Turn("assistant", read_assistant(message, at)))
            open_calls = [part.id for part in turns[-1].parts if isinstance(part, brain.ToolCall)]
        before = role
    if before == "assistant" and not messages[-1].get("prefix") or before == "system" or open_calls:
        refuse(f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {before}")
    return system, turns


def chunk_list(content) -> list[dict]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content or []


def read_chunk(chunk: dict, at: str) -> list:
    kind = chunk.get("type")
    if kind == "thinking":
        return [brain.Thinking("".join(one["text"] for one in chunk["thinking"]))]
    if kind == "image_url" and isinstance(chunk["image_url"], str):
        chunk = {"type": "image_url", "image_url": {"url": chunk["image_url"]}}
    return [read_part(chunk, at)]


def text_of(content, at: str) -> str:
    parts = [part for chunk in chunk_list(content) for part in read_chunk(chunk, at)]
    if not all(isinstance(part, brain.Text) for part in parts):
        refuse(f"{at}: only text is taken here")
    return "".join(part.text for part in parts)


def read_assistant(message: dict, at: str) -> list:
    parts = [part for chunk in chunk_list(message.get("content")) for part in read_chunk(chunk, at)]
    for call in message.get("tool_calls") or []:
        if not ID.fullmatch(call.get("id") or ""):
            refuse(f"Tool call id was {call.get('id')} but must be a-z, A-Z, 0-9, with a length of 9.")
        arguments = call["function"]["arguments"]
        arguments = arguments if isinstance(arguments, str) else brain.compact(arguments)
        parts.append(read_call({"id": call["id"], "function": call["function"] | {"arguments": arguments}}, at))
    if not parts:
        refuse("Assistant message must have either content or tool_calls, but not none.")
    return parts


# ---- out

def finish(answer: brain.Answer) -> str:
    return FINISH.get(answer.finish, answer.finish)


def usage(answer: brain.Answer) -> dict:
    used = answer.usage
    return {"prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.input + used.output}


def thinking(text: str, closed: bool = True) -> dict:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]} | ({"closed": True} if closed else {})


def write_call(call: brain.ToolCall, index: int) -> dict:
    return {"id": call.id[:9], "type": "function", "index": index,
            "function": {"name": call.name, "arguments": brain.compact(call.arguments)}}


def write(answer: brain.Answer, model: str) -> dict:
    content = answer.text
    if answer.thinking:
        content = [thinking(answer.thinking)] + ([{"type": "text", "text": answer.text}] if answer.text else [])
    calls = [write_call(call, index) for index, call in enumerate(answer.calls)] or None
    message = {"role": "assistant", "tool_calls": calls, "content": content}
    return {
        "id": f"cmpl-{answer.digest}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "usage": usage(answer),
        "choices": [{"index": 0, "message": message, "finish_reason": finish(answer)}],
    }


def chunks(answer: brain.Answer, model: str):
    """Thinking comes as lists of parts, text as strings, calls whole; the usage comes with the finish reason."""
    about = {"id": f"cmpl-{answer.digest}", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}

    def chunk(delta: dict, reason: str | None = None, **more) -> bytes:
        return sse(about | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} | more)

    yield chunk({"role": "assistant", "content": ""})
    for piece in brain.pieces(answer.thinking):
        yield chunk({"content": [thinking(piece, closed=False)]})
    if answer.thinking:
        yield chunk({"content": [thinking("")]})
    for piece in brain.pieces(answer.text):
        yield chunk({"content": piece})
    if answer.calls:
        yield chunk({"content": "", "tool_calls": [write_call(call, index) for index, call in enumerate(answer.calls)]})
    yield chunk({"content": ""}, finish(answer), usage=usage(answer))
    yield sse("[DONE]")
