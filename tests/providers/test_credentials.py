"""Credentials that expire, through Waypost: one fetch for many requests, a slow or failing token endpoint, tokens that are
refused before their time, files that are rewritten while it runs, and no secret in anything it writes.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import openai
import pytest

import service_account
import vendors
from environment import BIN
from providers import CLAUDE_ON_BEDROCK, ENVIRONMENT, group
from standins.aws import Credential
from standins.azure import Azure
from standins.base import Refused, Reply, Request
from standins.bedrock import Bedrock
from standins.flavours import Databricks
from standins.tokens import TokenStandIn
from standins.vertex import Vertex
from standins.watsonx import Watsonx


class Container(TokenStandIn, Bedrock):
    """Bedrock, and the endpoint where a container gets its keys; `tokens` has the access keys that are good."""

    def __init__(self):
        TokenStandIn.__init__(self)
        Bedrock.__init__(self, {})

    def routes(self):
        return [*Bedrock.routes(self), ("GET", "/v2/credentials", self.keys)]

    def keys(self, request: Request) -> Reply:
        if request.header("authorization") != "container-secret":
            raise Refused(403, "wrong authorization token", "forbidden")
        token = self.issue("container")
        key = f"ASIATEST{self.fetched:08}"
        self.credentials[key] = Credential("aws-secret-key", token=token)
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.expires_in))
        return Reply(200, {"AccessKeyId": key, "SecretAccessKey": "aws-secret-key", "Token": token, "Expiration": until})

    def expire(self):
        for credential in self.credentials.values():
            credential.expired = True


def vertex(standin: Vertex, folder: pathlib.Path) -> dict:
    """The key file is named by its path, and may be written anew."""
    key, account = service_account.make()
    standin.accounts[service_account.EMAIL] = account
    file = folder / "robot.json"
    file.write_text(service_account.text(key, standin.token_uri))
    return {
        "provider": "vertex_ai", "model": "gemini-2.5-flash", "api_base": standin.url, "vertex_project": standin.project,
        "vertex_location": standin.location, "vertex_credentials": str(file),
    }


def metadata(standin: Vertex, folder: pathlib.Path) -> dict:
    about = vertex(standin, folder)
    del about["vertex_credentials"]
    return about


def databricks(standin: Databricks, _folder) -> dict:
    return {
        "provider": "databricks", "model": "m", "api_base": f"{standin.url}/serving-endpoints", "client_id": "${KEY_CLIENT}",
        "client_secret": "${KEY_SECRET}",
    }


def azure(standin: Azure, _folder) -> dict:
    about = vendors.azure("my-gpt")(standin)
    del about["api_key"]
    return about | {"oauth": {"type": "azure_entra_id_default", "scopes": [Azure.scope]}}


def bedrock(standin: Container, _folder) -> dict:
    return {
        "provider": "bedrock",
        "model": CLAUDE_ON_BEDROCK,
        "aws_region_name": "us-east-1",
        "aws_bedrock_runtime_endpoint": standin.url,
    }


@dataclass
class Source:
    name: str
    make: Callable[[], TokenStandIn]
    deployment: Callable[[TokenStandIn, pathlib.Path], dict]
    variables: Callable[[TokenStandIn], dict[str, str]] = lambda _standin: {}


SOURCES = [
    Source(
        "azure-identity",
        Azure,
        azure,
        lambda standin: {"IDENTITY_ENDPOINT": f"{standin.url}/msi/token", "IDENTITY_HEADER": "identity-secret"},
    ),
    Source("databricks", lambda: Databricks(clients={"client-test": "secret-test"}), databricks),
    Source(
        "watsonx",
        Watsonx,
        lambda standin, _folder: vendors.watsonx("ibm/granite-4")(standin),
        lambda standin: {"WATSONX_IAM_URL": f"{standin.url}/identity/token"},
    ),
    Source("vertex-file", Vertex, vertex),
    Source(
        "vertex-metadata",
        Vertex,
        metadata,
        lambda standin: {"GCE_METADATA_HOST": standin.url.removeprefix("http://")},
    ),
    Source(
        "bedrock-container",
        Container,
        bedrock,
        lambda standin: {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{standin.url}/v2/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-secret",
        },
    ),
]
BY_NAME = {source.name: source for source in SOURCES}
# A token's number is in it, so any token matches.
SECRETS = re.compile(
    "token-secret-|secret-test|identity-secret|container-secret|aws-secret-key|ibm-test|BEGIN [A-Z ]*PRIVATE KEY|eyJ"
)
FOREIGN = re.compile("^(AWS|AZURE|GOOGLE|GCE|VERTEX|WATSONX|DATABRICKS|IDENTITY|CLOUDSDK|MSI)_")
"""Variables of the machine that must not decide a test."""


class Gateway:
    """A Waypost with one group per source, and all it writes."""

    def __init__(self, url: str, folder: pathlib.Path, standins: dict[str, TokenStandIn]):
        self.url, self.folder, self.standins = url, folder, standins
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-anything", max_retries=0, timeout=20)

    def ask(self, name: str, text: str = "hi") -> str:
        return (
            self.client.chat.completions.create(model=name, messages=[{"role": "user", "content": text}])
            .choices[0]
            .message.content
        )

    def written(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        return metrics + "".join((self.folder / name).read_text() for name in ("out.log", "err.log"))

    def keeps_secrets(self):
        written = self.written()
        found = SECRETS.search(written)
        assert not found, f"a secret is in what Waypost writes: …{written[max(0, found.start() - 200):found.end() + 60]}…"


@contextlib.contextmanager
def running(sources: list[Source], folder: pathlib.Path):
    with contextlib.ExitStack() as stack:
        standins = {source.name: stack.enter_context(source.make()) for source in sources}
        environment = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)} | ENVIRONMENT | {
            "KEY_CLIENT": "client-test", "KEY_SECRET": "secret-test", "HOME": str(folder), "RUST_LOG": "trace", "NO_COLOR": "1",
        }
        groups = []
        for source in sources:
            (folder / source.name).mkdir()
            groups.append(group(source.name, source.deployment(standins[source.name], folder / source.name)))
            environment |= source.variables(standins[source.name])
        config = folder / "endpoints.yml"
        config.write_text(json.dumps({"model_groups": groups}))
        out, err = ((folder / name).open("w") for name in ("out.log", "err.log"))
        command = [BIN, "serve", "--config", str(config), "--host", "127.0.0.1", "--port", "0", "--drain-delay", "0s"]
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment)
        stack.callback(lambda: (process.terminate(), process.wait(10)))
        while not (found := re.search(r"listening on (http://[0-9.:]+)", (folder / "out.log").read_text())):
            assert process.poll() is None, (folder / "err.log").read_text()
            time.sleep(0.02)
        yield Gateway(found[1], folder, standins)


@pytest.fixture
def fresh(name, tmp_path):
    with running([BY_NAME[name]], tmp_path) as gateway:
        yield gateway
        gateway.keeps_secrets()


@pytest.mark.parametrize("name", BY_NAME)
def test_many_requests_at_once_fetch_one_token(fresh, name):
    standin = fresh.standins[name]
    standin.token_pause = 0.15
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = set(pool.map(lambda _: fresh.ask(name), range(30)))
    assert len(answers) == 1 and standin.fetched == 1
    fresh.ask(name)
    assert standin.fetched == 1


@pytest.mark.parametrize("name", BY_NAME)
def test_a_token_endpoint_that_fails_and_comes_back(fresh, name):
    standin = fresh.standins[name]
    standin.token_down = Refused(503, "token-secret-echoed-by-the-endpoint", "unavailable")
    with pytest.raises(openai.APIStatusError) as caught:
        fresh.ask(name)
    assert caught.value.status_code >= 500 and not SECRETS.search(str(caught.value))
    standin.token_down = None
    for _ in range(40):  # it may pause after several failures
        with contextlib.suppress(openai.APIStatusError):
            assert fresh.ask(name).startswith("Hello!")
            return
        time.sleep(0.1)
    pytest.fail("it never came back")


@pytest.mark.parametrize("name", BY_NAME)
def test_a_credential_that_is_refused_is_our_own_fault(fresh, name):
    """Not the client's: a 5xx that names no secret."""
    standin = fresh.standins[name]
    standin.token_down = Refused(401, "the credential is unknown", "auth")
    with pytest.raises(openai.InternalServerError) as caught:
        fresh.ask(name)
    assert not SECRETS.search(str(caught.value))


