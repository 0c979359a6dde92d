"""The same program through Waypost to every provider: the same transcript. See transcript.py and providers.py.

What is compared with is the program's transcript without Waypost, from the OpenAI stand-in; for errors, which Waypost words
itself, its transcript through Waypost's group `openai`.
"""

import re

import openai
import pytest

from environment import all_of
from providers import DETAILS, PROVIDERS
from standins.openai_direct import OpenAi
from transcript import CHAT_CASES, PICTURE, TOOL_PARAMS, Program

BY_NAME = {provider.name: provider for provider in PROVIDERS}
ERRORS = ("error_400", "error_429", "error_context", "error_400_stream", "embedding_error")


def rows(of):
    """One test per item of a provider."""
    return [
        pytest.param(provider.name, item, id=f"{provider.name}-{item}")
        for provider in PROVIDERS for item in of(provider)
    ]


@pytest.fixture(scope="session")
def running(request, tmp_path_factory):
    """One Waypost with the groups of all providers that are tested now."""
    items = [item for item in request.session.items if hasattr(item, "callspec") and not item.get_closest_marker("skip")]
    names = {item.callspec.params.get("name") for item in items} | {"openai"}
    with all_of(names, tmp_path_factory.mktemp("waypost")) as running:
        yield running


@pytest.fixture(scope="session")
def reference(running):
    """Case -> transcript to compare with, taken once."""
    base_url, _ = running
    taken = {}
    with OpenAi() as standin:
        direct = Program(f"{standin.url}/v1", "gpt-test", "embed-test", key="sk-openai-test")
        through = Program(base_url, "openai", "openai-embeddings")

        def take(case: str):
            if case not in taken:
                taken[case] = getattr(through if case in ERRORS else direct, f"case_{case}")()
            return taken[case]

        yield take


@pytest.fixture
def program(running, name):
    return Program(running[0], name, f"{name}-embeddings")


@pytest.fixture
def standin(running, name):
    standin = running[1][name]
    standin.seen.clear()
    return standin


@pytest.mark.parametrize("name, case", rows(lambda provider: provider.all_cases()))
def test_case(program, reference, standin, name, case):
    provider = BY_NAME[name]
    ask = getattr(program, f"case_{case}")
    if words := provider.cannot.get(case):
        with pytest.raises(openai.BadRequestError) as caught:
            ask()
        assert re.search(words, f"{caught.value.param} {caught.value}"), f"the 400 does not say {words!r}: {caught.value}"
        return
    try:
        got = ask()
    except openai.APIError as error:
        pytest.fail(f"{type(error).__name__}: {error}\nthe stand-in {said(standin)}")
    asked_for = ("reasoning",) if any(seen.get("reports_reasoning") for seen in standin.seen) else ()
    expected = only_reported(reference(case), provider.reports + asked_for)
    expected = provider.differs.get(case, lambda reference: reference)(expected)
    assert got == expected, f"the stand-in {said(standin)}"


def said(standin) -> str:
    """The last thing it saw, for a test that fails."""
    if not standin.seen:
        return "saw nothing"
    last = standin.seen[-1]
    return f"saw {last['method']} {last['target']} {last['body'][:1500]}, refused: {last.get('refused')}"


def only_reported(transcript, reports):
    """The reference, without details of usage that the provider does not report."""
    if isinstance(transcript, list):
        return [only_reported(one, reports) for one in transcript]
    if isinstance(transcript, dict) and isinstance(transcript.get("usage"), dict):
        missing = {detail: 0 for detail in DETAILS if detail not in reports and detail in transcript["usage"]}
        return transcript | {"usage": transcript["usage"] | missing}
    return transcript


TROUBLE = {
    "401": ("InternalServerError", "upstream_auth_error"), "403": ("InternalServerError", "upstream_auth_error"),
    "404": ("InternalServerError", "upstream_model_not_found"), "500": ("InternalServerError", None),
    "503": ("InternalServerError", None), "529": ("InternalServerError", None),
    "cut": ("InternalServerError", "upstream_broken"), "malformed": ("InternalServerError", "upstream_broken"),
}
"""`fail X` -> class and code of what the program gets; None: the provider's own word, whatever it is."""


@pytest.mark.parametrize("name, what", rows(lambda provider: TROUBLE if provider.cases is CHAT_CASES else []))
def test_trouble(program, standin, name, what):
    kind, code = TROUBLE[what]
    got = program.error(program.plain, f"fail {what}", code=True)
    assert got == {"class": kind, "code": code or got["code"]}, f"the stand-in {said(standin)}"


