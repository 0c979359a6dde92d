"""The one "model" that answers behind every stand-in, in terms that belong to no provider.

A stand-in turns a request of its dialect into a `Conversation`, calls `answer`, and writes the `Answer` (or the
`Failure` it raises) in its dialect. Since nothing here depends on the dialect, one program gets one transcript from
every provider, and since the answers quote what arrived (system text, turns, arguments, results, images, and `digest`
over all of it), a translation that loses or reorders something gives another transcript.

Scenarios (the last user text decides, in the order of `SCENARIOS`; anything else is greeted back):

    fail KIND            one of `FAILURES`: Failure with that kind. `fail filter`: finish `content_filter`.
    fail cut|malformed|late   the answer breaks off | holds broken bytes | ends in an error event after some text
    image in last turn   text that names media type, size and hash of each image
    json schema          JSON that fits it (`fit`); JSON mode, or "JSON" in the system text: some JSON
    long                 some 300 tokens, for `max_tokens`
    count                "one, two, three, STOP, four": for stop sequences
    slow                 pauses between the pieces of a stream
    weather (+ tools)    calls: the first two tools for Paris and 東京, one only when parallel calls are not wanted;
                         with "explain" a text before them
    tool results last    text that quotes every result beside its call, and the tools on offer
    tool choice required / named   a call of the first tool / that tool, whatever the text says
    effort set           a thinking text before any of these

What providers cannot all carry is left out of `digest`: ids of calls (results are tied to calls by them, and quoted so),
thinking given back (stand-ins check its signatures), tools (quoted after results), the effort's amount.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field

AWKWARD = "é 漢字 🙂👩‍🔬"
"""In every text: two, three and four bytes a character, and a joined one."""


# ---- what goes in

@dataclass
class Text:
    text: str


@dataclass
class Image:
    """Bytes with their media type, or an address."""

    media_type: str | None = None
    data: bytes | None = None
    url: str | None = None


@dataclass
class ToolCall:
    id: str
    name: str
    arguments: dict


@dataclass
class ToolResult:
    """`id` is that of the call; a dialect without ids gives the call's id by looking it up itself."""

    id: str
    text: str


@dataclass
class Thinking:
    """Thinking that came back. `signature` was checked by the stand-in."""

    text: str
    signature: str = ""


@dataclass
class Turn:
    role: str  # user or assistant; results of tools are parts of user turns
    parts: list


@dataclass
class Tool:
    name: str
    description: str = ""
    schema: dict = field(default_factory=dict)


@dataclass
class Conversation:
    system: str = ""
    """All system texts, joined by a blank line: see `join_system`."""
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    choice: str = "auto"
    """auto, none, required, or `name:` and the tool's name."""
    parallel: bool = True
    schema: dict | None = None
    json_object: bool = False
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    effort: str | None = None
    """Anything but None makes the model think."""
    settings: dict = field(default_factory=dict)
    """Sampling and the like, only recorded: temperature, top_p, seed, user..."""

    def merged(self) -> list[Turn]:
        """Neighbours of one role as one turn; results in the order of their calls, for some dialects know no other."""
        place = {id: index for index, id in enumerate(self.calls())}
        turns: list[Turn] = []
        for turn in self.turns:
            if turns and turns[-1].role == turn.role:
                turns[-1].parts.extend(turn.parts)
            elif turn.parts:
                turns.append(Turn(turn.role, list(turn.parts)))
        for turn in turns:
            at = [index for index, part in enumerate(turn.parts) if isinstance(part, ToolResult)]
            for index, part in zip(at, sorted((turn.parts[index] for index in at), key=lambda part: place.get(part.id, 0))):
                turn.parts[index] = part
        return turns

    def calls(self) -> dict[str, ToolCall]:
        return {part.id: part for turn in self.turns for part in turn.parts if isinstance(part, ToolCall)}

    def canonical(self) -> dict:
        """System and turns as plain data: what `digest` is over, and what `/__seen` shows."""
        calls = self.calls()
        return {
            "system": self.system,
            "turns": [
                [turn.role, *(canonical_part(part, calls) for part in turn.parts if not isinstance(part, Thinking))]
                for turn in self.merged()
            ],
        }

    def digest(self) -> str:
        return short_hash(json.dumps(self.canonical(), sort_keys=True, ensure_ascii=False))

    def before(self, turn_index: int) -> Conversation:
        """The conversation up to (without) `self.turns[turn_index]`: what thinking in that turn was an answer to."""
        return dataclasses.replace(self, turns=self.turns[:turn_index])

    def describe(self) -> dict:
        """For `/__seen`: all of it, as JSON data."""
        thinking = [
            {"text": part.text, "signature": part.signature}
            for turn in self.turns for part in turn.parts if isinstance(part, Thinking)
        ]
        return self.canonical() | {
            "digest": self.digest(), "tools": [outline_tool(tool) for tool in self.tools], "choice": self.choice,
            "descriptions": [tool.description for tool in self.tools], "parallel": self.parallel,
            "schema": self.schema, "json_object": self.json_object, "max_tokens": self.max_tokens, "stop": self.stop,
            "effort": self.effort, "thinking": thinking, "settings": self.settings,
        }


