"""One conversation with tools and thinking through a group that mixes providers, each of which fails in its turn."""


import pytest

from environment import waypost
from material import TOOLS
from providers import CLAUDE_ON_BEDROCK, anthropic, bedrock, bedrock_standin, group, openai
from standins.anthropic import Anthropic
from standins.base import Refused
from standins.openai_direct import OpenAi
from transcript import TOOL_PARAMS, Program

THINKING = {"reasoning_effort": "medium", "max_completion_tokens": 6000, "tools": TOOL_PARAMS}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    with Anthropic() as first, bedrock_standin() as second, OpenAi() as third:
        models = [anthropic("claude-sonnet-4-5")(first), bedrock(CLAUDE_ON_BEDROCK)(second), openai(third)]
        models = [model | {"order": index + 1} for index, model in enumerate(models)]
        with waypost([group("mixed", *models, num_retries=2)], tmp_path_factory.mktemp("mixed")) as base_url:
            yield Program(base_url, "mixed"), [first, second, third]


@pytest.mark.parametrize("way", ["asked", "streamed"])
def test_a_conversation_moves_on(mixed, way):
    program, standins = mixed
    ask = getattr(program, way)

    def up(*numbers):
        for number, standin in enumerate(standins):
            standin.down = None if number in numbers else Refused(503, "gone", "unavailable")
            standin.seen.clear()

    def turn(at: int, **expected):
        message, answer = ask(messages, **THINKING)
        messages.append(message)
        seen = standins[at].seen[-1]["conversation"]
        assert (answer["finish"], len(seen["thinking"])) == (expected["finish"], expected["thinking"])
        return message, answer

    def results(message):
        for call in message["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": f"{call['function']['name']}: fine"})

    messages = [{"role": "system", "content": "Be brief. é"}, {"role": "user", "content": "explain the weather"}]
    up(0, 1, 2)
    message, first = turn(0, finish="tool_calls", thinking=0)
    assert first["reasoning"] and message["thinking_blocks"][0]["signature"]
    results(message)
    up(1, 2)  # Bedrock finishes what Anthropic began, without the thinking of another account
    _, second = turn(1, finish="stop", thinking=0)
    assert all(f"{name}(" in second["content"] for name, _, _ in TOOLS)
    messages.append({"role": "user", "content": "explain the weather once more"})
    message, _ = turn(1, finish="tool_calls", thinking=0)
    results(message)
    up(2)  # OpenAI finishes what Bedrock began
    _, fourth = turn(2, finish="stop", thinking=0)
    assert "get_time(" in fourth["content"]
    messages.append({"role": "user", "content": "Thanks"})
    up(0, 1, 2)  # and Anthropic comes back to its own thinking
    _, last = turn(0, finish="stop", thinking=1)
    assert last["content"].startswith("Hello!") and "“Thanks”" in last["content"] and "turns 9" in last["content"]
