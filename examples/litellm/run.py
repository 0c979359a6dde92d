#!/usr/bin/env python3
"""What run.sh does once the packages are there. Prints the table to standard output, progress to standard error.

Exits 1 if Waypost measured anything else than it must.
"""

import argparse
import asyncio
import pathlib
import re
import subprocess
import sys
import time
from importlib.metadata import version

import httpx

import scenarios
from processes import Deployment, LiteLLM, Waypost, lab
from scenarios import SETTINGS, Scenario, Scene

HERE = pathlib.Path(__file__).resolve().parent
BEGAN = time.monotonic()


def tell(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)


def config(setting: str, chosen: list[Scenario], deployments: dict[str, Deployment]) -> dict:
    """A config.yaml with the groups of these scenarios."""
    models = []
    for each in chosen:
        for group, members in each.groups.items():
            for name, own in members.items():
                at = deployments[name]
                params = {"model": "openai/lab", "api_base": at.base, "api_key": "sk-of-the-deployment"} | own
                if params["model"].startswith("azure/"):
                    params["api_base"] = at.root
                models.append({"model_name": group, "litellm_params": params, "model_info": {"id": name}})
    result = {"model_list": models} | {key: dict(value) for key, value in SETTINGS[setting].items()}
    fallbacks = [{group: targets} for each in chosen for group, targets in each.fallbacks.items()]
    if fallbacks:
        result["router_settings"]["fallbacks"] = fallbacks
    return result


async def routers(binary: str, folder: pathlib.Path) -> str:
    """Scenario 1 with LiteLLM's library instead of its proxy."""
    groups = {"one": ["a", "b"], "two": ["c", "d"]}
    async with lab(binary, [name for names in groups.values() for name in names], folder) as deployments:
        arguments = [f"{group}={','.join(deployments[name].base for name in names)}" for group, names in groups.items()]
        with (folder / "routers.log").open("w") as log:
            env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"}
            child = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / "routers.py"), *arguments, stdout=log, stderr=subprocess.STDOUT, env=env
            )
            if await asyncio.wait_for(child.wait(), 120):
                return "did not run"
        counts = [scenarios.colons([await deployments[name].received() for name in names]) for names in groups.values()]
    return " and ".join(counts)


async def play(gateway, options, chosen: list[Scenario]) -> dict[int, list[str]]:
    """What was measured, by number."""
    cells: dict[int, list[str]] = {}
    for setting in SETTINGS:
        mine = [each for each in chosen if each.setting == setting]
        if not mine:
            continue
        folder = options.folder / gateway.name / setting
        folder.mkdir(parents=True, exist_ok=True)
        names = [name for each in mine for members in each.groups.values() for name in members]
        async with lab(options.bin, names, folder) as deployments:
            async with gateway.start(config(setting, mine, deployments), folder) as url, scenarios.client() as http:
                for each in mine:
                    try:
                        cell = await each.play(Scene(gateway, url, http, deployments))
                    except httpx.HTTPError as error:
                        cell = f"{type(error).__name__}: {error}"
                    tell(f"{gateway.name:8} {setting:10} {each.number:2}  {cell}")
                    cells.setdefault(each.number, []).append(cell)
                    if gateway.name == "waypost" and not re.match(each.must, cell):
                        tell(f"         which should be {each.must}")
                        options.wrong = True
        if gateway.name == "litellm" and setting == "usage":
            cell = await routers(options.bin, folder)
            tell(f"{gateway.name:8} {'library':10}  1  {cell}")
            cells[1] = [f"{cell} (two Routers in one process, as in Rasa)", f"{cells[1][0]} (one Router: the proxy)"]
    return cells


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="configurations and logs")
    parser.add_argument("--only", help="numbers of scenarios, as in 2,3,16")
    parser.add_argument("--gateways", default="litellm,waypost")
    parser.add_argument("--dialect", choices=["litellm", "waypost"], default="litellm", help="of Waypost's file")
    options = parser.parse_args()
    options.wrong = False
    options.folder.mkdir(parents=True, exist_ok=True)
    tell(f"Waypost reads {'the same config.yaml' if options.dialect == 'litellm' else 'an endpoints.yml that says the same'}")
    only = {int(number) for number in options.only.split(",")} if options.only else set(range(1, 17))
    chosen = [each for each in scenarios.ALL if each.number in only]
    known = {"litellm": LiteLLM(), "waypost": Waypost(options.bin, options.dialect)}
    columns = [await play(known[name], options, chosen) for name in options.gateways.split(",")]

    heads = {"litellm": f"LiteLLM {version('litellm')}", "waypost": "Waypost"}
    print("| # | Scenario | " + " | ".join(heads[name] for name in options.gateways.split(",")) + " |")
    print("|---|---|" + "---|" * len(columns))
    for number in sorted(only):
        title = "; ".join(each.title for each in chosen if each.number == number)
        cells = ["; ".join(dict.fromkeys(column.get(number, []))) for column in columns]
        print(f"| {number} | {title} | " + " | ".join(cells) + " |")
    return int(options.wrong)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
