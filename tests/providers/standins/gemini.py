"""Gemini of Google AI Studio: `generateContent`, `streamGenerateContent?alt=sse`, `countTokens`, `embedContent` and
`batchEmbedContents` below /v1beta/models/. See `base` for how a stand-in works.

`generate` and `embed` serve Vertex too, which differs in the attributes of
`Gemini` and in the path.

Thought signatures of the Gemini 3 models: the first functionCall of an answer carries one, made from the call and all that
came before it. In the current turn (behind the last text of the user) it must come back; an older one may. The dummy is
taken only for calls that this stand-in did not make.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

import brain
from standins.base import Refused, Reply, Request, StandIn, Stream, refuse, sse, troubled
from standins.gemini_answers import blocked, chunks, write
from standins.gemini_rules import (
    BatchEmbedContents, EmbedContent, GenerateContent, Rules, camel, check_sampling, invalid, model_rules, read_format,
    read_thinking,
)
from standins.openai_direct import failing
from standins.typed import conform

STATUS = {
    "bad_request": "INVALID_ARGUMENT", "context": "INVALID_ARGUMENT", "auth": "UNAUTHENTICATED", "forbidden": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND", "timeout": "DEADLINE_EXCEEDED", "rate": "RESOURCE_EXHAUSTED", "server": "INTERNAL",
    "unavailable": "UNAVAILABLE", "overloaded": "UNAVAILABLE",
}
DUMMY = "skip_thought_signature_validator"
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
"""What a part may hold, one of them."""
BATCH = 100
"""Most texts in one batchEmbedContents."""
EMBEDDING = re.compile(r"(gemini|text)-(multilingual-)?embedding-\w+(-\w+)*")


class Gemini(StandIn):
    name = "gemini"
    statuses = {"timeout": 504, "overloaded": 503}
    too_long = "The input token count (250000) exceeds the maximum number of tokens allowed (200000)."
    ids = True
    """Calls have ids (those of the Gemini 3 models), and they may come back."""
    labels = False

    def __init__(self, keys: dict[str, str] | None = None):
        super().__init__()
        self.keys = keys or {"AIza-test": "acme"}
        self.issued: set[bytes] = set()
        """Signatures that were sent out."""

    def routes(self):
        model = r"/v1beta/models/(?P<model>[^/:]+)"
        return [
            ("POST", f"{model}:generateContent", lambda request: self.create(request, False)),
            ("POST", f"{model}:streamGenerateContent", lambda request: self.create(request, True)),
            ("POST", f"{model}:countTokens", self.count_tokens),
            ("POST", f"{model}:embedContent", self.embed_one),
            ("POST", f"{model}:batchEmbedContents", self.embed_many),
        ]

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        """Google says how long to wait in the body, not in a header."""
        return Reply(refusal.status, error_body(refusal, refusal.headers.pop("retry-after", None)))

    def authorize(self, request: Request) -> str:
        if "key" in request.query:
            refuse("the stand-in takes no key in the URL: it belongs in x-goog-api-key")
        key = request.header("x-goog-api-key")
        if key is None:
            raise Refused(403, "Method doesn't allow unregistered callers (callers without established identity).", "forbidden")
        if request.header("authorization") is not None:
            raise Refused(401, "Request had invalid authentication credentials: both a key and a bearer", "auth")
        if key not in self.keys:
            raise InvalidKey()
        return self.keys[key]

    def create(self, request: Request, stream: bool):
        account = self.authorize(request)
        return generate(self, request, camel(request.json()), request.arg("model"), account, stream)

    def count_tokens(self, request: Request) -> Reply:
        account, body = self.authorize(request), camel(request.json())
        body = body.get("generateContentRequest", body)
        conversation, _ = read(self, body, request.arg("model"), account)
        return Reply(200, {"totalTokens": brain.count(brain.Answer(), conversation).input})

    def embed_one(self, request: Request) -> Reply:
        self.authorize(request)
        [vector], [spent] = embed(self, request, [camel(request.json())], request.arg("model"))
        return Reply(200, {"embedding": {"values": vector}, "usageMetadata": {"promptTokenCount": spent}})

    def embed_many(self, request: Request) -> Reply:
        self.authorize(request)
        body = camel(request.json())
        if errors := conform(body, BatchEmbedContents, models=True):
            invalid(errors)
        if not 0 < len(body["requests"]) <= BATCH:
            refuse(f"* BatchEmbedContentsRequest.requests: at most {BATCH} requests can be in one batch")
        vectors, spent = embed(self, request, body["requests"], request.arg("model"), named=True)
        return Reply(
            200, {"embeddings": [{"values": vector} for vector in vectors], "usageMetadata": {"promptTokenCount": sum(spent)}}
        )


class InvalidKey(Refused):
    """Google's way: 400, and only the details say that it is the key."""

    def __init__(self):
        super().__init__(400, "API key not valid. Please pass a valid API key.", "bad_request")