@pytest.mark.parametrize("name", BY_NAME)
def test_tokens_are_renewed_when_their_life_ends(fresh, name):
    """No request waits for that or sees it fail."""
    standin = fresh.standins[name]
    standin.expires_in = 1
    fresh.ask(name)
    for _ in range(30):
        if standin.fetched > 1:
            break
        time.sleep(0.1)
        fresh.ask(name)
    assert standin.fetched > 1


# ---- tokens and keys that were good for a while

@pytest.mark.parametrize("name", BY_NAME)
def test_a_token_that_is_refused_before_its_time_is_fetched_anew(fresh, name):
    standin = fresh.standins[name]
    fresh.ask(name)
    standin.seen.clear()
    standin.expire()
    before = standin.fetched
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: fresh.ask(name), range(10)))
    assert all(answer.startswith("Hello!") for answer in answers)
    assert standin.fetched == before + 1


@pytest.mark.parametrize("name", ["vertex-file"])
def test_a_key_file_that_is_rewritten_is_read_again(name, tmp_path):
    """The old key is withdrawn: with the next token the new file counts, without a restart."""
    with running([BY_NAME[name]], tmp_path) as gateway:
        standin = gateway.standins[name]
        standin.expires_in = 1
        gateway.ask(name)
        key, account = service_account.make("key-2")
        (tmp_path / name / "robot.json").write_text(service_account.text(key, standin.token_uri, "key-2"))
        standin.accounts[service_account.EMAIL] = account
        before = standin.fetched
        for _ in range(30):
            if standin.fetched > before:
                break
            time.sleep(0.1)
            gateway.ask(name)
        assert standin.fetched > before
        gateway.ask(name)
        gateway.keeps_secrets()


def test_keys_of_a_profile_that_are_rotated(tmp_path, monkeypatch):
    """~/.aws/credentials is written anew when the old keys expire: no request fails."""
    source = Source("bedrock-profile", lambda: Bedrock({"AKIAOLD": Credential("aws-secret-key")}),
                    lambda standin, _folder: bedrock(standin, None) | {"aws_profile_name": "team"},
                    lambda _standin: {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")})
    profile = "[team]\naws_access_key_id = {}\naws_secret_access_key = aws-secret-key\n"
    (tmp_path / "credentials").write_text(profile.format("AKIAOLD"))
    with running([source], tmp_path) as gateway:
        standin = gateway.standins[source.name]
        gateway.ask(source.name)
        standin.credentials["AKIANEW"] = Credential("aws-secret-key")
        standin.credentials["AKIAOLD"].expired = True
        (tmp_path / "credentials").write_text(profile.format("AKIANEW"))
        assert gateway.ask(source.name).startswith("Hello!")
        assert standin.seen[-2]["refused"][0] == 403 and "refused" not in standin.seen[-1]
        gateway.keeps_secrets()
