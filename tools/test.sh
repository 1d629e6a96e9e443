#!/bin/sh
# Everything: check, build, then all tests in one run beside an Engine. Arguments go to `deno test` (files, --filter).
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
sh tools/check.sh
sh tools/build.sh
exec sh tools/with_engine.sh deno run -A tools/run_tests.ts "$@"
