"""What Claude models take and refuse, at Anthropic, on Bedrock and on Vertex alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import brain
from standins.base import refuse

EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True)
class Rules:
    sampling: bool = True
    """temperature, top_p, top_k are taken."""
    both: bool = False
    """temperature and top_p together are."""
    thinking: tuple[str, ...] = ("enabled", "disabled")
    always: bool = False
    """Thinks when nothing is said; so do those that cannot be switched off."""
    forced: bool = True
    """tool_choice any and tool are taken (without thinking)."""
    prefill: bool = True
    """A final assistant turn is continued."""
    structured: bool = True
    efforts: tuple[str, ...] = ()
    per_account: bool = False
    """Thinking is bound to the account, not only to the model."""
    names: int = 128
    """Longest tool name."""


MODELS = {
    "claude-3-7-sonnet": Rules(both=True, structured=False, names=64),
    "claude-haiku-4-5": Rules(),
    "claude-sonnet-4-5": Rules(),
    "claude-opus-4-5": Rules(efforts=("low", "medium", "high")),
    "claude-sonnet-4-6": Rules(thinking=("enabled", "adaptive", "disabled"), prefill=False, efforts=EFFORTS),
    "claude-opus-4-6": Rules(thinking=("enabled", "adaptive", "disabled"), prefill=False, efforts=EFFORTS),
    "claude-opus-4-7": Rules(sampling=False, thinking=("adaptive", "disabled"), prefill=False, efforts=EFFORTS),
    "claude-opus-4-8": Rules(sampling=False, thinking=("adaptive", "disabled"), prefill=False, efforts=EFFORTS),
    "claude-opus-5-5": Rules(
        sampling=False, thinking=("adaptive",), always=True, forced=False, prefill=False, efforts=EFFORTS,
    ),
    "claude-sonnet-5-5": Rules(
        sampling=False, thinking=("adaptive", "between_tools"), always=True, forced=False, prefill=False,
        efforts=EFFORTS, per_account=True,
    ),
    "claude-haiku-5-5": Rules(
        sampling=False, thinking=("adaptive", "disabled"), always=True, prefill=False, efforts=EFFORTS, per_account=True,
    ),
}
"""By the beginning of the name, without vendor, region and version."""


def family(model: str) -> str | None:
    """The key of MODELS for `claude-sonnet-4-5-20250929`, `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, and the like."""
    at = model.find("claude-")
    name = model[at:] if at >= 0 else ""
    fitting = [key for key in MODELS if name == key or name.startswith((key + "-", key + "@", key + ":"))]
    return max(fitting, key=len, default=None)


def rules(model: str) -> Rules | None:
    return MODELS.get(family(model))


@dataclass
class Asked:
    """What a request says about thinking and its neighbours, from whichever dialect."""

    thinking: dict | None = None
    effort: str | None = None
    max_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    forced: bool = False
    schema: dict | None = None
    roles: list[str] = field(default_factory=list)


def check(model: str, asked: Asked, version_2026: bool = False) -> str | None:
    """Refuses what the model does not take. Returns how thinking shows: None (it does not think), "summarized" or
    "omitted" (signature only)."""
    about = rules(model)
    thinking = asked.thinking or {}
    kind = thinking.get("type")
    sampling = {name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(asked, name)) is not None}
    if sampling and version_2026:
        refuse(f"{next(iter(sampling))}: not supported with this anthropic-version")
    if not about.sampling:
        for name, value in sampling.items():
            if (name, value) not in (("temperature", 1), ("top_p", 1)):
                refuse(f"`{name}` is deprecated for this model: {model} takes no sampling parameters")
    if not about.both and {"temperature", "top_p"} <= sampling.keys():
        refuse("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if kind is not None and kind not in about.thinking:
        refuse(f"thinking.type: {model} does not take {kind!r}, only {list(about.thinking)}")
    if asked.effort is not None and asked.effort not in about.efforts:
        refuse(f"output_config.effort: {model} does not take {asked.effort!r}, only {list(about.efforts)}")
    if kind == "enabled":
        budget = thinking["budget_tokens"]
        if budget < 1024:
            refuse(f"thinking.enabled.budget_tokens: Input should be greater than or equal to 1024, not {budget}")
        if budget >= asked.max_tokens:
            refuse(f"`max_tokens` ({asked.max_tokens}) must be greater than `thinking.budget_tokens` ({budget})")
    on = kind in ("enabled", "adaptive")
    if on and about.sampling:
        if asked.temperature not in (None, 1):
            refuse("`temperature` may only be set to 1 when thinking is enabled")
        if asked.top_k is not None or (asked.top_p is not None and asked.top_p < 0.95):
            refuse("`top_k` must be unset and `top_p` at least 0.95 when thinking is enabled")
    if asked.forced and not about.forced:
        refuse(f"tool_choice: {model} always thinks and takes only auto and none")
    if asked.forced and on:
        refuse("Thinking may not be enabled when tool_choice forces tool use.")
    if asked.roles and asked.roles[-1] == "assistant":
        if not about.prefill:
            refuse("This model does not support assistant message prefill. The conversation must end with a user message.")
        if on:
            refuse("an assistant prefill cannot be combined with thinking")
    if asked.schema is not None:
        if not about.structured:
            refuse(f"output_config.format: {model} does not support structured outputs")
        closed(asked.schema)
    if on:
        return thinking.get("display") or ("omitted" if about.always or not about.sampling else "summarized")
    return "omitted" if about.always and kind is None and not asked.forced else None


def closed(schema, path: str = "schema"):
    """Structured outputs: every object says `additionalProperties: false`."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            refuse(f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
        for key, value in schema.items():
            closed(value, f"{path}.{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            closed(value, f"{path}.{index}")


def secret(model: str, account: str) -> str:
    """What signatures of thinking are made with: the same at Anthropic, Bedrock and Vertex, unless bound to an account."""
    return f"{family(model)} {account if rules(model).per_account else ''}"


def verify(conversation: brain.Conversation, secret: str, place: str):
    """Every thinking part that came back must be one that this model (and account) wrote at that very place."""
    for index, turn in enumerate(conversation.turns):
        for part in turn.parts:
            if isinstance(part, brain.Thinking):
                wanted = brain.sign(secret, part.text, conversation.before(index).digest())
                if part.signature != wanted:
                    refuse(
                        f"{place}.{index}: Invalid `signature` in `thinking` block (another model, account or beginning of "
                        f"the conversation, or the text was changed)"
                    )
