"""Where the gateway and the simulated deployments are, and a fresh client for each test. See ../run.py."""

import json
import os
import signal
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
            f"{ABOUT['control']}/deployments/{self.name}{path}", method=method,
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
        # What the last test gave up may still be on its way here.
        deadline = time.monotonic() + 5
        while (stats := self._call("GET", "")["stats"])["in_flight"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert stats["in_flight"] == 0, f"{self.name} still answers a request of the last test: {stats}"
        self._cancelled_before = stats["cancelled"]
        self._call("DELETE", "/requests")

    def requests(self) -> list[dict]:
        return self._call("GET", "/requests")

    def one(self) -> dict:
        """The one request it got."""
        requests = self.requests()
        assert len(requests) == 1, requests
        return requests[0]

    def wait_cancelled(self, seconds: float = 5):
        """Returns when one request was given up by the gateway before its answer ended."""
        deadline = time.monotonic() + seconds
        while True:
            stats = self._call("GET", "")["stats"]
            if stats["cancelled"] > self._cancelled_before or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        assert stats["cancelled"] == self._cancelled_before + 1 and stats["in_flight"] == 0, stats


@pytest.fixture(autouse=True)
def limit():
    """A test that hangs fails instead."""

    def give_up(_signal, _frame):
        raise TimeoutError("the test took more than 30 s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


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
