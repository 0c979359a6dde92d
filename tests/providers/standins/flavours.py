"""Providers whose dialect is OpenAI's but for their own rules: Groq, Databricks, Hugging Face's router, Ollama's /v1.
Azure, in `azure`, is one too.

A flavour subclasses `Flavour`, says what it refuses (`check`), and may change what goes out (`change`, one answer or chunk).
"""

from __future__ import annotations

import base64
import json

import groq.types.chat.completion_create_params as groq_params
from groq.types import embedding_create_params as groq_embeddings

import brain
from standins import openai_direct
from standins.base import Refused, Reply, Request, Stream, refuse, sse, troubled
from standins.openai_direct import OpenAi
from standins.tokens import TokenStandIn, exactly, form
from standins.typed import conform


class Flavour(OpenAi):
    models: tuple[str, ...] | None = None
    """Those it has; None: any."""

    def check(self, body: dict):
        """Refuses what the vendor would."""

    def known(self, body: dict) -> dict:
        """The body without the vendor's own members."""
        return body

    def change(self, answer: dict, parts: list[dict]):
        """The vendor's handwriting, into `answer` and its messages or deltas."""

    def chat(self, request: Request):
        self.authorize(request)
        return self.create(request, request.json())

    def create(self, request: Request, body: dict, **noted):
        self.check(body)
        model = body.get("model", "")
        if self.models is not None and model not in self.models:
            raise Refused(404, f"The model `{model}` does not exist or you do not have access to it.", "not_found")
        conversation = openai_direct.read({"model": model} | self.known(body))
        answer = self.think(request, conversation, model=model, **noted)
        if not body.get("stream"):
            whole = openai_direct.write(answer, model)
            self.change(whole, [choice["message"] for choice in whole["choices"]])
            return self.whole(answer, whole)
        late = sse({"error": {"message": "Overloaded", "type": "overloaded_error", "param": None, "code": None}})
        events = troubled(
            self.chunks(answer, model, body), answer.trouble, late, b'data: {"id":"chatcmpl-1","choices":[{"ind\n\n'
        )
        return Stream(events)

    def chunks(self, answer: brain.Answer, model: str, body: dict):
        usage = (body.get("stream_options") or {}).get("include_usage", False)
        for event in openai_direct.chunks(answer, model, usage):
            yield self.changed(event)

    def changed(self, event: bytes) -> bytes:
        text = event.decode().removeprefix("data: ").strip()
        if text == "[DONE]":
            return event
        chunk = json.loads(text)
        self.change(chunk, [choice["delta"] for choice in chunk["choices"]])
        return sse(chunk)


def rename(part: dict, old: str, new: str):
    if old in part:
        part[new] = part.pop(old)


