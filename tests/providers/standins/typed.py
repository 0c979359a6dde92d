"""Whether JSON data conforms to the types of a provider's SDK: TypedDicts (anthropic, openai, cohere) and pydantic models
(google-genai, mistralai, cohere), unknown keys refused at every depth.

    errors = conform(body, MessageCreateParams)       # [] or ["messages.0.content.1.cache: unknown key", ...]

An SDK's own validation would not do: TypedDicts have none, and the models let unknown fields pass. Of a union the member
is reported that fits best; one whose `Literal` (type, role) differs fits worst.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import types
import typing

import pydantic
import typing_extensions

UNIONS = (typing.Union, types.UnionType)
LISTS = (list, tuple, set, collections.abc.Iterable, collections.abc.Sequence, collections.abc.MutableSequence)
MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
QUALIFIERS = (
    typing.Required, typing.NotRequired, typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated,
    typing_extensions.ReadOnly,
)


@functools.cache
def hints(kind) -> dict:
    return typing_extensions.get_type_hints(kind, include_extras=True)


def conform(value, kind, path: str = "", models: bool = False) -> list[str]:
    """`models`: pydantic models count as types of requests (in anthropic's unions they are answers, which a program may
    give back; a translator has no business to)."""
    where = path or "body"
    while (origin := typing.get_origin(kind)) in QUALIFIERS:
        kind = typing.get_args(kind)[0]
    if isinstance(kind, typing_extensions.TypeAliasType) or type(kind).__name__ == "TypeAliasType":
        return conform(value, kind.__value__, path, models)
    if type(origin).__name__ == "TypeAliasType":  # of mistralai: Nullable[...]
        return conform(value, origin.__value__[typing.get_args(kind)], path, models)
    if isinstance(kind, typing.TypeVar):
        kind, origin = object, None
    if kind in (object, typing.Any):
        return []
    if origin in UNIONS:
        return best(value, typing.get_args(kind), path, models)
    if origin in (typing.Literal, typing_extensions.Literal):
        allowed = typing.get_args(kind)
        fits = any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)
        return [] if fits else [f"{where}: {value!r} is not one of {list(allowed)}"]
    if typing_extensions.is_typeddict(kind):
        return conform_fields(value, kind, typed_dict_fields(kind), path, models)
    if isinstance(origin or kind, type):
        base = origin or kind
        if issubclass(base, pydantic.BaseModel):
            if not models:
                return [f"{where}: {base.__name__} is an answer's type"]
            return conform_fields(value, kind, model_fields(base), path, models)
        if issubclass(base, enum.Enum):
            allowed = [one.value for one in base]
            return [] if value in allowed else [f"{where}: {value!r} is not one of {allowed}"]
        if issubclass(base, MAPS):
            if not isinstance(value, dict):
                return [f"{where}: must be an object"]
            inner = (*typing.get_args(kind), object, object)[1] if typing.get_args(kind) else object
            return [error for key, one in value.items() for error in conform(one, inner, f"{path}.{key}".lstrip("."), models)]
        if base not in (str, bytes) and (issubclass(base, LISTS) or base.__name__ == "SequenceNotStr"):
            if not isinstance(value, list):
                return [f"{where}: must be an array"]
            inner = (*typing.get_args(kind), object)[0]
            items = ((f"{path}.{index}".lstrip("."), one) for index, one in enumerate(value))
            return [error for at, one in items for error in conform(one, inner, at, models)]
        return [] if plain(value, base) else [f"{where}: must be {base.__name__}, not {value!r:.60}"]
    if callable(getattr(kind, "__supertype__", None)):
        return conform(value, kind.__supertype__, path, models)
    return [f"{where}: {kind} cannot come as JSON"]


def plain(value, kind) -> bool:
    if kind is type(None):
        return value is None
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is bytes:
        return isinstance(value, str)
    return kind in (str, bool) and isinstance(value, kind)


def best(value, kinds, path: str, models: bool) -> list[str]:
    """The errors of the member that fits best: no wrong tag first, then fewest errors."""
    results = [(conform(value, kind, path, models), kind) for kind in kinds]
    if any(not errors for errors, _ in results):
        return []

    def rank(result):
        errors, kind = result
        tags = sum(error.startswith((f"{path}.type:".lstrip("."), f"{path}.role:".lstrip("."))) for error in errors)
        shallow = any(error.startswith(f"{path or 'body'}: ") for error in errors)
        return (shallow, tags, len(errors))

    return min(results, key=rank)[0]


def typed_dict_fields(kind) -> dict[str, tuple]:
    """Name -> (type, required)."""
    return {name: (hint, name in kind.__required_keys__ or is_required(hint)) for name, hint in hints(kind).items()}


def is_required(hint) -> bool:
    return typing.get_origin(hint) in (typing.Required, typing_extensions.Required)


def model_fields(kind) -> dict[str, tuple]:
    return {
        (field.serialization_alias or field.alias or name): (field.annotation, field.is_required())
        for name, field in kind.model_fields.items()
    }


def conform_fields(value, kind, fields: dict[str, tuple], path: str, models: bool) -> list[str]:
    where = path or "body"
    if not isinstance(value, dict):
        return [f"{where}: must be an object ({kind.__name__})"]
    extra = getattr(kind, "__pydantic_config__", {}).get("extra") == "allow"
    errors = [f"{path}.{name}: missing".lstrip(".") for name, (_, required) in fields.items() if required and name not in value]
    for name, one in value.items():
        inner = f"{path}.{name}".lstrip(".")
        if name in fields:
            errors += conform(one, fields[name][0], inner, models)
        elif not extra:
            errors.append(f"{inner}: unknown key ({kind.__name__} has {', '.join(sorted(fields))})")
    return errors
