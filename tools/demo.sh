#!/bin/sh
# Builds dist/ormen and shows it at work beside an Engine.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
sh tools/build.sh
exec sh tools/with_engine.sh deno run -A tools/demo.ts "$@"
