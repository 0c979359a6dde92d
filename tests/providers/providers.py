"""Every provider that the transcripts are taken through: its stand-in, its deployments in endpoints.yml, what it cannot do.

A row more is a provider more; its tests are selected with `-k NAME`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from standins.anthropic import Anthropic
from standins.aws import Credential
from standins.base import StandIn
from standins.bedrock import PROFILE, Bedrock
from standins.openai_direct import OpenAi
from standins.sagemaker import SageMaker
from transcript import CHAT_CASES, EMBEDDING_CASES
import vendors

DETAILS = ("cached", "cache_write", "reasoning")
REASONING = [name for name in CHAT_CASES if name.startswith("reasoning")]


@dataclass
class Provider:
    name: str
    """Of the group too; `NAME-embeddings` is the one for embeddings, `NAME-dropping` has `drop_params: true`."""
    standin: Callable[[], StandIn]
    chat: Callable[[StandIn], dict] | None = None
    """The deployment as it stands in endpoints.yml."""
    embeddings: Callable[[StandIn], dict] | None = None
    cases: list[str] = field(default_factory=lambda: CHAT_CASES)
    """Of chat; those of embeddings are added where there are some."""
    cannot: dict[str, str] = field(default_factory=dict)
    """Case -> words of the 400 that says so (pattern; the parameter's name counts among the words)."""
    differs: dict[str, Callable] = field(default_factory=dict)
    """Case -> what becomes of the reference there (a function), with the reason beside it."""
    reports: tuple[str, ...] = DETAILS
    """Details of usage that the provider has numbers for; the others must be absent or 0."""
    refuses: tuple[str, ...] = ()
    """Parameters without a counterpart: 400 that names them."""
    translated: bool = True
    """Waypost reads every event; what is OpenAI's own dialect passes through as it is."""
    cache_mark: str = ""
    """What stands in the body for a prompt_cache_breakpoint."""
    signs: bool = False
    """Thinking is signed and must come back."""

    def all_cases(self) -> list[str]:
        return (self.cases if self.chat else []) + (EMBEDDING_CASES if self.embeddings else [])

    def groups(self, standin: StandIn) -> list[dict]:
        parts = {self.name: self.chat, f"{self.name}-embeddings": self.embeddings}
        groups = [group(name, deployment(standin)) for name, deployment in parts.items() if deployment]
        if self.refuses:
            groups.append(group(f"{self.name}-dropping", self.chat(standin) | {"drop_params": True}))
        return groups


def group(name: str, *models: dict, **router) -> dict:
    """A group that tries once and never cools down, unless `router` says otherwise."""
    settings = {"routing_strategy": "simple-shuffle", "num_retries": 0, "cooldown_time": 0}
    return {"id": name, "models": list(models), "router": settings | router}


def openai(standin: StandIn) -> dict:
    return {"provider": "openai", "model": "gpt-test", "api_base": f"{standin.url}/v1", "api_key": "${KEY_OPENAI}"}


def anthropic(model: str):
    return lambda standin: {"provider": "anthropic", "model": model, "api_base": standin.url, "api_key": "${KEY_ANTHROPIC}"}


def bedrock(model: str, **more):
    return lambda standin: {"provider": "bedrock", "model": model} | aws(standin) | more


def aws(standin: StandIn) -> dict:
    return {
        "aws_region_name": "us-east-1", "aws_access_key_id": "${KEY_AWS_ID}", "aws_secret_access_key": "${KEY_AWS_SECRET}",
        "aws_session_token": "${KEY_AWS_TOKEN}", "aws_bedrock_runtime_endpoint": standin.url,
    }


def bedrock_standin() -> Bedrock:
    return Bedrock({"AKIDTEST": Credential("secret/of+test", token="to/ken==")}, bearers={"bedrock-api-key-test": "acme"})


def sagemaker(standin: StandIn) -> dict:
    about = aws(standin)
    del about["aws_bedrock_runtime_endpoint"]
    return {"provider": "sagemaker_chat", "model": "llm-endpoint", "api_base": standin.url} | about


ENVIRONMENT = {
    "KEY_OPENAI": "sk-openai-test", "KEY_ANTHROPIC": "sk-ant-test", "KEY_AWS_ID": "AKIDTEST", "KEY_AWS_SECRET": "secret/of+test",
    "KEY_AWS_TOKEN": "to/ken==", "KEY_BEDROCK": "bedrock-api-key-test",
}
"""Variables that deployments name: endpoints.yml takes secrets only from there."""

NO_URLS = {"image_url": "image|url|URL"}
"""Images only as bytes."""
UNKNOWN_TO_CLAUDE = ("n", "logprobs", "logit_bias", "frequency_penalty", "presence_penalty")
CLAUDE_ON_BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

PROVIDERS = [
    Provider(
        "openai", OpenAi, openai, lambda standin: openai(standin) | {"model": "embed-test"},
        translated=False, cache_mark="prompt_cache_breakpoint",
    ),
    Provider(
        "anthropic", Anthropic, anthropic("claude-sonnet-4-5"),
        refuses=UNKNOWN_TO_CLAUDE, signs=True, cache_mark="cache_control",
    ),
    Provider(
        "anthropic-adaptive", Anthropic, anthropic("claude-opus-4-6"),
        refuses=UNKNOWN_TO_CLAUDE, signs=True, cache_mark="cache_control",
    ),
    Provider("anthropic-always", Anthropic, anthropic("claude-opus-5-5"), cases=REASONING, signs=True),
    Provider(
        "bedrock", bedrock_standin, bedrock(CLAUDE_ON_BEDROCK), bedrock("amazon.titan-embed-text-v2:0"),
        reports=("cached", "cache_write"), refuses=UNKNOWN_TO_CLAUDE, signs=True, cannot=NO_URLS, cache_mark="cachePoint",
    ),
    Provider(
        "bedrock-adaptive", bedrock_standin, bedrock("anthropic.claude-opus-4-6-v1"), bedrock("cohere.embed-v4:0"),
        reports=("cached", "cache_write"), refuses=UNKNOWN_TO_CLAUDE, signs=True, cannot=NO_URLS, cache_mark="cachePoint",
    ),
    Provider(
        "bedrock-profile", bedrock_standin, bedrock(PROFILE, base_model="anthropic.claude-sonnet-4-5-20250929-v1:0"),
        bedrock("amazon.titan-embed-text-v1"), cannot={"embedding_dimensions": "dimensions"},
        cases=["plain", "stream", "tools"], reports=("cached", "cache_write"), signs=True,
    ),
    Provider(
        "bedrock-nova", bedrock_standin, bedrock("amazon.nova-pro-v1:0"), bedrock("cohere.embed-english-v3"),
        cannot={"embedding_dimensions": "dimensions"}, reports=("cached", "cache_write"),
        cases=["plain", "turns", "stream", "tools", "tools_stream", "choice_required", "image", "stop", "length"],
    ),
    Provider(
        "bedrock-key", bedrock_standin, lambda standin: {
            "provider": "bedrock", "model": CLAUDE_ON_BEDROCK, "api_key": "${KEY_BEDROCK}", "aws_region_name": "us-east-1",
            "aws_bedrock_runtime_endpoint": standin.url,
        }, cases=["plain", "stream"], reports=("cached", "cache_write"),
    ),
    Provider(
        "bedrock-openai", bedrock_standin, lambda standin: {
            "provider": "openai", "model": "openai.gpt-oss-120b", "api_key": "${KEY_BEDROCK}",
            "api_base": f"{standin.url}/openai/v1",
        }, translated=False,
    ),
    Provider("sagemaker", lambda: SageMaker({"AKIDTEST": Credential("secret/of+test", token="to/ken==")}), sagemaker),
]

PROVIDERS += vendors.rows(Provider)
ENVIRONMENT |= vendors.ENVIRONMENT
