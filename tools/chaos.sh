#!/bin/sh
# Kills decks and sailors under load on a real Engine: MINUTES (3) with TASKS (200), then as long with runs of workflows;
# SEED repeats what was drawn.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
sh tools/build.sh
export ORMEN_REQUIRE_DOCKER=1
export ORMEN_CHAOS_SECONDS=$((60 * ${MINUTES:-3})) ORMEN_CHAOS_TASKS="${TASKS:-200}" ORMEN_CHAOS_SEED="${SEED:-}"
export ORMEN_WORKFLOW_KILLS=$((30 * ${MINUTES:-3})) ORMEN_WORKFLOW_RUNS=$((12 * ${MINUTES:-3}))
exec sh tools/with_engine.sh deno run -A tools/run_tests.ts tests/e2e/chaos.test.ts \
  tests/e2e/workflow_faults_random.test.ts
