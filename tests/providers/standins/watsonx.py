"""IBM watsonx: `POST /identity/token`, `/ml/v1/text/chat`, `/ml/v1/text/chat_stream` and `/ml/v1/text/embeddings`. See `base`.

Its SDK has no types of the wire; what is taken is written here, after IBM's description of the API.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, Required, TypedDict

import brain
from standins import openai_direct
from standins.base import Refused, Reply, Request, Stream, refuse, sse, troubled
from standins.openai_direct import failing
from standins.tokens import TokenStandIn, exactly, form
from standins.typed import conform

GRANT = "urn:ibm:params:oauth:grant-type:apikey"


class Function(TypedDict, total=False):
    name: Required[str]
    description: str
    parameters: dict[str, Any]


class Tool(TypedDict):
    type: Literal["function"]
    function: Function


class Name(TypedDict):
    name: str


class Choice(TypedDict):
    type: Literal["function"]
    function: Name


class JsonSchema(TypedDict, total=False):
    name: Required[str]
    schema: Required[dict[str, Any]]
    strict: bool
    description: str


class Format(TypedDict, total=False):
    type: Required[Literal["text", "json_object", "json_schema"]]
    json_schema: JsonSchema


class Chat(TypedDict, total=False):
    model_id: Required[str]
    project_id: str
    space_id: str
    messages: Required[list[dict]]
    tools: list[Tool]
    tool_choice: Choice
    tool_choice_option: Literal["none", "auto", "required"]
    max_tokens: int
    max_completion_tokens: int
    temperature: float
    top_p: float
    n: int
    stop: list[str]
    seed: int
    frequency_penalty: float
    presence_penalty: float
    logprobs: bool
    top_logprobs: int
    logit_bias: dict[str, float]
    response_format: Format
    time_limit: int
    reasoning_effort: Literal["low", "medium", "high"]
    include_reasoning: bool
    chat_template_kwargs: dict[str, Any]


class EmbedParameters(TypedDict, total=False):
    truncate_input_tokens: int
    return_options: dict[str, bool]


class Embed(TypedDict, total=False):
    inputs: Required[list[str]]
    model_id: Required[str]
    project_id: str
    space_id: str
    parameters: EmbedParameters


class Watsonx(TokenStandIn):
    name = "watsonx"
    statuses = {"overloaded": 503}
    too_long = "The number of input tokens 250000 cannot exceed the total tokens limit 131072 for this model: prompt is too long"

    def __init__(self, keys: dict[str, str] | None = None, project: str = "project-1"):
        super().__init__()
        self.keys, self.project = keys or {"ibm-test": "acme"}, project

    def routes(self):
        return [
            ("POST", "/identity/token", self.token),
            ("POST", "/ml/v1/text/chat", lambda request: self.chat(request, False)),
            ("POST", "/ml/v1/text/chat_stream", lambda request: self.chat(request, True)),
            ("POST", "/ml/v1/text/embeddings", self.embeddings),
        ]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        if request.path == "/identity/token":
            return Reply(refusal.status, {"errorCode": "BXNIM0415E", "errorMessage": refusal.message})
        code = {"auth": "authentication_token_expired", "rate": "rate_limit_reached", "not_found": "model_not_supported"}.get(
            refusal.kind, "invalid_request_entity" if refusal.status < 500 else "internal_error")
        return Reply(refusal.status, {
            "errors": [{"code": code, "message": refusal.message, "more_info": "https://cloud.ibm.com/apidocs/watsonx-ai"}],
            "trace": "standin", "status_code": refusal.status,
        })

    def token(self, request: Request) -> Reply:
        fields = form(request)
        if fields.get("apikey") not in self.keys:
            raise Refused(400, "Provided API key could not be found.")
        exactly(fields, grant_type=GRANT, apikey=fields["apikey"])
        return Reply(
            200,
            {
                "access_token": self.issue(self.keys[fields["apikey"]]),
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
                "expiration": 4_000_000_000,
                "scope": "ibm openid",
            },
        )

    def begin(self, request: Request, kind: type) -> dict:
        self.bearer(request)
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", request.query.get("version", "")) or list(request.query) != ["version"]:
            refuse("Query parameter version is missing or not a date")
        body = request.json()
        if errors := conform(body, kind):
            refuse(f"Json document validation error: {'; '.join(errors[:5])}")
        if ("project_id" in body) == ("space_id" in body):
            refuse("exactly one of project_id and space_id must be given")
        if body.get("project_id", self.project) != self.project:
            raise Refused(404, f"Failed to find project {body['project_id']}", "not_found")
        return body

    def chat(self, request: Request, stream: bool):
        body = self.begin(request, Chat)
        check(body)
        model = body["model_id"]
        conversation = openai_direct.read(as_openai(body))
        answer = self.think(request, conversation, model=model)
        if not stream:
            return self.whole(answer, ibm(openai_direct.write(answer, model), "message"))
        late = sse({"errors": [{"code": "internal_error", "message": "the model broke off"}], "status_code": 500}, "error")
        return Stream(
            troubled(events(answer, model), answer.trouble, late, b'id: 7\nevent: message\ndata: {"id":"chat-1","cho\n\n')
        )

    def embeddings(self, request: Request) -> Reply:
        body = self.begin(request, Embed)
        self.note(request, inputs=body["inputs"], model=body["model_id"])
        failing(body["inputs"])
        return Reply(200, {
            "model_id": body["model_id"], "created_at": "2026-11-21T10:00:00.000Z",
            "results": [{"embedding": brain.embed(text), "input": text} for text in body["inputs"]],
            "input_token_count": sum(len(brain.tokens(text)) for text in body["inputs"]),
        })


def check(body: dict):
    for index, tool in enumerate(body.get("tools") or []):
        if closed(tool["function"].get("parameters", {})):
            refuse(f"tools[{index}]: additionalProperties is not supported")
    if "tool_choice" in body and "tool_choice_option" in body:
        refuse("only one of tool_choice and tool_choice_option may be given")
    if ("tool_choice" in body or "tool_choice_option" in body) and not body.get("tools"):
        refuse("tool_choice needs tools")
    if len(body.get("stop") or []) > 4:
        refuse("stop: at most 4")


def closed(schema) -> bool:
    if isinstance(schema, list):
        return any(closed(one) for one in schema)
    return isinstance(schema, dict) and ("additionalProperties" in schema or any(closed(one) for one in schema.values()))


def as_openai(body: dict) -> dict:
    own = ("model_id", "project_id", "space_id", "tool_choice_option", "time_limit", "include_reasoning", "chat_template_kwargs")
    same = {name: value for name, value in body.items() if name not in own} | {"model": body["model_id"]}
    if "tool_choice_option" in body:
        same["tool_choice"] = body["tool_choice_option"]
    return same


def ibm(answer: dict, part: str) -> dict:
    """IBM's names for the model and the time; no log probabilities, no details of usage."""
    answer = answer | {"model_id": answer["model"], "model_version": "1.0.0", "created_at": "2026-11-21T10:00:00.000Z"}
    for choice in answer["choices"]:
        choice.pop("logprobs", None)
        choice[part].pop("refusal", None)
        if choice[part].get("content") is None:
            choice[part].pop("content", None)
    if answer.get("usage"):
        answer["usage"] = {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    else:
        answer.pop("usage", None)
    return answer


def events(answer: brain.Answer, model: str):
    """Numbered events, the usage last, and no [DONE]."""
    chunks = [event.decode().removeprefix("data: ").strip() for event in openai_direct.chunks(answer, model, usage=True)]
    for number, chunk in enumerate(chunks[:-1]):
        yield f"id: {number + 1}\n".encode() + sse(ibm(json.loads(chunk), "delta"), "message")
