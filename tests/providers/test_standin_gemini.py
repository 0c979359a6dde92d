"""The Gemini stand-in takes what Google's own SDK sends, and the SDK understands what it answers."""

import pytest
from google import genai
from google.genai import errors, types

import brain
from material import PNG, SCHEMA, TOOLS
from standins.gemini import DUMMY, Gemini

THIRD, SECOND = "gemini-3-pro-preview", "gemini-2.5-flash"
DECLARED = types.Tool(function_declarations=[
    types.FunctionDeclaration(name=name, description=about, parameters_json_schema=schema) for name, about, schema in TOOLS
])


@pytest.fixture(scope="module")
def provider():
    with Gemini() as provider:
        yield provider


@pytest.fixture
def client(provider):
    return sdk(provider, "AIza-test")


def sdk(provider, key):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=provider.url, api_version="v1beta"))


def ask(client, contents, model=THIRD, streamed=False, **config):
    if isinstance(contents, str):
        contents = [types.UserContent(contents)]
    config = types.GenerateContentConfig(automatic_function_calling={"disable": True}, **config)
    if not streamed:
        return client.models.generate_content(model=model, contents=contents, config=config)
    return join(list(client.models.generate_content_stream(model=model, contents=contents, config=config)))


def join(chunks):
    """The chunks as one answer: texts of a kind put together."""
    parts = []
    for chunk in chunks:
        for part in chunk.candidates[0].content.parts:
            if part.text is not None and parts and parts[-1].text is not None and parts[-1].thought == part.thought:
                parts[-1].text += part.text
                parts[-1].thought_signature = part.thought_signature or parts[-1].thought_signature
            elif part.text != "":
                parts.append(part.model_copy())
    assert all(chunk.candidates[0].finish_reason is None for chunk in chunks[:-1])
    totals = [chunk.usage_metadata.total_token_count for chunk in chunks]
    assert totals == sorted(totals)
    chunks[-1].candidates[0].content.parts = parts
    return chunks[-1]


def calls(answer):
    return [(call.name, call.args) for call in answer.function_calls or []]


def results(answer, reverse=False):
    parts = [types.Part(function_response=types.FunctionResponse(name=call.name, response={"result": f"{call.name}: 18 °C"}))
             for call in answer.function_calls]
    return types.UserContent(parts[::-1] if reverse else parts)


def test_plain(client, provider):
    answer = ask(client, "hi 漢", system_instruction=["be", "brief"], temperature=1.5, seed=3)
    assert answer.text.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”, my instructions are “be\n\nbrief”")
    assert answer.candidates[0].finish_reason == "STOP" and answer.usage_metadata.prompt_token_count > 0
    assert provider.seen[-1]["conversation"]["settings"] == {"temperature": 1.5, "seed": 3}


@pytest.mark.parametrize(
    "config", [{}, {"thinking_config": {"thinking_level": "LOW", "include_thoughts": True}}, {"tools": [DECLARED]}]
)
def test_a_stream_gives_the_plain_answer(client, config):
    def bare(answer):
        return answer.model_dump(exclude={"sdk_http_response"})
    question = "explain the weather 漢" if "tools" in config else "hi"
    assert bare(ask(client, question, streamed=True, **config)) == bare(ask(client, question, **config))


def test_parallel_tools_with_results_and_signatures(client, provider):
    question = types.UserContent("weather")
    first = ask(client, [question], tools=[DECLARED])
    assert calls(first) == [("get_weather", {"city": "Paris", "unit": "°C"}), ("get_time", {"city": "東京"})]
    model_turn = first.candidates[0].content
    assert [bool(part.thought_signature) for part in model_turn.parts] == [True, False]
    second = ask(client, [question, model_turn, results(first, reverse=True)], tools=[DECLARED])
    assert "gave “get_weather: 18 °C”" in second.text and "get_weather(city:string!,unit:string!)" in second.text
    # The next turn: the old calls may come without their signature, the current ones not.
    third = [question, model_turn, results(first, reverse=True), second.candidates[0].content, types.UserContent("thanks")]
    assert "turns 5" in ask(client, third, tools=[DECLARED]).text


def without_signature(content, signature=None):
    parts = [part.model_copy(update={"thought_signature": signature}) for part in content.parts]
    return content.model_copy(update={"parts": parts})


