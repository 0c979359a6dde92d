#!/usr/bin/env bash
# Sixteen scenarios, each run against a LiteLLM proxy from PyPI and against Waypost; prints a table of what was measured.
#
#   cargo build --locked && examples/litellm/run.sh                    # about four minutes
#   examples/litellm/run.sh --only 2,3,16 --gateways waypost           # some of them, one of the two
#
# Takes the binary of $WAYPOST_BIN, else of target/release, else of target/debug. Needs python3 (3.11) with venv. Packages
# (about 760 MB) are installed below target/ at the first run; nothing but loopback is used after that.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
for candidate in "${WAYPOST_BIN:-}" "$target/release/waypost" "$target/debug/waypost"; do
  [ -n "$candidate" ] && [ -x "$candidate" ] && binary=$candidate && break
done
[ -n "${binary:-}" ] || { echo "there is no waypost binary yet: cargo build --release" >&2; exit 1; }
here=examples/litellm
venv=$target/tools/litellm
if ! cmp -s $here/requirements.txt "$venv/requirements.txt"; then
  echo "installing LiteLLM into $venv" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: --no-deps -r $here/requirements.txt
  cp $here/requirements.txt "$venv/requirements.txt"
fi
exec "$venv/bin/python" -B $here/run.py --bin "$binary" --folder "$target/litellm" "$@"
