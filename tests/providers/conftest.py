"""A test that hangs fails instead; the folder's modules are found. See run.py."""

import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


@pytest.fixture(autouse=True)
def limit():
    def give_up(_signal, _frame):
        raise TimeoutError("the test took more than 30 s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
