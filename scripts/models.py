#!/usr/bin/env python3
"""Writes config/models.yml: the windows and abilities of known models, from LiteLLM's public model list.

    pip install litellm          # in an environment of its own; the package carries the list
    scripts/models.py .../site-packages/litellm/model_prices_and_context_window_backup.json VERSION DATE

What is written is facts, in a form of our own: rows that say no more than the row their name leads to are left out, since
src/catalog/models.rs takes a date, a region and what stands before a `/` off a name as this script does.
"""

import collections
import json
import pathlib
import re
import sys
import textwrap

TOP = pathlib.Path(__file__).resolve().parent.parent
MODES = {"chat", "completion", "responses", "embedding"}
# Providers of src/catalog/rows.rs under the name their models have in the list.
PROVIDERS = """openai azure azure_ai groq mistral codestral deepseek together_ai fireworks_ai openrouter xai perplexity github
vercel_ai_gateway nvidia_nim cerebras sambanova deepinfra moonshot dashscope scaleway nebius novita hyperbolic databricks
cloudflare voyage jina_ai watsonx anthropic bedrock sagemaker gemini vertex_ai cohere ollama""".split()
SAME = {
    "text-completion-openai": "openai",
    "azure_text": "azure",
    "text-completion-codestral": "codestral",
    "bedrock_converse": "bedrock",
    "cohere_chat": "cohere",
    "fireworks_ai-embedding-models": "fireworks_ai",
}
REGIONS = ("us.", "eu.", "apac.", "au.", "jp.", "ca.", "global.", "us-gov.")
# The list says what a model can do and seldom what it can't. These can't, by their makers' model pages
# (https://platform.openai.com/docs/models, .../docs/guides/structured-outputs, .../docs/guides/function-calling).
CANNOT = {
    "openai": {
        "images json_schema": "gpt-4 gpt-4-0613 gpt-4-32k gpt-4-32k-0613 gpt-4-0125-preview gpt-4-1106-preview"
        " gpt-4-turbo-preview gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-1106 gpt-3.5-turbo-16k",
        "json_schema": "gpt-4-turbo gpt-4-turbo-2024-04-09 gpt-4o-2024-05-13",
        "tools images json_schema": "gpt-3.5-turbo-instruct gpt-3.5-turbo-instruct-0914 o1-mini o1-mini-2024-09-12"
        " davinci-002 babbage-002",
        "images": "o3-mini o3-mini-2025-01-31",
    },
}
# Azure sells versions of these with different windows under one name.
UNSURE = {("azure", name) for name in ("gpt-35-turbo", "gpt-3.5-turbo", "gpt-4")}
CANNOT["azure"] = {what: names.replace("gpt-3.5", "gpt-35") + " " + names for what, names in CANNOT["openai"].items()}


def provider_of(row: dict) -> str | None:
    name = row.get("litellm_provider") or ""
    name = "vertex_ai" if name.startswith("vertex_ai-") else SAME.get(name, name)
    return name if name in PROVIDERS else None


def facts_of(provider: str, model: str, row: dict) -> str:
    window = row.get("max_input_tokens")
    if window is None and row.get("mode") == "embedding":
        window = row.get("max_tokens")
    sure = isinstance(window, int) and window > 0 and (provider, model) not in UNSURE
    facts = [str(window)] if sure else []
    keys = {"tools": "function_calling", "images": "vision", "json_schema": "response_schema"}
    cannot = {fact for facts, names in CANNOT.get(provider, {}).items() if model in names.split() for fact in facts.split()}
    for fact, key in keys.items():
        known = False if fact in cannot else row.get(f"supports_{key}")
        if row.get("mode") != "embedding" and isinstance(known, bool):
            facts.append(fact if known else f"no-{fact}")
    return " ".join(facts)


def undated(model: str) -> str:
    return re.sub(r"(-\d{4}-\d\d-\d\d|-\d{4}|@\d{8}|-\d{8}|@default)$", "", model)


def names(model: str):
    """The names a model is looked for by, the longest first: as Facts of src/catalog/models.rs."""
    while True:
        region = next((r for r in REGIONS if model.startswith(r)), "")
        for name in (model, model[len(region) :]):
            yield name
            yield undated(name)
        if "/" not in model:
            return
        model = model.split("/", 1)[1]


def main() -> None:
    source, version, date = sys.argv[1:]
    found: dict[tuple[str, str], str] = {}
    for name, row in json.loads(pathlib.Path(source).read_text()).items():
        provider = provider_of(row)
        if provider is None or row.get("mode") not in MODES or " " in name or name.startswith("ft:") or "*" in name:
            continue
        model = name.removeprefix(f"{provider}/").removeprefix(f"{row['litellm_provider']}/")
        facts = facts_of(provider, model, row)
        if facts and "commitment/" not in model:
            found.setdefault((provider, model), facts)

    def derived(provider: str, model: str) -> str | None:
        others = (name for name in names(model) if name != model)
        return next((found[provider, name] for name in others if (provider, name) in found), None)

    def adds_nothing(facts: str, to: str | None) -> bool:
        """Whether all of it is said by the other as well; abilities that it does not know it may be told."""
        window = [fact for fact in facts.split() if fact.isdigit()]
        return to is not None and set(facts.split()) <= set(to.split()) and window == [f for f in to.split() if f.isdigit()]

    # The most decorated names go first, so that what they lead to is still there.
    for provider, model in sorted(found, key=lambda key: -len(key[1])):
        if adds_nothing(found[provider, model], derived(provider, model)):
            del found[provider, model]
    rows: dict[str, dict[str, list[str]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for (provider, model), facts in found.items():
        rows[provider][facts].append(model)
    out = [
        "# What is known of models, by provider: the longest prompt in tokens, and what they can do or can't (no-…). What is not",
        "# said is not known. Used for pre-call checks where the configuration says nothing of its own (`model_info`).",
        "# Written by scripts/models.py; don't edit.",
        f"as_of: {date}",
        f"source: model list of the Python package litellm {version} (MIT), and for what OpenAI's older models can't do its model pages",
        "models:",
    ]
    for provider in PROVIDERS:
        if provider not in rows:
            continue
        out.append(f"  {provider}:")
        for facts, models in sorted(rows[provider].items()):
            out.append(f"    {facts}: >-")
            text = " ".join(sorted(models))
            out += textwrap.wrap(text, 120, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False, break_long_words=False)
    (TOP / "config/models.yml").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