class Groq(Flavour):
    """Refuses members that are null in messages, `n` other than 1 and everything about log probabilities."""

    name = "groq"
    models = ("llama-3.3-70b-versatile", "openai/gpt-oss-120b")
    refuses = ("logprobs", "top_logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "store", "metadata")
    own = ("reasoning_format", "include_reasoning", "documents", "citation_options", "disable_tool_validation", "search_settings",
           "exclude_domains", "include_domains", "compound_custom", "service_tier")

    def __init__(self, keys: tuple[str, ...] = ("gsk-test",)):
        super().__init__(keys, prefix="/openai/v1")

    def check(self, body: dict):
        options = {"stream_options": body["stream_options"]} if "stream_options" in body else {}
        if options and not (body.get("stream") and list(options["stream_options"]) == ["include_usage"]):
            refuse("'stream_options' is only allowed with 'stream', and holds include_usage")
        typed = {name: value for name, value in body.items() if name not in ("stream_options", "stream")}
        if errors := conform(typed, groq_params.CompletionCreateParams):
            refuse("; ".join(errors[:5]))
        if body.get("n", 1) != 1:
            refuse("'n' : number must be at most 1")
        if named := [name for name in self.refuses if name in body]:
            refuse(f"property '{named[0]}' is unsupported")
        for index, message in enumerate(body["messages"]):
            if nulls := [name for name, value in message.items() if value is None and name != "content"]:
                refuse(f"'messages.{index}' : property '{nulls[0]}' is null")
        form = (body.get("response_format") or {}).get("type")
        if form == "json_object" and body.get("stream"):
            refuse("response_format json_object cannot be streamed")
        thinking = body.get("reasoning_effort") is not None or "reasoning_format" in body
        if thinking and "gpt-oss" not in body["model"]:
            refuse(f"reasoning_effort is not supported with this model: {body['model']}")
        if "reasoning_format" in body and "include_reasoning" in body:
            refuse("reasoning_format and include_reasoning cannot both be set")

    def known(self, body: dict) -> dict:
        return {name: value for name, value in body.items() if name not in self.own}

    def change(self, answer: dict, parts: list[dict]):
        for part in parts:
            rename(part, "reasoning_content", "reasoning")
            part.pop("refusal", None)
        timing = {"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.03, "total_time": 0.05}
        if answer.get("usage"):
            answer["usage"] |= timing
            answer["usage"]["prompt_tokens_details"].pop("cache_write_tokens")
        answer["x_groq"] = {"id": "req_standin"}

    def chunks(self, answer: brain.Answer, model: str, body: dict):
        """The usage comes in x_groq of the chunk with the finish reason too, asked for or not."""
        for event in super().chunks(answer, model, body):
            if b'"finish_reason":"' in event:
                chunk = json.loads(event.decode().removeprefix("data: "))
                chunk["x_groq"]["usage"] = openai_direct.write_usage(answer.usage)
                event = sse(chunk)
            yield event

    def embeddings(self, request: Request) -> Reply:
        self.authorize(request)
        body = request.json()
        if errors := conform(body, groq_embeddings.EmbeddingCreateParams):
            refuse("; ".join(errors[:5]))
        return openai_direct.embeddings(self, request, body)


class HuggingFace(Flavour):
    """The hosted router: models are `org/name`, with `:provider` behind it if one is wanted; limits of TGI."""

    name = "huggingface"
    models = ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct:novita", "openai/gpt-oss-120b:fireworks-ai")

    def __init__(self, keys: tuple[str, ...] = ("hf_test",)):
        super().__init__(keys)

    def routes(self):
        return [("POST", "/v1/chat/completions", self.chat)]

    def change(self, answer: dict, parts: list[dict]):
        for choice in answer["choices"]:
            choice["finish_reason"] = {"stop": "eos_token"}.get(choice.get("finish_reason"), choice.get("finish_reason"))


class Databricks(TokenStandIn, Flavour):
    """Serving endpoints: `max_tokens` only, few other members, and thinking in lists of parts, as Claude is served there.
    Tokens: a personal one in `keys`, or machine-to-machine from /oidc/v1/token."""

    name = "databricks"
    takes = ("model", "messages", "max_tokens", "temperature", "top_p", "top_k", "stop", "n", "stream", "stream_options", "tools",
             "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "logprobs", "top_logprobs", "thinking")

    def __init__(self, keys: tuple[str, ...] = ("dapi-test",), clients: dict[str, str] | None = None):
        TokenStandIn.__init__(self)
        self.keys, self.prefix = keys, "/serving-endpoints"
        self.clients = clients or {"client-test": "secret-test"}

    def routes(self):
        return [*super().routes(), ("POST", "/oidc/v1/token", self.token)]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        if request.path == "/oidc/v1/token":
            return Reply(refusal.status, {"error": "invalid_client", "error_description": refusal.message})
        code = {"bad_request": "BAD_REQUEST", "rate": "REQUEST_LIMIT_EXCEEDED", "not_found": "RESOURCE_DOES_NOT_EXIST",
                "forbidden": "PERMISSION_DENIED", "auth": "UNAUTHENTICATED"}.get(refusal.kind, "INTERNAL_ERROR")
        return Reply(refusal.status, {"error_code": code, "message": refusal.message})

    def authorize(self, request: Request):
        if (request.header("authorization") or "").removeprefix("Bearer ") not in self.keys:
            self.bearer(request)

    def token(self, request: Request) -> Reply:
        id, secret = basic(request)
        if self.clients.get(id) != secret:
            raise Refused(401, "Client authentication failed", "auth")
        exactly(form(request), grant_type="client_credentials", scope="all-apis")
        return Reply(
            200, {"access_token": self.issue(id), "token_type": "Bearer", "expires_in": self.expires_in, "scope": "all-apis"}
        )

    def check(self, body: dict):
        if other := [name for name in body if name not in self.takes]:
            refuse(f"Bad request: json: unknown field \"{other[0]}\"")

    def known(self, body: dict) -> dict:
        messages = [without_parts(message) for message in body.get("messages") or []]
        return {name: value for name, value in body.items() if name not in ("top_k", "thinking")} | {"messages": messages}

    def change(self, answer: dict, parts: list[dict]):
        for part in parts:
            if text := part.pop("reasoning_content", None):
                thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": text, "signature": ""}]}
                part["content"] = [thought] + ([{"type": "text", "text": part["content"]}] if part.get("content") else [])
        if answer.get("usage"):
            answer["usage"] = {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def without_parts(message: dict) -> dict:
    """An assistant's list of parts as the text in it."""
    if message.get("role") != "assistant" or not isinstance(message.get("content"), list):
        return message
    return message | {"content": "".join(part["text"] for part in message["content"] if part["type"] == "text")}


def basic(request: Request) -> tuple[str, str]:
    kind, _, value = (request.header("authorization") or "").partition(" ")
    if kind != "Basic":
        raise Refused(401, "basic authentication is wanted", "auth")
    id, _, secret = base64.b64decode(value).decode().partition(":")
    return id, secret


class OllamaOpenAi(Flavour):
    """Ollama's own /v1: no key, no `tool_choice`, pictures only as base64, thinking in `reasoning`."""

    name = "ollama-openai"

    def authorize(self, request: Request):
        pass

    def known(self, body: dict) -> dict:
        if '"url":"http' in brain.compact(body["messages"]):
            refuse("invalid image input")
        return {
            name: value
            for name, value in body.items()
            if name not in ("tool_choice", "logit_bias", "user", "n", "parallel_tool_calls")
        }

    def change(self, answer: dict, parts: list[dict]):
        for part in parts:
            rename(part, "reasoning_content", "reasoning")
        answer["system_fingerprint"] = "fp_ollama"
        if answer.get("usage"):
            answer["usage"] = {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
