"""Rows of providers.py for everything but Anthropic, AWS and OpenAI itself: Google, Cohere, Mistral, Azure, IBM, and so on."""

from __future__ import annotations

import functools
import os

import service_account
from standins.azure import Azure
from standins.base import StandIn
from standins.cohere import Cohere
from standins.flavours import Databricks, Groq, HuggingFace, OllamaOpenAi
from standins.gemini import Gemini
from standins.mistral import Mistral
from standins.ollama import Ollama
from standins.vertex import Vertex
from standins.watsonx import Watsonx
from transcript import CHAT_CASES

ENVIRONMENT = {
    "KEY_GEMINI": "AIza-test", "KEY_COHERE": "co-test", "KEY_MISTRAL": "mistral-test", "KEY_AZURE": "azure-test",
    "KEY_GROQ": "gsk-test", "KEY_HUGGINGFACE": "hf_test", "KEY_DATABRICKS": "dapi-test", "KEY_IBM": "ibm-test",
}
REASONING = [case for case in CHAT_CASES if case.startswith("reasoning")]
UNCHOSEN = ("choice_required", "choice_named", "choice_none", "tools_not_parallel", "tool_without_arguments")
"""Cases for those that know no tool_choice."""
GOOGLE_CANNOT = {"tools_not_parallel": "parallel_tool_calls"}


@functools.cache
def robot():
    """One service account for the whole run: its key, and what Google knows of it."""
    return service_account.make()


def vertex_standin() -> Vertex:
    return Vertex({service_account.EMAIL: robot()[1]})


def keyed(provider: str, model: str, key: str, path: str = "", **more):
    """A deployment with a key; `path` is what the base URL ends in."""
    def deployment(standin: StandIn) -> dict:
        return {"provider": provider, "model": model, "api_base": standin.url + path, "api_key": f"${{{key}}}"} | more
    return deployment


def vertex(model: str):
    def deployment(standin: Vertex) -> dict:
        variable = f"KEY_VERTEX_{standin.url.rpartition(':')[2]}"  # each stand-in has a token endpoint of its own
        os.environ[variable] = service_account.text(robot()[0], standin.token_uri)
        return {
            "provider": "vertex_ai", "model": model, "api_base": standin.url, "vertex_project": standin.project,
            "vertex_location": standin.location, "vertex_credentials": f"${{{variable}}}",
        }
    return deployment


def watsonx(model: str):
    def deployment(standin: Watsonx) -> dict:
        os.environ["WATSONX_IAM_URL"] = f"{standin.url}/identity/token"
        return keyed("watsonx", model, "KEY_IBM", project_id="project-1")(standin)
    return deployment


def azure(deployment: str, version: str = "2024-12-01-preview"):
    return lambda standin: {
        "provider": "azure", "deployment": deployment, "api_base": standin.url, "api_version": version, "api_key": "${KEY_AZURE}",
    }


def without(*cases: str) -> list[str]:
    return [case for case in CHAT_CASES if case not in cases]


def planned(answer):
    """Cohere says what it is about to do in `tool_plan`, which is reasoning."""
    if isinstance(answer, list):
        return [planned(answer[0]), *answer[1:]]
    return answer | {"content": None, "reasoning": answer["content"]}