def canonical_part(part, calls: dict[str, ToolCall]) -> dict:
    match part:
        case Text(text):
            return {"text": text}
        case Image(media_type, data, url):
            return {"image": url or f"{media_type} {len(data)} {short_hash(data)}"}
        case ToolCall(_, name, arguments):
            return {"call": name, "arguments": arguments}
        case ToolResult(id, text):
            call = calls.get(id)
            return {"result of": call.name if call else "?", "arguments": call.arguments if call else None, "text": text}
    raise TypeError(f"{part!r} is no part of a turn")


def join_system(texts: list[str]) -> str:
    return "\n\n".join(text for text in texts if text)


def short_hash(of: str | bytes) -> str:
    return hashlib.sha256(of.encode() if isinstance(of, str) else of).hexdigest()[:12]


def outline_tool(tool: Tool) -> str:
    return f"{tool.name}({outline(tool.schema)})"


def outline(schema: dict) -> str:
    """Names and types of the properties, `!` behind required ones; what the lesser schema dialects keep too."""
    required = schema.get("required") or []
    return ",".join(
        f"{name}:{str(about.get('type', 'any')).lower()}{'!' if name in required else ''}"
        for name, about in sorted((schema.get("properties") or {}).items())
    )


# ---- what comes out

@dataclass
class Usage:
    """`input` includes `cached` and `cache_write`, `output` includes `reasoning`."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


@dataclass
class Answer:
    thinking: str = ""
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    """Their ids are 24 letters and digits: put the provider's prefix before them."""
    finish: str = "stop"
    """stop, length, tool_calls, content_filter, stop_sequence."""
    stop_sequence: str | None = None
    usage: Usage = field(default_factory=Usage)
    trouble: str | None = None
    """cut, malformed, late or slow: see the scenarios."""
    digest: str = ""
    """Of the conversation that was answered."""


class Failure(Exception):
    """The provider refuses, with `kind` of `FAILURES`. The stand-in writes it in its own shape."""

    def __init__(self, kind: str, message: str, retry_after: int | None = None):
        super().__init__(message)
        self.kind, self.message, self.retry_after = kind, message, retry_after


FAILURES = {
    "400": ("bad_request", "the model did not like this request"),
    "401": ("auth", "the key is not valid"),
    "403": ("forbidden", "this key may not use the model"),
    "404": ("not_found", "there is no such model"),
    "408": ("timeout", "the model took too long"),
    "429": ("rate", "too many requests, slow down"),
    "500": ("server", "something broke"),
    "503": ("unavailable", "the service is not available"),
    "529": ("overloaded", "the model is overloaded"),
    "context": ("context", "the prompt is longer than the model takes"),
}
"""What `fail X` says -> kind and message (for `context` stand-ins have their provider's own words)."""


# ---- the model

