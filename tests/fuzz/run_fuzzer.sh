#!/bin/sh
# Run one fuzz target of a build with libFuzzer for a while. What it learns stays in the build folder; an
# input that breaks something is named at the end, to be put into tests/fuzz/corpus with the mend.
# Usage: run_fuzzer.sh BUILD TARGET SECONDS
set -u
build=$1
target=$2
seconds=$3
here=$(dirname "$0")
root=$here/../..
learnt=$build/corpus/$target
mkdir -p "$learnt" "$build/found"

library=$(ls "$root"/build/venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.* | head -n 1)
export DYNBATCH_ORT_LIB="${DYNBATCH_ORT_LIB:-$library}"
export UBSAN_OPTIONS=print_stacktrace=1
echo "fuzzing $target for $seconds s"
# Memory is limited, so that a size that a caller makes up is not allocated. The limit of an input's
# time is far above what any takes.
if "$build/tests/${target}_fuzzer" -max_total_time="$seconds" -max_len=512 -len_control=0 -timeout=30 \
  -rss_limit_mb=4096 -malloc_limit_mb=1024 -verbosity=0 -print_final_stats=1 \
  -artifact_prefix="$build/found/$target-" "$learnt" "$here/corpus/$target" >"$build/$target.log" 2>&1; then
  grep -E "number_of_executed_units|new_units_added" "$build/$target.log"
else
  cat "$build/$target.log" >&2
  echo "run the input again: $build/tests/${target}_fuzzer $build/found/$target-<...>" >&2
  exit 1
fi
