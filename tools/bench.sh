#!/bin/sh
# The engine's time a step of a workflow, against the same tasks by hand: N repetitions (5). Needs no Engine.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
exec deno run -A tests/bench/workflow.ts "${N:-5}"
