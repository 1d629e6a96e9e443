#!/bin/sh
# Makes dist/ormen; does nothing when nothing changed.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
exec deno run --quiet -A tools/build.ts "$@"
