#!/bin/sh
# Runs every fuzz target for SECONDS (60) and says a line for each. Needs a nightly toolchain and cargo-fuzz.
# Targets that are built already are not built again with BUILD=0.
set -u
cd "$(dirname "$0")" || exit 1
seconds=${1:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
if [ "${BUILD:-1}" != 0 ]; then
    cargo +nightly fuzz build --fuzz-dir . || exit 1
fi
failed=0
for source in fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    mkdir -p "corpus/$target" "artifacts/$target"
    log="artifacts/$target.log"
    if "target/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" "corpus/$target" "seeds/$target" >"$log" 2>&1; then
        result=ok
    else
        result="FINDING, see fuzz/$log"
        failed=1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    echo "$target: $result, ${runs:-?} runs in $seconds s, ${coverage:-?} edges"
done
exit $failed