def rows(provider) -> list:
    """`provider` is providers.Provider."""
    return [
        provider(
            "gemini",
            Gemini,
            keyed("gemini", "gemini-3-pro-preview", "KEY_GEMINI"),
            keyed("gemini", "gemini-embedding-001", "KEY_GEMINI"),
            cannot=GOOGLE_CANNOT,
            reports=("cached", "reasoning"),
            refuses=("logit_bias",),
        ),
        provider(
            "gemini-2.5",
            Gemini,
            keyed("gemini", "gemini-2.5-flash", "KEY_GEMINI"),
            cannot=GOOGLE_CANNOT,
            reports=("cached", "reasoning"),
        ),
        provider(
            "vertex",
            vertex_standin,
            vertex("gemini-3-pro-preview"),
            vertex("text-embedding-005"),
            cannot=GOOGLE_CANNOT,
            reports=("cached", "reasoning"),
            refuses=("logit_bias",),
        ),
        provider(
            "vertex-claude",
            vertex_standin,
            vertex("claude-sonnet-4-5@20250929"),
            vertex("gemini-embedding-001"),
            signs=True,
            cache_mark="cache_control",
        ),
        # Nothing it says tells that an answer was filtered, and calls are never forbidden to be parallel.
        provider(
            "cohere",
            Cohere,
            keyed("cohere", "command-a-03-2025", "KEY_COHERE"),
            keyed("cohere", "embed-v4.0", "KEY_COHERE"),
            cases=without("filter", *REASONING),
            cannot={"tools_not_parallel": "parallel_tool_calls"},
            reports=("cached",),
            differs={"tools_explained": planned, "tools_stream": planned},
            refuses=("n", "logit_bias"),
        ),
        provider(
            "cohere-reasoning",
            Cohere,
            keyed("cohere", "command-a-reasoning-08-2025", "KEY_COHERE"),
            cases=REASONING,
            reports=("cached",),
        ),
        provider(
            "mistral",
            Mistral,
            keyed("mistral", "mistral-small-latest", "KEY_MISTRAL", "/v1"),
            keyed("mistral", "codestral-embed", "KEY_MISTRAL", "/v1"),
            cases=without("filter"),
            reports=(),
            translated=False,
        ),
        provider("azure", Azure, azure("my-gpt"), azure("my-embeddings"), translated=False),
        provider(
            "azure-old",
            Azure,
            azure("my-gpt", "2024-02-15-preview"),
            azure("my-embeddings", "2024-02-15-preview"),
            translated=False,
            cases=["plain", "turns", "tools", "image", "stop", "filter"],
            cannot={"embedding_dimensions": "dimensions"},
        ),
        provider(
            "groq",
            Groq,
            keyed("groq", "openai/gpt-oss-120b", "KEY_GROQ", "/openai/v1"),
            reports=("cached", "reasoning"),
            translated=False,
            cases=without(*REASONING),
        ),
        provider(
            "groq-reasoning",
            Groq,
            keyed("groq", "openai/gpt-oss-120b", "KEY_GROQ", "/openai/v1"),
            reports=("cached", "reasoning"),
            translated=False,
            cases=REASONING,
        ),
        provider(
            "huggingface",
            HuggingFace,
            keyed("huggingface", "meta-llama/Llama-3.3-70B-Instruct", "KEY_HUGGINGFACE", "/v1"),
            cases=["plain", "turns", "stream", "tools", "tools_stream", "image", "stop", "length"],
            translated=False,
        ),
        provider(
            "databricks",
            Databricks,
            keyed("databricks", "databricks-claude-sonnet-4", "KEY_DATABRICKS", "/serving-endpoints"),
            keyed("databricks", "databricks-gte-large-en", "KEY_DATABRICKS", "/serving-endpoints"),
            reports=(),
            translated=False,
        ),
        provider(
            "watsonx",
            Watsonx,
            watsonx("ibm/granite-4"),
            watsonx("ibm/slate-125m"),
            reports=(),
            translated=False,
            cannot={"embedding_dimensions": "dimensions", "tools_not_parallel": "parallel_tool_calls"},
        ),
        # Its OpenAI path knows no tool_choice; which tool is called is then its own affair.
        provider(
            "ollama",
            OllamaOpenAi,
            lambda standin: {"provider": "ollama", "model": "qwen3", "api_base": standin.url},
            lambda standin: {"provider": "ollama", "model": "nomic-embed-text", "api_base": standin.url},
            translated=False,
            reports=(),
            cases=without(*UNCHOSEN, "image_url", *REASONING),
        ),
        provider(
            "ollama-reasoning",
            OllamaOpenAi,
            lambda standin: {"provider": "ollama", "model": "qwen3", "api_base": standin.url},
            translated=False,
            reports=(),
            cases=REASONING,
        ),
        provider(
            "ollama-native",
            Ollama,
            lambda standin: {"provider": "ollama", "model": "qwen3", "api_base": standin.url, "num_ctx": 4096},
            lambda standin: {"provider": "ollama", "model": "qwen3", "api_base": standin.url, "num_ctx": 4096},
            reports=(),
            cases=without(*UNCHOSEN, "filter", "text_parts", "image_url"),
        ),
    ]
