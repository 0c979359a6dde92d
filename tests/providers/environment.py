"""Stand-ins and one Waypost before them, for as long as they are wanted."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import sys

from providers import ENVIRONMENT, PROVIDERS, Provider
from standins.base import StandIn

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = os.environ.get("WAYPOST_BIN", str(TOP / "target/debug/waypost"))


def sdk_run():
    """tests/sdk/run.py, which knows how to start and stop a Waypost."""
    name = "waypost_sdk_run"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TOP / "tests/sdk/run.py")
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@contextlib.contextmanager
def waypost(groups: list[dict], folder: pathlib.Path, **settings):
    """The base URL of a Waypost with these groups."""
    config = folder / "endpoints.yml"
    config.write_text(json.dumps({"model_groups": groups, "waypost": settings}, indent=1))
    command = [BIN, "serve", "--config", str(config), "--host", "127.0.0.1", "--port", "0", "--drain-delay", "0s"]
    os.environ.update(ENVIRONMENT)
    log = folder / "waypost.log"
    with contextlib.ExitStack() as stack:
        try:
            match = stack.enter_context(sdk_run().started(command, r"listening on (http://[0-9.:]+)", log))
        except SystemExit:  # pytest takes it for the user's wish
            raise RuntimeError(f"{' '.join(command)} did not start:\n{log.read_text()}") from None
        yield f"{match[1]}/v1"


@contextlib.contextmanager
def all_of(names: set[str], folder: pathlib.Path):
    """The base URL of one Waypost with the groups of these providers, and their stand-ins by name."""
    with contextlib.ExitStack() as stack:
        chosen: list[Provider] = [provider for provider in PROVIDERS if provider.name in names]
        standins: dict[str, StandIn] = {provider.name: stack.enter_context(provider.standin()) for provider in chosen}
        groups = [group for provider in chosen for group in provider.groups(standins[provider.name])]
        yield stack.enter_context(waypost(groups, folder)), standins
