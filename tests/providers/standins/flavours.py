"""Providers whose dialect is OpenAI's but for their own rules: Azure, Groq, Databricks, Hugging Face's router.

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
        events = troubled(self.chunks(answer, model, body), answer.trouble, late, b'data: {"id":"chatcmpl-1","choices":[{"ind\n\n')
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
        return Reply(200, {"access_token": self.issue(id), "token_type": "Bearer", "expires_in": self.expires_in, "scope": "all-apis"})

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


# ---- Azure

GATES = {
    "stream_options": "2024-09-01", "max_completion_tokens": "2024-09-01", "parallel_tool_calls": "2024-09-01",
    "reasoning_effort": "2024-12-01", "json_schema": "2024-08-01", "dimensions": "2024-03-01", "encoding_format": "2024-03-01",
}
"""Member -> the first dated version that takes it."""
SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


class Azure(TokenStandIn, Flavour):
    """Deployments below /openai/deployments (dated versions) and /openai/v1, with a key or a token of Entra ID."""

    name = "azure"
    scope = "https://cognitiveservices.azure.com/.default"

    def __init__(self, keys: tuple[str, ...] = ("azure-test",), deployments: dict[str, str] | None = None, clients: dict[str, str] | None = None):
        TokenStandIn.__init__(self)
        self.keys = keys
        self.deployments = deployments or {"my-gpt": "gpt-5.1-2026-01-01", "my-embeddings": "text-embedding-3-large"}
        self.clients = clients or {"client-test": "secret-test"}

    def routes(self):
        classic = "/openai/deployments/(?P<deployment>[^/]+)"
        return [
            ("POST", f"{classic}/chat/completions", self.classic_chat), ("POST", f"{classic}/embeddings", self.classic_embeddings),
            ("POST", "/openai/v1/chat/completions", self.chat), ("POST", "/openai/v1/embeddings", self.embeddings),
            ("POST", "/(?P<tenant>[^/]+)/oauth2/v2.0/token", self.token), ("GET", "/msi/token", self.managed_identity),
        ]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        headers = {"apim-request-id": "req-standin", "x-ms-region": "Sweden Central"}
        if request.path.endswith("/oauth2/v2.0/token"):
            return Reply(refusal.status, {"error": "invalid_client", "error_description": f"AADSTS7000215: {refusal.message}", "error_codes": [7000215]})
        if isinstance(refusal, PromptFiltered):
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE | {"hate": {"filtered": True, "severity": "high"}}}
            return Reply(400, {"error": {"message": refusal.message, "type": None, "param": "prompt", "code": "content_filter", "status": 400,
                                         "innererror": inner}}, headers)
        if refusal.kind in ("auth", "not_found"):
            code = {"auth": "401", "not_found": "DeploymentNotFound"}[refusal.kind]
            return Reply(refusal.status, {"error": {"code": code, "message": refusal.message}}, headers)
        return Reply(refusal.status, openai_direct.error_body(refusal), headers)

    def authorize(self, request: Request):
        key, bearer = request.header("api-key"), request.header("authorization")
        if key is not None and bearer is not None:
            raise Refused(401, "both a key and a token", "auth")
        if key is not None:
            if key not in self.keys:
                raise Refused(401, "Access denied due to invalid subscription key or wrong API endpoint.", "auth")
        elif not (request.path.startswith("/openai/v1/") and (bearer or "").removeprefix("Bearer ") in self.keys):
            self.bearer(request)

    def token(self, request: Request) -> Reply:
        fields = form(request)
        id = fields.get("client_id", "")
        if self.clients.get(id) != fields.get("client_secret"):
            raise Refused(401, "Invalid client secret provided.", "auth")
        exactly(fields, grant_type="client_credentials", client_id=id, client_secret=self.clients[id], scope=self.scope)
        return Reply(200, {"token_type": "Bearer", "expires_in": self.expires_in, "access_token": self.issue(id)})

    def managed_identity(self, request: Request) -> Reply:
        """That of App Service and Container Apps; the life is a text there."""
        if request.header("x-identity-header") != "identity-secret":
            raise Refused(401, "X-IDENTITY-HEADER is missing or wrong", "auth")
        resource = self.scope.removesuffix("/.default")
        if {name: value.rstrip("/") for name, value in request.query.items()} != {"api-version": "2019-08-01", "resource": resource}:
            refuse(f"wrong query: {request.query}")
        return Reply(200, {"access_token": self.issue("managed"), "expires_in": str(self.expires_in), "resource": resource, "token_type": "Bearer"})

    def classic(self, request: Request) -> dict:
        """The body, with the model that the deployment in the path has."""
        self.authorize(request)
        body, version = request.json(), request.query.get("api-version", "")
        if list(request.query) != ["api-version"] or not version[:4].isdigit():
            raise Refused(404, "Resource not found: api-version is missing", "not_found")
        given = {*body, (body.get("response_format") or {}).get("type")}
        if late := [name for name, since in GATES.items() if name in given and version[:10] < since]:
            refuse(f"Unrecognized request argument supplied: {late[0]}")
        return body | {"model": self.deployed(request.arg("deployment"))}

    def deployed(self, name: str) -> str:
        if name not in self.deployments:
            raise Refused(404, "The API deployment for this resource does not exist.", "not_found")
        return self.deployments[name]

    def classic_chat(self, request: Request):
        return self.create(request, self.classic(request))

    def classic_embeddings(self, request: Request) -> Reply:
        return openai_direct.embeddings(self, request, self.classic(request))

    def v1(self, request: Request) -> dict:
        self.authorize(request)
        body = request.json()
        if request.query.get("api-version", "preview") not in ("preview", "latest"):
            refuse("api-version is not allowed on the v1 path")
        return body | {"model": self.deployed(body.get("model"))}

    def chat(self, request: Request):
        return self.create(request, self.v1(request))

    def embeddings(self, request: Request) -> Reply:
        return openai_direct.embeddings(self, request, self.v1(request))

    def check(self, body: dict):
        if any("block the prompt" in str(message.get("content")) for message in body.get("messages") or []):
            raise PromptFiltered()

    def change(self, answer: dict, parts: list[dict]):
        for choice in answer["choices"]:
            choice["content_filter_results"] = SAFE if parts[0].get("content") else {}
        if answer["object"] == "chat.completion":
            answer["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": SAFE}]

    def chunks(self, answer: brain.Answer, model: str, body: dict):
        """The first chunk has the verdict on the prompt, and neither choices nor an id."""
        yield sse({"choices": [], "created": 0, "id": "", "model": "", "object": "",
                   "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]})
        yield from super().chunks(answer, model, body)


class PromptFiltered(Refused):
    def __init__(self):
        super().__init__(400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.")


class OllamaOpenAi(Flavour):
    """Ollama's own /v1: no key, no `tool_choice`, pictures only as base64, thinking in `reasoning`."""

    name = "ollama-openai"

    def authorize(self, request: Request):
        pass

    def known(self, body: dict) -> dict:
        if '"url":"http' in brain.compact(body["messages"]):
            refuse("invalid image input")
        return {name: value for name, value in body.items() if name not in ("tool_choice", "logit_bias", "user", "n", "parallel_tool_calls")}

    def change(self, answer: dict, parts: list[dict]):
        for part in parts:
            rename(part, "reasoning_content", "reasoning")
        answer["system_fingerprint"] = "fp_ollama"
        if answer.get("usage"):
            answer["usage"] = {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
