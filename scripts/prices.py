#!/usr/bin/env python3
"""Writes config/prices.yml: the public list prices of known models, from LiteLLM's price list.

    pip download --no-deps --dest /tmp/litellm litellm      # the package carries the list
    unzip -p /tmp/litellm/litellm-*.whl litellm/model_prices_and_context_window_backup.json > /tmp/litellm/prices.json
    scripts/prices.py /tmp/litellm/prices.json VERSION DATE  # DATE: the release's (unzip -l): YYYY-MM-DD

Run it with each release, then `waypost prices` and the tests. What is written is facts, in a form of our own; what each of
them means stands at the top of the file and in docs/prices.md. Standard prices only: no batches, no priority, no off-peak.
Left out, and counted on standard error:

- rows that say no more than the row their name leads to, since src/catalog/models.rs takes a date, a region and what
  stands before a `/` off a name as `names` of models.py does;
- rows without an input price, or of a chat without an output price: half a price is none;
- rows of zeros, which stand for "not known", "preview" and "on the user's own machine" alike: what is free, the
  configuration may say;
- rows with more than one threshold, and prices by second, character, image or page;
- prices of embeddings of 100 dollars per million and more, which are per thousand by mistake.
"""

import collections
import decimal
import json
import pathlib
import sys
import textwrap

from models import PROVIDERS, SAME, TOP, names, provider_of

MODES = {"chat", "completion", "responses", "embedding"}
PICO = decimal.Decimal("1e-12")
# The columns of the list and their names in ours.
RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
}
LIKE = {name: "output" if name in ("output", "reasoning", "audio_output") else "input" for name in RATES.values()}
# Models the list has no more, with what OpenAI last asked (https://openai.com/api/pricing, 2025-08).
OLDER = {
    "input=10 output=30": "gpt-4-turbo-preview gpt-4-0125-preview",
    "input=60 output=120": "gpt-4-32k",
    "input=1.5 output=2": "gpt-3.5-turbo-0613",
    "input=1.1 output=4.4 cached_input=0.55": "o1-mini",
}
counts = collections.Counter()


def exact(dollars) -> decimal.Decimal:
    """In pico-dollars, which are whole; what is not is rounded to the nearest and counted. The list's floats are noisy."""
    pico = decimal.Decimal(repr(dollars)) / PICO
    whole = pico.quantize(decimal.Decimal(1), decimal.ROUND_HALF_EVEN)
    if abs(pico - whole) > decimal.Decimal("0.001"):
        counts["rounded to a pico-dollar"] += 1
    return whole


def rates(row: dict, suffix: str = "") -> dict[str, decimal.Decimal]:
    found = {ours: exact(row[theirs + suffix]) for theirs, ours in RATES.items() if isinstance(row.get(theirs + suffix), (int, float))}
    if found.get("cache_write", found.get("input", 0)) < found.get("input", 0):
        # Nobody writes for less than they read: a mistake of the list, or no such price at all.
        del found["cache_write"]
    return {name: rate for name, rate in found.items() if name == LIKE[name] or rate != found.get(LIKE[name])}


def told(found: dict[str, decimal.Decimal]) -> list[str]:
    """Dollars per million tokens: as many as there are micro-dollars to a token."""
    return [f"{name}={format((rate / 1000000).normalize(), 'f')}" for name, rate in found.items()]


def price_of(row: dict) -> str | None:
    tiers = row.get("tiered_pricing")
    if tiers:
        if len(tiers) != 2 or tiers[0]["range"][0] != 0:
            counts["more than one threshold"] += 1
            return None
        base, above, threshold = rates(tiers[0]), rates(tiers[1]), int(tiers[1]["range"][0])
    else:
        base = rates(row)
        suffixes = {key.removeprefix("input_cost_per_token") for key in row if key.startswith("input_cost_per_token_above_")}
        suffixes = [s for s in suffixes if s.endswith("k_tokens")]
        if len(suffixes) > 1:
            counts["more than one threshold"] += 1
            return None
        above, threshold = {}, 0
        if suffixes:
            threshold = int(suffixes[0].removeprefix("_above_").removesuffix("k_tokens")) * 1000
            # What the list does not give again costs the same above.
            above = {**{name: rate for name, rate in base.items()}, **rates(row, suffixes[0])}
            above = {name: rate for name, rate in above.items() if name == LIKE[name] or rate != above[LIKE[name]]} if "output" in above else {}
    if row.get("mode") == "embedding":
        base.pop("output", None)
        above.pop("output", None)
    if "input" not in base or ("output" not in base and row.get("mode") != "embedding"):
        counts["no price, or half of one"] += 1
        return None
    if base["input"] >= 100 * 1000000 and row.get("mode") == "embedding":
        counts["a price per thousand tokens by mistake"] += 1
        return None
    words = told(base)
    if isinstance(request := row.get("input_cost_per_request"), (int, float)):
        words.append(f"request={format(decimal.Decimal(repr(request)).normalize(), 'f')}")
    elif not any(base.values()):
        counts["zero"] += 1
        return None
    if above:
        words += [f"above={threshold}", *told(above)]
    return " ".join(words)


def main() -> None:
    source, version, date = sys.argv[1:]
    found: dict[tuple[str, str], str] = {}
    for name, row in json.loads(pathlib.Path(source).read_text()).items():
        provider = provider_of(row)
        # What a token costs on a machine of the user's own, no list knows.
        if provider in (None, "ollama") or row.get("mode") not in MODES or set(" *") & set(name) or name.startswith("ft:"):
            continue
        model = name.removeprefix(f"{provider}/").removeprefix(f"{row['litellm_provider']}/")
        if "commitment/" in model:
            continue
        if price := price_of(row):
            found.setdefault((provider, model), price)
    for price, models in OLDER.items():
        for model in models.split():
            found.setdefault(("openai", model), price)

    # The most decorated names go first, so that what they lead to is still there.
    for provider, model in sorted(found, key=lambda key: -len(key[1])):
        others = (name for name in names(model) if name != model)
        shorter = next((found[provider, name] for name in others if (provider, name) in found), None)
        if found[provider, model] == shorter:
            counts["said by a shorter name"] += 1
            del found[provider, model]

    rows: dict[str, dict[str, list[str]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for (provider, model), price in found.items():
        rows[provider][price].append(model)
    out = [HEAD.format(date=date, version=version)]
    for provider in (provider for provider in PROVIDERS if provider in rows):
        out.append(f"  {provider}:")
        for price, models in sorted(rows[provider].items(), key=lambda row: sorted(row[1])):
            out.append(f"    {price}: >-")
            text = " ".join(sorted(models))
            out += textwrap.wrap(text, 120, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False, break_long_words=False)
    (TOP / "config/prices.yml").write_text("\n".join(out) + "\n")
    for what, number in counts.most_common():
        print(f"{number:5} {what}", file=sys.stderr)
    print(f"{len(found):5} rows written", file=sys.stderr)


HEAD = """\
# Public list prices, in US dollars per million tokens (`request`: per request): what cost-based-routing and the usage
# records go by where the configuration names no price. docs/prices.md says how a name is looked up.
# By provider: the models, and what they charge. What is not given costs as `input` or `output` does; what follows
# `above=N` holds instead, for all tokens of a request whose input has more than N.
# Written by scripts/prices.py; don't edit. Prices change: check them, and put your own into `waypost: prices:`.
as_of: {date}
source: price list of the Python package litellm {version} (MIT)
models:"""


if __name__ == "__main__":
    main()
