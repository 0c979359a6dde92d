"""The program in Node gives the transcript that the one in Python gives, per provider. See node/transcript.mjs.

It needs the packages of tests/sdk/node: NODE_PACKAGES is the folder that has their node_modules, NODE the program.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess

import pytest

import brain
from environment import TOP
from material import PNG, SCHEMA, TOOLS
from providers import PROVIDERS
from standins.openai_direct import OpenAi
from test_transcripts import BY_NAME
from test_transcripts import program as program, running as running  # fixtures
from transcript import CASES, Program

PACKAGES = pathlib.Path(os.environ.get("NODE_PACKAGES", str(TOP / "tests/sdk/node"))) / "node_modules"
NODE = os.environ.get("NODE", "node")
pytestmark = pytest.mark.skipif(
    not PACKAGES.is_dir(), reason=f"there is no {PACKAGES}: npm ci in tests/sdk/node, or NODE_PACKAGES"
)


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    """Packages are looked up beside a script, so the script goes to them, as in tests/sdk/run.py."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(pathlib.Path(__file__).parent / "node/transcript.mjs", folder)
    (folder / "node_modules").symlink_to(PACKAGES.resolve())
    return folder / "transcript.mjs"


def node(script, program: Program, cases: list[str]) -> dict:
    material = {"tools": TOOLS, "schema": SCHEMA, "png": base64.b64encode(PNG).decode(),
                "failures": [words for _, words in brain.FAILURES.values()]}
    command = [NODE, "--preserve-symlinks", "--preserve-symlinks-main", str(script), "--base-url", str(program.client.base_url),
               "--model", program.model, "--key", program.client.api_key, "--embedding-model", program.embedding_model, *cases]
    done = subprocess.run(
        command, env=os.environ | {"MATERIAL": json.dumps(material)}, capture_output=True, text=True, timeout=25
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compare(script, program: Program, cases: list[str]):
    got = node(script, program, cases)
    # Through JSON: tuples become lists.
    expected = {case: json.loads(json.dumps(getattr(program, f"case_{case}")())) for case in cases}
    for case in cases:
        assert got[case] == expected[case], f"{case} in Node"


def test_both_programs_agree(script):
    with OpenAi() as standin:
        compare(script, Program(f"{standin.url}/v1", "gpt-test", "embed-test", key="sk-openai-test"), CASES)


@pytest.mark.parametrize("name", [provider.name for provider in PROVIDERS])
def test_node(script, program, name):  # noqa: F811
    provider = BY_NAME[name]
    compare(script, program, [case for case in provider.all_cases() if case not in provider.cannot])