def test_signatures_are_demanded_back(client):
    question = types.UserContent("weather")
    first = ask(client, [question], tools=[DECLARED])
    turn = first.candidates[0].content
    for wrong, message in [
        (None, "missing a thought_signature"),
        (b"nonsense", "Corrupted"),
        (DUMMY.encode(), "its own must come back"),
    ]:
        with pytest.raises(errors.ClientError, match=message):
            ask(client, [question, without_signature(turn, wrong), results(first)], tools=[DECLARED])
    # Gemini 2.5 has none, and takes none of its own back.
    older = ask(client, [question], model=SECOND, tools=[DECLARED])
    assert not any(part.thought_signature for part in older.candidates[0].content.parts)
    ask(client, [question, older.candidates[0].content, results(older)], model=SECOND, tools=[DECLARED])
    # The current turn only.
    later = [question, without_signature(turn), results(first), types.ModelContent("so"), types.UserContent("thanks")]
    ask(client, later, tools=[DECLARED])


def test_the_dummy_stands_for_calls_of_others(client):
    foreign = types.Part(
        function_call=types.FunctionCall(name="get_time", args={"city": "Rome"}), thought_signature=DUMMY.encode()
    )
    answered = types.Part(function_response=types.FunctionResponse(name="get_time", response={"result": "noon"}))
    turns = [types.UserContent("time?"), types.ModelContent([foreign]), types.UserContent([answered])]
    assert "gave “noon”" in ask(client, turns, tools=[DECLARED]).text


def test_choice(client):
    def choose(mode, names=None):
        config = {"function_calling_config": {"mode": mode, "allowed_function_names": names}}
        return calls(ask(client, "weather", tools=[DECLARED], tool_config=config))
    assert choose("NONE") == [] and len(choose("AUTO")) == 2 and choose("ANY")[0][0] == "get_weather"
    assert [name for name, _ in choose("ANY", ["get_time"])] == ["get_time"]


def test_image(client):
    picture = types.Part.from_bytes(data=PNG, mime_type="image/png")
    linked = types.Part.from_uri(file_uri="https://example.com/a.png", mime_type="image/png")
    answer = ask(client, [types.UserContent(["What?", picture, linked])])
    assert f"I see image/png {len(PNG)} {brain.short_hash(PNG)}, https://example.com/a.png" in answer.text


@pytest.mark.parametrize(
    "how",
    [{"response_json_schema": SCHEMA}, {"response_schema": {"type": "OBJECT", "properties": {"age": {"type": "INTEGER"}}}}],
)
def test_structured(client, how):
    answer = ask(client, "an animal", response_mime_type="application/json", **how)
    assert answer.parsed["age"] == 7


def test_thoughts(client):
    shown = ask(client, "hi", thinking_config={"thinking_level": "HIGH", "include_thoughts": True})
    assert shown.candidates[0].content.parts[0].thought and shown.usage_metadata.thoughts_token_count > 0
    again = [types.UserContent("hi"), shown.candidates[0].content, types.UserContent("again")]
    assert "turns 3" in ask(client, again).text
    hidden = ask(client, "hi", thinking_config={"thinking_budget": 1024}, model=SECOND)
    assert len(hidden.candidates[0].content.parts) == 1 and hidden.usage_metadata.thoughts_token_count > 0


def test_limits_and_counts(client):
    assert ask(client, "count", stop_sequences=["STOP"]).text == "one, two 漢字, three, "
    short = ask(client, "a long story", max_output_tokens=17)
    assert short.candidates[0].finish_reason == "MAX_TOKENS" and short.usage_metadata.candidates_token_count == 17
    cached = ask(client, "hi", system_instruction="This text is cached. " * 9).usage_metadata
    assert 0 < cached.cached_content_token_count < cached.prompt_token_count
    both = ask(client, "hi", candidate_count=2, response_logprobs=True, logprobs=2)
    assert [one.index for one in both.candidates] == [0, 1] and both.candidates[0].logprobs_result.chosen_candidates
    assert client.models.count_tokens(model=THIRD, contents="one two").total_tokens == 5


def test_blocks(client):
    answer = ask(client, "please block the prompt")
    assert answer.candidates is None and answer.prompt_feedback.block_reason == "PROHIBITED_CONTENT"
    filtered = ask(client, "fail filter").candidates[0]
    assert filtered.finish_reason == "SAFETY" and filtered.safety_ratings[0].blocked


