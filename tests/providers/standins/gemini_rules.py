"""What Gemini models take, at Google AI Studio and on Vertex AI: the shape of requests, their settings, thinking."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Required, TypedDict

from google.genai import types

from standins.base import Refused, refuse

LEVELS = ("LOW", "MEDIUM", "HIGH", "XHIGH")


@dataclass(frozen=True)
class Rules:
    levels: tuple[str, ...] = ()
    """Of thinkingLevel; those models demand signatures too."""
    budget: tuple[int, int] | None = None
    """Of thinkingBudget, beside 0 and -1."""
    off: bool = False
    """A budget of 0 is taken."""

    @property
    def third(self) -> bool:
        return bool(self.levels)

MODELS = {
    "gemini-2.0-flash": Rules(),
    "gemini-2.5-pro": Rules(budget=(128, 32768)),
    "gemini-2.5-flash": Rules(budget=(1, 24576), off=True),
    "gemini-2.5-flash-lite": Rules(budget=(512, 24576), off=True),
    "gemini-3-pro": Rules(levels=LEVELS, budget=(128, 32768)),
    "gemini-3-flash": Rules(levels=("MINIMAL", *LEVELS), budget=(1, 24576), off=True),
    "gemini-3.5-pro": Rules(levels=LEVELS, budget=(128, 32768)),
    "gemini-3.5-flash": Rules(levels=("MINIMAL", *LEVELS), budget=(1, 24576), off=True),
}
"""By the beginning of the name."""


def model_rules(model: str) -> Rules:
    fitting = [key for key in MODELS if model == key or model.startswith(f"{key}-")]
    if not fitting:
        raise Refused(
            404, f"models/{model} is not found for API version v1beta, or is not supported for generateContent.", "not_found"
        )
    return MODELS[max(fitting, key=len)]


class GenerateContent(TypedDict, total=False):
    model: str
    contents: Required[list[types.Content]]
    systemInstruction: types.Content
    tools: list[types.Tool]
    toolConfig: types.ToolConfig
    safetySettings: list[types.SafetySetting]
    generationConfig: types.GenerationConfig
    cachedContent: str
    serviceTier: str
    labels: dict[str, str]


class EmbedContent(TypedDict, total=False):
    model: str
    content: Required[types.Content]
    taskType: str
    title: str
    outputDimensionality: int


class BatchEmbedContents(TypedDict, total=False):
    requests: Required[list[EmbedContent]]

FREE = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "properties", "labels")
"""Members whose content has names of its own."""


def camel(value):
    """Google takes every name in both spellings, and its own SDK mixes them."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = {name: re.sub("_(.)", lambda found: found[1].upper(), name) for name in value}
    if len(set(names.values())) < len(names):
        refuse(f"a name is given in both spellings: {list(value)}")
    return {names[name]: one if names[name] in FREE else camel(one) for name, one in value.items()}


def invalid(errors: list[str]):
    refuse(f"Invalid JSON payload received. {'; '.join(errors[:5])}")


def read_format(config: dict, tools: bool, rules: Rules) -> tuple[dict | None, bool]:
    schemas = [config[name] for name in ("responseSchema", "responseJsonSchema") if name in config]
    mime = config.get("responseMimeType", "text/plain")
    if mime not in ("text/plain", "application/json"):
        refuse(f"* GenerateContentRequest.generation_config.response_mime_type: {mime} is not taken")
    if len(schemas) > 1:
        refuse("response_schema and response_json_schema cannot both be set")
    if schemas and mime != "application/json":
        refuse(
            "* GenerateContentRequest.generation_config.response_schema: only allowed with response_mime_type application/json"
        )
    if mime == "application/json" and tools and not rules.third:
        refuse("Function calling with a response mime type: 'application/json' is unsupported")
    return (schemas[0] if schemas else None), mime == "application/json" and not schemas

RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2), "topP": (0, 1), "topK": (1, 1000), "presencePenalty": (-2, 2), "frequencyPenalty": (-2, 2),
    "candidateCount": (1, 8), "logprobs": (0, 20), "maxOutputTokens": (1, 10**6), "seed": (-(2**31), 2**31 - 1),
}
TAKEN = {
    *RANGES,
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseLogprobs",
    "thinkingConfig",
    "responseModalities",
}


def check_sampling(config: dict[str, Any]):
    if other := sorted(set(config) - TAKEN):
        refuse(f"generation_config: the stand-in does not take {other}")
    for name, (low, high) in RANGES.items():
        if name in config and not low <= config[name] <= high:
            refuse(f"* GenerateContentRequest.generation_config.{name}: must be in {low}..{high}, not {config[name]}")
    if len(config.get("stopSequences") or []) > 5:
        refuse("* GenerateContentRequest.generation_config.stop_sequences: at most 5")
    if "" in (config.get("stopSequences") or []):
        refuse("* GenerateContentRequest.generation_config.stop_sequences: must not be empty")
    if "logprobs" in config and not config.get("responseLogprobs"):
        refuse("logprobs can be set only when response_logprobs is true")


def read_thinking(config: dict | None, rules: Rules, model: str) -> tuple[bool, bool]:
    """Whether it thinks as far as can be noticed, and whether the thoughts show."""
    if not config:
        return False, False
    if rules.budget is None:
        refuse(f"Thinking is not supported by {model}")
    level, budget, shows = config.get("thinkingLevel"), config.get("thinkingBudget"), config.get("includeThoughts", False)
    if level is not None and budget is not None:
        refuse("You can only set one of thinking_budget and thinking_level.")
    if level is not None and level not in rules.levels:
        refuse(f"Thinking level {level} is not supported for this model ({model}: {list(rules.levels)})")
    if budget is not None:
        low, high = rules.budget
        if not (budget == -1 or (budget == 0 and rules.off) or low <= budget <= high):
            refuse(f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}"
                   f"{' or 0' if rules.off else ''}.")
    return (level is not None or bool(budget) or (shows and budget is None)), shows and budget != 0