def error_body(refusal: Refused, retry_after: str | None) -> dict:
    details = []
    if isinstance(refusal, InvalidKey):
        details.append(
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        )
    if refusal.kind == "rate":
        details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": "1"}]})
    if retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after}s"})
    error = {"code": refusal.status, "message": refusal.message, "status": STATUS[refusal.kind]}
    return {"error": error | ({"details": details} if details else {})}


def generate(standin: Gemini, request: Request, body: dict, model: str, account: str, stream: bool):
    if request.query != ({"alt": "sse"} if stream else {}):
        refuse(f"the stand-in streams with alt=sse and takes nothing else in the query, not {request.query}")
    conversation, shows = read(standin, body, model, account)
    if "block the prompt" in brain.last_text(conversation):
        standin.note(request, conversation=conversation.describe(), model=model, account=account)
        return blocked(conversation, model, stream)
    answer = standin.think(request, conversation, model=model, account=account)
    config = body.get("generationConfig") or {}
    parts = write_parts(standin, answer, model, account, shows)
    whole = write(answer, parts, config, model)
    if not stream:
        return standin.whole(answer, whole)
    late = sse({"error": {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}})
    return Stream(
        troubled(chunks(whole, config.get("candidateCount", 1)), answer.trouble, late, b'data: {"candidates": [{"content\n\n')
    )


# ---- in

def read(standin: Gemini, body: dict, model: str, account: str) -> tuple[brain.Conversation, bool]:
    """The conversation, and whether thoughts show."""
    rules = model_rules(model)
    if errors := conform(body, GenerateContent, models=True):
        invalid(errors)
    if "labels" in body and not standin.labels:
        refuse('Invalid JSON payload received. Unknown name "labels": Cannot find field.')
    if "cachedContent" in body:
        refuse("the stand-in has no cached contents")
    config = body.get("generationConfig") or {}
    tools = read_tools(body.get("tools") or [])
    schema, json_object = read_format(config, bool(tools), rules)
    check_sampling(config)
    thinks, shows = read_thinking(config.get("thinkingConfig"), rules, model)
    choice, tools = read_choice(body.get("toolConfig") or {}, tools)
    conversation = brain.Conversation(
        system=read_system(body.get("systemInstruction")), tools=tools, choice=choice, schema=schema, json_object=json_object,
        max_tokens=config.get("maxOutputTokens"), stop=config.get("stopSequences") or [], effort="on" if thinks else None,
        settings={name: config[name] for name in config if name not in ("maxOutputTokens", "stopSequences")}
        | {name: body[name] for name in ("labels", "safetySettings") if name in body},
    )
    conversation.turns = read_turns(standin, body["contents"])
    check_signatures(standin, conversation, body["contents"], rules, account)
    return conversation, shows


def read_system(content: dict | None) -> str:
    if content is None:
        return ""
    if other := [list(part) for part in content.get("parts") or [] if list(part) != ["text"]]:
        refuse(f"systemInstruction: only text is taken, not {other}")
    return brain.join_system([part["text"] for part in content.get("parts") or []])


def read_turns(standin: Gemini, contents: list) -> list[brain.Turn]:
    if not contents:
        refuse("* GenerateContentRequest.contents: contents is not specified")
    turns: list[brain.Turn] = []
    open_calls: list[tuple[brain.ToolCall, str | None]] = []
    for index, content in enumerate(contents):
        at, role, parts = f"contents[{index}]", content.get("role"), content.get("parts")
        if role != (wanted := ("user", "model")[index % 2]):
            refuse(f"{at}: role is {role!r} where {wanted!r} is due: turns alternate between user and model, and user begins")
        if not parts:
            refuse(f"* GenerateContentRequest.{at}.parts: contents.parts must not be empty.")
        if role == "user":
            answer_calls(open_calls, [part["functionResponse"] for part in parts if "functionResponse" in part], at)
        calls, turn = [], brain.Turn("assistant" if role == "model" else "user", [])
        for number, part in enumerate(parts):
            read = read_part(standin, part, role, f"{at}.parts[{number}]", f"{index}.{len(calls)}", open_calls)
            if isinstance(read, brain.ToolCall):
                calls.append((read, part["functionCall"].get("id")))
            if not (isinstance(read, brain.Text) and not read.text):
                turn.parts.append(read)
        open_calls = calls
        turns.append(turn)
    if turns[-1].role != "user":
        refuse("Please ensure that single turn requests end with a user role or the role field is empty.")
    return turns