@pytest.mark.parametrize(
    "what, code, status",
    [
        ("400", 400, "INVALID_ARGUMENT"),
        ("401", 401, "UNAUTHENTICATED"),
        ("403", 403, "PERMISSION_DENIED"),
        ("404", 404, "NOT_FOUND"),
        ("429", 429, "RESOURCE_EXHAUSTED"),
        ("500", 500, "INTERNAL"),
        ("503", 503, "UNAVAILABLE"),
        ("529", 503, "UNAVAILABLE"),
        ("408", 504, "DEADLINE_EXCEEDED"),
        ("context", 400, "INVALID_ARGUMENT"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_failures(client, what, code, status, streamed):
    with pytest.raises(errors.ClientError if code < 500 else errors.ServerError) as raised:
        ask(client, f"fail {what}", streamed=streamed)
    assert (raised.value.code, raised.value.status) == (code, status)
    if what == "429":
        assert raised.value.details["error"]["details"][-1]["retryDelay"] == "1s"


@pytest.mark.parametrize("what", ["cut", "malformed", "late"])
def test_broken_streams(client, what):
    with pytest.raises(Exception):
        ask(client, f"fail {what}", streamed=True)


def test_embeddings(client, provider):
    many = client.models.embed_content(
        model="gemini-embedding-001", contents=["one", "two 漢"], config={"output_dimensionality": 256}
    )
    assert [one.values for one in many.embeddings] == [brain.embed("one", 256), brain.embed("two 漢", 256)]
    assert provider.seen[-1]["inputs"] == ["one", "two 漢"]
    one = client._api_client.request(
        "post", "models/gemini-embedding-001:embedContent", {"content": {"parts": [{"text": "one"}]}}
    )
    assert '"promptTokenCount":1' in one.body
    with pytest.raises(errors.ClientError):
        client.models.embed_content(model="gemini-embedding-001", contents="fail 429")


TURN = {"role": "user", "parts": [{"text": "hi"}]}
MODEL = {"role": "model", "parts": [{"text": "hi"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": DUMMY}]}
DECLARATION = {"name": "f", "parametersJsonSchema": {"type": "object"}}


def answered(*names):
    return {"role": "user", "parts": [{"functionResponse": {"name": name, "response": {}}} for name in names]}


@pytest.mark.parametrize("message, body", [
    ("both spellings", {"generation_config": {}, "generationConfig": {}}),
    ("unknown key", {"generation": {}}),
    ("unknown key", {"generationConfig": {"maxTokens": 3}}),
    ("unknown key", {"contents": [{"role": "user", "parts": [{"text": "a", "surprise": 1}]}]}),
    ("one of", {"contents": [{"role": "user", "parts": [{"text": "a", "inlineData": {}}]}]}),
    ("turns alternate", {"contents": [TURN, TURN]}),
    ("user begins", {"contents": [MODEL, TURN]}),
    ("end with a user role", {"contents": [TURN, MODEL]}),
    ("must not be empty", {"contents": [{"role": "user", "parts": []}]}),
    ("number of function response parts", {"contents": [TURN, CALL, TURN]}),
    ("number of function response parts", {"contents": [TURN, MODEL, answered("f")]}),
    ("do not name the functions", {"contents": [TURN, CALL, answered("g")]}),
    ("at most 5", {"generationConfig": {"stopSequences": list("abcdef")}}),
    ("candidateCount", {"generationConfig": {"candidateCount": 9}}),
    ("only when response_logprobs", {"generationConfig": {"logprobs": 3}}),
    ("only set one of thinking", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 200}}}),
    ("level MINIMAL is not", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}}),
    ("only allowed with response_mime_type", {"generationConfig": {"responseJsonSchema": {}}}),
    ("without function_declarations", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
    ("cannot both", {"tools": [{"functionDeclarations": [DECLARATION | {"parameters": {"type": "OBJECT"}}]}]}),
    ("labels", {"labels": {"a": "b"}}),
])
def test_refuses(client, message, body):
    with pytest.raises(errors.ClientError, match=message):
        client._api_client.request("post", f"models/{THIRD}:generateContent", {"contents": [TURN]} | body)


def test_refuses_a_wrong_key(provider):
    with pytest.raises(errors.ClientError) as raised:
        ask(sdk(provider, "AIza-wrong"), "hi")
    assert raised.value.code == 400 and raised.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
