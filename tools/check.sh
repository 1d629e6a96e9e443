#!/bin/sh
# What needs no building and no Engine: format, lint, types, import rules.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh

deno fmt --check --quiet
deno lint --quiet
# --frozen: a package that is not in deno.lock fails here, not on somebody else's machine.
deno check --quiet --frozen main.ts lib tests tools workflows
deno check --quiet --frozen --doc-only docs/workflows.md
deno test --quiet --no-check --allow-read tests/import_rules.test.ts
