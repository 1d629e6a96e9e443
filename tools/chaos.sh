#!/bin/sh
# Kills decks and sailors under load on a real Engine: MINUTES (3) with TASKS (200); SEED repeats what was drawn.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
sh tools/build.sh
export ORMEN_REQUIRE_DOCKER=1
export ORMEN_CHAOS_SECONDS=$((60 * ${MINUTES:-3})) ORMEN_CHAOS_TASKS="${TASKS:-200}" ORMEN_CHAOS_SEED="${SEED:-}"
exec sh tools/with_engine.sh deno run -A tools/run_tests.ts tests/e2e/chaos.test.ts
