#!/bin/sh
# Measures what docs/performance.md tells of. ONLY="row row" for some of it, QUICK=1 for the form of less than a minute.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
sh tools/build.sh
# shellcheck disable=SC2086 # Names of rows, in words.
exec sh tools/with_engine.sh deno run --quiet -A --unstable-kv tests/bench/main.ts ${QUICK:+--quick} ${ONLY:-}
