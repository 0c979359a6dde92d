"""The brain behind the OpenAI shape itself: what every other provider's transcript is compared with.

It is strict about requests (the types of the `openai` SDK, unknown keys refused) and behaves as servers that show reasoning
do: `reasoning_content` in answers, taken back in history. `chat` and `embeddings` serve other stand-ins whose dialect is
OpenAI's (Bedrock's /openai/v1, SageMaker containers, the OpenAI-like vendors):

    chat(standin, request, body)            # -> Reply or Stream
    embeddings(standin, request, body)      # -> Reply
    error_body(refusal)                     # OpenAI's error object
"""

from __future__ import annotations

import base64
import binascii
import json
import struct

from openai.types import embedding_create_params
from openai.types.chat import completion_create_params

import brain
from standins.base import Refused, Reply, Request, StandIn, Stream, refuse, sse, troubled
from standins.typed import conform

KINDS = {
    "bad_request": ("invalid_request_error", None), "context": ("invalid_request_error", "context_length_exceeded"),
    "auth": ("authentication_error", "invalid_api_key"), "forbidden": ("permission_error", None),
    "not_found": ("not_found_error", "model_not_found"), "timeout": ("timeout_error", None),
    "rate": ("rate_limit_error", "rate_limit_exceeded"), "server": ("server_error", None),
    "unavailable": ("server_error", None), "overloaded": ("overloaded_error", None),
}
HISTORY = ("reasoning_content", "reasoning", "thinking_blocks", "provider_specific", "provider_specific_fields")
"""Fields of an answer that programs give back, beyond what OpenAI's types have."""
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")


class OpenAi(StandIn):
    name = "openai"

    def __init__(self, keys: tuple[str, ...] = ("sk-openai-test",), prefix: str = "/v1"):
        super().__init__()
        self.keys, self.prefix = keys, prefix

    def routes(self):
        return [("POST", f"{self.prefix}/chat/completions", self.chat), ("POST", f"{self.prefix}/embeddings", self.embeddings)]

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        return Reply(refusal.status, error_body(refusal), {"x-request-id": "req_standin"})

    def authorize(self, request: Request):
        key = (request.header("authorization") or "").removeprefix("Bearer ")
        if key not in self.keys:
            raise Refused(401, f"Incorrect API key provided: {key!r}", "auth")

    def chat(self, request: Request):
        self.authorize(request)
        return chat(self, request, request.json())

    def embeddings(self, request: Request) -> Reply:
        self.authorize(request)
        return embeddings(self, request, request.json())


