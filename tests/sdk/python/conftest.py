"""Where the gateway and the simulated deployments are, and a fresh client for each test. See ../run.py."""

import json
import os
import time
import urllib.request

import openai
import pytest

ABOUT = json.loads(os.environ["SDK_TEST"])


class Deployment:
    """A simulated deployment, through the lab's control address."""

    def __init__(self, name: str):
        self.name = name

    def _call(self, method: str, path: str, body=None):
        request = urllib.request.Request(
            f"{ABOUT['control']}/lab/deployments/{self.name}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(), headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def behave(self, **behaviour):
        """From now on."""
        self._call("PUT", "", behaviour)

    def behave_next(self, count: int, **behaviour):
        """For the next `count` requests."""
        self._call("POST", "/next", {"count": count, "behaviour": behaviour})

    def reset(self):
        """Healthy again; what was counted and recorded up to now is not looked at any more."""
        self._call("POST", "/reset")
        self._before = len(self._call("GET", "/requests"))
        self._cancelled_before = self._stats()["cancelled"]

    def _stats(self) -> dict:
        with urllib.request.urlopen(f"{ABOUT['control']}/lab", timeout=10) as answer:
            return json.load(answer)["deployments"][self.name]["stats"]

    def requests(self) -> list[dict]:
        return self._call("GET", "/requests")[self._before:]

    def one(self) -> dict:
        """The one request it got."""
        requests = self.requests()
        assert len(requests) == 1, requests
        return requests[0]

    def wait_cancelled(self, seconds: float = 5):
        """Returns when one request was given up by the gateway before its answer ended."""
        deadline = time.monotonic() + seconds
        while self._stats()["cancelled"] == self._cancelled_before and time.monotonic() < deadline:
            time.sleep(0.02)
        stats = self._stats()
        assert stats["cancelled"] == self._cancelled_before + 1 and stats["in_flight"] == 0, stats


@pytest.fixture
def about() -> dict:
    return ABOUT


@pytest.fixture
def lab():
    """Deployments by name; all healthy at the start of each test."""
    deployments = {name: Deployment(name) for name in ABOUT["deployments"]}
    for deployment in deployments.values():
        deployment.reset()
    yield deployments
    for deployment in deployments.values():
        deployment.reset()


@pytest.fixture
def client(lab):
    with openai.OpenAI(base_url=f"{ABOUT['gateway']}/v1", api_key="sk-anything", max_retries=0, timeout=15) as client:
        yield client
