"""What a run starts and stops: the lab, a LiteLLM proxy, Waypost. All on free ports of loopback."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import httpx
import yaml

KEY = "sk-of-the-client-0123456789abcdef0123456789abcdef"


@contextlib.asynccontextmanager
async def process(command: list[str], log: pathlib.Path, ready, seconds: float, env: dict[str, str]):
    """A process for which `ready(its output)` is true, and which is gone afterwards."""
    with log.open("w") as out:
        pipes = {"stdout": out, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        child = subprocess.Popen(command, env=os.environ | env, **pipes)
    try:
        deadline = time.monotonic() + seconds
        while not (found := await ready(log.read_text(errors="replace"))):
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            await asyncio.sleep(0.05)
        yield found
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Deployment:
    """One of the lab's, by its control API."""

    def __init__(self, http: httpx.AsyncClient, control: str, name: str, base: str, root: str):
        self.http, self.url, self.name, self.base, self.root = http, f"{control}/deployments/{name}", name, base, root

    async def behave(self, **behaviour) -> None:
        (await self.http.put(self.url, json=behaviour)).raise_for_status()

    async def release(self) -> None:
        (await self.http.post(f"{self.url}/release")).raise_for_status()

    async def stats(self) -> dict:
        return (await self.http.get(self.url)).raise_for_status().json()["stats"]

    async def received(self) -> int:
        return (await self.stats())["chat"]  # LiteLLM asks for more than that at its start


async def until(condition, seconds: float = 20.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


@contextlib.asynccontextmanager
async def lab(binary: str, names: list[str], folder: pathlib.Path):
    """Deployments with these names, healthy, by name."""
    script = folder / "lab.yml"
    script.write_text(yaml.safe_dump({"deployments": [{"name": name} for name in names]}))

    async def ready(output: str):
        return re.search(r"^\{.*\}$", output, re.MULTILINE)

    command = [binary, "lab", "--script", str(script), "--json"]
    async with process(command, folder / "lab.log", ready, 20, {}) as found, httpx.AsyncClient(timeout=20) as http:
        said = json.loads(found[0])
        yield {
            each["name"]: Deployment(http, said["control"], each["name"], each["base_url"], each["root_url"])
            for each in said["deployments"]
        }


class LiteLLM:
    """A LiteLLM proxy with one worker, which keeps all state in its memory."""

    name, fallbacks_header = "litellm", "x-litellm-attempted-fallbacks"

    @staticmethod
    def attempts(headers) -> int:
        return int(headers.get("x-litellm-attempted-retries", 0)) + 1

    @contextlib.asynccontextmanager
    async def start(self, config: dict, folder: pathlib.Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        url = f"http://127.0.0.1:{port}"

        async def ready(_output: str):
            with contextlib.suppress(httpx.HTTPError):
                async with httpx.AsyncClient() as http:
                    return (await http.get(f"{url}/health/readiness", timeout=5)).is_success
            return False

        program = str(pathlib.Path(sys.executable).with_name("litellm"))
        command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--num_workers", "1", "--telemetry", "False"]
        env = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        async with process(command, folder / "litellm.log", ready, 120, env):
            yield url


class Waypost:
    """Waypost, with LiteLLM's config.yaml as it is, or with the endpoints.yml that says the same."""

    name, fallbacks_header = "waypost", "x-waypost-fallbacks"

    def __init__(self, binary: str, dialect: str):
        self.binary, self.dialect = binary, dialect

    @staticmethod
    def attempts(headers) -> int:
        return int(headers.get("x-waypost-attempts", 1))

    @contextlib.asynccontextmanager
    async def start(self, config: dict, folder: pathlib.Path):
        config = endpoints(config) if self.dialect == "waypost" else config
        file = folder / ("endpoints.yml" if self.dialect == "waypost" else "config.yaml")
        file.write_text(yaml.safe_dump(config, sort_keys=False))

        async def ready(output: str):
            return re.search(r"listening on (http://[0-9.:]+)", output)

        command = [self.binary, "serve", "--config", str(file), "--host", "127.0.0.1", "--port", "0"]
        async with process(command, folder / "waypost.log", ready, 20, {"NO_COLOR": "1"}) as found:
            yield found[1]


def endpoints(config: dict) -> dict:
    """The endpoints.yml that means what this config.yaml means, as far as the scenarios go."""
    router, proxy = config["router_settings"], config.get("litellm_settings", {})
    kept = {key: router[key] for key in ("routing_strategy", "num_retries", "cooldown_time") if key in router}
    groups: dict[str, dict] = {}
    for entry in config["model_list"]:
        params = dict(entry["litellm_params"])
        params["provider"], params["model"] = params["model"].split("/", 1)
        if params["provider"] == "azure":
            params["deployment"] = params.pop("model")
        params["model_info"] = entry["model_info"]
        group = groups.setdefault(entry["model_name"], {"id": entry["model_name"], "models": [], "router": kept | {}})
        group["models"].append(params)
        if proxy.get("cache"):
            group["router"]["cache_responses"] = True
    result: dict = {"model_groups": list(groups.values())}
    fallbacks = {group: {"fallbacks": targets} for entry in router.get("fallbacks", []) for group, targets in entry.items()}
    if fallbacks:
        result["waypost"] = {"groups": fallbacks}
    return result
