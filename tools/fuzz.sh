#!/bin/sh
# Hostile requests and messages: N of them (50,000), from SEED (a new one each time). Needs no build and no Engine.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
ORMEN_FUZZ_RUNS="${N:-50000}" ORMEN_FUZZ_SEED="${SEED:-}" exec deno test -A --no-check tests/fuzz/
