#!/usr/bin/env bash
# The benchmark of examples/compare against LiteLLM (PyPI) and Portkey (npm), each on the gateways' core, one process,
# with the model `bench` balanced over two equal deployments at the canned upstream. Needs python3 (3.10 or later) with
# venv, node with npm, and taskset. Installs below target/gateways; one that does not install is left out, and said so.
#
#   cargo build --release --locked --bin waypost --example compare
#   examples/gateways/run.sh --only plain,streams,latency      # any argument of compare
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD
dir=$root/target/gateways
upstream=${UPSTREAM_PORT:-9109}
litellm_port=${LITELLM_PORT:-9110}
portkey_port=${PORTKEY_PORT:-9111}
client_key=sk-client-key-0123456789 # what compare shows
gateways=()
pids=()
mkdir -p "$dir"

stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
}
trap stop EXIT

# listens PORT PID: waits until something does, or the process has ended
listens() {
    for _ in $(seq 600); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# start NAME PORT OPTIONS COMMAND..: on core 0, its output in target/gateways/NAME.log
start() {
    local name=$1 port=$2 options=$3
    shift 3
    taskset -c 0 "$@" >"$dir/$name.log" 2>&1 &
    local pid=$!
    pids+=("$pid")
    if listens "$port" "$pid"; then
        gateways+=(--gateway "$name=http://127.0.0.1:$port/v1,pid=$pid$options")
    else
        echo "$name did not start and is left out; see $dir/$name.log" >&2
    fi
}

litellm() {
    if [ ! -x "$dir/litellm/bin/litellm" ]; then
        { python3 -m venv "$dir/litellm" && "$dir/litellm/bin/pip" install --quiet 'litellm[proxy]'; } >"$dir/litellm-install.log" 2>&1 || {
            echo "litellm did not install and is left out; see $dir/litellm-install.log" >&2
            rm -rf "$dir/litellm"
            return 0
        }
    fi
    echo "litellm $("$dir/litellm/bin/python" -c 'from importlib.metadata import version; print(version("litellm"))')"
    {
        echo "model_list:"
        for model in one two; do
            echo "  - model_name: bench"
            echo "    litellm_params: {model: openai/$model, api_base: 'http://127.0.0.1:$upstream/v1', api_key: sk-upstream-key,"
            echo "      rpm: 100000000, tpm: 100000000000, input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001}"
        done
        echo "router_settings: {routing_strategy: least-busy}"
        echo "general_settings: {master_key: $client_key}"
    } >"$dir/litellm.yaml"
    # Its own advice for production; and no price table from the network.
    export LITELLM_MODE=PRODUCTION LITELLM_LOG=ERROR LITELLM_LOCAL_MODEL_COST_MAP=True
    start litellm "$litellm_port" "" "$dir/litellm/bin/litellm" --config "$dir/litellm.yaml" --host 127.0.0.1 --port "$litellm_port" --num_workers 1 --telemetry False
}

portkey() {
    local package=$dir/portkey/node_modules/@portkey-ai/gateway
    if [ ! -f "$package/build/start-server.js" ]; then
        mkdir -p "$dir/portkey"
        # With later versions of its server library (1.19 was tried) each of its streams ends with status 500.
        echo '{"dependencies": {"@portkey-ai/gateway": "*"}, "overrides": {"@hono/node-server": "1.13.8"}}' >"$dir/portkey/package.json"
        npm install --prefix "$dir/portkey" --no-fund --no-audit >"$dir/portkey-install.log" 2>&1 || {
            echo "portkey did not install and is left out; see $dir/portkey-install.log" >&2
            rm -rf "$dir/portkey"
            return 0
        }
    fi
    echo "portkey $(node -p "require('$package/package.json').version")"
    # It has no configuration file: each request says where to.
    local target="{\"provider\":\"openai\",\"api_key\":\"sk-upstream-key\",\"custom_host\":\"http://127.0.0.1:$upstream/v1\",\"weight\":1}"
    local config="{\"strategy\":{\"mode\":\"loadbalance\"},\"targets\":[$target,$target]}"
    start portkey "$portkey_port" ",header=x-portkey-config: $config" node "$package/build/start-server.js" "--port=$portkey_port" --headless
}

litellm
portkey
target/release/examples/compare --upstream-port "$upstream" "${gateways[@]}" "$@"