def error_body(refusal: Refused) -> dict:
    kind, code = KINDS[refusal.kind]
    return {"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}


def chat(standin: StandIn, request: Request, body: dict):
    conversation = read(body)
    answer = standin.think(request, conversation, model=body["model"])
    if not body.get("stream"):
        return standin.whole(answer, write(answer, body["model"]))
    usage = (body.get("stream_options") or {}).get("include_usage", False)
    late = sse({"error": {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": None}})
    broken = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"ind\n\n'
    return Stream(troubled(chunks(answer, body["model"], usage), answer.trouble, late, broken))


# ---- in

def read(body: dict) -> brain.Conversation:
    kind = completion_create_params
    params = kind.CompletionCreateParamsStreaming if body.get("stream") else kind.CompletionCreateParamsNonStreaming
    if errors := conform(body | {"messages": [known(message) for message in body.get("messages") or []]}, params):
        refuse("; ".join(errors[:5]))
    system, turns, open_calls = [], [], []
    for index, message in enumerate(body["messages"]):
        at, role = f"messages.{index}", message["role"]
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                refuse(f"{at}: messages with role 'tool' must be a response to a preceding message with 'tool_calls' "
                       f"({message['tool_call_id']} is none of {open_calls})")
            open_calls.remove(message["tool_call_id"])
            turns.append(brain.Turn("user", [brain.ToolResult(message["tool_call_id"], text_of(message["content"]))]))
            continue
        if open_calls:
            refuse(f"{at}: an assistant message with 'tool_calls' must be followed by tool messages: {open_calls} are missing")
        if role in ("system", "developer"):
            system.append(text_of(message["content"]))
        elif role == "user":
            turns.append(brain.Turn("user", read_parts(message["content"], at)))
        elif role == "assistant":
            calls = [read_call(call, at) for call in message.get("tool_calls") or []]
            text = text_of(message.get("content") or "")
            open_calls = [call.id for call in calls]
            turns.append(brain.Turn("assistant", ([brain.Text(text)] if text else []) + calls))
        else:
            refuse(f"{at}: the stand-in does not take role {role!r}")
    if open_calls:
        refuse(f"an assistant message with 'tool_calls' must be followed by tool messages: {open_calls} are missing")
    return brain.Conversation(
        system=brain.join_system(system), turns=turns, tools=read_tools(body.get("tools") or []), choice=read_choice(body),
        parallel=body.get("parallel_tool_calls", True) is not False, schema=read_schema(body),
        json_object=(body.get("response_format") or {}).get("type") == "json_object",
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"), stop=read_stop(body.get("stop")),
        effort=effort if (effort := body.get("reasoning_effort")) in EFFORTS else None,
        settings={name: body[name] for name in ("temperature", "top_p", "seed", "user", "metadata", "n") if name in body},
    )


def known(message) -> dict:
    """Without the fields of HISTORY on an assistant's message, which OpenAI's types do not have."""
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return message
    message = {name: value for name, value in message.items() if name not in HISTORY}
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [{k: v for k, v in call.items() if k not in ("extra_content", "index")} for call in calls]
    return message


def text_of(content) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def read_parts(content, at: str) -> list:
    if isinstance(content, str):
        return [brain.Text(content)]
    return [read_part(part, f"{at}.content.{index}") for index, part in enumerate(content)]


def read_part(part: dict, at: str):
    if part["type"] == "text":
        return brain.Text(part["text"])
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        if not url.startswith("data:"):
            return brain.Image(url=url)
        head, _, data = url.removeprefix("data:").partition(",")
        try:
            return brain.Image(head.removesuffix(";base64"), base64.b64decode(data, validate=True))
        except binascii.Error as error:
            refuse(f"{at}: invalid base64: {error}")
    refuse(f"{at}: the stand-in does not take {part['type']!r}")


def read_call(call: dict, at: str) -> brain.ToolCall:
    try:
        return brain.ToolCall(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"))
    except ValueError as error:
        refuse(f"{at}: the arguments of {call['id']} are not JSON: {error}")


def read_tools(tools: list) -> list[brain.Tool]:
    return [
        brain.Tool(tool["function"]["name"], tool["function"].get("description", ""), tool["function"].get("parameters", {}))
        for tool in tools
    ]


def read_choice(body: dict) -> str:
    choice = body.get("tool_choice", "auto")
    if "tool_choice" in body and not body.get("tools"):
        refuse("'tool_choice' is only allowed when 'tools' are specified.")
    return choice if isinstance(choice, str) else f"name:{choice['function']['name']}"


def read_schema(body: dict) -> dict | None:
    form = body.get("response_format") or {}
    return form["json_schema"].get("schema", {}) if form.get("type") == "json_schema" else None


def read_stop(stop) -> list[str]:
    return [stop] if isinstance(stop, str) else list(stop or [])


# ---- out

def finish(answer: brain.Answer) -> str:
    return "stop" if answer.finish == "stop_sequence" else answer.finish


def write_call(call: brain.ToolCall) -> dict:
    function = {"name": call.name, "arguments": brain.compact(call.arguments)}
    return {"id": f"call_{call.id}", "type": "function", "function": function}


def write_usage(usage: brain.Usage) -> dict:
    return {
        "prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def write(answer: brain.Answer, model: str) -> dict:
    message = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.thinking:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [write_call(call) for call in answer.calls]
    return {
        "id": f"chatcmpl-{answer.digest}", "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish(answer), "logprobs": None}],
        "usage": write_usage(answer.usage),
    }


def chunks(answer: brain.Answer, model: str, usage: bool):
    about = {"id": f"chatcmpl-{answer.digest}", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    about |= {"usage": None} if usage else {}

    def chunk(delta: dict, finish_reason: str | None = None) -> bytes:
        return sse(about | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in brain.pieces(answer.thinking):
        yield chunk({"reasoning_content": piece})
    for piece in brain.pieces(answer.text):
        yield chunk({"content": piece})
    for index, call in enumerate(answer.calls):
        whole = write_call(call)
        yield chunk({"tool_calls": [{"index": index} | whole | {"function": whole["function"] | {"arguments": ""}}]})
        for piece in brain.pieces(whole["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, finish(answer))
    if usage:
        yield sse(about | {"choices": [], "usage": write_usage(answer.usage)})
    yield sse("[DONE]")


def embeddings(standin: StandIn, request: Request, body: dict) -> Reply:
    if errors := conform(body, embedding_create_params.EmbeddingCreateParams):
        refuse("; ".join(errors[:5]))
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not all(isinstance(text, str) for text in texts):
        refuse("input: the stand-in takes texts only")
    standin.note(request, inputs=texts)
    failing(texts)
    vectors = [brain.embed(text, body.get("dimensions", 1024)) for text in texts]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in vectors]
    spent = sum(len(brain.tokens(text)) for text in texts)
    return Reply(200, {
        "object": "list", "model": body["model"], "usage": {"prompt_tokens": spent, "total_tokens": spent},
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)],
    })


def failing(texts: list[str]):
    """`fail KIND` among the inputs of embeddings, as in chats."""
    for text in texts:
        brain.fail(brain.Conversation(), text)