def answer(conversation: Conversation) -> Answer:
    """The answer, cut by `stop` and `max_tokens`, with its token counts. Raises `Failure`."""
    last = last_text(conversation)
    found = next(out for scenario in SCENARIOS if (out := scenario(conversation, last)) is not None)
    if conversation.effort is not None and found.finish != "content_filter":
        found.thinking = f"The question is “{last}”. {AWKWARD} So I shall answer with care."
    found.digest = conversation.digest()
    for index, call in enumerate(found.calls):
        call.id = hashlib.sha256(f"{found.digest} {index}".encode()).hexdigest()[:24]
    if found.calls and found.finish == "stop":
        found.finish = "tool_calls"
    limit(found, conversation)
    found.usage = count(found, conversation)
    return found


def last_text(conversation: Conversation) -> str:
    texts = [part.text for turn in conversation.turns if turn.role == "user" for part in turn.parts if isinstance(part, Text)]
    return texts[-1] if texts else ""


def fail(conversation: Conversation, last: str) -> Answer | None:
    found = re.search(r"\bfail (\w+)", last)
    if not found:
        return None
    what = found[1]
    if what in FAILURES:
        kind, message = FAILURES[what]
        raise Failure(kind, f"{message} ({AWKWARD})", retry_after=1 if kind == "rate" else None)
    if what == "filter":
        return Answer(text=f"I would rather not. {AWKWARD}", finish="content_filter")
    if what in ("cut", "malformed", "late"):
        return Answer(text=f"This answer does not end well. {AWKWARD} " * 3, trouble=what)
    raise Failure("bad_request", f"the stand-in knows no “fail {what}”")


def after_results(conversation: Conversation, _last: str) -> Answer | None:
    calls = conversation.calls()
    results = [part for part in conversation.merged()[-1].parts if isinstance(part, ToolResult)]
    if not results:
        return None
    quoted = "; ".join(
        f"{calls[result.id].name}({compact(calls[result.id].arguments)}) gave “{result.text}”" for result in results
    )
    offered = "; ".join(outline_tool(tool) for tool in conversation.tools)
    return Answer(text=f"{quoted}. {AWKWARD} Tools: {offered}. Digest {conversation.digest()}.")


def forced(conversation: Conversation, _last: str) -> Answer | None:
    if conversation.choice == "required":
        tool = conversation.tools[0]
    elif conversation.choice.startswith("name:"):
        tool = next(tool for tool in conversation.tools if tool.name == conversation.choice[5:])
    else:
        return None
    return Answer(calls=[ToolCall("", tool.name, fit(tool.schema, conversation))])


def weather(conversation: Conversation, last: str) -> Answer | None:
    if not conversation.tools or conversation.choice == "none" or "weather" not in last:
        return None
    wanted = 2 if conversation.parallel else 1
    tools = [conversation.tools[min(index, len(conversation.tools) - 1)] for index in range(wanted)]
    calls = [ToolCall("", tool.name, fit(tool.schema, conversation, index)) for index, tool in enumerate(tools)]
    return Answer(text=f"I shall look it up. {AWKWARD}" if "explain" in last else "", calls=calls)


def image(conversation: Conversation, _last: str) -> Answer | None:
    images = [part for part in conversation.merged()[-1].parts if isinstance(part, Image)]
    if not images:
        return None
    seen = ", ".join(canonical_part(part, {})["image"] for part in images)
    return Answer(text=f"I see {seen}. {AWKWARD} Digest {conversation.digest()}.")


def structured(conversation: Conversation, _last: str) -> Answer | None:
    if conversation.schema is not None:
        return Answer(text=compact(fit(conversation.schema, conversation)))
    if conversation.json_object or "JSON" in conversation.system:  # where there is no mode for it, instructions must do
        return Answer(text=compact({"answer": AWKWARD}))
    return None


def long(_conversation: Conversation, last: str) -> Answer | None:
    return Answer(text=f"This goes on and on, {AWKWARD}; " * 20) if re.search(r"\blong\b", last) else None


def counting(_conversation: Conversation, last: str) -> Answer | None:
    return Answer(text="one, two 漢字, three, STOP, four") if re.search(r"\bcount\b", last) else None


