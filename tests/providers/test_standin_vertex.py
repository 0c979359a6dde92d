"""The Vertex stand-in takes what google-genai, google-auth and anthropic send, and they understand what it answers."""

import anthropic
import pytest
from google import genai
from google.auth import exceptions
from google.auth.transport.requests import Request
from google.genai import errors, types
from google.oauth2 import service_account

import brain
from material import TOOLS
from service_account import EMAIL, key_file, make
from standins.vertex import SCOPE, Vertex
from test_standin_gemini import DECLARED, ask, calls, results

CLAUDE = "claude-sonnet-4-5@20250929"


@pytest.fixture(scope="module")
def key():
    return make()


@pytest.fixture(scope="module")
def provider(key):
    with Vertex({EMAIL: key[1]}) as provider:
        yield provider


@pytest.fixture
def credentials(provider, key):
    return service_account.Credentials.from_service_account_info(key_file(key[0], provider.token_uri), scopes=[SCOPE])


@pytest.fixture
def client(provider, credentials):
    return sdk(provider, credentials)


def sdk(provider, credentials):
    # With a base_url of one's own the SDK leaves the project out of the path unless it stands in the URL.
    base_url = f"{provider.url}/v1/projects/{provider.project}/locations/{provider.location}"
    options = types.HttpOptions(base_url=base_url, base_url_resource_scope="COLLECTION", api_version="")
    return genai.Client(
        vertexai=True, project=provider.project, location=provider.location, credentials=credentials, http_options=options
    )


def test_gemini(client, provider):
    answer = ask(client, "hi 漢", labels={"team": "a"}, system_instruction="be brief")
    assert answer.text.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”")
    assert provider.seen[-1]["account"] == EMAIL and provider.seen[-1]["conversation"]["settings"]["labels"] == {"team": "a"}
    assert ask(client, "hi 漢", system_instruction="be brief", streamed=True).text == answer.text


def test_tools(client):
    question = types.UserContent("weather")
    first = ask(client, [question], tools=[DECLARED])
    assert [name for name, _ in calls(first)] == [name for name, _, _ in TOOLS]
    assert first.function_calls[0].id is None
    answer = ask(client, [question, first.candidates[0].content, results(first)], tools=[DECLARED])
    assert "gave “get_weather: 18 °C”" in answer.text


@pytest.mark.parametrize("streamed", [False, True])
def test_failures(client, streamed):
    with pytest.raises(errors.ClientError) as raised:
        ask(client, "fail 429", streamed=streamed)
    assert raised.value.status == "RESOURCE_EXHAUSTED"


def test_embeddings(client, provider):
    classic = client.models.embed_content(
        model="text-embedding-005", contents=["one", "two"], config={"output_dimensionality": 256}
    )
    assert [one.values for one in classic.embeddings] == [brain.embed("one", 256), brain.embed("two", 256)]
    assert provider.seen[-1]["target"].endswith(":predict") and classic.embeddings[0].statistics.token_count == 1
    newer = client.models.embed_content(model="gemini-embedding-001", contents="one", config={"output_dimensionality": 256})
    assert newer.embeddings[0].values == brain.embed("one", 256) and provider.seen[-1]["target"].endswith(":embedContent")
    several = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    assert [len(one.values) for one in several.embeddings] == [1024, 1024]
    with pytest.raises(errors.ClientError, match="1 to 1 instances"):
        client._api_client.request(
            "post", "publishers/google/models/gemini-embedding-001:predict", {"instances": [{"content": "a"}] * 2}
        )


def test_claude(provider, credentials):
    client = anthropic.AnthropicVertex(region=provider.location, project_id=provider.project, credentials=credentials,
                                       base_url=f"{provider.url}/v1", max_retries=0)
    about = {"model": CLAUDE, "max_tokens": 99, "messages": [{"role": "user", "content": "hi 漢"}]}
    answer = client.messages.create(**about)
    assert answer.content[0].text.startswith(f"Hello! {brain.AWKWARD} You said “hi 漢”")
    with client.messages.stream(**about) as stream:
        assert stream.get_final_message().content[0].text == answer.content[0].text
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(**about | {"messages": [{"role": "user", "content": "fail 429"}]})


def test_tokens(provider, credentials, key):
    def fresh(key, **more):
        return service_account.Credentials.from_service_account_info(key_file(key, provider.token_uri) | more, scopes=[SCOPE])

    credentials.refresh(Request())
    assert provider.tokens[credentials.token] == EMAIL
    other, _ = make()
    for wrong in (fresh(other), fresh(key[0], private_key_id="key-9"), fresh(key[0], client_email="who@x"),
                  fresh(key[0]).with_scopes(["https://www.googleapis.com/auth/drive"])):
        with pytest.raises(exceptions.RefreshError, match="Invalid JWT"):
            wrong.refresh(Request())


def test_an_expired_token_is_refused(client, provider):
    ask(client, "hi")
    provider.expire()
    with pytest.raises(errors.ClientError) as raised:
        ask(client, "hi")
    assert raised.value.code == 401


def test_the_metadata_server(provider, monkeypatch):
    monkeypatch.setenv("GCE_METADATA_HOST", provider.url.removeprefix("http://"))
    import requests
    url = f"{provider.url}/computeMetadata/v1/instance/service-accounts/default/token"
    assert requests.get(url, timeout=5).status_code == 403
    token = requests.get(url, headers={"Metadata-Flavor": "Google"}, timeout=5).json()["access_token"]
    assert provider.tokens[token] == "default@project"
