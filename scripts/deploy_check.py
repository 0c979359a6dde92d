#!/usr/bin/env python3
"""Checks the deployment files without a container engine and without a cluster.

Schemas (kubernetes-validate and check-jsonschema carry them), every endpoints.yml in them through `waypost check`, and
what no schema sees: that grace periods are longer than drains, that objects find each other, that the image and the
manifests agree on user and paths, that every variable of a file is set somewhere.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import yaml

TOP = pathlib.Path(__file__).resolve().parent.parent
KUBERNETES = TOP / "examples/kubernetes"
KUBERNETES_VERSIONS = ["1.31", "1.37"]  # oldest and newest looked at
COMPOSE = sorted((TOP / "docker").glob("compose*.yml"))
# Kinds whose schema belongs to a tool, not to the cluster.
NO_SCHEMA = {"kustomization.yaml"}
# Seconds that ending takes besides the drain.
MARGIN = 5

passed, problems = 0, []


def check(condition, text: str) -> None:
    global passed
    if condition:
        passed += 1
    else:
        problems.append(text)
        print(f"FAILED  {text}")


def run(command: list[str], what: str, env: dict | None = None) -> None:
    done = subprocess.run(command, cwd=TOP, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, f"{what}: {shlex.join(command)}\n{done.stdout}")


def tool(name: str) -> str:
    return str(pathlib.Path(sys.executable).parent / name)


def variables(text: str) -> set[str]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return set(re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", "\n".join(lines)))


def endpoints(binary: str, text: str, what: str) -> None:
    """`waypost check` with every variable set, each to something else."""
    names = sorted(variables(text))
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
    for number, name in enumerate(names):
        if name == "REDIS_URL":
            env[name] = f"redis://:secret-{number}@redis:6379/0"
        elif "PORT" in name:
            env[name] = str(6379 + number)
        elif "BASE" in name or "URL" in name:
            env[name] = f"https://host-{number}.example.com/"
        else:
            env[name] = f"value-{number}-0123456789abcdef"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "endpoints.yml"
        file.write_text(text)
        run([binary, "check", "--config", str(file)], what, env)


def seconds(arguments: list[str], flag: str) -> float:
    words = [word for argument in arguments for word in argument.split("=", 1)]
    check(flag in words, f"{flag} is not given in {arguments}")
    value = words[words.index(flag) + 1]
    return float(value.removesuffix("ms")) / 1000 if value.endswith("ms") else float(value.removesuffix("s"))


def image() -> dict:
    """What the last stage of the Dockerfile says."""
    text = re.sub(r"\\\n", " ", (TOP / "Dockerfile").read_text())
    stage = re.split(r"(?m)^FROM ", text)[-1]
    says: dict[str, list[str]] = {}
    for line in stage.splitlines()[1:]:
        if line.strip() and not line.startswith("#"):
            word, rest = line.split(None, 1)
            says.setdefault(word, []).append(rest)
    check(stage.startswith("scratch"), "the final stage is empty: FROM scratch")
    check("RUN" not in says, "the final stage runs nothing: it has no shell")
    user = says.get("USER", [""])[0]
    check(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "USER is a number and not 0, so that runAsNonRoot can see it")
    for word in ("ENTRYPOINT", "CMD"):
        check(says.get(word, [""])[0].startswith("["), f"{word} is a list: there is no shell to read a line")
    probe = says.get("HEALTHCHECK", [""])[0].split("CMD", 1)[-1].strip()
    check(probe.startswith("["), "HEALTHCHECK is a list")
    entry = json.loads(says["ENTRYPOINT"][0])
    check(json.loads(probe)[0] == entry[0] and json.loads(probe)[1] == "probe", "the binary is its own health probe")
    check("EXPOSE" in says, "EXPOSE says the port")
    return {"user": user.split(":")[0], "binary": entry[0], "command": json.loads(says["CMD"][0]), "port": says["EXPOSE"][0]}


def dockerignore() -> None:
    ignored = (TOP / ".dockerignore").read_text().split()
    for name in ("target", ".git"):
        check(name in ignored, f".dockerignore leaves {name} out")
    for needed in re.findall(r"\./(docker/[\w-]+)", (TOP / "Dockerfile").read_text() + (TOP / "docker/build-root").read_text()):
        path = TOP / needed
        check(os.access(path, os.X_OK), f"{needed} is there and executable")


def compose(binary: str, about: dict) -> None:
    for file in COMPOSE:
        name = file.relative_to(TOP)
        run([tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)], f"{name} against its schema")
        data = yaml.safe_load(file.read_text())
        for config, body in data.get("configs", {}).items():
            path = file.parent / body["file"]
            check(path.is_file(), f"{name}: configs.{config}: there is no {body['file']}")
        for service, body in data["services"].items():
            for config in body.get("configs", []):
                check(config["source"] in data["configs"], f"{name}: {service}: no config {config['source']}")
            for other in body.get("depends_on", {}):
                check(other in data["services"], f"{name}: {service} depends on {other}, which there is not")
            mode = body.get("network_mode", "")
            if mode.startswith("service:"):
                check(mode[8:] in data["services"], f"{name}: {service}: {mode}")
                check("ports" not in body, f"{name}: {service} has ports, but lives in the network of {mode[8:]}")
            if body.get("image") == "waypost":
                check(body.get("read_only") is True, f"{name}: {service} has a read-only root")
                check(body.get("cap_drop") == ["ALL"], f"{name}: {service} has no capabilities")
                command = body.get("command", about["command"])
                if command[0] == "serve":
                    drain = seconds(command, "--drain-delay") + seconds(command, "--drain-timeout")
                    grace = float(body["stop_grace_period"].removesuffix("s"))
                    check(grace >= drain + MARGIN, f"{name}: {service}: {grace} s to stop, but the drain takes {drain} s")
    for name in ("endpoints.yml", "waypost-endpoints.yml", "rasa-endpoints.yml"):
        endpoints(binary, (TOP / "docker" / name).read_text(), f"docker/{name}")
    gateway = yaml.safe_load((TOP / "docker/compose.yml").read_text())["services"]["gateway"]
    unset = variables((TOP / "docker/endpoints.yml").read_text()) - set(gateway["environment"])
    check(not unset, f"docker/compose.yml does not set {', '.join(sorted(unset))}")
    lab = yaml.safe_load((TOP / "docker/lab.yml").read_text())
    ports = {str(deployment["port"]) for deployment in lab["deployments"]}
    used = set(re.findall(r"127\.0\.0\.1:(\d+)", (TOP / "docker/endpoints.yml").read_text()))
    check(ports == used, f"docker/lab.yml opens {sorted(ports)}, docker/endpoints.yml uses {sorted(used)}")


def pods(objects: list[dict]):
    for body in objects:
        if body["kind"] == "Deployment":
            yield body, body["spec"]["template"]


def kubernetes(binary: str, about: dict) -> None:
    files = sorted(KUBERNETES.glob("*.yaml"))
    for version in KUBERNETES_VERSIONS:
        for file in files:
            if file.name not in NO_SCHEMA:
                run([tool("kubernetes-validate"), "-k", version, "--strict", str(file)], f"{file.name} against Kubernetes {version}")
    by_file = {file.name: [body for body in yaml.safe_load_all(file.read_text()) if body] for file in files}
    for name in by_file["kustomization.yaml"][0]["resources"]:
        check(name in by_file, f"kustomization.yaml names {name}, which there is not")

    objects = [body for name, bodies in by_file.items() if name not in NO_SCHEMA for body in bodies]
    named = {(body["kind"], body["metadata"]["name"]): body for body in objects}
    secret = set(named["Secret", "waypost"]["stringData"])
    for (kind, name), body in named.items():
        if kind == "ConfigMap":
            for key, text in body["data"].items():
                endpoints(binary, text, f"ConfigMap {name}: {key}")
                unset = variables(text) - secret
                check(not unset, f"ConfigMap {name}: {key}: secret.yaml has no {', '.join(sorted(unset))}")
        if kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            spec = body["spec"]
            wanted = {"Service": spec.get("selector"), "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels")}.get(
                kind, spec.get("selector", {}).get("matchLabels"))
            found = [pod for _, pod in pods(objects) if wanted.items() <= pod["metadata"]["labels"].items()]
            check(len(found) == 1, f"{kind} {name} selects {len(found)} kinds of pods")
        if kind == "HorizontalPodAutoscaler":
            target = body["spec"]["scaleTargetRef"]
            check((target["kind"], target["name"]) in named, f"{kind} {name} scales {target}, which there is not")
            check("replicas" not in named[target["kind"], target["name"]]["spec"], f"{kind} {name} and the replicas of its target")

    for body, pod in pods(objects):
        name, spec = body["metadata"]["name"], pod["spec"]
        selector = body["spec"]["selector"]["matchLabels"]
        check(selector.items() <= pod["metadata"]["labels"].items(), f"Deployment {name} selects its own pods")
        check(spec.get("enableServiceLinks") is False, f"Deployment {name}: a Service called waypost would set WAYPOST_PORT")
        check(spec["securityContext"]["runAsNonRoot"] is True, f"Deployment {name} does not run as root")
        check(spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", f"Deployment {name}: seccomp profile")
        for volume in spec["volumes"]:
            if "configMap" in volume:
                check(("ConfigMap", volume["configMap"]["name"]) in named, f"Deployment {name}: volume {volume['name']}")
        for container in spec.get("initContainers", []) + spec["containers"]:
            where = f"Deployment {name}: {container['name']}"
            context = container["securityContext"]
            check(context["allowPrivilegeEscalation"] is False and context["capabilities"]["drop"] == ["ALL"], f"{where}: restricted")
            check("limits" in container["resources"] and "requests" in container["resources"], f"{where}: resources")
            if not container["image"].startswith("waypost:"):
                continue
            check(context["readOnlyRootFilesystem"] is True, f"{where}: read-only root")
            user = context.get("runAsUser", spec["securityContext"].get("runAsUser"))
            check(str(user) == about["user"], f"{where} runs as {user}, the image as {about['user']}")
            mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
            config = container["args"][container["args"].index("--config") + 1] if "--config" in container["args"] else \
                next(argument.split("=")[1] for argument in container["args"] if argument.startswith("--config="))
            check(any(config.startswith(path) for path in mounted), f"{where} reads {config}, mounted is {mounted}")
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                for command in [container.get(kind, {}).get("exec", {}).get("command")]:
                    check(command is None or command[0] == about["binary"], f"{where}: {kind} runs {command}")
            if container["args"][0] == "serve":
                drain = seconds(container["args"], "--drain-delay") + seconds(container["args"], "--drain-timeout")
                grace = spec["terminationGracePeriodSeconds"]
                check(grace >= drain + MARGIN, f"{where}: {grace} s to stop, but the drain takes {drain} s")
                paths = {kind: container[kind].get("httpGet", {}).get("path") or container[kind]["exec"]["command"][-1]
                         for kind in ("livenessProbe", "readinessProbe", "startupProbe") if kind in container}
                check(paths["livenessProbe"].endswith("/livez"), f"{where}: liveness asks {paths['livenessProbe']}")
                check(any(path.endswith("/readyz") for path in paths.values()), f"{where}: nothing asks /readyz")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    about = image()
    dockerignore()
    compose(options.bin, about)
    kubernetes(options.bin, about)
    endpoints(options.bin, (TOP / "examples/llamacpp/endpoints.yml").read_text(), "examples/llamacpp/endpoints.yml")
    print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
