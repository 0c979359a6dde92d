"""One conversation with tools and thinking through a group of azure, bedrock and anthropic, each turn by another of them.

Each fails on command; every turn succeeds all the same. Signatures of thinking go back only to the account that made them,
and what calls a result belongs to stays plain to every provider, whoever gave the calls their ids.
"""

import json
import re

import pytest

import vendors
from environment import waypost
from material import TOOLS
from providers import CLAUDE_ON_BEDROCK, anthropic, bedrock, bedrock_standin, group
from standins.anthropic import Anthropic
from standins.azure import Azure
from standins.base import Refused
from transcript import TOOL_PARAMS, Program

THINKING = {"reasoning_effort": "medium", "max_completion_tokens": 6000, "tools": TOOL_PARAMS}
NAMES = ("azure", "bedrock", "anthropic")
GONE = {
    "503": lambda: Refused(503, "gone", "unavailable"), "429": lambda: Refused(429, "slow down", "rate", {"retry-after": "0"}),
    "500": lambda: Refused(500, "broken", "server"),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    with Azure() as first, bedrock_standin() as second, Anthropic() as third:
        models = [vendors.azure("my-gpt")(first), bedrock(CLAUDE_ON_BEDROCK)(second), anthropic("claude-sonnet-4-5")(third)]
        models = [model | {"order": index + 1} for index, model in enumerate(models)]
        with waypost([group("mixed", *models, num_retries=2)], tmp_path_factory.mktemp("mixed")) as base_url:
            yield Program(base_url, "mixed"), dict(zip(NAMES, (first, second, third)))


class Talk:
    """A conversation whose next turn is told who has to answer it."""

    def __init__(self, ask, standins, how: str):
        self.ask, self.standins, self.how = ask, standins, how
        self.messages = [{"role": "system", "content": "Be brief. é"}]
        self.signed = {}  # signature -> who made it

    def turn(self, by: str) -> tuple[dict, dict, dict]:
        """The message, its normal form, and what the provider was asked."""
        for name, standin in self.standins.items():
            standin.down = None if name == by else GONE[self.how]()
            standin.seen.clear()
        message, answer = self.ask(self.messages, **THINKING)
        self.messages.append(message)
        [seen] = [one for one in self.standins[by].seen if "refused" not in one]
        self.check_signatures()
        check_ids(seen["body"])
        for block in message.get("thinking_blocks", []):
            self.signed.setdefault(block["signature"], by)
        return message, answer, seen["conversation"]

    def check_signatures(self):
        for name, standin in self.standins.items():
            for one in standin.seen:
                foreign = [who for signature, who in self.signed.items() if who != name and signature in one["body"]]
                assert not foreign, f"{name} got a signature that {foreign[0]} made"

    def user(self, text: str):
        self.messages.append({"role": "user", "content": text})

    def results(self, message: dict):
        for call in message["tool_calls"]:
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": f"{call['function']['name']}: fine"})


def check_ids(body: str):
    """Every result names a call of the conversation, every call has one result, and no id stands for two calls."""
    calls, results = [], []

    def walk(value):
        if isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, dict):
            if "toolUse" in value:
                calls.append(value["toolUse"]["toolUseId"])
            elif "toolResult" in value:
                results.append(value["toolResult"]["toolUseId"])
            elif value.get("type") == "tool_use":
                calls.append(value["id"])
            elif value.get("type") == "function" and "id" in value:
                calls.append(value["id"])
            results.extend(value[name] for name in ("tool_call_id", "tool_use_id") if name in value)
            for one in value.values():
                walk(one)

    walk(json.loads(body)["messages"])
    assert len(set(calls)) == len(calls) and sorted(calls) == sorted(results), f"calls {calls}, results {results}"


@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize("way", ["asked", "streamed"])
def test_a_conversation_goes_round(mixed, way, how):
    program, standins = mixed
    talk = Talk(getattr(program, way), standins, how)

    talk.user("explain the weather")
    message, answer, _ = talk.turn("bedrock")
    assert answer["finish"] == "tool_calls" and answer["reasoning"] and message["thinking_blocks"][0]["signature"]
    talk.results(message)
    _, answer, seen = talk.turn("anthropic")  # finishes what bedrock began
    assert answer["finish"] == "stop" and all(f"{name}(" in answer["content"] for name, _, _ in TOOLS)
    assert seen["thinking"] == [] and not answer["reasoning"]  # with a budget it may not think between calls and results of others

    talk.user("explain the weather once more")
    message, answer, _ = talk.turn("azure")
    assert answer["finish"] == "tool_calls"
    talk.results(message)
    _, answer, seen = talk.turn("bedrock")  # back at bedrock, with its own thinking and the others' calls
    assert answer["finish"] == "stop" and "get_time(" in answer["content"]
    assert len(seen["thinking"]) == 1

    talk.user("explain the weather for the last time")
    message, answer, seen = talk.turn("anthropic")
    assert answer["finish"] == "tool_calls" and answer["reasoning"] and message["thinking_blocks"][0]["signature"]
    assert seen["thinking"] == []  # its first thought of this conversation
    talk.results(message)
    _, answer, _ = talk.turn("azure")
    assert answer["finish"] == "stop" and re.search(r"gave “get_weather: fine”", answer["content"])

    talk.user("Thanks")
    for by in NAMES:
        _, answer, seen = talk.turn(by)
        assert answer["finish"] == "stop" and "“Thanks”" in answer["content"]
        assert by == "azure" or len(seen["thinking"]) == 1  # its own, out of the two
        talk.messages.pop()


def test_all_gone_is_said_plainly(mixed):
    program, standins = mixed
    for standin in standins.values():
        standin.down = GONE["503"]()
    assert program.error(program.plain, "hi")["status"] in (502, 503)
    for standin in standins.values():
        standin.down = None
    assert program.plain("hi")["finish"] == "stop"
