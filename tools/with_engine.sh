#!/bin/sh
# with_engine.sh CMD...: runs CMD where a Docker Engine answers; starts a private one for its duration where none does
# (with_engine.ts does the work). CMD runs in the directory this was called from.
set -eu
tools=$(cd "$(dirname "$0")" && pwd)
from=$PWD
cd "$tools/.."
. tools/env.sh
cd "$from"
exec deno run --quiet -A "$tools/with_engine.ts" "$@"
