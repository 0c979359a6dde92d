"""The OpenAI stand-in, and the transcript program against it: what all other transcripts are compared with."""

import openai
import pytest

from standins.openai_direct import OpenAi
from transcript import CASES, Program


@pytest.fixture(scope="module")
def provider():
    with OpenAi() as provider:
        yield provider


@pytest.fixture
def program(provider):
    return Program(f"{provider.url}/v1", "gpt-test", "embed-test", key="sk-openai-test")


@pytest.mark.parametrize("case", CASES)
def test_transcript(program, case):
    getattr(program, f"case_{case}")()


def test_the_answers_are_what_the_cases_are_for(program):
    first, second, third = program.case_tools()
    assert [name for name, _ in first["calls"]] == ["get_weather", "get_time"] and first["finish"] == "tool_calls"
    assert 'get_time({"city":"東京"}) gave “get_time: 18 °C 漢”' in second["content"]
    assert "get_weather(city:string!,unit:string!)" in second["content"] and "turns 5" in third["content"]
    assert program.case_stream() == program.case_turns()
    assert program.case_stream_without_usage() == program.case_turns() | {"usage": None}
    assert program.case_reasoning()["reasoning"] and program.case_reasoning()["usage"]["reasoning"]
    assert [one["content"] for one in program.case_stop()] == ["one, two 漢字, three, ", "one, two 漢字, "]
    assert [one["usage"]["completion"] for one in program.case_length()] == [17, 11]
    assert program.case_choice_named()["calls"][0][0] == "get_time" and program.case_choice_none()["calls"] == []
    assert program.case_filter()["finish"] == "content_filter"
    assert program.case_error_context() == {"class": "BadRequestError", "code": "context_length_exceeded"}
    floats, default = program.case_embedding_floats(), program.case_embedding_default()
    assert len(floats["vectors"][0]) == 1024 and len(default["vectors"]) == 3
    assert program.embeddings("one", encoding_format="float")["vectors"][0] == default["vectors"][0]


@pytest.mark.parametrize("message, more", [
    ("unknown key", {"extra_body": {"surprise": 1}}),
    ("must be a response to a preceding", {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}),
    ("only allowed when 'tools'", {"tool_choice": "auto"}),
    ("is not one of", {"reasoning_effort": "much"}),
])
def test_refuses(provider, message, more):
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="sk-openai-test", max_retries=0)
    with pytest.raises(openai.BadRequestError, match=message):
        client.chat.completions.create(**{"model": "m", "messages": [{"role": "user", "content": "hi"}]} | more)