def answer_calls(open_calls: list, responses: list[dict], at: str):
    if len(responses) != len(open_calls):
        refuse(f"{at}: Please ensure that the number of function response parts is equal to the number of function call parts of "
               f"the function call turn ({len(responses)} for {len(open_calls)})")
    if sorted(response.get("name") or "" for response in responses) != sorted(call.name for call, _ in open_calls):
        refuse(f"{at}: function responses {[response.get('name') for response in responses]} do not name the functions called, "
               f"{[call.name for call, _ in open_calls]}")


def read_part(standin: Gemini, part: dict, role: str, at: str, number: str, open_calls: list):
    kinds = [name for name in part if name not in ("thought", "thoughtSignature")]
    if len(kinds) != 1 or kinds[0] not in DATA:
        refuse(f"{at}: a part holds one of {DATA}, not {kinds}")
    if role == "user" and ("thought" in part or "thoughtSignature" in part):
        refuse(f"{at}: thoughts belong to the model's turns")
    value = part[kinds[0]]
    if kinds == ["text"]:
        return brain.Thinking(value, part.get("thoughtSignature", "")) if part.get("thought") else brain.Text(value)
    if kinds == ["functionCall"] and role == "model":
        check_id(standin, value, at)
        return brain.ToolCall(f"call {number}", value["name"], value.get("args") or {})
    if kinds == ["functionResponse"] and role == "user":
        return read_response(standin, value, at, open_calls)
    if kinds == ["inlineData"] and role == "user":
        if value.get("mimeType") not in IMAGES:
            refuse(f"{at}: Unsupported MIME type: {value.get('mimeType')}")
        return brain.Image(value["mimeType"], decode(value.get("data") or "", at))
    if kinds == ["fileData"] and role == "user":
        if not value.get("mimeType", "").startswith("image/") or not re.match(r"(https?|gs)://", value.get("fileUri") or ""):
            refuse(f"{at}: fileData needs mimeType and fileUri")
        return brain.Image(url=value["fileUri"])
    refuse(f"{at}: {kinds[0]} does not belong in a turn of {role!r}")


def check_id(standin: Gemini, value: dict, at: str):
    if "id" in value and not standin.ids:
        refuse(f"Invalid JSON payload received. Unknown name \"id\" at '{at}': Cannot find field.")
    if not value.get("name"):
        refuse(f"{at}: name: [FIELD_INVALID]")
    if other := [name for name in value if name not in ("id", "name", "args", "response")]:
        refuse(f"{at}: the stand-in does not take {other}")


def read_response(standin: Gemini, value: dict, at: str, open_calls: list) -> brain.ToolResult:
    """The call it belongs to: that with its id, or else the next one of its name."""
    check_id(standin, value, at)
    if not isinstance(value.get("response"), dict):
        refuse(f"{at}.response: must be an object")
    same = [one for one in open_calls if one[0].name == value["name"]]
    if "id" in value:
        same = [one for one in same if one[1] == value["id"]]
        if not same:
            refuse(f"{at}: no call of {value['name']!r} has the id {value['id']!r}")
    if not same:
        refuse(f"{at}: {value['name']!r} is answered more often than it was called")
    open_calls.remove(same[0])
    response = value["response"]
    [only] = response.values() if len(response) == 1 and set(response) <= {"result", "output", "content"} else [None]
    return brain.ToolResult(same[0][0].id, only if isinstance(only, str) else brain.compact(response))


def decode(data: str, at: str) -> bytes:
    """Both alphabets of base64, as Google does."""
    try:
        return base64.b64decode(data.replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4), validate=True)
    except binascii.Error as error:
        refuse(f"{at}: Base64 decoding failed: {error}")


def read_tools(tools: list) -> list[brain.Tool]:
    read = []
    for index, tool in enumerate(tools):
        if list(tool) != ["functionDeclarations"]:
            refuse(f"tools[{index}]: the stand-in takes functionDeclarations only, not {list(tool)}")
        for number, one in enumerate(tool["functionDeclarations"]):
            at = f"tools[{index}].function_declarations[{number}]"
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}", one.get("name") or ""):
                refuse(f"{at}.name: Invalid function name: {one.get('name')!r}")
            if "parameters" in one and "parametersJsonSchema" in one:
                refuse(f"{at}: parameters and parametersJsonSchema cannot both be set")
            schema = one.get("parametersJsonSchema", one.get("parameters"))
            if schema is not None and (not isinstance(schema, dict) or str(schema.get("type")).lower() != "object"):
                refuse(f"{at}.parameters: schema should be of type OBJECT")
            read.append(brain.Tool(one["name"], one.get("description", ""), schema or {}))
    if len({tool.name for tool in read}) < len(read):
        refuse("tools: Duplicate function declaration found")
    return read