def slow(_conversation: Conversation, last: str) -> Answer | None:
    return Answer(text=f"I take my time. {AWKWARD}", trouble="slow") if re.search(r"\bslow\b", last) else None


def greeting(conversation: Conversation, last: str) -> Answer | None:
    turns = len(conversation.merged())
    return Answer(
        text=f"Hello! {AWKWARD} You said “{last}”, my instructions are “{conversation.system}”, "
        f"turns {turns}, digest {conversation.digest()}."
    )


SCENARIOS = (fail, after_results, forced, weather, image, structured, long, counting, slow, greeting)


def fit(schema: dict, conversation: Conversation, index: int = 0, name: str = "value"):
    """Data that fits a JSON schema. `index` chooses among cities."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return fit(choices[0], conversation, index, name)
    kind = schema.get("type", "object")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        return {key: fit(about, conversation, index, key) for key, about in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [fit(schema.get("items") or {"type": "string"}, conversation, index, name)] * 2
    if kind == "string":
        return ("Paris", "東京")[index % 2] if name == "city" else f"{name} {AWKWARD} {conversation.digest()}"
    return {"integer": 7, "number": 2.5, "boolean": True}.get(kind)


def compact(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ---- tokens, signatures, vectors

def tokens(text: str) -> list[str]:
    """Pieces of a text that together are the text."""
    return re.findall(r"\s?\w{1,5}|\s|[^\w\s]", text)


def limit(found: Answer, conversation: Conversation):
    """Stop sequences first, then `max_tokens` over thinking and text. Calls are not cut."""
    hits = [(at, stop) for stop in conversation.stop if (at := found.text.find(stop)) >= 0]
    if hits:
        at, found.stop_sequence = min(hits)
        found.text, found.finish = found.text[:at], "stop_sequence"
    left = conversation.max_tokens
    if left is not None and not found.calls:
        thinking, text = tokens(found.thinking), tokens(found.text)
        if len(thinking) + len(text) > left:
            found.thinking = "".join(thinking[:left])
            found.text = "".join(text[: max(0, left - len(thinking))])
            found.finish, found.stop_sequence = "length", None


def count(found: Answer, conversation: Conversation) -> Usage:
    """A system text that says "cached" is half read from a cache and half written to it."""
    system = len(tokens(conversation.system))
    parts = sum(part_tokens(part) for turn in conversation.turns for part in turn.parts)
    reads = "cached" in conversation.system
    reasoning = len(tokens(found.thinking))
    calls = sum(len(tokens(call.name + compact(call.arguments))) for call in found.calls)
    return Usage(
        input=system + parts + 3, cached=system // 2 if reads else 0, cache_write=system - system // 2 if reads else 0,
        output=reasoning + len(tokens(found.text)) + calls, reasoning=reasoning,
    )


def part_tokens(part) -> int:
    match part:
        case Text(text) | ToolResult(_, text):
            return len(tokens(text))
        case Image():
            return 85
        case ToolCall(_, name, arguments):
            return len(tokens(name + json.dumps(arguments, sort_keys=True, ensure_ascii=False)))
    return 0  # thinking that came back is not billed here: not every dialect can carry it


def pieces(text: str) -> list[str]:
    """A text as the deltas of a stream: one to four tokens each."""
    parts, sizes, at = tokens(text), (1, 3, 2, 4), 0
    out = []
    while at < len(parts):
        size = sizes[len(out) % len(sizes)]
        out.append("".join(parts[at : at + size]))
        at += size
    return out


def sign(secret: str, thinking: str, digest: str) -> str:
    """The signature of a thinking text. `secret` names account and model; `digest` binds it to what came before."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{digest}\n{thinking}".encode(), "sha256")).decode()


def embed(text: str, dimensions: int = 1024) -> list[float]:
    """A vector that a 32-bit float holds exactly."""
    raw = hashlib.shake_256(text.encode()).digest(dimensions * 2)
    return [int.from_bytes(raw[at : at + 2], "little", signed=True) / 65536 for at in range(0, len(raw), 2)]