@pytest.mark.parametrize("name, what", rows(
    lambda provider: ["cut", "late"] + ["malformed"] * provider.translated if provider.cases is CHAT_CASES else []))
def test_streams_that_end_badly(program, standin, name, what):
    """After the first piece there is only the stream to say it in: an error in it, and an end."""
    assert program.error(program.stream, f"fail {what}", code=True)["class"] == "APIError", f"the stand-in {said(standin)}"


PARAMETERS = {
    "n": 2, "logprobs": True, "logit_bias": {"50256": -100}, "frequency_penalty": 0.5, "presence_penalty": 0.5, "seed": 7,
}


@pytest.mark.parametrize("name, parameter", rows(lambda provider: provider.refuses))
def test_what_has_no_counterpart_is_refused_by_name(program, standin, name, parameter):
    with pytest.raises(openai.BadRequestError) as caught:
        program.plain("hi", **{parameter: PARAMETERS[parameter]})
    assert caught.value.param == parameter
    assert standin.seen == []


@pytest.mark.parametrize("name, what", rows(lambda provider: ["dropped"] if provider.refuses else []))
def test_what_has_no_counterpart_can_be_dropped(program, standin, name, what):
    parameters = {parameter: PARAMETERS[parameter] for parameter in BY_NAME[name].refuses if parameter != "n"}
    answer = program.client.chat.completions.with_raw_response.create(
        model=f"{name}-dropping", messages=[{"role": "user", "content": "hi"}], **parameters)
    assert set(re.split(r",\s*", answer.headers["x-waypost-dropped-params"])) >= parameters.keys()
    assert answer.parse().choices[0].message.content.startswith("Hello!")


@pytest.mark.parametrize("name, what", rows(lambda provider: ["marks"] if provider.cache_mark else []))
def test_marks_for_the_prompt_cache(program, standin, name, what):
    parts = [{"type": "text", "text": text, "prompt_cache_breakpoint": {"mode": "explicit"}} for text in ("A long text.",)]
    messages = [{"role": "system", "content": parts}, {"role": "user", "content": [*parts, {"type": "text", "text": "hi"}]}]
    answer = program.plain(messages)
    assert "“A long text.”" in answer["content"] and "turns 1" in answer["content"]
    assert standin.seen[-1]["body"].count(f'"{BY_NAME[name].cache_mark}"') == 2, said(standin)
    program.plain("hi")
    assert f'"{BY_NAME[name].cache_mark}"' not in standin.seen[-1]["body"]


@pytest.mark.parametrize("name, what", rows(lambda provider: ["arrives"] if "choice_required" in provider.all_cases() else []))
def test_what_the_provider_was_asked(program, standin, name, what):
    """What no answer shows: choices where the text alone would give the same calls, limits, descriptions."""
    def seen(messages, **more):
        program.plain(messages, **more)
        return standin.seen[-1]["conversation"]

    named = {"type": "function", "function": {"name": "get_time"}}
    assert seen("weather", tools=TOOL_PARAMS, tool_choice="required")["choice"] == "required"
    assert seen("weather", tools=TOOL_PARAMS, tool_choice=named)["choice"] == "name:get_time"
    conversation = seen("weather", tools=TOOL_PARAMS, max_completion_tokens=77, stop=["never"])
    assert conversation["max_tokens"] == 77 and conversation["stop"] == ["never"] and conversation["parallel"]
    assert conversation["descriptions"] == [tool["function"]["description"] for tool in TOOL_PARAMS]
    parts = [{"type": "text", "text": "What is it?"}, PICTURE, {"type": "text", "text": "and here?"}]
    assert [next(iter(part)) for part in seen([{"role": "user", "content": parts}])["turns"][0][1:]] == ["text", "image", "text"]


@pytest.mark.parametrize("name, what", rows(
    lambda provider: ["signature"] if provider.signs and "reasoning_tools" in provider.all_cases() else []))
def test_signed_thinking_comes_back(program, standin, name, what):
    program.case_reasoning_tools()
    first, second, _third = standin.seen
    assert first["conversation"]["effort"] and first["conversation"]["thinking"] == []
    assert second["conversation"]["thinking"][0]["signature"], "the second request gives no thinking back"
