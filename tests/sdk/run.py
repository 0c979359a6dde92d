#!/usr/bin/env python3
"""The OpenAI SDKs against a gateway over simulated deployments.

    tests/sdk/run.py [--bin target/debug/waypost] [--node node --node-packages DIR] [python|node]...

For each SDK it starts `waypost lab` and two gateways (one open, one with client keys) on free ports, tells the suite
where they are in SDK_TEST (JSON), and stops them again. Run it with a Python that has openai and pytest;
`scripts/check sdk` prepares all that.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent

CLIENT_KEY = "sk-client-0123456789abcdef"
LIMITED_KEY = "sk-limited-0123456789abcdef"
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"

# Model groups, and the deployments each has. A test that leaves a deployment cooling has a group of its own.
# `order` makes the first one be asked first, so that what a retry does is not left to chance.
GROUPS = {
    "plain": {"models": [{}], "router": {"num_retries": 0, "cooldown_time": 0}},
    "ordered": {"models": [{"order": 1}, {"order": 2}], "router": {"num_retries": 2, "cooldown_time": 0}},
    "budget": {"models": [{"order": 1}, {"order": 2}], "router": {"num_retries": 1, "cooldown_time": 0}},
    "cooling": {"models": [{"order": 1}, {"order": 2}], "router": {"num_retries": 1, "cooldown_time": 30}},
    "hasty": {"models": [{"timeout": 1}], "router": {"num_retries": 0, "cooldown_time": 0}},
    "prompts": {
        "models": [{}],
        "router": {"num_retries": 0, "cooldown_time": 0, "use_chat_completions_endpoint": False},
    },
    "azure": {"provider": "azure", "models": [{}], "router": {"num_retries": 0, "cooldown_time": 0}},
}


def deployments() -> list[str]:
    return [f"{group}-{index + 1}" for group, about in GROUPS.items() for index in range(len(about["models"]))]


def lab_script() -> dict:
    return {"deployments": [{"name": name} for name in deployments()]}


def endpoints(base_urls: dict[str, str], waypost: dict) -> dict:
    """JSON is YAML: the file needs no YAML library."""
    groups = []
    for group, about in GROUPS.items():
        models = []
        for index, extra in enumerate(about["models"]):
            name = f"{group}-{index + 1}"
            base = base_urls[name]
            if about.get("provider") == "azure":
                model = {
                    "provider": "azure",
                    "deployment": name,
                    "api_base": base.removesuffix("/v1"),
                    "api_version": "2024-10-21",
                }
            else:
                model = {"provider": "self-hosted", "model": f"{name}-model", "api_base": base}
            models.append(model | {"api_key": "${SDK_TEST_UPSTREAM_KEY}"} | extra)
        groups.append({"id": group, "models": models, "router": {"routing_strategy": "simple-shuffle"} | about["router"]})
    return {"model_groups": groups, "waypost": waypost}


def first_line(process: subprocess.Popen, pattern: str, seconds: float = 20) -> re.Match:
    """The first line of stdout that matches."""
    deadline = time.monotonic() + seconds
    seen = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.2)
        if ready:
            piece = os.read(process.stdout.fileno(), 65536)
            seen += piece
            for line in seen.decode(errors="replace").splitlines(keepends=True):
                if line.endswith("\n") and (found := re.search(pattern, line)):
                    return found
            if not piece:
                break
        elif process.poll() is not None:
            break
    raise SystemExit(f"{' '.join(process.args)}\nprinted no line like {pattern!r} but {seen.decode(errors='replace')!r}")


@contextlib.contextmanager
def started(command: list[str], pattern: str, log: pathlib.Path):
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL,
            env=os.environ | {"SDK_TEST_UPSTREAM_KEY": UPSTREAM_KEY, "SDK_TEST_CLIENT_KEY": CLIENT_KEY,
                              "SDK_TEST_LIMITED_KEY": LIMITED_KEY, "NO_COLOR": "1"},
        )
        try:
            try:
                match = first_line(process, pattern)
            except SystemExit:
                sys.stderr.write(log.read_text())
                raise
            # Whatever else it says on stdout must not fill the pipe.
            threading.Thread(target=lambda: shutil.copyfileobj(process.stdout, open(os.devnull, "wb")), daemon=True).start()
            yield match
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextlib.contextmanager
def environment(binary: str, folder: pathlib.Path):
    script = folder / "lab.yml"
    script.write_text(json.dumps(lab_script(), indent=2))
    with contextlib.ExitStack() as stack:
        match = stack.enter_context(
            started([binary, "lab", "--json", "--script", str(script)], r"^(\{.*\})\s*$", folder / "lab.log")
        )
        lab = json.loads(match[1])
        base_urls = {about["name"]: about["base_url"] for about in lab["deployments"]}
        gateways = {}
        for name, settings in {
            "open": {},
            "keyed": {
                "keys": [
                    {"name": "client", "key": "${SDK_TEST_CLIENT_KEY}"},
                    {"name": "limited", "key": "${SDK_TEST_LIMITED_KEY}", "groups": ["ordered"]},
                ]
            },
        }.items():
            file = folder / f"{name}.yml"
            file.write_text(json.dumps(endpoints(base_urls, settings), indent=2))
            match = stack.enter_context(
                started(
                    [binary, "serve", "--config", str(file), "--host", "127.0.0.1", "--port", "0", "--drain-delay", "0s"],
                    r"listening on (http://[0-9.:]+)", folder / f"{name}.log",
                )
            )
            gateways[name] = match[1]
            with urllib.request.urlopen(f"{gateways[name]}/readyz", timeout=5) as answer:
                assert answer.status == 200
        yield {
            "control": lab["control"], "deployments": sorted(base_urls), "gateway": gateways["open"],
            "keyed": gateways["keyed"], "client_key": CLIENT_KEY, "limited_key": LIMITED_KEY,
            "upstream_key": UPSTREAM_KEY, "groups": sorted(GROUPS),
        }


def run_python(options, env: dict, _folder: pathlib.Path) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3", str(HERE / "python")]
    if options.only:
        command += ["-k", options.only]
    return subprocess.run(command, env=env | {"PYTHONDONTWRITEBYTECODE": "1"}).returncode


def run_node(options, env: dict, folder: pathlib.Path) -> int:
    # Packages are looked up beside the tests, and nothing is installed in the tree: so the tests go to the packages.
    suite = folder / "node"
    shutil.copytree(HERE / "node", suite, ignore=shutil.ignore_patterns("node_modules"))
    packages = pathlib.Path(options.node_packages or HERE / "node") / "node_modules"
    if not packages.is_dir():
        raise SystemExit(f"there is no {packages}: npm ci in tests/sdk/node, or scripts/check sdk")
    (suite / "node_modules").symlink_to(packages.resolve())
    command = [options.node, "--preserve-symlinks", "--test", "--test-concurrency=1", "--test-timeout=30000", "--test-reporter=spec"]
    if options.only:
        command += [f"--test-name-pattern={options.only}"]
    return subprocess.run([*command, str(suite / "sdk.test.mjs")], env=env).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("WAYPOST_BIN", str(TOP / "target/debug/waypost")))
    parser.add_argument("--node", default="node")
    parser.add_argument("--node-packages")
    parser.add_argument("--only", help="part of the names of the tests to run")
    parser.add_argument("suites", nargs="*", metavar="python|node")
    options = parser.parse_args()
    suites = {"python": run_python, "node": run_node}
    chosen = options.suites or list(suites)
    if unknown := set(chosen) - set(suites):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    failed = []
    for name in chosen:
        print(f"-- OpenAI SDK for {name.capitalize()}", flush=True)
        with tempfile.TemporaryDirectory(prefix="waypost-sdk-") as path:
            folder = pathlib.Path(path)
            with environment(options.bin, folder) as about:
                if suites[name](options, os.environ | {"SDK_TEST": json.dumps(about)}, folder) != 0:
                    failed.append(name)
            if name in failed:
                for log in sorted(folder.glob("*.log")):
                    text = log.read_text()
                    print(f"-- {log.name}, last lines\n{text[-3000:]}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
