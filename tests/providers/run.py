#!/usr/bin/env python3
"""Stand-ins for providers, shown right by the providers' own SDKs, and Waypost before them.

    tests/providers/run.py [--bin target/debug/waypost] [--node node --node-packages DIR] [--only NAME] [--standins]
                           [PYTEST-ARGUMENT...]

`--only anthropic` runs what has that in its name (pytest's -k); `--standins` leaves Waypost out. Run it with a Python that has what tests/requirements.txt lists; `scripts/check providers` prepares that.
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("WAYPOST_BIN", str(TOP / "target/debug/waypost")))
    parser.add_argument("--only", help="part of the names of the tests to run (pytest's -k)")
    parser.add_argument("--node", default="node")
    parser.add_argument("--node-packages", help="where `npm ci` for tests/sdk/node was run; without it the tests in Node are skipped")
    parser.add_argument("--standins", action="store_true", help="only the stand-ins and the SDKs")
    options, rest = parser.parse_known_args()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3"]
    command += [str(path) for path in sorted(HERE.glob("test_standin_*.py"))] if options.standins else [str(HERE)]
    command += ["-k", options.only] if options.only else []
    environment = os.environ | {"WAYPOST_BIN": options.bin, "PYTHONDONTWRITEBYTECODE": "1", "NODE": options.node}
    if options.node_packages:
        environment["NODE_PACKAGES"] = options.node_packages
    return subprocess.run([*command, *rest], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
