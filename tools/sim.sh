#!/bin/sh
# Clusters in virtual time (tests/sim/main.ts says what SEED, SEEDS, FROM, WITHOUT and LOG do).
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
exec deno run -A --no-check tests/sim/main.ts