def read_choice(config: dict, tools: list[brain.Tool]) -> tuple[str, list[brain.Tool]]:
    """The brain's choice, and the tools that may be called."""
    if other := [name for name in config if name != "functionCallingConfig"]:
        refuse(f"toolConfig: the stand-in does not take {other}")
    config = config.get("functionCallingConfig") or {}
    if config and not tools:
        refuse("Function calling config is set without function_declarations.")
    mode, allowed = config.get("mode", "AUTO"), config.get("allowedFunctionNames")
    if allowed is None:
        return {"AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}[mode], tools
    if mode not in ("ANY", "VALIDATED"):
        refuse("allowed_function_names should be set only when function calling mode is ANY or VALIDATED.")
    if unknown := set(allowed) - {tool.name for tool in tools}:
        refuse(f"allowed_function_names: {sorted(unknown)} are not declared")
    return (f"name:{allowed[0]}" if mode == "ANY" else "auto"), tools


# ---- signatures

def signature(standin: Gemini, account: str, what: str, digest: str) -> bytes:
    return base64.b64decode(brain.sign(f"{standin.name} {account}", what, digest))


def call_text(name: str, arguments: dict) -> str:
    return f"{name} {json.dumps(arguments, sort_keys=True)}"


def check_signatures(standin: Gemini, conversation: brain.Conversation, contents: list, rules: Rules, account: str):
    said = [
        index
        for index, turn in enumerate(conversation.turns)
        if turn.role == "user" and any(isinstance(p, brain.Text) for p in turn.parts)
    ]
    for index, content in enumerate(contents):
        if content["role"] != "model":
            continue
        digest = conversation.before(index).digest()
        first, text = True, "".join(part.get("text", "") for part in content["parts"] if not part.get("thought"))
        for number, part in enumerate(content["parts"]):
            at, given = f"contents[{index}].parts[{number}]", part.get("thoughtSignature")
            if call := part.get("functionCall"):
                wanted = signature(standin, account, call_text(call["name"], call.get("args") or {}), digest)
                if first and rules.third and given is None and index > max(said, default=0):
                    refuse(
                        f"Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                        f"correctly. Function call `default_api:{call['name']}`, {at}."
                    )
                check_signature(standin, given, wanted, first, at)
                first = False
            elif given is not None:
                wanted = signature(standin, account, text, digest)
                if decode(given, at) != wanted:
                    refuse(f"Corrupted thought signature: {at}")


def check_signature(standin: Gemini, given: str | None, wanted: bytes, first: bool, at: str):
    if given is None:
        return
    if given == DUMMY or decode(given, at) == DUMMY.encode():
        if first and wanted in standin.issued:
            refuse(f"{at}: the dummy signature stands for a call that this very stand-in signed: its own must come back")
    elif not first or decode(given, at) != wanted:
        refuse(f"Corrupted thought signature: {at}")


# ---- out

def write_parts(standin: Gemini, answer: brain.Answer, model: str, account: str, shows: bool) -> list[dict]:
    rules, parts = model_rules(model), []
    if shows and answer.thinking:
        parts.append({"text": answer.thinking, "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
        if rules.third and not answer.calls:
            parts[-1]["thoughtSignature"] = issue(standin, account, answer.text, answer.digest)
    for index, call in enumerate(answer.calls):
        part = {"functionCall": {"name": call.name, "args": call.arguments}}
        if rules.third:
            if standin.ids:
                part["functionCall"]["id"] = call.id[:8]
            if index == 0:
                part["thoughtSignature"] = issue(standin, account, call_text(call.name, call.arguments), answer.digest)
        parts.append(part)
    return parts


def issue(standin: Gemini, account: str, what: str, digest: str) -> str:
    made = signature(standin, account, what, digest)
    standin.issued.add(made)
    return base64.b64encode(made).decode()


def embed(standin: StandIn, request: Request, bodies: list[dict], model: str, named: bool = False,
          kind: type = EmbedContent) -> tuple[list, list[int]]:
    """Vectors and tokens. `named`: every request says the model, that of the path."""
    if not EMBEDDING.fullmatch(model):
        raise Refused(
            404, f"models/{model} is not found for API version v1beta, or is not supported for embedContent.", "not_found"
        )
    texts = []
    for index, body in enumerate(bodies):
        if errors := conform(body, kind, models=True):
            invalid(errors)
        if body.get("model", f"models/{model}" if not named else None) != f"models/{model}":
            refuse(f"* BatchEmbedContentsRequest.requests[{index}].model: must be models/{model}, not {body.get('model')!r}")
        parts = body["content"].get("parts") or []
        if not parts or any(list(part) != ["text"] or not part["text"] for part in parts):
            refuse(f"requests[{index}].content: contents.parts must hold text")
        texts.append("".join(part["text"] for part in parts))
    standin.note(request, inputs=texts, model=model)
    failing(texts)
    sizes = [(body | body.get("embedContentConfig", {})).get("outputDimensionality", 1024) for body in bodies]
    return [brain.embed(text, size) for text, size in zip(texts, sizes)], [len(brain.tokens(text)) for text in texts]
